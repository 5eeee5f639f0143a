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
    return history.states(history.deals.of([deal_id]), microseconds(pd.DatetimeIndex([at]))).frame().iloc[0]


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
    past = then.states(np.arange(len(ids)), np.full(len(ids), landmark)).frame()
    found = now.states(now.deals.of(ids), np.full(len(ids), landmark)).frame()
    assert past["is_open"].sum() > 20
    pd.testing.assert_frame_equal(found, past, check_exact=False, rtol=1e-12)


def rewritten_company():
    """80 deals whose events become known up to 90 days late, and are corrected or redated up to 150 days later, some of them twice."""
    rng = np.random.default_rng(5)
    stages = ["Lead", "Demo", "Offer", "Terms", "won", "lost"]
    deals, events = [], []
    for number in range(80):
        start = pd.Timestamp("2024-01-01") + pd.Timedelta(days=int(rng.integers(0, 200)))
        deals.append(deal(f"D{number}", start, source=["web", "fair"][number % 2]))
        for step in range(int(rng.integers(1, 8))):
            key, known_at = f"D{number}-{step}", start
            for version in range(1 + int(rng.integers(0, 3)) * int(rng.random() < 0.4)):
                ds = start + pd.Timedelta(days=int(rng.integers(0, 120)))
                known_at = max(known_at, ds) + pd.Timedelta(
                    days=int(rng.integers(0, 90 if version == 0 else 150)) * int(rng.random() < 0.5)
                )
                stage, owner = stages[int(rng.integers(0, 6))], ["Ann", "Bob", None][int(rng.integers(0, 3))]
                events.append(
                    event(f"D{number}", ds, stage, event_id=key, known_at=known_at, owner=owner, amount=float(rng.integers(1, 9)))
                )
    return snapshot_of(deals, events, as_of="2025-12-01")


LANDMARKS = pd.date_range("2024-02-01", "2025-09-01", freq="23D")


def test_states__equal_those_of_a_snapshot_of_that_day_whatever_was_backdated_or_corrected_since():
    snapshot = rewritten_company()
    now = DealHistory(snapshot)
    for at in LANDMARKS:
        then, landmark = DealHistory(snapshot.at(at)), microseconds(pd.DatetimeIndex([at]))[0]
        ids = then.deals.values
        past = then.states(np.arange(len(ids)), np.full(len(ids), landmark)).frame()
        pd.testing.assert_frame_equal(now.states(now.deals.of(ids), np.full(len(ids), landmark)).frame(), past, check_exact=True)


def test_stage_order__is_that_of_the_paths_as_they_were_known_then():
    snapshot = rewritten_company()
    history, versions = DealHistory(snapshot), snapshot.history("deal_events")
    written = {key: position for position, key in enumerate(dict.fromkeys(versions["event_id"]))}
    orders = set()
    for at in LANDMARKS:
        path = versions[versions["known_at"] < at].drop_duplicates("event_id", keep="last")
        path = path[path["ds"] < at].assign(written=path["event_id"].map(written)).sort_values(["ds", "written"])
        places = {}
        for _, stages in path.groupby("deal_id")["stage"]:
            for place, stage in enumerate(stage for stage in dict.fromkeys(stages) if stage not in ("won", "lost")):
                places.setdefault(stage, []).append(place)
        mean = pd.Series({stage: np.mean(found) for stage, found in places.items()})
        order = pd.Series(history.stage_order(microseconds(pd.DatetimeIndex([at])))[0], index=history.stages.values)
        assert set(order.dropna().index) == set(mean.index)
        assert (np.diff(mean[order.dropna().sort_values().index]) >= 0).all()
        orders.add(tuple(order))
    assert len(orders) > 3


def test_stage_order__moves_when_a_backdated_event_is_learnt_and_back_when_it_is_taken_away():
    events = [event("A", "2025-01-10", "Offer"), event("A", "2025-01-20", "Terms")]
    events += [event("A", "2025-01-05", "Terms", event_id="late", known_at="2025-03-01")]
    events += [event("A", "2025-01-25", "Terms", event_id="late", known_at="2025-04-01")]
    history = DealHistory(snapshot_of([deal("A", "2025-01-01")], events))
    order = history.stage_order(microseconds(pd.DatetimeIndex(["2025-02-01", "2025-03-01", "2025-03-02", "2025-04-02"])))
    assert order[:, history.stages.of(["Offer", "Terms"])].tolist() == [[0, 1], [0, 1], [1, 0], [0, 1]]


