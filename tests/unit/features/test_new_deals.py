"""A deal that no history knows gets the features it would have if it were added to the snapshot, bit for bit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.errors import DealClosedError
from predictkpi.features.deal_history import DealHistory
from predictkpi.features.deal_shared import SharedByDeals
from predictkpi.features.new_deals import NAN, NewDeal, NewDeals, NewEvent
from predictkpi.predictors.close_time.table import FISCAL, cohort_inputs
from predictkpi.tables import table_schema
from toy.own_fields import make_own_fields

DAY = 86_400_000_000
NEVER_TOLD_APART = ("stage.Unheard.", "activity.seance.")
"""Tallies of what the facts have never heard of: no model knows a column of them."""
KEYS = (c.ENTITY_ID, c.AS_OF, FISCAL)


@pytest.fixture(scope="module", params=["sample company", "own fields"])
def past(request, snapshot):
    """A snapshot and its history."""
    seen = snapshot if request.param == "sample company" else make_own_fields(deals=300).snapshot()
    return seen, DealHistory(seen)


def instant(microseconds: int | None) -> pd.Timestamp | None:
    return None if microseconds is None else pd.Timestamp(microseconds, unit="us")


def text_of(kind: str, value: object) -> str | None:
    if value is None or kind == "category":
        return value
    if kind == "flag":
        return "true" if value else "false"
    return repr(value) if kind == "number" else instant(value).isoformat()


def added(snapshot, deal: NewDeal):
    """The snapshot with the deal's rows."""
    created = {c.DEAL_ID: deal.deal_id, c.CREATED_AT: instant(deal.created), c.KNOWN_AT: instant(deal.created)}
    rows = {"deals": [created | {name: getattr(deal, name) for name in (c.CUSTOMER_ID, c.SOURCE, c.PRODUCT, c.REGION, c.TEAM)}]}
    rows["deal_events"] = [
        {
            c.EVENT_ID: f"{deal.deal_id}@{number}",
            c.DEAL_ID: deal.deal_id,
            c.DS: instant(event.at),
            c.STAGE: event.stage,
            c.AMOUNT: event.amount,
            c.EXPECTED_CLOSE_ON: instant(event.expected),
            c.OWNER: event.owner,
            c.KNOWN_AT: instant(event.at),
        }
        for number, event in enumerate(deal.events)
    ]
    rows["activities"] = [
        {c.ACTIVITY_ID: f"{deal.deal_id}@{number}", c.DEAL_ID: deal.deal_id, c.DS: instant(at), c.KIND: kind, c.KNOWN_AT: instant(at)}
        for number, (at, kind) in enumerate(deal.activities)
    ]
    own = {c.TABLE: "deals", c.ENTITY_ID: deal.deal_id, c.KNOWN_AT: instant(deal.created)}
    rows["attributes"] = [own | {c.NAME: name, c.KIND: kind, c.VALUE: text_of(kind, value)} for name, kind, value in deal.attributes]
    return snapshot.with_rows({name: table_schema(name).rows(records) for name, records in rows.items()})


class Draws:
    """Random deals of a history's world, and of what it has never heard of."""

    def __init__(self, history: DealHistory, shared: SharedByDeals) -> None:
        self.rng = np.random.default_rng(5)
        self.history = history
        self.stages = [*shared.ranks, "Unheard"]
        self.owners, self.sources = [*shared.by_owner, "Nobody", None], [*shared.by_source, "pigeon", None]
        self.customers = [*list(shared.code_of)[:40], *list(shared.segments)[:40], "unknown", None]
        self.kinds = [*self.history.activities.kinds.values.tolist()[:4], "seance"]

    def one(self, values: list):
        return values[self.rng.integers(len(values))]

    def event(self, at: int) -> NewEvent:
        amount = NAN if self.rng.random() < 0.3 else float(self.rng.integers(0, 4) * 1000)
        expected = None if self.rng.random() < 0.3 else at + int(self.rng.integers(-20, 60)) * DAY
        return NewEvent(at, self.one(self.stages), amount, expected, self.one(self.owners))

    def attributes(self) -> list:
        fields = []
        for name, kind in self.history.own_fields.of_deals.kinds.items():
            drawn = {"number": float(self.rng.normal()), "flag": float(self.rng.random() < 0.5), "category": "gold"}
            value = drawn.get(kind, self.history.as_of - int(self.rng.integers(-50, 50)) * DAY)
            if self.rng.random() < 0.7:
                fields.append((name, kind, None if self.rng.random() < 0.2 else value))
        return fields

    def deal(self) -> NewDeal:
        now = self.history.as_of
        ago = np.sort(self.rng.integers(1, 300, self.rng.integers(1, 7)))[::-1]  # some events at one instant
        done = np.sort(self.rng.integers(1, 60, self.rng.integers(0, 6)))[::-1]
        return NewDeal(
            deal_id="request",
            created=now - int(self.rng.integers(1, 300)) * DAY - 5,
            events=[self.event(now - int(days) * DAY) for days in ago],
            customer_id=self.one(self.customers),
            source=self.one(self.sources),
            product=self.one(["Platform", None]),
            region="EMEA",
            team=None,
            activities=[(now - int(days) * DAY + 7, self.one(self.kinds)) for days in done],
            attributes=self.attributes(),
        )


def test_features__are_those_of_the_deal_added_to_its_snapshot(past):
    snapshot, history = past
    new, draws = NewDeals(history, history.as_of), Draws(history, history.shared(history.as_of))
    refused = 0
    for _ in range(300):
        deal = draws.deal()
        richer = DealHistory(added(snapshot, deal), base=history, only_added=True)
        try:
            expected = cohort_inputs(richer, [deal.deal_id])
        except DealClosedError:
            refused += 1
            with pytest.raises(DealClosedError):
                new.features(deal)
            continue
        told = new.features(deal)
        for name in (name for name in expected if name not in KEYS and not name.startswith(NEVER_TOLD_APART)):
            one, other = expected[name].tolist()[0], told.get(name)
            assert one == other or (pd.isna(one) and pd.isna(other)), (name, one, other, deal)
        assert set(told) <= set(expected)
    assert 30 < refused < 200


def test_features__of_one_deal_do_not_depend_on_those_asked_before(past):
    _, history = past
    new, draws = NewDeals(history, history.as_of), Draws(history, history.shared(history.as_of))
    deals = [deal for deal in (draws.deal() for _ in range(40)) if deal.events[-1].stage not in c.CLOSED_STAGES]
    deals = [deal for deal in deals if not any(event.stage in c.CLOSED_STAGES for event in deal.events)]
    first = [str(new.features(deal)) for deal in deals]
    assert deals
    assert [str(NewDeals(history, history.as_of).features(deal)) for deal in reversed(deals)] == first[::-1]
