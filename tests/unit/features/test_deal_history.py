from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.features.deal_asof import DAY, NewestBefore, RunningSums, microseconds
from predictkpi.features.deal_history import CATEGORIES, NUMBERS, DealHistory
from predictkpi.features.deal_outcomes import Closes
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.tables import table_schema


def frame(table, rows):
    empty = table_schema(table).empty()
    return pd.DataFrame(rows, columns=list(empty.columns)).astype(empty.dtypes.to_dict())


def event(deal, ds, stage, *, event_id=None, known_at=None, **fields):
    key = event_id or f"{deal}@{ds}{stage}"
    return {"event_id": key, "deal_id": deal, "ds": pd.Timestamp(ds), "stage": stage, "known_at": pd.Timestamp(known_at or ds)} | fields


def deal(deal_id, created_at, *, known_at=None, **fields):
    return {"deal_id": deal_id, "created_at": pd.Timestamp(created_at), "known_at": pd.Timestamp(known_at or created_at)} | fields


def snapshot_of(deals, events, *, as_of="2025-06-01", customers=()):
    tables = {"deals": frame("deals", deals), "deal_events": frame("deal_events", events), "customers": frame("customers", list(customers))}
    return Snapshot(MemoryFacts(tables), pd.Timestamp(as_of))


def state(snapshot, deal_id, at):
    history = DealHistory(snapshot)
    return history.states(history.deals.of([deal_id]), microseconds(pd.DatetimeIndex([at]))).iloc[0]


PATH = [
    event("A", "2025-01-02", "Lead", amount=100.0, owner="Ann", expected_close_on=pd.Timestamp("2025-03-01")),
    event("A", "2025-01-10", "Offer", amount=100.0, owner="Ann", expected_close_on=pd.Timestamp("2025-03-15")),
    event("A", "2025-01-20", "Lead", amount=200.0, owner="Ann", expected_close_on=pd.Timestamp("2025-03-10")),
    event("A", "2025-01-25", "Lead", amount=200.0, owner="Bob", expected_close_on=pd.Timestamp("2025-04-01")),
]


def test_states__count_what_happened_on_the_way():
    found = state(snapshot_of([deal("A", "2025-01-01", source="web", product="P")], PATH), "A", "2025-02-01")
    expected = {
        "age_days": 31.0,
        "days_in_stage": 12.0,
        "days_since_event": 7.0,
        "stage_changes": 2.0,
        "regressions": 1.0,
        "amount_changes": 1.0,
        "pushes": 2.0,
        "stage_rank": 0.0,
        "furthest_rank": 1.0,
        "days_to_expected_close": 59.0,
    }
    assert {name: found[name] for name in expected} == expected
    assert found["amount_growth"] == pytest.approx(np.log1p(200) - np.log1p(100))
    assert (found["stage"], found["furthest_stage"], found["owner"], found["source"]) == ("Lead", "Offer", "Bob", "web")


def test_states__at_an_earlier_landmark_know_nothing_of_what_came_after():
    snapshot = snapshot_of([deal("A", "2025-01-01")], PATH)
    found = state(snapshot, "A", "2025-01-10")
    assert (found["stage"], found["stage_changes"], found["days_to_expected_close"]) == ("Lead", 0.0, 50.0)


def test_states__use_a_correction_only_once_it_was_known():
    corrected = event("A", "2025-01-02", "Offer", event_id=PATH[0]["event_id"], known_at="2025-01-08")
    snapshot = snapshot_of([deal("A", "2025-01-01")], [PATH[0], corrected])
    assert state(snapshot, "A", "2025-01-08")["stage"] == "Lead"
    assert state(snapshot, "A", "2025-01-08 00:00:01")["stage"] == "Offer"


@pytest.mark.parametrize("at", ["2023-03-17", "2024-07-01", "2025-02-11 13:00"])
def test_states__equal_those_of_a_snapshot_of_that_day(snapshot, at):
    then, now = DealHistory(snapshot.at(pd.Timestamp(at))), DealHistory(snapshot)
    landmark = microseconds(pd.DatetimeIndex([at]))[0]
    ids = then.deals.values
    past = then.states(np.arange(len(ids)), np.full(len(ids), landmark))
    found = now.states(now.deals.of(ids), np.full(len(ids), landmark))
    assert past["is_open"].sum() > 20
    pd.testing.assert_frame_equal(found, past, check_exact=False, rtol=1e-12)


def test_states__agree_with_a_naive_loop_over_pairs(snapshot):
    history, events = DealHistory(snapshot), snapshot.history("deal_events")
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(history.deals.values), 60)
    at = pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 900, 60), unit="D")
    found = history.states(chosen, microseconds(at))
    for position, (code, landmark) in enumerate(zip(chosen, at, strict=True)):
        known = events[(events["deal_id"] == history.deals.values[code]) & (events["known_at"] < landmark)]
        path = known.drop_duplicates("event_id", keep="last")
        path = path[path["ds"] < landmark].sort_values("ds", kind="stable")
        row = found.iloc[position]
        assert row["stage_changes"] == max((path["stage"] != path["stage"].shift()).sum() - 1, 0)
        assert row["pushes"] == (path["expected_close_on"] > path["expected_close_on"].shift()).sum()
        if len(path):
            assert row["stage"] == path["stage"].iloc[-1]
            assert row["days_since_event"] == pytest.approx((landmark - path["ds"].iloc[-1]) / pd.Timedelta(days=1))
            assert row["is_open"] == (path["stage"].iloc[-1] not in ("won", "lost"))


