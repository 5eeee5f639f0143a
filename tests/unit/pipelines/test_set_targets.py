"""Targets that a person sets and removes: seen at once, kept as they were before, and told to the audit log."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.errors import NotFoundError, UnknownEntityError, UnknownNameError
from predictkpi.pipelines.targets import REMOVED, SET, Promise, remove_target, set_target
from predictkpi.store import Store

QUARTER = Promise("revenue", "total", "Q", pd.Timestamp("2031-04-01"))
NOW = pd.Timestamp("2032-05-06 07:08:09")


@pytest.fixture
def store(company, tmp_path):
    store = Store(f"sqlite:///{tmp_path}/facts.db")
    store.migrate()
    store.load(company.tables, company=company.company, now=company.end)
    yield store
    store.close()


def target_of(store, promise, as_of=None):
    """The value in force; None where nothing is promised."""
    rows = store.snapshot(as_of).targets
    found = rows[(rows[list(promise.key)] == pd.Series(promise.key)).all(axis=1)]
    return float(found[c.VALUE].iloc[0]) if len(found) else None


def test_set_target__is_seen_from_the_day_that_the_data_end_and_moves_no_date(store):
    as_of = store.default_as_of()
    assert target_of(store, QUARTER) is None
    for value in (1e6, 2e6, 2e6, 1e6):
        set_target(store, store.snapshot(), QUARTER, value, now=NOW, actor="somebody")
        assert target_of(store, QUARTER) == value
    assert store.default_as_of() == as_of
    assert target_of(store, QUARTER, as_of - pd.Timedelta(days=1)) is None, "what was known before is not rewritten"
    entries = store.audit(subject="target of revenue")
    assert store.audit(subject="revenue").empty, "a model of that name has nothing to do with it"
    assert set(entries["actor"]) == {"somebody"}
    assert set(entries["action"]) == {"set target"}
    assert [json.loads(detail)["value"] for detail in entries["detail"]] == [1e6, 2e6, 2e6, 1e6][::-1]


def test_set_target__begins_with_its_period(store):
    promise = set_target(store, store.snapshot(), Promise("cac", "total", "Q", pd.Timestamp("2031-05-20")), 900.0, now=NOW)
    assert promise.ds == pd.Timestamp("2031-04-01")
    assert target_of(store, promise) == 900.0


def test_remove_target__can_be_undone_by_the_same_or_another_value(store):
    as_of = store.default_as_of()
    for value in (1e6, 1e6, 3e6):
        set_target(store, store.snapshot(), QUARTER, value, now=NOW)
        assert target_of(store, QUARTER) == value
        seen = store.count_withdrawals().get("targets", 0)
        remove_target(store, store.snapshot(), QUARTER, now=NOW)
        assert target_of(store, QUARTER) is None
        assert store.count_withdrawals()["targets"] > seen
        told = len(store.audit())
        with pytest.raises(NotFoundError):
            remove_target(store, store.snapshot(), QUARTER, now=NOW)
        assert len(store.audit()) == told, "what was refused was not done"
    assert store.default_as_of() == as_of


def test_set_target__wins_over_what_a_load_has_learnt_since_the_data_end(store):
    as_of, later = store.default_as_of(), store.default_as_of() + pd.Timedelta(days=2)
    learnt = pd.DataFrame([QUARTER.key | {c.VALUE: 5e6, c.KNOWN_AT: as_of + pd.Timedelta(hours=15)}])
    store.load({"targets": learnt}, company=store.company, now=as_of + pd.Timedelta(hours=16))
    assert (target_of(store, QUARTER), target_of(store, QUARTER, later)) == (None, 5e6)
    for value in (1e6, 2e6, 5e6):
        set_target(store, store.snapshot(), QUARTER, value, now=NOW)
        assert (target_of(store, QUARTER), target_of(store, QUARTER, later)) == (value, value)
    remove_target(store, store.snapshot(), QUARTER, now=NOW)
    assert (target_of(store, QUARTER), target_of(store, QUARTER, later)) == (None, None)
    set_target(store, store.snapshot(), QUARTER, 5e6, now=NOW)
    assert (target_of(store, QUARTER), target_of(store, QUARTER, later)) == (5e6, 5e6)
    assert store.default_as_of() == as_of


def test_loads__can_be_listed_without_those_of_single_targets(store):
    set_target(store, store.snapshot(), QUARTER, 1e6, now=NOW)
    remove_target(store, store.snapshot(), QUARTER, now=NOW)
    assert list(store.loads()["source"]) == [REMOVED, SET, "memory"]
    assert list(store.loads(1, besides=(SET, REMOVED))["source"]) == ["memory"]


def test_remove_target__leaves_all_others(store):
    before = store.snapshot().targets
    row = before.iloc[0]
    remove_target(store, store.snapshot(), Promise(row[c.KPI], row[c.SCOPE], row[c.FREQ], row[c.DS]), now=NOW)
    pd.testing.assert_frame_equal(store.snapshot().targets[before.columns], before.iloc[1:].reset_index(drop=True))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"kpi": "weather"}, UnknownNameError),
        ({"scope": "region"}, UnknownNameError),
        ({"scope": "planet=Mars"}, UnknownNameError),
        ({"scope": "region=Mars"}, UnknownEntityError),
        ({"freq": "H"}, UnknownNameError),
        ({"kpi": "revenue_growth_qoq"}, UnknownNameError),
    ],
)
def test_set_target__names_what_there_is_where_it_is_for_nothing(store, changes, error):
    with pytest.raises(error):
        set_target(store, store.snapshot(), Promise(**(vars(QUARTER) | {"freq": "M"} | changes)), 1.0, now=NOW)
    assert store.audit().empty
