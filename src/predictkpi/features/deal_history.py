"""What was known about each deal at any instant: state, pace and track record, point in time.

`DealHistory` holds one snapshot's versions of deals, events and customers as sorted arrays. `DealHistory.states` answers for any
number of (deal, landmark) pairs at once, each from versions with ``known_at < landmark`` of events with ``ds < landmark``: the same
numbers for a landmark years ago as a snapshot of that day would have given, whatever was corrected since.

What deals share (the order of stages, track records) comes from the facts alone. Rows that a caller added to a snapshot speak only of
their own deals: a deal in a request gets the same answer alone and among any others.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from predictkpi.core import columns as c
from predictkpi.core.arrays import Columns, Texts, concatenated
from predictkpi.features.attributes import DealAttributes
from predictkpi.features.codes import Codes, by_first_known
from predictkpi.features.deal_activities import ACTIVITY_NUMBERS, LAST_ACTIVITY, DealActivities
from predictkpi.features.deal_asof import (
    DAY,
    MISSING,
    NEVER,
    Floats,
    Ints,
    NewestBefore,
    RunningSums,
    distinct,
    laid_out,
    microseconds,
    run_starts,
    valid_until,
)
from predictkpi.features.deal_buyers import BUYER_NUMBERS, FirstAmounts
from predictkpi.features.deal_records import DealRecords, own_rows
from predictkpi.features.deal_shared import SharedByDeals, by_value
from predictkpi.features.deal_tallies import ACTIVITIES, MOST_KINDS, STAGES, tallies
from predictkpi.features.event_order import event_order
from predictkpi.snapshot import Snapshot
from predictkpi.tables import table_schema

SHRINKAGE = 20.0
"""Closed deals that an owner's or a source's win rate is worth at the base rate."""
PAIRS_AT_ONCE = 100_000
"""Pairs whose events are laid out at a time: bounds memory, changes nothing."""

FURTHEST_STAGE = "furthest_stage"
ORIGIN = "origin"
AGE = "age_days"
IN_STAGE = "days_in_stage"
TO_EXPECTED = "days_to_expected_close"
NUMBERS = (
    AGE,
    IN_STAGE,
    "days_since_event",
    "stage_changes",
    "regressions",
    "amount_changes",
    "pushes",
    "stage_rank",
    "furthest_rank",
    "log_amount",
    "amount_growth",
    TO_EXPECTED,
    "owner_edge",
    "source_edge",
    *BUYER_NUMBERS,
    *ACTIVITY_NUMBERS,
)
"""Numeric features. Days are real numbers; ranks are a stage's place in the order in which deals enter stages, from 0; growth is a log
ratio; an edge is a shrunk win rate minus that of all deals: levels and running counts would tell the model the date."""
CATEGORIES = (c.STAGE, FURTHEST_STAGE, c.PRODUCT, c.SOURCE, c.REGION, c.TEAM, c.SEGMENT, LAST_ACTIVITY)
"""Categorical features, as text; empty where unknown."""
_DEAL_TEXT = (c.PRODUCT, c.SOURCE, c.REGION, c.TEAM)
_READ = {
    "deals": (c.DEAL_ID, c.CUSTOMER_ID, c.CREATED_AT, *_DEAL_TEXT, c.KNOWN_AT),
    "deal_events": (c.EVENT_ID, c.DEAL_ID, c.DS, c.STAGE, c.AMOUNT, c.EXPECTED_CLOSE_ON, c.OWNER, c.KNOWN_AT),
    "activities": (c.ACTIVITY_ID, c.DEAL_ID, c.DS, c.KIND, c.KNOWN_AT),
}
"""What is read of each table."""
_OF_CUSTOMERS = (c.CUSTOMER_ID, c.SEGMENT, c.KNOWN_AT)


class DealHistory:
    """All versions of deals, events and customers of one snapshot, indexed for questions about the past.

    ``base`` is the history of ``snapshot.base``, where it has one; it is worked out where it is not given. With ``only_added``, the
    deals that were added to it are the only ones indexed: that takes no longer for a long history than for a short one. Of a snapshot that
    holds a part of the facts, ``records`` says what the deals of all share.
    """

    stages: Codes
    owners: Codes
    sources: Codes
    buyer_codes: Codes
    activities: DealActivities
    own_fields: DealAttributes
    _customers: Codes
    _customer_versions: NewestBefore
    _segment: Texts

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        base: DealHistory | None = None,
        only_added: bool = False,
        records: DealRecords | None = None,
    ) -> None:
        if base is None and snapshot.base is not None:
            base = DealHistory(snapshot.base)
        known = self._known = base.records if base is not None else records
        self.company = snapshot.company
        self.as_of_instant = snapshot.as_of
        self.as_of = int(microseconds(snapshot.as_of.to_datetime64()))
        deals, events, activities = (_rows(snapshot, name, only_added=only_added) for name in _READ)
        deals, own_events = own_rows(deals, snapshot.foreign), own_rows(events, snapshot.foreign)
        self.deals = Codes(own_events[c.DEAL_ID], deals[c.DEAL_ID])
        event_deal, self.row_deal = self.deals.codes
        if own_events is not events:
            event_deal = self.deals.of(events[c.DEAL_ID].tolist())
        self._read_events(events, event_deal, known)
        self._read_deals(deals, known)
        if base is not None and "customers" not in snapshot.added:
            self._customers, self._customer_versions, self._segment = base._customers, base._customer_versions, base._segment
        else:
            self._read_customers(table_schema("customers").typed(snapshot.living("customers"), _OF_CUSTOMERS))
        self._customer = self._customers.of(deals[c.CUSTOMER_ID].tolist())
        self.first_amounts = FirstAmounts(self)
        self.activities = DealActivities(activities, self.deals, known=known.activity_kinds if known else None)
        self.own_fields = DealAttributes(
            snapshot, base=base.own_fields if base is not None else None, kinds=known.own_kinds if known and base is None else None
        )

    @cached_property
    def records(self) -> DealRecords:
        """What all deals share: of the base, or of all parts, where this history is only a part."""
        return self._known or DealRecords.learn(self)

    def _read_events(self, events: Columns, deal: Ints, known_records: DealRecords | None) -> None:
        known = microseconds(events[c.KNOWN_AT])
        until = valid_until(Codes(events[c.EVENT_ID]).codes[0], known)
        happened = microseconds(events[c.DS])
        if known_records is None:
            stages, stage = by_first_known(events[c.STAGE], known)
        else:
            stages = Codes(events[c.STAGE], known=known_records.stages)
            stage = stages.codes[0]
        closed_codes = stages.of(c.CLOSED_STAGES)
        self._is_open_stage = np.ones(len(stages) + 1, bool)
        self._is_open_stage[closed_codes[closed_codes >= 0]] = False
        closed = ~self._is_open_stage[stage]
        order = event_order(deal, happened, known, closed, events[c.EVENT_ID])
        if (deal < 0).any():  # an event that was moved to a deal of another part only ends its version here
            order = order[deal[order] >= 0]
        owners = Codes(events[c.OWNER], known=known_records.owners if known_records else None)
        self.stages, self.owners = stages, owners
        self.deal, self.ds, self.known, self.until = deal[order], happened[order], known[order], until[order]
        self.stage, self.owner = stage[order], owners.codes[0][order]
        self.amount = events[c.AMOUNT][order]
        self.expected = microseconds(events[c.EXPECTED_CLOSE_ON])[order]
        self.is_won, self.is_closed = self.stage == stages.of([c.WON])[0], closed[order]
        self.first_event = self.deal.searchsorted(np.arange(len(self.deals) + 1))

    def _read_deals(self, deals: Columns, known: DealRecords | None) -> None:
        self.row_known = microseconds(deals[c.KNOWN_AT])
        self._deal_versions = NewestBefore(self.row_deal, self.row_known)
        self._created = microseconds(deals[c.CREATED_AT])
        self._deal_text = {name: deals[name] for name in _DEAL_TEXT}
        self.sources = Codes(deals[c.SOURCE], known=known.sources if known else None)
        self.buyer_codes = Codes(deals[c.CUSTOMER_ID], known=known.buyer_codes if known else None)

    def _read_customers(self, customers: Columns) -> None:
        self._customers = Codes(customers[c.CUSTOMER_ID])
        self._customer_versions = NewestBefore(self._customers.codes[0], microseconds(customers[c.KNOWN_AT]))
        self._segment = customers[c.SEGMENT]

    def closings(self) -> tuple[Ints, Ints, Floats]:
        """Closes, and closes taken back when they were corrected: ``(event row, instant, (closed, won))``, minus ones where taken back."""
        closed = np.flatnonzero(self.is_closed)
        undone = closed[self.until[closed] < NEVER]
        rows = np.concatenate([closed, undone])
        sign = np.concatenate([np.ones(len(closed)), -np.ones(len(undone))])
        instant = np.concatenate([np.maximum(self.known, self.ds)[closed], np.maximum(self.until, self.ds)[undone]])
        return rows, instant, np.column_stack([sign, sign * self.is_won[rows]])

    def sources_of(self, rows: Ints) -> Ints:
        """Code of the deal's source at each event, as known when the event took effect."""
        version = self._deal_versions.find(self.deal[rows], np.maximum(self.known, self.ds)[rows] + 1)
        return _of_version(self.sources.codes[0], version, -1)

    def created(self, version: Ints) -> Ints:
        """Creation instants by number of a deal's version; `MISSING` where there is none."""
        return _of_version(self._created, version, MISSING)

    def stage_order(self, before: Ints) -> Floats:
        """Place of every stage, ``(len(before), n_stages)``: stages sorted by the mean place at which deals had first entered them.

        NaN for a stage that no deal had entered by then, and for the closed ones.
        """
        return self.records.stage_order.at(before, len(self.stages))

    def known_events(self, deal: Ints, landmark: Ints) -> tuple[Ints, Ints]:
        """Events that had happened and whose version was in force at each pair: ``(pair number, event row)``, in order of time."""
        return laid_out(self.first_event, self.ds, self.known, self.until, deal, landmark)

    def states(self, deal: Ints, landmark: Ints) -> Columns:
        """Features of each (deal code, landmark) pair.

        Columns: `NUMBERS`, `CATEGORIES`, ``amount``, ``owner``, ``origin`` (instant its age counts from: creation, or else first event,
        or else when the deal became known) and the flags ``is_known`` and ``is_open`` (last known stage is no closed one).
        """
        starts = range(0, max(len(deal), 1), PAIRS_AT_ONCE)
        return concatenated([self._states(deal[low : low + PAIRS_AT_ONCE], landmark[low : low + PAIRS_AT_ONCE]) for low in starts])

    def _states(self, deal: Ints, landmark: Ints) -> Columns:
        pair, row = self.known_events(deal, landmark)
        path = _Path(self, pair, row, landmark)
        version = self._deal_versions.find(deal, landmark)
        created = self.created(version)
        known_since = _of_version(self.row_known, version, NEVER)
        origin = np.minimum(np.where(created == MISSING, NEVER, created), path.first_ds)
        origin = np.where(origin == NEVER, known_since, origin)
        is_known = path.any | ((version >= 0) & (np.where(created == MISSING, known_since, created) < landmark))
        origin = np.where(is_known, np.minimum(origin, landmark), landmark)
        age = (landmark - origin) / DAY
        numbers = {AGE: age} | path.numbers()
        numbers[IN_STAGE] = np.where(path.any, numbers[IN_STAGE], age)
        source = _of_version(self.sources.codes[0], version, -1)
        base = _shrunk(self.records.wins.before(np.zeros(len(deal), np.int64), landmark), 0.5)
        numbers["owner_edge"] = _shrunk(self.records.wins_by_owner.before(path.owner, landmark), base) - base
        numbers["source_edge"] = _shrunk(self.records.wins_by_source.before(source, landmark), base) - base
        numbers |= self.records.buyers.numbers(
            _of_version(self.buyer_codes.codes[0], version, -1),
            landmark,
            base=base,
            first=numbers.pop("first_amount"),
            since=self.first_amounts.since[deal],
        )
        activity, last_activity = self.activities.numbers(deal, landmark)
        numbers |= activity
        texts = {c.STAGE: self.stages.text(path.stage), FURTHEST_STAGE: self.stages.text(path.furthest)}
        texts |= {name: _of_version(self._deal_text[name], version, None) for name in _DEAL_TEXT}
        texts[c.SEGMENT], texts[LAST_ACTIVITY] = self._segments(version, landmark), last_activity
        columns: dict[str, npt.NDArray] = {name: numbers[name] for name in NUMBERS} | {name: texts[name] for name in CATEGORIES}
        columns |= {c.AMOUNT: path.amount, c.OWNER: self.owners.text(path.owner), ORIGIN: origin.astype("datetime64[us]")}
        return Columns(columns | {"is_known": is_known, "is_open": is_known & ~path.is_closed}, len(deal))

    def shared(self, at: int) -> SharedByDeals:
        """What deals share at one instant (microseconds): what `states` would say of a deal with these values."""

        def edge(wins: RunningSums, codes: Ints) -> Floats:
            return _shrunk(wins.before(codes, np.full(len(codes), at)), base) - base

        base = _shrunk(self.records.wins.before(np.zeros(1, np.int64), np.array([at])), 0.5)
        by_owner, nobodys = by_value(self.owners, lambda codes: edge(self.records.wins_by_owner, codes))
        by_source, _ = by_value(self.sources, lambda codes: edge(self.records.wins_by_source, codes))
        buyers = np.arange(-1, len(self.buyer_codes))
        records = list(zip(*(part.tolist() for part in self.records.buyers.record(buyers, np.full(len(buyers), at), base)), strict=True))
        code_of = dict(zip(self.buyer_codes.values.tolist(), range(len(buyers) - 1), strict=True))
        customers = np.arange(len(self._customers))
        segment = _of_version(self._segment, self._customer_versions.find(customers, np.full(len(customers), at)), None)
        return SharedByDeals(
            ranks=dict(zip(self.stages.values.tolist(), self.stage_order(np.array([at]))[0].tolist(), strict=True)),
            by_owner=by_owner,
            by_source=by_source,
            nobodys_edge=nobodys,
            by_buyer=dict(zip(code_of, records[1:], strict=True)),
            new_buyer=records[0],
            buyers=self.records.buyers,
            code_of=code_of,
            segments=dict(zip(self._customers.values.tolist(), segment.tolist(), strict=True)),
            tallied={
                STAGES: frozenset(self.stages.values[self._is_open_stage[:-1]][:MOST_KINDS].tolist()),
                ACTIVITIES: frozenset(self.activities.kinds.values[:MOST_KINDS].tolist()),
            },
        )

    def attributes(self, deal: Ints, landmark: Ints) -> Columns:
        """The company's own fields of each (deal code, landmark) pair: see `DealAttributes.at`."""
        if self.own_fields.are_none:
            return Columns({}, len(deal))
        customer = self._customers.text(_of_version(self._customer, self._deal_versions.find(deal, landmark), -1))
        return self.own_fields.at(self.deals.text(deal), customer, landmark)

    def tallies(self, deal: Ints, landmark: Ints) -> dict[str, Floats]:
        """How often and how lately each open stage was entered and each kind of activity took place: see `deal_tallies`."""
        pair, row = self.known_events(deal, landmark)
        before = np.concatenate([row[:1], row[:-1]])
        entered = np.ones(len(row), bool)
        entered[1:] = (pair[1:] != pair[:-1]) | (self.stage[row[1:]] != self.stage[before[1:]])
        entered &= ~self.is_closed[row]
        is_open = self._is_open_stage[:-1]
        place = is_open.cumsum() - 1
        stages = tallies(
            STAGES, self.stages.values[is_open], pair[entered], place[self.stage[row[entered]]], self.ds[row[entered]], landmark
        )
        return stages | self.activities.by_kind(deal, landmark)

    def _segments(self, version: Ints, landmark: Ints) -> Texts:
        customer = _of_version(self._customer, version, -1)
        return _of_version(self._segment, self._customer_versions.find(customer, landmark), None)


