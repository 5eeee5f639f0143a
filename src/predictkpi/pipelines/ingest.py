"""Ingest: files through a mapping into the store, in one transaction, with every row accounted for.

`load_offers` is the part that does not care where the rows come from; `sync` uses it too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import Company
from predictkpi.errors import MappingError, SourceError
from predictkpi.pipelines.deletions import Deletions, settle_deletions
from predictkpi.pipelines.ingest_report import NO_REJECTS, REJECT_COLUMNS, FeedReport, IngestReport
from predictkpi.sources import Feed, Mapping, Offer, RawFile, doubts, read_feed, read_file, read_mapping
from predictkpi.sources.attributes import HAPPENED, is_new
from predictkpi.sources.checks import in_reporting_currency, not_of_the_future, of_known_deals, with_derived_keys
from predictkpi.sources.mapping import ALWAYS
from predictkpi.sources.records import as_records, storable
from predictkpi.sources.states import (
    CURRENT,
    HISTORY,
    LIVE,
    MISMATCH_COLUMNS,
    STATE,
    as_rejects,
    completed,
    dated,
    differences,
    last_events,
    mismatches,
    once_a_deal,
    stated,
    summary,
)
from predictkpi.sources.withheld import ERASED, rename, withhold
from predictkpi.store import Counts, Load, Store
from predictkpi.store.places import NAME_COLUMNS
from predictkpi.store.versions import ACCEPTED, IS_NEW, OUTCOME, OUTCOMES, REJECTED, UNCHANGED
from predictkpi.tables import TABLES

OnProgress = Callable[[str, int, int], None]

KNOWN_ALWAYS = pd.Timestamp("1970-01-01")
_LONGEST_VALUE = 200
_ORDER = ["fx_rates", *(name for name in TABLES if name != "fx_rates")]  # rates before money, and (as in TABLES) deals before events


def ingest(store: Store, *, mapping: Path, source: Path, now: pd.Timestamp, on_progress: OnProgress | None = None) -> IngestReport:
    """Load the files in ``source`` as ``mapping`` says; all of it or nothing.

    ``now`` is the instant of the load (naive: company-local). ``on_progress`` hears ``(what, done, total)``. Raises `MappingError` or
    `SourceError` where the job cannot be done, also if a feed has no good record: then only its rejects are kept, and nothing else has
    changed.
    """
    tell = on_progress or _silently
    rules = read_mapping(mapping)
    if rules.source is not None:
        raise MappingError(f"{mapping}: this mapping reads a source, not files: load it with `predictkpi sync`")
    company = company_of(store, rules)
    now = local(now, company)
    if rules.exported_from is not None and rules.exported_from > now:
        raise MappingError(f"{mapping}: exported_at {rules.exported_from.isoformat()} is later than now, {now.isoformat()}")
    offers = _read_feeds(rules, source, company, tell)
    origin = Origin(company=company, mapping=mapping.name, source=str(source), learnt_at=min(now, rules.exported_until or now))
    return load_offers(store, offers, origin=origin, now=now, on_progress=tell)


@dataclass(frozen=True)
class Origin:
    """Whose books a load belongs to, where it comes from, and when what it brings was learnt."""

    company: Company
    mapping: str
    source: str
    learnt_at: pd.Timestamp


def load_offers(
    store: Store,
    offers: list[Offer],
    *,
    origin: Origin,
    now: pd.Timestamp,
    on_progress: OnProgress,
    first: Collection[str] = (),
    is_strict: bool = True,
    finally_: Callable[[Load], None] | None = None,
) -> IngestReport:
    """Load what the feeds offer in one transaction, whatever source they read.

    ``first`` names the files (or objects) whose rows belong to a first load that takes several transactions: as in a first load, they were
    known when they happened. ``finally_`` is called last in the transaction. Unless ``is_strict``, a feed without any good record does not
    refuse the load. Raises as `ingest` does.
    """
    learnt_at, tell = origin.learnt_at, on_progress
    begun = store.begin_load(company=origin.company, now=now, exported_at=learnt_at, mapping=origin.mapping, source=origin.source)
    with begun as load:
        _leave_out_erased(load, offers)
        offers = [*offers, *(offer.attributes for offer in offers if offer.attributes is not None)]
        tables = {name: _Table(name, offers, first, at=learnt_at) for name in _ORDER if any(offer.feed.table == name for offer in offers)}
        for table in tables.values():
            tell(f"checking {table.name}", 0, len(table.frame))
            table.check(load, tables, until=learnt_at)
        deletions = settle_deletions(load, offers, lambda name: tables[name].alive(), until=learnt_at)
        report = _report(load.load_id, origin.company, offers, tables, deletions)
        report.warnings.extend(text for table in tables.values() for text in table.doubts(load, is_dated=learnt_at != now))
        refusal = _refusal(offers, report, is_strict=is_strict)
        load.write_rejects(report.rejects.assign(record=report.records))
        load.finish(sum((feed.counts for feed in report.feeds), Counts()), is_refused=bool(refusal))
        if not refusal:
            for table in tables.values():
                table.write(load, tell)
            deletions.write(load)
            if finally_ is not None:
                finally_(load)
    if refusal:
        raise SourceError(refusal)
    return report


def _silently(what: str, done: int, total: int) -> None:
    """Tell nobody."""


def _leave_out_erased(load: Load, offers: list[Offer]) -> None:
    """What was erased does not come in again, and what a load newly brings of it joins the list."""
    erased = load.erased
    if erased:
        load.erase_further(withhold(offers, erased.mask))
        rename(offers, NAME_COLUMNS, erased.renamed)


def company_of(store: Store, rules: Mapping) -> Company:
    """The company that the mapping states, else the store's, else an unnamed one."""
    return rules.company or store.company or Company()


