"""Sync: whatever changed in a CRM or database since the last time, through a mapping into the store, one transaction a batch.

With each batch its marks are kept, so a sync that is interrupted goes on with the next batch, and one that is repeated changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import Company
from predictkpi.errors import MappingError, SourceError
from predictkpi.pipelines.ingest import OnProgress, Origin, company_of, load_offers, local
from predictkpi.pipelines.ingest_report import NO_REJECTS, FeedReport, IngestReport
from predictkpi.sources import read_feed, read_mapping
from predictkpi.sources.base import Batch, Mark, Source
from predictkpi.sources.feed import Offer
from predictkpi.sources.mapping import Mapping as Rules
from predictkpi.sources.mapping import near
from predictkpi.sources.states import MISMATCH_COLUMNS
from predictkpi.store import Counts, Load, Store


def _sql(rules: Rules, environment: Mapping[str, str]) -> Source:
    from predictkpi.sources.sql import SqlSource

    return SqlSource(rules, environment)


def _hubspot(rules: Rules, environment: Mapping[str, str]) -> Source:
    from predictkpi.sources.hubspot import HubSpotSource

    return HubSpotSource(rules, environment)


def _salesforce(rules: Rules, environment: Mapping[str, str]) -> Source:
    from predictkpi.sources.salesforce import SalesforceSource

    return SalesforceSource(rules, environment)


SOURCES: dict[str, Callable[[Rules, Mapping[str, str]], Source]] = {"sql": _sql, "salesforce": _salesforce, "hubspot": _hubspot}
"""The kinds of sources, each imported when it is first used."""

ROWS_AT_ONCE = 20_000
"""Records that are gathered for one transaction: a load looks at all keys of its tables, so many small ones would be slow."""


@dataclass(frozen=True)
class SyncReport:
    """What became of one sync: its batches, and their feeds, rejects and mismatches (see `IngestReport`) taken together."""

    company: Company
    batches: int
    feeds: list[FeedReport]
    rejects: pd.DataFrame
    withdrawn: int
    warnings: list[str] = field(default_factory=list)
    mismatches: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=MISMATCH_COLUMNS))


def open_source(rules: Rules, environment: Mapping[str, str] = os.environ) -> Source:
    """The source of a mapping's ``source:`` block; raises `MappingError` where there is none, `SourceError` where it cannot be used."""
    if rules.source is None:
        raise MappingError("this mapping has no source: block, it reads files: load them with `predictkpi ingest`")
    kind = str(rules.source.get("kind", ""))
    if kind not in SOURCES:
        raise MappingError(f"source.kind: no source of kind {kind!r}{near(kind, list(SOURCES))}; there are: {', '.join(SOURCES)}")
    if rules.exported_at is not None:
        raise MappingError("exported_at is for files: what a source brings is known from the sync on")
    return SOURCES[kind](rules, environment)


def sync(
    store: Store,
    *,
    mapping: Path,
    now: Callable[[], pd.Timestamp],
    source: Source | None = None,
    from_start: bool = False,
    rows_at_once: int = ROWS_AT_ONCE,
    on_progress: OnProgress | None = None,
) -> SyncReport:
    """Load everything that changed since the marks in the store, at least ``rows_at_once`` records (or the rest) in a transaction.

    ``now`` is the clock (naive: company-local); it is read again for each transaction, for a record may change while the sync runs.
    ``from_start`` reads everything again, after a change of the mapping, say. Raises `MappingError` or `SourceError`; what was loaded
    before that stays.
    """
    rules = read_mapping(mapping)
    source = open_source(rules) if source is None else source
    if source.id_column is not None and any(feed.deleted for feed in rules.feeds):
        raise MappingError(f"{mapping}: deleted is for files and queries: this source tells itself which records are gone")
    company = company_of(store, rules)
    books = mapping.stem
    marks = {name: Mark.of(text) for name, text in store.marks(books).items()}
    if from_start:
        marks = {name: Mark(is_first=mark.is_first) for name, mark in marks.items()}
    until = local(now(), company).tz_localize(company.time_zone, ambiguous=True, nonexistent="shift_forward").tz_convert("UTC")
    tell = on_progress or (lambda what, done, total: None)

    sums = _Sums(company)
    for batch in _gathered(source.batches(marks, until=until), source.id_column, rows_at_once):
        read = batch.rows
        tell(f"read {', '.join(batch.marks)}", sums.rows + read, 0)
        if not read and not any(batch.deleted.values()):
            moved = {name: mark for name, mark in batch.marks.items() if marks.get(name) != mark}
            if moved:
                store.write_marks(books, {name: mark.as_text() for name, mark in moved.items()})
                marks.update(moved)
            continue
        at = local(now(), company)
        origin = Origin(company=company, mapping=mapping.name, source=repr(source), learnt_at=at)
        settled = _Settling(rules, source, batch, books)
        report = load_offers(
            store,
            _offers(rules, batch, company),
            origin=origin,
            now=at,
            on_progress=tell,
            first=batch.first,
            is_strict=all(marks.get(name, Mark()).at == "" for name in batch.frames) and bool(batch.first),
            finally_=settled,
        )
        marks.update(batch.marks)
        sums.add(report, read, settled.withdrawn + report.withdrawn)
    return sums.report()