def companions(n):
    """Deals that a caller adds: they enter the stages backwards, and Ann loses or wins each before it is opened again."""
    stages = ("Terms", "Offer", "Lead", "never heard of")
    days = pd.date_range("2025-02-01", periods=len(stages))
    events = [event(f"R{i}", day, stage, owner="Ann") for i in range(n) for day, stage in zip(days, stages, strict=True)]
    events += [event(f"R{i}", "2025-02-10", ("won", "lost")[i % 5 == 0], owner="Ann") for i in range(n)]
    events += [event(f"R{i}", "2025-02-11", "Offer", owner="Ann") for i in range(n)]
    return [deal(f"R{i}", "2025-02-01", source="web") for i in range(n)], events


def added(snapshot, deals, events):
    return snapshot.with_rows({"deals": frame("deals", deals), "deal_events": frame("deal_events", events)})


def test_states__of_an_added_deal_are_those_of_the_same_deal_stored_whoever_else_is_added():
    snapshot = rewritten_company()
    of_d7 = [frame[frame["deal_id"] == "D7"].assign(deal_id="R") for frame in (snapshot.history("deals"), snapshot.history("deal_events"))]
    of_d7[1]["event_id"] = "R" + of_d7[1]["event_id"]
    others = companions(200)
    alone = snapshot.with_rows(dict(zip(("deals", "deal_events"), of_d7, strict=True)))
    together = snapshot.with_rows(
        {"deals": pd.concat([of_d7[0], frame("deals", others[0])]), "deal_events": pd.concat([of_d7[1], frame("deal_events", others[1])])}
    )
    for at in (snapshot.as_of, pd.Timestamp("2025-03-01")):
        stored = state(snapshot, "D7", at)
        assert stored["is_known"]
        for richer in (alone, together, together.at(at)):
            pd.testing.assert_series_equal(state(richer, "R", at), stored, check_exact=True)
            pd.testing.assert_series_equal(state(richer, "D7", at), stored, check_exact=True)


def test_states__of_added_deals_alone_are_those_among_all_deals():
    snapshot = rewritten_company()
    richer = added(snapshot, *companions(20))
    whole, small = DealHistory(richer), DealHistory(richer, base=DealHistory(snapshot), only_added=True)
    ids, at = [f"R{i}" for i in range(20)], np.full(20, whole.as_of)
    assert len(small.deals.values) == 20
    alone, among = (history.states(history.deals.of(ids), at).frame() for history in (small, whole))
    pd.testing.assert_frame_equal(alone, among, check_exact=True)


def test_states__of_an_added_deal_take_a_stored_or_an_added_customer_s_segment():
    stored = [{"customer_id": "C", "segment": "SMB", "known_at": pd.Timestamp("2025-01-01")}]
    snapshot = snapshot_of([deal("A", "2025-01-01")], PATH, customers=stored)
    new = frame("customers", [{"customer_id": "N", "segment": "Public", "known_at": pd.Timestamp("2025-01-01")}])
    deals = frame("deals", [deal("R1", "2025-02-01", customer_id="C"), deal("R2", "2025-02-01", customer_id="N")])
    assert state(snapshot.with_rows({"deals": deals}), "R1", snapshot.as_of)["segment"] == "SMB"
    assert pd.isna(state(snapshot.with_rows({"deals": deals}), "R2", snapshot.as_of)["segment"])
    both = snapshot.with_rows({"deals": deals, "customers": new})
    assert [state(both, key, snapshot.as_of)["segment"] for key in ("R1", "R2")] == ["SMB", "Public"]


def test_states__agree_with_a_naive_loop_over_pairs(snapshot):
    history, events = DealHistory(snapshot), snapshot.history("deal_events")
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(history.deals.values), 60)
    at = pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 900, 60), unit="D")
    found = history.states(chosen, microseconds(at)).frame()
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
    whole = history.states(*pairs).frame()
    monkeypatch.setattr("predictkpi.features.deal_history.PAIRS_AT_ONCE", 64)
    pd.testing.assert_frame_equal(history.states(*pairs).frame(), whole)
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
