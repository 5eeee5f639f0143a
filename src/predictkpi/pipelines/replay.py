"""Replay: rejected rows, kept as the source gave them, go again through the mapping once that is mended. No file is needed for it.

What is offered is settled by the replay's load: it becomes facts, is found known already, or is rejected anew, with its new reason, as a
reject of that load. What would do harm is held back and waits on: a row that a later load has spoken of since (the old row would
overwrite the newer one), and a row without an id of its own whose customer or deal has rows of the same instant in the store (it would be
numbered like one of them).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.errors import MappingError, SourceError
from predictkpi.pipelines.ingest import Origin, company_of, load_offers, local
from predictkpi.sources import Feed, Mapping, Offer, RawFile, read_feed, read_file, read_mapping
from predictkpi.sources.attributes import is_new
from predictkpi.sources.checks import with_derived_keys
from predictkpi.sources.mapping import DERIVED_KEYS
from predictkpi.sources.records import of_records
from predictkpi.store import Counts, Load, Store
from predictkpi.tables import table_schema

ATTRIBUTES = "attributes"
_ROW = ["load_id", "file", "table", "row"]
_NO_LINES = pd.DataFrame({"value": [], "reason": []}, dtype="str")


@dataclass(frozen=True)
class ReplayReport:
    """What became of the waiting rejects: ``waiting = settled + held_back + left``.

    ``counts`` are those of the load (None where nothing could be offered): the records that the settled rejects made, with
    ``records = accepted + unchanged + rejected``. ``left`` are of files or conditions that the mapping does not name, or were no rows.
    """

    load_id: int | None
    waiting: int
    settled: int
    held_back: int
    left: int
    counts: Counts
    warnings: list[str] = field(default_factory=list)


def replay(
    store: Store,
    *,
    mapping: Path,
    now: pd.Timestamp,
    source: Path | None = None,
    load_id: int | None = None,
    table: str | None = None,
    file: str | None = None,
) -> ReplayReport:
    """Offer the waiting rejects (of one load, table or file, where named) through ``mapping`` again; all of it or nothing.

    What is accepted is known from ``now`` on, whatever the mapping says: nobody knew it before. Only where the table (or attribute) holds
    nothing yet is it a first load. ``source`` is the folder of the files that the mapping looks things up in. Raises `MappingError` or
    `SourceError` where the mapping does not fit the rows; then nothing has changed.
    """
    rules = read_mapping(mapping)
    company = company_of(store, rules)
    now = local(now, company)
    waiting = store.rejects(limit=None, load_id=load_id, table=table, file=file, with_records=True)
    rows = _rows(waiting)
    offers, offered, held = [], _Rows(), _Rows()
    for feed, load, part, only_attributes in _parts(rules, rows):
        offer = read_feed(feed, rules, _opener(feed, part, source), time_zone=company.time_zone)
        if offer.wrong:
            raise SourceError(f"{offer.wrong} Nothing was loaded")
        if only_attributes and offer.attributes is not None:
            offer = offer.attributes
        held.add(load, offer, _hold_back(store, offer, load))
        offered.add(load, offer, offer.frame.index.union(offer.deletions.index).union(offer.rejects.index).unique())
        _know_from_now(store, offer, now)
        offers.append(offer)
    settled = waiting[offered.holds(waiting, rows)]
    held_back = int((held.holds(waiting, rows) & ~offered.holds(waiting, rows)).sum())
    left = len(waiting) - len(settled) - held_back
    if settled.empty:
        return ReplayReport(None, len(waiting), 0, held_back, left, Counts())

    def settle(load: Load) -> None:
        load.settle_rejects(settled["reject_id"].tolist())

    origin = Origin(company=company, mapping=mapping.name, source="rejects", learnt_at=now)
    report = load_offers(store, offers, origin=origin, now=now, on_progress=_quietly, is_strict=False, finally_=settle)
    counts = sum((one.counts for one in report.feeds), Counts())
    warnings = list(dict.fromkeys(warning for offer in offers for warning in offer.warnings))
    return ReplayReport(report.load_id, len(waiting), len(settled), held_back, left, counts, warnings)


def _quietly(what: str, done: int, total: int) -> None:
    """Tell nobody: a replay is short."""


def _rows(waiting: pd.DataFrame) -> pd.DataFrame:
    """The rows behind the rejects, each once: rows that several loads brought alike count as the newest load's.

    Added: ``stands_for``, the load and row that are offered in its place. Rows that one file holds twice are two.
    """
    rows = waiting[waiting["record"].notna()].drop_duplicates(_ROW).sort_values(["load_id", "row"], kind="stable")
    same = ["file", "table", "record", "copy"]
    rows = rows.assign(copy=rows.groupby(["load_id", "file", "table", "record"]).cumcount())
    newest = rows.drop_duplicates(same, keep="last").rename(columns={"load_id": "as_load", "row": "as_row"})
    return rows.merge(newest[[*same, "as_load", "as_row"]], on=same)[[*_ROW, "record", "as_load", "as_row"]]


def _parts(rules: Mapping, rows: pd.DataFrame) -> list[tuple[Feed, int, pd.DataFrame, bool]]:
    """What each feed is offered: the rows of one load, and whether only their attributes were rejected."""
    parts = []
    newest = rows[(rows["load_id"] == rows["as_load"]) & (rows["row"] == rows["as_row"])]
    for feed in rules.feeds:
        for table in (feed.table, *([ATTRIBUTES] if feed.attributes else [])):
            own = newest[(newest["file"] == feed.file) & (newest["table"] == table)]
            parts += [(feed, int(str(load)), part, table == ATTRIBUTES) for load, part in own.groupby("load_id")]
    return parts


def _opener(feed: Feed, part: pd.DataFrame, source: Path | None) -> Callable[[str, str | None], RawFile]:
    raw = RawFile(feed.file, of_records(part["record"]).set_axis(part["row"].to_numpy()), _NO_LINES)

    def open_file(name: str, sheet: str | None) -> RawFile:
        if name == feed.file and sheet == feed.sheet:
            return raw
        if source is None:
            raise MappingError(f"{feed.table} from {feed.file} looks things up in {name}: name the folder that holds it with --source")
        return read_file(source, name, sheet=sheet, reading=feed)

    return open_file


def _hold_back(store: Store, offer: Offer, load_id: int) -> pd.Index:
    """Take out of the offer what a load since then, or the same one, has spoken of; returns those rows."""
    schema = table_schema(offer.feed.table)
    known = store.newest_loads(schema.name)
    keys = with_derived_keys(schema, offer.frame)[list(schema.key)]
    since = known[known["load_id"] >= load_id]
    is_known = pd.MultiIndex.from_frame(keys).isin(pd.MultiIndex.from_frame(since[list(schema.key)]))
    if schema.name in DERIVED_KEYS:
        key = schema.key[0]
        is_numbered_alike = _before_number(keys[key]).isin(_before_number(known[key]))
        is_known = np.where(offer.frame[key].notna(), is_known, is_numbered_alike)
    out = offer.frame.index[is_known].unique()
    offer.frame = offer.frame[~is_known]
    if len(offer.deletions):
        is_later = offer.deletions[schema.key[0]].isin(since[schema.key[0]])
        out = out.union(offer.deletions.index[is_later])
        offer.deletions = offer.deletions[~is_later]
    if offer.attributes is not None:
        own = offer.attributes
        _hold_back(store, own, load_id)
        own.frame = own.frame[~own.frame.index.isin(out)]
        own.rejects = own.rejects[~own.rejects.index.isin(out)]
        own.rows = len(own.frame) + len(own.rejects)
    _recount(offer)
    return out


def _recount(offer: Offer) -> None:
    offer.rows = offer.not_selected + len(offer.frame) + len(offer.deletions) + len(offer.rejects)


def _know_from_now(store: Store, offer: Offer, now: pd.Timestamp) -> None:
    """State that the rows are known from ``now`` on. Of several states of a record, known since different days, the last one holds."""
    if offer.attributes is not None:
        _know_from_now(store, offer.attributes, now)
    name, key = offer.feed.table, list(table_schema(offer.feed.table).key)
    known = store.newest_loads(name)
    is_first = is_new(offer.frame, known).to_numpy() if name == ATTRIBUTES else np.full(len(offer.frame), known.empty)
    at = offer.frame[c.KNOWN_AT].to_numpy()
    named = offer.frame[key].set_axis(pd.RangeIndex(len(at))).iloc[np.argsort(at, kind="stable")]
    named = named[named.notna().all(axis=1) & ~pd.isna(at[named.index])]
    is_passed = np.isin(np.arange(len(at)), named.index[named.duplicated(keep="last")]) & ~is_first
    offer.frame = offer.frame.assign(**{c.KNOWN_AT: offer.frame[c.KNOWN_AT].where(is_first, now)})[~is_passed]
    if len(offer.deletions) and not known.empty:
        offer.deletions = offer.deletions.assign(**{c.KNOWN_AT: now})
    _recount(offer)


def _before_number(ids: pd.Series) -> pd.Series:
    """``<customer or deal>@<instant>`` of ids that were made up."""
    return ids.str.rsplit("#", n=1).str[0]


class _Rows:
    """A set of rows, each by load, file, table and number."""

    def __init__(self) -> None:
        self._rows: set[tuple[int, str, str, int]] = set()

    def add(self, load: int, offer: Offer, numbers: pd.Index) -> None:
        """Add those rows of the offer's file."""
        self._rows.update((load, offer.feed.file, offer.feed.table, int(number)) for number in numbers)

    def holds(self, rejects: pd.DataFrame, rows: pd.DataFrame) -> pd.Series:
        """Which rejects are of one of these rows, or of one that such a row stands for."""
        offered_as = rejects.merge(rows[[*_ROW, "as_load", "as_row"]], on=_ROW, how="left")
        found = [
            (load, file, table, row) in self._rows
            for load, file, table, row in zip(*(offered_as[name] for name in ("as_load", "file", "table", "as_row")), strict=True)
        ]
        return pd.Series(found, index=rejects.index, dtype="bool")