def local(now: pd.Timestamp, company: Company) -> pd.Timestamp:
    """Naive local time of the company; a naive instant is that already."""
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

    def __init__(self, name: str, offers: list[Offer], first: Collection[str], *, at: pd.Timestamp) -> None:
        self.name = name
        self.schema = TABLES[name]
        feeds = [(number, offer) for number, offer in enumerate(offers) if offer.feed.table == name]
        self._states = {number: offer.feed for number, offer in feeds if offer.feed.states != HISTORY}
        self.frame = pd.concat(
            [dated(offer.feed, offer.frame, at=at).assign(feed=number, row=offer.frame.index) for number, offer in feeds], ignore_index=True
        )
        self.frame = with_derived_keys(self.schema, self.frame)
        self.where = self.frame[["feed", "row"]]
        self.outcome = pd.Series("", index=self.frame.index, dtype=OUTCOMES)
        self.plan = pd.DataFrame()
        self.rejects: list[pd.DataFrame] = []
        self.mismatches: list[pd.DataFrame] = []
        self.warnings: list[str] = []
        self._files = {number: offer.feed.file for number, offer in feeds}
        self._first_of_key = [number for number, offer in feeds if offer.feed.unique == "first"]
        self._known_always = [number for number, offer in feeds if offer.feed.known_at == ALWAYS]
        self._first = [number for number, offer in feeds if offer.feed.file in first]

    def check(self, load: Load, tables: dict[str, _Table], *, until: pd.Timestamp) -> None:
        """Settle every row: reject what breaks a rule, and let the store plan the versions of the rest."""
        self.frame = self._known_from_the_first(self.frame, load)
        good = self._keep(self.schema.split_rejects(self.frame))
        good = self._keep(not_of_the_future(self.schema, good, until=until))
        rates = _current(load, tables, "fx_rates", [c.DS, c.CURRENCY, c.RATE])
        good = self._keep(in_reporting_currency(self.schema, good, currency=load.company.currency, rates=rates))
        if self.name == "deal_events":
            good = self._keep(of_known_deals(good, _current(load, tables, "deals", [c.DEAL_ID, c.CREATED_AT])))
        if self._first_of_key:
            repeats = good["feed"].isin(self._first_of_key) & good.duplicated([*self.schema.key, "feed"])
            self.outcome[good.index[repeats]] = UNCHANGED
            good = good[~repeats]
        if self._states:
            good = self._settle_states(good, load, rates)
        self.plan = load.plan(self.name, good, origin=self._named)
        self.outcome[good.index] = self.plan[OUTCOME]
        bad = self.plan[self.plan[OUTCOME] == REJECTED]
        key = good.loc[bad.index, list(self.schema.key)].astype("str").agg(" ".join, axis=1) if len(bad) else ""
        self.rejects.append(pd.DataFrame({"field": ", ".join(self.schema.key), "value": key, "reason": bad[c.REASON]}, index=bad.index))
        self.frame = good

    def _named(self, rows: pd.Index) -> pd.Series:
        """Where these rows stand, for a reader."""
        where = self.where.loc[rows]
        return where["feed"].map(self._files).astype("str") + " row " + where["row"].astype("str")

    def _settle_states(self, good: pd.DataFrame, load: Load, rates: pd.DataFrame) -> pd.DataFrame:
        """The events that present states amount to, each against the deal's last event; see `sources.states`."""
        is_state = good["feed"].isin(list(self._states))
        states = self._keep(once_a_deal(good[is_state]))
        events = good[~is_state]
        for number, feed in sorted(self._states.items(), key=lambda item: item[1].states):
            stored = load.newest(self.name, [c.EVENT_ID, c.DEAL_ID, c.DS, *STATE])
            known = pd.concat([stored, events[list(stored)]], ignore_index=True).drop_duplicates(c.EVENT_ID, keep="last")
            last, fields = last_events(known), stated(feed)
            rows = states[states["feed"] == number]
            # Money is compared at the rate of the last event: a rate that moved has not changed the deal.
            unconverted = self.frame.loc[rows.index]
            then = last[c.DS].reindex(unconverted[c.DEAL_ID]).set_axis(rows.index).fillna(unconverted[c.DS])
            compared, _ = in_reporting_currency(
                self.schema, unconverted.assign(**{c.DS: then}), currency=load.company.currency, rates=rates
            )
            differ = differences(rows.assign(**{c.AMOUNT: compared[c.AMOUNT].reindex(rows.index)}), last, fields)
            self.outcome[rows.index] = UNCHANGED
            if feed.states == CURRENT:
                changed = rows[differ.any(axis=1)]
                events = pd.concat([events, completed(changed, last, fields)])
            elif differ.any(axis=None):
                found = mismatches(rows, last, differ)
                self.mismatches.append(found)
                self._keep((rows, as_rejects(found)))
                self.warnings.append(summary(feed.file, found, compared=len(rows), currency=load.company.currency))
        return events.sort_index()

    def _known_from_the_first(self, good: pd.DataFrame, load: Load) -> pd.DataFrame:
        """Date back what a first load brings. Of a table that holds nothing yet the store does it, but for ``always``."""
        is_attributes = self.name == "attributes"
        if not self._first and not self._known_always and not is_attributes:
            return good
        in_first = load.is_first(self.name) | good["feed"].isin(self._first)
        if is_attributes:
            in_first |= is_new(good, load.newest(self.name, [c.TABLE, c.NAME]))
            if HAPPENED in good:
                good = good.assign(**{c.KNOWN_AT: good[c.KNOWN_AT].fillna(good[HAPPENED].where(in_first))})
        known_at = good[c.KNOWN_AT].mask(in_first & good["feed"].isin(self._known_always), KNOWN_ALWAYS)
        if self.schema.happened_at is not None:
            known_at = known_at.mask(known_at.isna() & good["feed"].isin(self._first), good[self.schema.happened_at])
        return good.assign(**{c.KNOWN_AT: known_at})

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
            stages = set(self.frame[c.STAGE].unique())
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

    def alive(self) -> pd.DataFrame:
        """The rows that were not rejected: whose records are there, as far as this load says."""
        return self.frame[self.outcome[self.frame.index] != REJECTED]

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
    brought = table.alive().sort_values(c.KNOWN_AT, kind="stable")
    return pd.concat([stored, brought[columns]], ignore_index=True).drop_duplicates(list(table.schema.key), keep="last")