def test_owner_edge__counts_only_closes_known_before_and_takes_back_a_corrected_one():
    events = [event(f"W{n}", f"2025-01-{n:02d}", "won", owner="Ann") for n in range(1, 11)]
    events += [event(f"L{n}", f"2025-01-{n:02d}", "lost", owner="Bob") for n in range(1, 11)]
    events += [event("W1", "2025-01-01", "lost", event_id=events[0]["event_id"], owner="Ann", known_at="2025-03-01")]
    events += [event("A", "2025-01-01", "Lead", owner="Ann")]
    snapshot = snapshot_of([deal("A", "2025-01-01")], events)
    first, all_won, corrected = (state(snapshot, "A", at)["owner_edge"] for at in ("2025-01-02", "2025-02-01", "2025-04-01"))
    assert all_won == pytest.approx((10 + 20 * 0.5) / 30 - 0.5)
    assert first == pytest.approx(0.5 / 21)
    base = (9 + 10) / 40
    assert corrected == pytest.approx((9 + 20 * base) / 30 - base)


def test_states__of_a_deal_with_nothing_but_an_id_are_missing_not_wrong():
    found = state(snapshot_of([deal("A", None, known_at="2025-01-01")], []), "A", "2025-01-11")
    assert found["age_days"] == 10.0
    assert found["is_open"]
    assert found[["stage", "owner", "amount", "log_amount", "stage_rank", "days_to_expected_close"]].isna().all()


def test_states__count_age_from_the_first_event_without_a_creation_date():
    assert state(snapshot_of([deal("A", None, known_at="2025-02-01")], PATH[:1]), "A", "2025-01-12")["age_days"] == 10.0


def test_states__take_the_segment_the_customer_had_then():
    customers = [
        {"customer_id": "C", "segment": "SMB", "known_at": pd.Timestamp("2025-01-01")},
        {"customer_id": "C", "segment": "Enterprise", "known_at": pd.Timestamp("2025-02-01")},
    ]
    snapshot = snapshot_of([deal("A", "2025-01-01", customer_id="C")], PATH, customers=customers)
    assert [state(snapshot, "A", at)["segment"] for at in ("2025-01-15", "2025-02-15")] == ["SMB", "Enterprise"]


def test_states__do_not_depend_on_how_many_are_asked_for_at_once(snapshot, monkeypatch):
    history = DealHistory(snapshot)
    pairs = np.arange(200), np.full(200, history.as_of)
    whole = history.states(*pairs)
    monkeypatch.setattr("predictkpi.features.deal_history.PAIRS_AT_ONCE", 64)
    pd.testing.assert_frame_equal(history.states(*pairs), whole)
    assert set(NUMBERS) | set(CATEGORIES) <= set(whole.columns)


def test_closes__find_the_first_close_from_an_instant_on_and_reopened_deals_again():
    events = [
        event("A", "2025-01-01", "Lead"),
        event("A", "2025-01-10", "lost"),
        event("A", "2025-01-20", "Lead"),
        event("A", "2025-02-10", "won"),
        event("B", "2025-01-01", "Lead"),
    ]
    history = DealHistory(snapshot_of([], events))
    closes = Closes(history)
    a, b = history.deals.of(["A", "B"])
    at = microseconds(pd.DatetimeIndex(["2025-01-05", "2025-01-25", "2025-02-10", "2025-01-05"]))
    days, cause = closes.first_from(np.array([a, a, a, b]), at)
    assert days.tolist() == [5.0, 16.0, 0.0, np.inf]
    assert cause.tolist() == [2, 1, 1, 0]


def test_closes__find_a_deal_closed_at_once_where_the_close_became_known_late():
    history = DealHistory(snapshot_of([], [event("A", "2025-01-01", "Lead"), event("A", "2025-01-10", "won", known_at="2025-01-20")]))
    landmark = microseconds(pd.DatetimeIndex(["2025-01-15"]))
    assert history.states(np.array([0]), landmark)["is_open"].tolist() == [True]
    days, cause = Closes(history).first_from(np.array([0]), landmark)
    assert (days.tolist(), cause.tolist()) == ([0.0], [1])


def test_newest_before__is_strict_and_knows_nothing_of_other_keys():
    index = NewestBefore(np.array([0, 0, 1]), np.array([5, 9, 7]) * DAY)
    found = index.find(np.array([0, 0, 0, 1, 2, -1]), np.array([5, 6, 10, 7, 9, 9]) * DAY)
    assert found.tolist() == [-1, 0, 1, -1, -1, -1]


def test_running_sums__equal_a_naive_sum():
    rng = np.random.default_rng(1)
    code, instant, values = rng.integers(0, 5, 200), rng.integers(0, 50, 200), rng.normal(size=(200, 2))
    ask_code, ask_at = rng.integers(-1, 7, 100), rng.integers(0, 60, 100)
    found = RunningSums(code, instant, values).before(ask_code, ask_at)
    naive = [values[(code == wanted) & (instant < at)].sum(axis=0) for wanted, at in zip(ask_code, ask_at, strict=True)]
    assert found == pytest.approx(np.array(naive), abs=1e-9)
