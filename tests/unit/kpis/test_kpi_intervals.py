"""Medians and shares with their intervals, and what stood at an instant."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.kpis import get_kpi
from predictkpi.kpis.median import median_among, median_until
from predictkpi.kpis.shares import share_cells
from predictkpi.kpis.standing import standing
from predictkpi.snapshot import Snapshot


def test_median__of_complete_cases_by_hand():
    """1 to 100, all ended: the curve is k/100 at k, its error at the median sqrt(1/4/100) = .05, so .402 and .598: days 41 and 60."""
    days = np.arange(1.0, 101.0)
    ended = np.ones(100, dtype=int)
    assert median_until(days, ended) == (50, 41, 60, 100)
    assert median_among(days, ended, entry=np.zeros(100)) == (50, 41, 60, 100)


def test_median_among__a_competing_end_at_the_last_day_changes_nothing():
    """Final incidence 1/2 instead of 1: half of it is reached on the same day, by the same 100 cases."""
    days = np.concatenate([np.arange(1.0, 101.0), np.full(100, 200.0)])
    found = median_among(days, np.repeat([1, 2], 100), entry=np.zeros(200))
    assert found == (50, 41, 60, 100)


def test_median_until__fewer_than_half_ended_has_none():
    value, low, high, n = median_until(np.array([1.0, 2.0, 9.0, 9.0, 9.0]), np.array([1, 1, 0, 0, 0]))
    assert np.isnan([value, low, high]).all() and n == 2


def test_median_until__few_cases_leave_the_interval_open():
    value, low, high, n = median_until(np.array([1.0, 2.0, 3.0]), np.array([1, 1, 1]))
    assert (value, n) == (2, 3)
    assert np.isnan([low, high]).all()


def _deals(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Duration, cause and entry of ``n`` deals: 40 % would be won after a gamma of mean 60 days, some are seen late, many still open."""
    won = rng.random(n) < 0.4
    ends = np.where(won, rng.gamma(3, 20, n), rng.gamma(2, 25, n))
    until = rng.uniform(0, 365, n)
    entry = np.where(rng.random(n) < 0.3, rng.uniform(0, 30, n), 0.0)
    duration = np.minimum(ends, until)
    seen = duration > entry
    return duration[seen], np.where(ends <= until, np.where(won, 1, 2), 0)[seen], entry[seen]


def test_median_among__interval_covers_the_truth_19_times_of_20():
    """400 samples of about 150 deals with competing losses, open deals and late entry; 95 % of 400 is 380, three standard errors are 13."""
    rng = np.random.default_rng(5)
    truth = np.median(rng.gamma(3, 20, 1_000_000))
    found = [median_among(duration, cause, entry=entry) for duration, cause, entry in (_deals(rng, 150) for _ in range(400))]
    hits = sum(estimate.low <= truth <= estimate.high for estimate in found)
    assert 367 <= hits <= 393


def test_sales_cycle_median__carries_its_interval(snapshot):
    series = get_kpi("sales_cycle_median").series(snapshot)
    full = series[series[c.STATUS] == "full"]
    assert full[[c.LOW, c.HIGH]].notna().all(axis=None)
    assert ((full[c.LOW] < full[c.VALUE]) & (full[c.VALUE] < full[c.HIGH])).mean() > 0.9
    assert get_kpi("sales_cycle_mean").series(snapshot)[[c.LOW, c.HIGH]].isna().all(axis=None)


def test_share__wilson_by_hand():
    """5 of 10: centre 1/2, room 1.96 sqrt(1/40 + 3.8415/400)/(1 + .38415) = .2634. 0 of 10: up to 3.8415/13.8415 = .2775."""
    rows = pd.DataFrame({"of": ["a"] * 10 + ["b"] * 10, "hit": [True, False] * 5 + [False] * 10})
    cells = share_cells(rows.groupby("of"), "hit")
    np.testing.assert_allclose(cells.loc["a"], [0.5, 0.2366, 0.7634, 10], atol=5e-5)
    np.testing.assert_allclose(cells.loc["b"], [0, 0, 0.2775, 10], atol=5e-5)


def test_standing__what_happens_at_the_instant_comes_after():
    instants = pd.DatetimeIndex(["2023-01-01", "2023-02-01", "2023-03-01"])
    states = pd.DataFrame(
        {
            "name": ["before", "at", "short"],
            "since": pd.to_datetime(["2022-06-01", "2023-02-01", "2023-02-10"]),
            "until": pd.to_datetime(["2023-02-01", None, "2023-02-20"]),
        }
    )
    held = standing(states, instants, labels=pd.DatetimeIndex(["2023-01-01", "2023-01-02", "2023-01-03"]))
    assert list(zip(held["name"], held[c.DS].dt.day, held["at"].dt.month, strict=True)) == [
        ("before", 1, 1),
        ("before", 2, 2),
        ("at", 3, 3),
    ]


@pytest.fixture(scope="module")
def back_and_forth(facts_of) -> Snapshot:
    """One deal: demo 1 Jan, offer 11 Jan, back to demo 21 Jan, offer 31 Jan, won 5 Feb; another, seen from its 10th day on only."""
    steps = [("2023-01-01", "demo"), ("2023-01-11", "offer"), ("2023-01-21", "demo"), ("2023-01-31", "offer"), ("2023-02-05", "won")]
    late = [("2023-01-11", "demo"), ("2023-01-12", "offer"), ("2023-01-13", "lost")]
    facts = facts_of(
        deals=[{"deal_id": "d", "created_at": "2023-01-01"}, {"deal_id": "late", "created_at": "2023-01-01"}],
        deal_events=[{"deal_id": "d", "ds": day, "stage": stage} for day, stage in steps]
        + [{"deal_id": "late", "ds": day, "stage": stage} for day, stage in late],
    )
    return Snapshot(facts, pd.Timestamp("2023-03-01"))


def test_stage_conversion__a_step_back_does_not_lead_on(back_and_forth):
    """January: demo to offer (d, late) leads on, the second time (d) it is no new stage: 2/3. offer: back to demo, lost: 0/2; then won."""
    series = get_kpi("stage_conversion").series(back_and_forth, by="stage").set_index(["member", "ds"])
    assert series.loc[("demo", "2023-01-01"), ["value", "n"]].tolist() == [pytest.approx(2 / 3), 3]
    assert series.loc[("offer", "2023-01-01"), ["value", "n"]].tolist() == [0, 2]
    assert series.loc[("offer", "2023-02-01"), ["value", "n"]].tolist() == [1, 1]


def test_time_in_stage__a_first_stay_without_a_known_beginning_is_left_out(back_and_forth):
    """demo: 10 and 10 days, without the one that ``late`` was found in. offer: 10, 1 and, by the end of February, 5."""
    series = get_kpi("time_in_stage").series(back_and_forth, by="stage").set_index(["member", "ds"])
    assert series.loc[("demo", "2023-01-01"), ["value", "n"]].tolist() == [10, 2]
    assert series.loc[("offer", "2023-02-01"), ["value", "n"]].tolist() == [5, 3]
