"""What changed since last week: parts that add up, and a look back that sees no newer fact."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.errors import DealClosedError, FutureAccessError, UnknownEntityError
from predictkpi.predictors.close_time.baseline import AalenJohansenBaseline
from predictkpi.predictors.close_time.changes import Week, change_of
from predictkpi.predictors.close_time.model import CloseTimePredictor
from predictkpi.snapshot import MemoryFacts, Snapshot

FEW_TREES = {"rounds": 15, "landmark_budget": 4000}
WEEK = pd.Timedelta(days=7)


@pytest.fixture(scope="module")
def week(snapshot):
    return Week.before(snapshot)


@pytest.fixture(scope="module")
def other(training_rows):
    return CloseTimePredictor(**FEW_TREES, random_state=5).fit(training_rows)


def open_then_and_now(fitted, week):
    now, then = fitted.inputs(week.now)["entity_id"], fitted.inputs(week.then)["entity_id"]
    return now[now.isin(then)].tolist()


def chance(predictor, snapshot, entity_id):
    found = predictor.predict(snapshot, entity_ids=[entity_id]).set_index(["statistic", "horizon"])["value"]
    return found["cif_won", 90]


def test_change__parts_add_up_exactly(fitted, other, week):
    ids = open_then_and_now(fitted, week)
    assert len(ids) > 50
    for entity_id in ids[::5]:
        found = change_of(entity_id, week, current=fitted, previous=other)
        assert found.before == chance(other, week.then, entity_id)
        assert found.now == chance(fitted, week.now, entity_id)
        assert found.data + found.time + found.model == pytest.approx(found.now - found.before, abs=1e-9)
        assert found.model == pytest.approx(chance(fitted, week.now, entity_id) - chance(other, week.now, entity_id), abs=1e-12)


def test_change__of_the_same_version_has_no_part_of_the_model(fitted, week):
    found = change_of(open_then_and_now(fitted, week)[0], week, current=fitted)
    assert found.model == 0.0
    assert found.data + found.time == pytest.approx(found.now - found.before, abs=1e-9)


def test_change__is_all_time_where_nothing_was_learnt_since(fitted, company, snapshot):
    since = snapshot.as_of - WEEK
    quiet = {name: frame[frame["known_at"] < since] for name, frame in company.tables.items()}
    week = Week.before(Snapshot(MemoryFacts(quiet, company.company), snapshot.as_of))
    found = [change_of(entity_id, week, current=fitted) for entity_id in open_then_and_now(fitted, week)[-20:]]
    assert all(change.data == 0.0 for change in found)
    assert any(change.time != 0.0 for change in found)


def test_change__an_event_of_the_deal_counts_as_data(fitted, snapshot):
    stage = {"Qualification": "Negotiation"}
    at = snapshot.as_of - pd.Timedelta(days=30)
    rows = {
        "deals": pd.DataFrame({"deal_id": ["new"], "created_at": [at], "known_at": [at]}),
        "deal_events": pd.DataFrame(
            {
                "event_id": ["e1", "e2"],
                "deal_id": "new",
                "ds": [at, snapshot.as_of - pd.Timedelta(days=2)],
                "stage": [*stage, *stage.values()],
                "amount": 5000.0,
                "known_at": [at, snapshot.as_of - pd.Timedelta(days=2)],
            }
        ),
    }
    moved = change_of("new", Week.before(snapshot.with_rows(rows)), current=fitted)
    rows["deal_events"] = rows["deal_events"].head(1)
    stayed = change_of("new", Week.before(snapshot.with_rows(rows)), current=fitted)
    assert moved.before == stayed.before
    assert moved.time == stayed.time
    assert moved.data > stayed.data
    assert moved.data - stayed.data == pytest.approx(moved.now - stayed.now, abs=1e-12)


def test_frozen__sees_no_newer_fact_but_newer_time(fitted, company, snapshot):
    since = snapshot.as_of - WEEK
    frozen = snapshot.frozen_at(since)
    assert frozen.as_of == snapshot.as_of
    for name in company.tables:
        assert (frozen.history(name)["known_at"] < since).all()
        pd.testing.assert_frame_equal(frozen.history(name), snapshot.at(since).history(name))
    entity_id = open_then_and_now(fitted, Week.before(snapshot))[0]
    then, aged = (fitted.inputs(each, entity_ids=[entity_id]).iloc[0] for each in (snapshot.at(since), frozen))
    assert aged["age_days"] == pytest.approx(then["age_days"] + 7)
    assert aged["stage"] == then["stage"]
    with pytest.raises(FutureAccessError):
        snapshot.frozen_at(snapshot.as_of + WEEK)


def test_change__of_a_deal_created_since_says_so(make_snapshot, many_deals):
    baseline = AalenJohansenBaseline()
    baseline.fit(baseline.training_table(many_deals(80)))
    snapshot = make_snapshot([("A", "2025-05-29")], [("A", "2025-05-29", "Lead")])
    found = change_of("A", Week.before(snapshot), current=baseline)
    assert (found.before, found.data, found.time, found.model) == (None, None, None, None)
    assert found.now == chance(baseline, snapshot, "A")
    assert "not known before 2025-05-25" in found.notes[0]


def test_change__of_a_deal_reopened_since_says_so(make_snapshot, many_deals):
    baseline = AalenJohansenBaseline()
    baseline.fit(baseline.training_table(many_deals(80)))
    events = [("A", "2025-05-01", "Lead"), ("A", "2025-05-20", "lost"), ("A", "2025-05-29", "Lead")]
    found = change_of("A", Week.before(make_snapshot([("A", "2025-05-01")], events)), current=baseline)
    assert found.before is None
    assert "closed on 2025-05-25" in found.notes[0]
    with pytest.raises(DealClosedError):
        change_of("A", Week.before(make_snapshot([("A", "2025-05-01")], events[:2])), current=baseline)
    with pytest.raises(UnknownEntityError):
        change_of("B", Week.before(make_snapshot([("A", "2025-05-01")], events)), current=baseline)


def test_change__of_a_deal_that_was_expected_closed_counts_as_data(make_snapshot, many_deals):
    """A close dated ahead that was taken back within the week: what was known then had it closed by now."""
    baseline = AalenJohansenBaseline()
    baseline.fit(baseline.training_table(many_deals(80)))
    snapshot = make_snapshot([("A", "2025-05-01")], [("A", "2025-05-01", "Lead"), ("A", "2025-05-28", "lost")])
    tables = {name: snapshot.history(name).copy() for name in ("deals", "deal_events")}
    events = tables["deal_events"]
    ahead = events["stage"] == "lost"
    taken_back = events[ahead].assign(stage="Lead", known_at=pd.Timestamp("2025-05-30"))
    known_early = events.assign(known_at=events["known_at"].where(~ahead, pd.Timestamp("2025-05-20")))
    tables["deal_events"] = pd.concat([known_early, taken_back])
    found = change_of("A", Week.before(Snapshot(MemoryFacts(tables), snapshot.as_of)), current=baseline)
    assert found.time == 0.0
    assert found.data == pytest.approx(found.now - found.before, abs=1e-12)
    assert "had the deal closed by now" in found.notes[0]
