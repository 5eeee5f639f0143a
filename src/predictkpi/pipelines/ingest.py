"""Ingest: files through a mapping into the store, in one transaction, with every row accounted for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import Company
from predictkpi.errors import MappingError, SourceError
from predictkpi.sources import Feed, Mapping, Offer, RawFile, doubts, read_feed, read_file, read_mapping
from predictkpi.sources.checks import in_reporting_currency, not_of_the_future, of_known_deals, with_derived_keys
from predictkpi.sources.mapping import ALWAYS
from predictkpi.store import Counts, Load, Store
from predictkpi.store.versions import ACCEPTED, IS_NEW, OUTCOME, REJECTED, UNCHANGED
from predictkpi.tables import TABLES

OnProgress = Callable[[str, int, int], None]

REJECT_COLUMNS = ["file", "row", "table", "field", "value", "reason"]
KNOWN_ALWAYS = pd.Timestamp("1970-01-01")
_LONGEST_VALUE = 200
_ORDER = ["fx_rates", *(name for name in TABLES if name != "fx_rates")]  # rates before money, and (as in TABLES) deals before events


@dataclass(frozen=True)
class FeedReport:
    """What became of one feed: ``rows = not_selected + records`` and ``records = accepted + unchanged + rejected``."""

    table: str
    file: str
    rows: int
    not_selected: int
    counts: Counts

    @property
    def records(self) -> int:
        """Rows that were offered to the store."""
        return self.counts.records

    @property
    def accepted(self) -> int:
        """Records that became versions."""
        return self.counts.accepted

    @property
    def unchanged(self) -> int:
        """Records that said what was known already."""
        return self.counts.unchanged

    @property
    def rejected(self) -> int:
        """Records that are in the list of rejects, each with its reason."""
        return self.counts.rejected


@dataclass(frozen=True)
class IngestReport:
    """What became of one ingest. ``rejects`` has one row a rejected record, columns `REJECT_COLUMNS`."""

    load_id: int
    company: Company
    feeds: list[FeedReport]
    rejects: pd.DataFrame
    warnings: list[str] = field(default_factory=list)


def ingest(store: Store, *, mapping: Path, source: Path, now: pd.Timestamp, on_progress: OnProgress | None = None) -> IngestReport:
    """Load the files in ``source`` as ``mapping`` says; all of it or nothing.

    ``now`` is the instant of the load (naive: company-local). ``on_progress`` hears ``(what, done, total)``. Raises `MappingError` or
    `SourceError` where the job cannot be done, also if a feed has no good record: then only its rejects are kept, and nothing else has
    changed.
    """
    tell = on_progress or (lambda what, done, total: None)
    rules = read_mapping(mapping)
    company = rules.company or store.company or Company()
    now = _local(now, company)
    if rules.exported_from is not None and rules.exported_from > now:
        raise MappingError(f"{mapping}: exported_at {rules.exported_from.isoformat()} is later than now, {now.isoformat()}")
    offers = _read_feeds(rules, source, company, tell)

    learnt_at = min(now, rules.exported_until or now)
    with store.begin_load(company=company, now=now, exported_at=learnt_at, mapping=mapping.name, source=str(source)) as load:
        tables = {name: _Table(name, offers) for name in _ORDER if any(offer.feed.table == name for offer in offers)}
        for table in tables.values():
            tell(f"checking {table.name}", 0, len(table.frame))
            table.check(load, tables, until=learnt_at)
        report = _report(load.load_id, company, offers, tables)
        report.warnings.extend(text for table in tables.values() for text in table.doubts(load, is_dated=rules.exported_at is not None))
        refusal = _refusal(offers, report)
        load.write_rejects(report.rejects)
        load.finish(sum((feed.counts for feed in report.feeds), Counts()), is_refused=bool(refusal))
        if not refusal:
            for table in tables.values():
                table.write(load, tell)
    if refusal:
        raise SourceError(refusal)
    return report


def _local(now: pd.Timestamp, company: Company) -> pd.Timestamp:
    return now.tz_convert(company.time_zone).tz_localize(None) if now.tzinfo else now


def _read_feeds(rules: Mapping, source: Path, company: Company, tell: OnProgress) -> list[Offer]:
    """Read and convert every feed; a file that several feeds share is read once."""
    files: dict[tuple[str, str | None, str, str], RawFile] = {}
    offers = []
    for number, feed in enumerate(rules.feeds):
        tell(f"reading {feed.file}", number, len(rules.feeds))

        def open_file(name: str, sheet: str | None, feed: Feed = feed) -> RawFile:
            known = (name, sheet, feed.encoding, feed.delimiter)
            if known not in files:
                files[known] = read_file(source, name, sheet=sheet, reading=feed)
            return files[known]

        offers.append(read_feed(feed, rules, open_file, time_zone=company.time_zone))
    return offers


class _Table:
    """All that the feeds of an ingest offer to one table: rows in the order of the feeds, numbered from zero."""

    def __init__(self, name: str, offers: list[Offer]) -> None:
        self.name = name
        self.schema = TABLES[name]
        feeds = [(number, offer) for number, offer in enumerate(offers) if offer.feed.table == name]
        self.frame = pd.concat([offer.frame.assign(feed=number, row=offer.frame.index) for number, offer in feeds], ignore_index=True)
        self.frame = with_derived_keys(self.schema, self.frame)
        self.where = self.frame[["feed", "row"]].assign(file=self.frame["feed"].map({number: offer.feed.file for number, offer in feeds}))
        self.outcome = pd.Series("", index=self.frame.index, dtype="str")
        self.plan = pd.DataFrame()
        self.rejects: list[pd.DataFrame] = []
        self._first_of_key = [number for number, offer in feeds if offer.feed.unique == "first"]
        self._known_always = [number for number, offer in feeds if offer.feed.known_at == ALWAYS]

    def check(self, load: Load, tables: dict[str, _Table], *, until: pd.Timestamp) -> None:
        """Settle every row: reject what breaks a rule, and let the store plan the versions of the rest."""
        good = self._keep(self.schema.split_rejects(self.frame))
        good = self._keep(not_of_the_future(self.schema, good, until=until))
        rates = _current(load, tables, "fx_rates", [c.DS, c.CURRENCY, c.RATE])
        good = self._keep(in_reporting_currency(self.schema, good, currency=load.company.currency, rates=rates))
        if self.name == "deal_events":
            good = self._keep(of_known_deals(good, _current(load, tables, "deals", [c.DEAL_ID, c.CREATED_AT])))
        repeats = good["feed"].isin(self._first_of_key) & good.duplicated([*self.schema.key, "feed"])
        self.outcome[good.index[repeats]] = UNCHANGED
        good = good[~repeats]
        if self._known_always and load.is_first(self.name):
            good = good.assign(**{c.KNOWN_AT: good[c.KNOWN_AT].mask(good["feed"].isin(self._known_always), KNOWN_ALWAYS)})
        origin = self.where["file"] + " row " + self.where["row"].astype("str")
        self.plan = load.plan(self.name, good, origin=origin)
        self.outcome[good.index] = self.plan[OUTCOME]
        bad = self.plan[self.plan[OUTCOME] == REJECTED]
        key = good.loc[bad.index, list(self.schema.key)].astype("str").agg(" ".join, axis=1) if len(bad) else ""
        self.rejects.append(pd.DataFrame({"field": ", ".join(self.schema.key), "value": key, "reason": bad[c.REASON]}, index=bad.index))
        self.frame = good

    def _keep(self, checked: tuple[pd.DataFrame, pd.DataFrame]) -> pd.DataFrame:
        good, rejects = checked
        self.outcome[rejects.index] = REJECTED
        self.rejects.append(rejects)
        return good

    def doubts(self, load: Load, *, is_dated: bool) -> list[str]:
        """What of the checked rows looks like a slip; ``is_dated`` says that the mapping states when the files were exported."""
        accepted = self.plan[self.plan[OUTCOME] == ACCEPTED]
        if self.frame.empty:
            return []
        found = doubts.of_first_fact(self.schema, self.frame)
        if self.name == "deal_events":
            stages = set(self.frame[c.STAGE])
            has_all = stages.issuperset(c.CLOSED_STAGES)
            found += doubts.of_stages(stages, () if has_all else load.newest(self.name, [c.EVENT_ID, c.STAGE])[c.STAGE])
        if load.is_first(self.name) or accepted.empty:
            return found
        is_new = accepted[IS_NEW]
        if self.schema.happened_at and not is_dated:
            unstated = accepted[is_new & self.frame.loc[accepted.index, c.KNOWN_AT].isna()]
            found += doubts.of_late_facts(self.schema, self.frame.loc[unstated.index, self.schema.happened_at], unstated[c.KNOWN_AT])
        changed = accepted[~is_new & (accepted[c.KNOWN_AT] >= load.learning.learnt_at)]
        return found + doubts.of_many_corrections(self.name, changed=len(changed), stored=load.count(self.name))

    def counts(self, number: int) -> Counts:
        """What became of the rows of that feed, cells that could not be converted aside."""
        return Counts.of(self.outcome[self.where["feed"] == number])

    def write(self, load: Load, tell: OnProgress) -> None:
        """Append the accepted rows."""
        total = int((self.plan[OUTCOME] == ACCEPTED).sum())
        load.write(self.name, self.frame, self.plan, on_rows=lambda done: tell(f"writing {self.name}", done, total))


def _current(load: Load, tables: dict[str, _Table], name: str, columns: list[str]) -> pd.DataFrame:
    """These columns as they will be after this load: the newest stored versions, then what this load brings."""
    stored = load.newest(name, columns)
    if name not in tables:
        return stored
    table = tables[name]
    brought = table.frame[table.outcome[table.frame.index] != REJECTED].sort_values(c.KNOWN_AT, kind="stable")
    return pd.concat([stored, brought[columns]], ignore_index=True).drop_duplicates(list(table.schema.key), keep="last")


def _report(load_id: int, company: Company, offers: list[Offer], tables: dict[str, _Table]) -> IngestReport:
    feeds = []
    rejects = []
    for number, offer in enumerate(offers):
        table = tables[offer.feed.table]
        feeds.append(
            FeedReport(
                table=table.name,
                file=offer.feed.file,
                rows=offer.rows,
                not_selected=offer.not_selected,
                counts=table.counts(number) + Counts(rejected=len(offer.rejects)),
            )
        )
        found = pd.concat(table.rejects)
        found = found[table.where.loc[found.index, "feed"] == number]
        found = found.assign(row=table.where.loc[found.index, "row"])
        of_cells = offer.rejects.assign(row=offer.rejects.index)
        rejects.append(pd.concat([of_cells, found]).sort_values("row", kind="stable").assign(file=offer.feed.file, table=table.name))
    listed = pd.concat(rejects, ignore_index=True)[REJECT_COLUMNS]
    listed["value"] = listed["value"].fillna("").astype("str").str.slice(stop=_LONGEST_VALUE)
    listed = listed.astype({"row": "int64", "file": "str", "table": "str", "field": "str", "reason": "str"})
    warnings = [warning for offer in offers for warning in offer.warnings] + _unfed(offers)
    return IngestReport(load_id=load_id, company=company, feeds=feeds, rejects=listed, warnings=list(dict.fromkeys(warnings)))


def _unfed(offers: list[Offer]) -> list[str]:
    """Warn of rows that none of several feeds of one file into one table has selected: a new stage, say, that no condition names."""
    warnings = []
    groups: dict[tuple[str, str], list[Offer]] = {}
    for offer in offers:
        groups.setdefault((offer.feed.file, offer.feed.table), []).append(offer)
    for (file, table), group in groups.items():
        left = group[0].unselected
        for offer in group[1:]:
            left = left.intersection(offer.unselected)
        if len(group) > 1 and len(left):
            warnings.append(
                f"{file}: {len(left)} rows meet the conditions of none of the {len(group)} feeds of {table}; the first is row {left.min()}"
            )
    return warnings


def _refusal(offers: list[Offer], report: IngestReport) -> str:
    """Why nothing may be loaded; empty if it may."""
    reasons = [f"{offer.wrong} Nothing was loaded" for offer in offers if offer.wrong]
    for feed in report.feeds:
        if feed.records and feed.rejected == feed.records:
            own = report.rejects[(report.rejects["file"] == feed.file) & (report.rejects["table"] == feed.table)]
            reasons_of_rows = own["field"] + ": " + own["reason"]
            worst = reasons_of_rows.value_counts().index[0]
            example = own.loc[reasons_of_rows == worst, "value"].iloc[0]
            reasons.append(
                f"{feed.file}: all {feed.records} records for {feed.table} were rejected, mostly for {worst}; "
                f"an example: {example!r}. Nothing was loaded"
            )
    return "\n".join(reasons)