def _report(load_id: int, company: Company, offers: list[Offer], tables: dict[str, _Table], deletions: Deletions) -> IngestReport:
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
                counts=table.counts(number) + Counts(rejected=len(offer.rejects)) + deletions.counts.get(number, Counts()),
            )
        )
        found = pd.concat(table.rejects)
        found = found[table.where.loc[found.index, "feed"] == number]
        found = found.assign(row=table.where.loc[found.index, "row"])
        of_cells = offer.rejects.assign(row=offer.rejects.index)
        own = pd.concat([of_cells, found]).sort_values("row", kind="stable").assign(file=offer.feed.file, table=table.name)
        rejects.append(own.assign(record=own["row"].map(as_records(offer.raw[offer.raw.index.isin(own["row"])]))))
    listed = pd.concat([NO_REJECTS.assign(record=""), *rejects], ignore_index=True)
    records, listed = listed["record"].astype("str"), listed[REJECT_COLUMNS]
    listed = listed.assign(**{name: storable(listed[name].fillna("")) for name in listed if name != "row"}).astype({"row": "int64"})
    listed["value"] = listed["value"].str.slice(stop=_LONGEST_VALUE)
    warnings = [warning for offer in offers for warning in offer.warnings] + doubts.of_unfed_rows(offers)
    warnings += [warning for table in tables.values() for warning in table.warnings]
    differ = pd.concat([pd.DataFrame(columns=MISMATCH_COLUMNS), *(found for table in tables.values() for found in table.mismatches)])
    return IngestReport(
        load_id=load_id,
        company=company,
        feeds=feeds,
        rejects=listed,
        warnings=list(dict.fromkeys(warnings)),
        records=records,
        mismatches=differ.reset_index(drop=True),
        withdrawn=deletions.withdrawn,
    )


def _refusal(offers: list[Offer], report: IngestReport, *, is_strict: bool) -> str:
    """Why nothing may be loaded; empty if it may."""
    reasons = [f"{offer.wrong} Nothing was loaded" for offer in offers if offer.wrong]
    for offer, feed in zip(offers, report.feeds, strict=True) if is_strict else ():
        if feed.records and feed.rejected == feed.records and offer.feed.states != LIVE:
            own = report.rejects[(report.rejects["file"] == feed.file) & (report.rejects["table"] == feed.table)]
            if (own["reason"] == ERASED).all():
                continue
            reasons_of_rows = own["field"] + ": " + own["reason"]
            worst = reasons_of_rows.value_counts().index[0]
            example = own.loc[reasons_of_rows == worst, "value"].iloc[0]
            reasons.append(
                f"{feed.file}: all {feed.records} records for {feed.table} were rejected, mostly for {worst}; "
                f"an example: {example!r}. Nothing was loaded"
            )
    return "\n".join(reasons)