def _gathered(batches: Iterator[Batch], id_column: str | None, rows: int) -> Iterator[Batch]:
    """Batches of at least so many records; where the source fails, what it gave before that comes first."""
    held: Batch | None = None
    try:
        for batch in batches:
            held = batch if held is None else held.then(batch, id_column=id_column)
            if held.rows >= rows:
                yield held
                held = None
    except SourceError:
        if held is not None:
            yield held
        raise
    if held is not None:
        yield held


def _offers(rules: Rules, batch: Batch, company: Company) -> list[Offer]:
    fed = [feed for feed in rules.feeds if feed.file in batch.frames and len(batch.frames[feed.file])]
    return [read_feed(feed, rules, lambda name, sheet: batch.raw(name), time_zone=company.time_zone, is_whole=False) for feed in fed]


class _Settling:
    """The end of a batch's transaction: records that are gone or back, and the marks."""

    def __init__(self, rules: Rules, source: Source, batch: Batch, books: str) -> None:
        self.withdrawn = 0
        self._rules = rules
        self._id_column = source.id_column
        self._batch = batch
        self._books = books

    def __call__(self, load: Load) -> None:
        for feed in self._rules.feeds:
            key = feed.table_schema.key
            if self._id_column is None or len(key) > 1 or feed.columns.get(key[0]) != self._id_column:
                continue
            gone = self._batch.deleted.get(feed.file, ())
            there = self._batch.frames[feed.file][self._id_column].tolist() if feed.file in self._batch.frames else []
            there = list(set(there).difference(gone))
            of_it = [(feed.table, key[0]), *([("deal_events", c.DEAL_ID)] if feed.table == "deals" else [])]
            for number, (table, column) in enumerate(of_it):
                news = load.withdraw(table, column, gone)
                load.withdraw(table, column, there, is_withdrawn=False)
                self.withdrawn += news if number == 0 else 0
        load.write_marks(self._books, {name: mark.as_text() for name, mark in self._batch.marks.items()})


class _Sums:
    """The reports of the batches, added up."""

    def __init__(self, company: Company) -> None:
        self.rows = 0
        self._company = company
        self._batches = 0
        self._withdrawn = 0
        self._feeds: dict[tuple[str, str], FeedReport] = {}
        self._rejects: list[pd.DataFrame] = []
        self._warnings: list[str] = []
        self._mismatches = [pd.DataFrame(columns=MISMATCH_COLUMNS)]

    def add(self, report: IngestReport, rows: int, withdrawn: int) -> None:
        """Take one batch's report in."""
        self.rows += rows
        self._batches += 1
        self._withdrawn += withdrawn
        self._warnings += report.warnings
        self._mismatches.append(report.mismatches)
        if len(report.rejects):
            self._rejects.append(report.rejects)
        for feed in report.feeds:
            held = self._feeds.get((feed.table, feed.file), FeedReport(feed.table, feed.file, 0, 0, Counts()))
            self._feeds[feed.table, feed.file] = FeedReport(
                table=feed.table,
                file=feed.file,
                rows=held.rows + feed.rows,
                not_selected=held.not_selected + feed.not_selected,
                counts=held.counts + feed.counts,
            )

    def report(self) -> SyncReport:
        """The sums."""
        rejects = pd.concat(self._rejects, ignore_index=True) if self._rejects else NO_REJECTS
        return SyncReport(
            company=self._company,
            batches=self._batches,
            feeds=list(self._feeds.values()),
            rejects=rejects,
            withdrawn=self._withdrawn,
            warnings=list(dict.fromkeys(self._warnings)),
            mismatches=pd.concat(self._mismatches, ignore_index=True),
        )
