"""Deals that no history knows, as a service is asked about them all day: the features `DealHistory.states` would give, one deal at a time.

Such a deal has one version and events that nobody corrected, so its own part is a walk along its events. What deals share (ranks of
stages, track records, what is known of customers) is looked up once an instant. A test holds the numbers equal, bit for bit, to those of
the deal added to its snapshot.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from predictkpi.core import columns as c
from predictkpi.errors import DealClosedError
from predictkpi.features.attributes import OF_CUSTOMERS, OF_DEALS
from predictkpi.features.deal_activities import ACTIVITY_NUMBERS, LAST_ACTIVITY
from predictkpi.features.deal_asof import DAY, SumsOfKey
from predictkpi.features.deal_buyers import BUYER_NUMBERS, SHRINKAGE_OF_AMOUNTS
from predictkpi.features.deal_history import AGE, FURTHEST_STAGE, IN_STAGE, TO_EXPECTED, DealHistory
from predictkpi.features.deal_tallies import ACTIVITIES, DAYS_SINCE, STAGES, TIMES

Value = float | str | None
NAN = math.nan


class NewEvent(NamedTuple):
    """A change of a deal, known when it happened; ``at`` and ``expected`` in microseconds since 1970, the amount NaN where not stated."""

    at: int
    stage: str
    amount: float
    expected: int | None
    owner: str | None


@dataclass(slots=True)
class NewDeal:
    """A deal and all that is known of it before the instant it is asked about.

    ``events``: at least one, by time. ``activities``: instant and kind, by time. ``attributes``: name, kind and value of the company's
    own fields, the value a number (0 or 1 of a flag, microseconds of a date), text of a category or None.
    """

    deal_id: str
    created: int
    events: Sequence[NewEvent]
    customer_id: str | None = None
    source: str | None = None
    product: str | None = None
    region: str | None = None
    team: str | None = None
    activities: Sequence[tuple[int, str]] = ()
    attributes: Sequence[tuple[str, str, Value]] = field(default=())


class NewDeals:
    """Features of new deals beside everything that one history knew at ``at`` (microseconds since 1970)."""

    def __init__(self, history: DealHistory, at: int) -> None:
        self._at = at
        self.as_of = np.datetime64(at, "us")
        self._shared = history.shared(at)
        self._attributes = history.own_fields
        self._all_amounts = self._shared.buyers.all_amounts
        self._amounts: dict[str | None, SumsOfKey] = {}
        self._of_customer: dict[str | None, dict[str, Value]] = {}

    def features(self, deal: NewDeal) -> dict[str, Value]:
        """`NUMBERS`, `CATEGORIES`, ``amount``, ``owner`` and own fields; tallies of what has happened, if the history knows the like.

        Raises `DealClosedError` where the newest event is a close.
        """
        shared, at = self._shared, self._at
        events = sorted(deal.events, key=lambda event: (event.at, event.stage in c.CLOSED_STAGES))
        last = events[-1]
        if last.stage in c.CLOSED_STAGES:
            raise DealClosedError(f"the deal is closed: its newest event is {last.stage!r}")
        age = (at - min(deal.created, events[0].at)) / DAY
        row: dict[str, Value] = {AGE: age, c.AMOUNT: last.amount, c.OWNER: last.owner, c.STAGE: last.stage}
        self._path(events, row)
        first = next((event for event in events if event.amount == event.amount), None)
        log_amount, log_first = np.log1p((last.amount, first.amount)).tolist() if first else (NAN, NAN)
        row["log_amount"], row["amount_growth"] = log_amount, log_amount - log_first
        row[TO_EXPECTED] = NAN if last.expected is None else (last.expected - at) / DAY
        row["owner_edge"] = shared.by_owner.get(last.owner, shared.nobodys_edge)
        row["source_edge"] = shared.by_source.get(deal.source, shared.nobodys_edge)
        edge, closed = shared.by_buyer.get(deal.customer_id, shared.new_buyer)
        until = min(first.at, at) if first else at
        row |= zip(BUYER_NUMBERS, (edge, closed, log_first - self._usual_amount(deal.customer_id, until)), strict=True)
        row |= {c.PRODUCT: deal.product, c.SOURCE: deal.source, c.REGION: deal.region, c.TEAM: deal.team}
        row[c.SEGMENT] = shared.segments.get(deal.customer_id)
        self._activity(deal.activities, row)
        self._own_fields(deal, row)
        return row

    def _path(self, events: Sequence[NewEvent], row: dict[str, Value]) -> None:
        """What the events say by their order: counts, times, ranks of stages and tallies of the stages entered."""
        ranks, at = self._shared.ranks, self._at
        moves = regressions = amount_changes = pushes = 0
        entered, before, rank_before = events[0].at, None, NAN
        furthest, furthest_rank, best = events[0].stage, NAN, -math.inf
        entries: list[tuple[int, str]] = []
        for event in events:
            rank = ranks.get(event.stage, NAN)
            if before is None or event.stage != before.stage:
                entered = event.at
                if event.stage not in c.CLOSED_STAGES:
                    entries.append((event.at, event.stage))
            if before is not None:
                moves += event.stage != before.stage
                regressions += event.stage != before.stage and rank < rank_before
                amount_changes += abs(event.amount - before.amount) > 0
                pushes += before.expected is not None and event.expected is not None and event.expected > before.expected
            place = rank if rank == rank else -1.0
            if place >= best:
                best, furthest, furthest_rank = place, event.stage, rank
            before, rank_before = event, rank
        row |= {IN_STAGE: (at - entered) / DAY, "days_since_event": (at - events[-1].at) / DAY}
        row |= {"stage_changes": float(moves), "regressions": float(regressions)}
        row |= {"amount_changes": float(amount_changes), "pushes": float(pushes)}
        row |= {"stage_rank": rank_before, "furthest_rank": furthest_rank, FURTHEST_STAGE: furthest}
        self._tally(STAGES, entries, row)

    def _activity(self, activities: Sequence[tuple[int, str]], row: dict[str, Value]) -> None:
        ages = [(self._at - instant) / DAY for instant, _ in activities]
        counts = (float(len(ages)), float(sum(age <= 7.0 for age in ages)), float(sum(age <= 30.0 for age in ages)))
        row |= zip(ACTIVITY_NUMBERS, (*counts, ages[-1] if ages else NAN), strict=True)
        row[LAST_ACTIVITY] = activities[-1][1] if activities else None
        self._tally(ACTIVITIES, activities, row)

    def _tally(self, family: str, things: Iterable[tuple[int, str]], row: dict[str, Value]) -> None:
        """Of things by time: how often each kind was there, and days since the last."""
        times: dict[str, float] = {}
        last = {}
        for instant, kind in things:
            times[kind] = times.get(kind, 0.0) + 1.0
            last[kind] = instant
        for kind, instant in last.items():
            if kind in self._shared.tallied[family]:
                row[f"{family}.{kind}.{TIMES}"] = times[kind]
                row[f"{family}.{kind}.{DAYS_SINCE}"] = (self._at - instant) / DAY

    def _usual_amount(self, customer_id: str | None, until: int) -> float:
        """Mean log amount to be expected of this customer's next deal, as known before ``until``; see `Buyers.numbers`."""
        count, total = self._all_amounts.before(until)
        usual = total / count if count > 0 else NAN
        count, total = self._amounts_of(customer_id).before(until)
        return (total + SHRINKAGE_OF_AMOUNTS * usual) / (count + SHRINKAGE_OF_AMOUNTS)

    def _amounts_of(self, customer_id: str | None) -> SumsOfKey:
        known = customer_id if customer_id in self._shared.code_of else None
        if known not in self._amounts:
            self._amounts[known] = self._shared.buyers.amounts_of(self._shared.code_of.get(known, -1))
        return self._amounts[known]

    def _own_fields(self, deal: NewDeal, row: dict[str, Value]) -> None:
        kinds = self._attributes.of_deals.kinds
        row |= {OF_DEALS + name: None if kind == "category" else NAN for name, kind in kinds.items()}
        for name, kind, value in deal.attributes:
            if kinds.get(name) == kind and value is not None:
                row[OF_DEALS + name] = (float(value) - self._at) / DAY if kind == "date" else value
        if self._attributes.of_customers.kinds:
            row |= self._fields_of_customer(deal.customer_id)

    def _fields_of_customer(self, customer_id: str | None) -> Mapping[str, Value]:
        known = customer_id if customer_id in self._shared.segments else None
        if known not in self._of_customer:
            found = self._attributes.of_customers.at(np.array([known], object), np.array([self._at]))
            self._of_customer[known] = {OF_CUSTOMERS + name: found[name].tolist()[0] for name in found}
        return self._of_customer[known]
