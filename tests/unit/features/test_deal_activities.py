"""Activities, tallies and the customer's own past, by hand and as known then."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.features.deal_asof import microseconds
from predictkpi.features.deal_history import DealHistory
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.tables import table_schema


def frame(table, rows):
    empty = table_schema(table).empty()
    return pd.DataFrame(rows, columns=list(empty.columns)).astype(empty.dtypes.to_dict())


def instant(day):
    return pd.Timestamp(day)


def deal(deal_id, day, customer=None):
    return {"deal_id": deal_id, "created_at": instant(day), "known_at": instant(day), "customer_id": customer}


def event(deal_id, day, stage, amount=None):
    key = f"{deal_id}@{day}"
    return {"event_id": key, "deal_id": deal_id, "ds": instant(day), "known_at": instant(day), "stage": stage, "amount": amount}


def activity(number, deal_id, day, kind, known_at=None):
    return {
        "activity_id": f"a{number}",
        "deal_id": deal_id,
        "ds": instant(day),
        "kind": kind,
        "known_at": instant(known_at or day),
    }


def history(deals, events, activities=(), as_of="2025-06-01"):
    tables = {"deals": deals, "deal_events": events, "activities": list(activities)}
    return DealHistory(Snapshot(MemoryFacts({name: frame(name, rows) for name, rows in tables.items()}), instant(as_of)))


def at(found, deal_id, day):
    return found.deals.of([deal_id]), microseconds(pd.DatetimeIndex([instant(day)]))


ONE_DEAL = ([deal("A", "2025-01-01")], [event("A", "2025-01-01", "Lead", 100.0)])
CALLS = [
    activity(1, "A", "2025-01-02", "call"),
    activity(2, "A", "2025-01-08", "call"),
    activity(3, "A", "2025-01-09", "email"),
    activity(4, "A", "2025-01-03", "meeting", known_at="2025-01-20"),
]


def test_states__count_activities_as_known_then():
    found = history(*ONE_DEAL, CALLS)
    on_10th = found.states(*at(found, "A", "2025-01-10")).frame().iloc[0]
    names = ["activities", "activities_7_days", "activities_30_days", "days_since_activity", "last_activity"]
    assert list(on_10th[names]) == [3.0, 2.0, 3.0, 1.0, "email"]
    on_21st = found.states(*at(found, "A", "2025-01-21")).frame().iloc[0]
    assert list(on_21st[names]) == [4.0, 0.0, 4.0, 12.0, "email"]


def test_states__an_activity_moved_later_counts_where_it_was_until_then():
    moved = [*CALLS, activity(3, "A", "2025-01-05", "email", known_at="2025-01-30")]
    found = history(*ONE_DEAL, moved)
    assert found.states(*at(found, "A", "2025-01-10")).frame().iloc[0]["days_since_activity"] == 1.0
    later = found.states(*at(found, "A", "2025-02-01")).frame().iloc[0]
    assert (later["days_since_activity"], later["last_activity"]) == (24.0, "call")


def test_states__a_deal_without_activities_has_none():
    found = history(*ONE_DEAL)
    state = found.states(*at(found, "A", "2025-01-10")).frame().iloc[0]
    assert state["activities"] == 0
    assert np.isnan(state["days_since_activity"])


def test_tallies__name_each_stage_and_kind_and_leave_out_closed_ones():
    events = [event("A", "2025-01-01", "Lead"), event("A", "2025-01-05", "Offer"), event("A", "2025-01-06", "Offer")]
    events += [event("A", "2025-01-07", "Lead"), event("B", "2025-01-01", "Lead"), event("B", "2025-01-09", "won")]
    found = history([deal("A", "2025-01-01"), deal("B", "2025-01-01")], events, CALLS)
    tallies = {name: column[0] for name, column in found.tallies(*at(found, "A", "2025-01-10")).items()}
    assert not [name for name in tallies if "won" in name]
    expected = {"stage.Lead.times": 2.0, "stage.Lead.days_since": 3.0, "stage.Offer.times": 1.0, "stage.Offer.days_since": 5.0}
    expected |= {"activity.call.times": 2.0, "activity.call.days_since": 2.0, "activity.email.days_since": 1.0}
    assert {name: tallies[name] for name in expected} == expected
    assert np.isnan(tallies["activity.meeting.times"])
    of_b = found.tallies(*at(found, "B", "2025-01-10"))
    assert {name for name in of_b if name.startswith("activity")} == {name for name in tallies if name.startswith("activity")}
    assert all(np.isnan(column).all() for name, column in of_b.items() if name.startswith("activity"))


def test_buyers__a_deal_is_held_against_its_customer_s_earlier_deals_known_by_then():
    deals = [deal("A", "2025-01-01", "C"), deal("B", "2025-02-01", "C"), deal("D", "2025-02-01", "E")]
    events = [event("A", "2025-01-01", "Lead", 99.0), event("A", "2025-03-01", "won", 99.0)]
    events += [event("B", "2025-02-01", "Lead", 999.0), event("D", "2025-02-01", "Lead", 9.0)]
    found = history(deals, events)
    early = found.states(*at(found, "B", "2025-02-15")).frame().iloc[0]
    assert early["customer_deals"] == 0
    usual = np.log(100.0)
    assert early["amount_edge"] == pytest.approx(np.log(1000.0) - (np.log(100.0) + usual) / 2)
    late = found.states(*at(found, "B", "2025-03-15")).frame().iloc[0]
    assert late["customer_deals"] == 1
    assert late["customer_edge"] > 0
    assert found.states(*at(found, "D", "2025-03-15")).frame().iloc[0]["customer_edge"] == 0


def test_buyers__a_customer_stated_later_counts_from_then_on():
    stated = [deal("A", "2025-01-01"), deal("A", "2025-01-01", "C") | {"known_at": instant("2025-04-01")}, deal("B", "2025-02-01", "C")]
    events = [event("A", "2025-01-01", "Lead"), event("A", "2025-02-01", "won"), event("B", "2025-02-01", "Lead")]
    found = history(stated, events)
    assert found.states(*at(found, "B", "2025-03-31")).frame().iloc[0]["customer_deals"] == 0
    assert found.states(*at(found, "B", "2025-04-02")).frame().iloc[0]["customer_deals"] == 1