def _rows(snapshot: Snapshot, name: str, *, only_added: bool) -> Columns:
    schema = table_schema(name)
    if not only_added:
        return schema.typed(snapshot.living(name), _READ[name])
    return snapshot.added[name] if name in snapshot.added else schema.rows([])


class _Path:
    """The known events of each pair, reduced to one value per pair; pairs without events hold missing values and zero counts."""

    def __init__(self, history: DealHistory, pair: Ints, row: Ints, landmark: Ints) -> None:
        self._history, self._pair, self._row, self._landmark = history, pair, row, landmark
        count = np.bincount(pair, minlength=len(landmark))
        self._end = count.cumsum()
        self._start = self._end - count
        self.any: npt.NDArray[np.bool_] = count > 0
        self._last = row[np.maximum(self._end - 1, 0)] if len(row) else np.zeros(len(landmark), np.int64)
        self._first = row[np.minimum(self._start, len(row) - 1)] if len(row) else self._last
        self.first_ds = self._pick(history.ds, self._first, NEVER)
        self.stage, self.owner = self._pick(history.stage, self._last, -1), self._pick(history.owner, self._last, -1)
        self.amount = self._pick(history.amount, self._last, np.nan)
        self.is_closed = self._pick(history.is_closed, self._last, False)
        instants, when = distinct(landmark)
        order = history.stage_order(instants)
        self._ranks = order[when[pair], history.stage[row]]
        self.stage_rank = np.where(self.any, order[when, self.stage], np.nan) if order.shape[1] else np.full(len(landmark), np.nan)
        self.furthest, self.furthest_rank = self._furthest()

    def _pick(self, values: npt.NDArray, rows: Ints, missing: float) -> npt.NDArray:
        return np.where(self.any, values[rows], missing) if len(values) else np.full(len(rows), missing)

    def _furthest(self) -> tuple[Ints, Floats]:
        """Stage with the highest rank so far, and that rank; a stage nobody had entered before ranks lowest."""
        furthest, best = np.full(len(self._landmark), -1), np.full(len(self._landmark), np.nan)
        if len(self._row):
            ranks = np.where(np.isnan(self._ranks), -1.0, self._ranks)
            order = np.lexsort((ranks, self._pair))
            top = order[np.maximum(self._end - 1, 0)]
            furthest = np.where(self.any, self._history.stage[self._row[top]], -1)
            best = np.where(self.any, self._ranks[top], np.nan)
        return furthest, best

    def numbers(self) -> dict[str, Floats]:
        """Counts, times and amounts of each pair; see `NUMBERS`."""
        history, row, at = self._history, self._row, self._landmark
        same = np.zeros(len(row), bool)
        same[1:] = self._pair[1:] == self._pair[:-1]
        before = np.concatenate([row[:1], row[:-1]])
        moved = same & (history.stage[row] != history.stage[before])
        ranks_before = np.concatenate([self._ranks[:1], self._ranks[:-1]])
        amount, amount_before = history.amount[row], history.amount[before]
        expected, expected_before = history.expected[row], history.expected[before]
        entered = np.maximum.accumulate(np.where(moved | ~same, np.arange(len(row)), 0)) if len(row) else row
        in_stage_since = row[entered[np.maximum(self._end - 1, 0)]] if len(row) else self._last
        due = self._pick(history.expected, self._last, MISSING)
        first_amount = self._first_amount()
        return {
            IN_STAGE: self._days_since(in_stage_since),
            "days_since_event": self._days_since(self._last),
            "stage_changes": self._count(moved),
            "regressions": self._count(moved & (self._ranks < ranks_before)),
            "amount_changes": self._count(same & (amount != amount_before) & ~np.isnan(amount) & ~np.isnan(amount_before)),
            "pushes": self._count(same & (expected_before != MISSING) & (expected > expected_before)),
            "stage_rank": self.stage_rank,
            "furthest_rank": self.furthest_rank,
            "log_amount": np.log1p(self.amount),
            "amount_growth": np.log1p(self.amount) - np.log1p(first_amount),
            "first_amount": np.log1p(first_amount),
            TO_EXPECTED: np.where(due == MISSING, np.nan, (due - at) / DAY),
        }

    def _days_since(self, rows: Ints) -> Floats:
        return np.where(self.any, (self._landmark - self._pick(self._history.ds, rows, 0)) / DAY, np.nan)

    def _count(self, flags: npt.NDArray[np.bool_]) -> Floats:
        return np.bincount(self._pair[flags], minlength=len(self._landmark)).astype(float)

    def _first_amount(self) -> Floats:
        known = np.flatnonzero(~np.isnan(self._history.amount[self._row]))
        first = known[run_starts(self._pair[known])]
        amounts = np.full(len(self._landmark), np.nan)
        amounts[self._pair[first]] = self._history.amount[self._row[first]]
        return amounts


def _of_version(values: npt.NDArray, version: Ints, missing: Any) -> npt.NDArray:
    """The value of each version; ``missing`` where there is none."""
    return np.where(version >= 0, values[version], missing) if len(values) else np.full(len(version), missing)


def _shrunk(closed_and_won: Floats, base: npt.ArrayLike) -> Floats:
    return (closed_and_won[:, 1] + SHRINKAGE * np.asarray(base)) / (closed_and_won[:, 0] + SHRINKAGE)
