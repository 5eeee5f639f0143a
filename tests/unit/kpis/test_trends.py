from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import linregress

from predictkpi.core import columns as c
from predictkpi.kpis import get_kpi
from predictkpi.kpis.trends import LEAST_MONTHS, TREND_COLUMNS, trend_of, trends


def ar1(series: int, months: int, *, phi: float, seed: int = 0) -> np.ndarray:
    """Autocorrelated noise of variance 1 a step, (series, months), after a burn-in."""
    noise = np.random.default_rng(seed).standard_normal((series, months + 40))
    for month in range(1, months + 40):
        noise[:, month] += phi * noise[:, month - 1]
    return noise[:, 40:]


SEASON = 3 * np.sin(2 * np.pi * np.arange(60) / 12)


@pytest.mark.parametrize("months", [36, 48, 60])
def test_trend__false_positive_rate_is_near_nominal_under_ar1_with_phi_half(months):
    """2,000 seasonal series without a trend; 5 % would be exact, and the standard error of the rate is 0.5 points."""
    series = ar1(2000, months, phi=0.5, seed=months) + SEASON[:months]
    rate = np.mean([trend_of(y).p_value < 0.05 for y in series])
    assert 0.035 < rate < 0.08


def test_trend__keeps_its_level_where_least_squares_does_not():
    series = ar1(1000, 48, phi=0.5, seed=1)
    naive = np.mean([linregress(np.arange(48), y).pvalue < 0.05 for y in series])
    ours = np.mean([trend_of(y).p_value < 0.05 for y in series])
    assert naive > 0.2
    assert ours < 0.08


def test_trend__interval_covers_the_true_slope():
    truth = 0.6
    series = ar1(1000, 48, phi=0.5, seed=2) + truth / 12 * np.arange(48)
    found = [trend_of(y) for y in series]
    assert np.mean([t.low <= truth <= t.high for t in found]) == pytest.approx(0.945, abs=0.025)
    assert np.mean([t.per_year for t in found]) == pytest.approx(truth, abs=0.05)


def test_trend__finds_a_real_one():
    series = ar1(300, 48, phi=0.5, seed=3) + 2.0 / 12 * np.arange(48) + SEASON[:48]
    found = [trend_of(y) for y in series]
    assert np.mean([t.direction == "rising" for t in found]) > 0.9
    assert not [t for t in found if t.direction == "falling"]


def test_trend__of_a_pure_line_with_season_is_exact():
    found = trend_of(100 - 0.5 * np.arange(48) + SEASON[:48])
    assert found.per_year == pytest.approx(-6)
    assert (found.low, found.high) == (pytest.approx(-6), pytest.approx(-6))
    assert found.direction == "falling"


@pytest.mark.parametrize("level", [0.0, 7.0])
def test_trend__of_a_constant_is_none(level):
    found = trend_of(np.full(40, level))
    assert found.direction == "none"
    assert found.p_value == 1.0


def test_trend__months_without_a_value_are_left_out():
    y = 100 + 0.5 * np.arange(48) + SEASON[:48]
    y[[3, 17]] = np.nan
    assert trend_of(y).per_year == pytest.approx(6)
    y[20:] = np.nan
    assert trend_of(y) is None


def test_trends__one_row_a_kpi_with_a_reason_where_there_is_no_figure(snapshot):
    found = trends(snapshot)
    assert list(found.columns) == TREND_COLUMNS
    row = found.set_index(c.KPI)
    assert row.loc["revenue", "months"] == 48
    assert row.loc["revenue", "direction"] in ("rising", "none")
    assert row.loc["clv_realised", c.STATUS] == "insufficient_data"
    assert "less time" in row.loc["clv_realised", c.REASON]
    told = found[found[c.STATUS] != "insufficient_data"]
    assert (told["low"] <= told["per_year"]).all() and (told["per_year"] <= told["high"]).all()
    assert (found.loc[found[c.STATUS] != "full", c.REASON] != "").all()


def test_trends__falling_costs_are_better(facts_of):
    """One customer a month won for ever less money; the year in which everybody looks new does not count."""
    from predictkpi.snapshot import Snapshot

    months = pd.date_range("2019-01-01", periods=LEAST_MONTHS + 12, freq="MS")
    orders = [{"ds": f"{day:%Y-%m-%d}", "customer_id": f"{day}{k}", "amount": 10.0} for day in months for k in range(10)]
    spend = [{"ds": f"{day:%Y-%m-%d}", "channel": "ads", "cost": 1000.0 - 20 * k + k % 5} for k, day in enumerate(months)]
    found = trends(Snapshot(facts_of(orders=orders, spend=spend), pd.Timestamp("2023-01-01")), ["cac", "revenue"]).set_index(c.KPI)
    assert tuple(found.loc["cac", ["direction", "verdict", "status"]]) == ("falling", "better", "full")
    assert found.loc["cac", "per_year"] == pytest.approx(-24, abs=0.5)
    assert found.loc["cac", "from"] == pd.Timestamp("2020-01-01")
    assert found.loc["revenue", "direction"] == "none"


def test_trends__everybody_new_at_the_beginning_is_no_trend(facts_of):
    """Customers from before the records, and then 9 to 15 new ones a month for the same money: CAC only seems to rise."""
    from predictkpi.snapshot import Snapshot

    months = pd.date_range("2019-01-01", periods=LEAST_MONTHS + 12, freq="MS")
    new = [(60 >> k // 3 if k < 12 else 0) + 9 + k % 3 + k % 5 for k in range(len(months))]
    orders = [
        {"ds": f"{day:%Y-%m-%d}", "customer_id": f"{day}{k}", "amount": 10.0} for day, n in zip(months, new, strict=True) for k in range(n)
    ]
    spend = [{"ds": f"{day:%Y-%m-%d}", "channel": "ads", "cost": 1000.0} for day in months]
    snapshot = Snapshot(facts_of(orders=orders, spend=spend), pd.Timestamp("2023-01-01"))
    assert trend_of(get_kpi("cac").series(snapshot)[c.VALUE]).per_year > 10
    assert abs(trends(snapshot, ["cac"]).at[0, "per_year"]) < 2
    assert trends(snapshot, ["cac"]).at[0, "direction"] == "none"


def test_trends__too_few_months_say_so(facts_of):
    from predictkpi.snapshot import Snapshot

    orders = [{"ds": f"2020-{month:02}-03", "customer_id": "a", "amount": 10.0} for month in range(1, 13)]
    row = trends(Snapshot(facts_of(orders=orders), pd.Timestamp("2021-01-01")), ["revenue"]).iloc[0]
    assert row["months"] == 12
    assert row[c.REASON] == "12 months with a value: a trend needs 36"
    assert pd.isna(row["per_year"])
