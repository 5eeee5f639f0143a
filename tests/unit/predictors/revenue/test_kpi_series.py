from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.core.types import Status
from predictkpi.errors import DataError
from predictkpi.predictors.revenue.kpi_series import forecast_series, quarter_values


def monthly(values, *, start: str = "2020-01-01") -> pd.Series:
    return pd.Series(np.asarray(values, dtype=float), index=pd.date_range(start, periods=len(values), freq="MS", unit="us"))


def after(series: pd.Series) -> pd.Timestamp:
    return series.index[-1] + pd.offsets.MonthBegin(1)


def interval(answer, level: float = 0.95) -> tuple[float, float]:
    return tuple(np.quantile(answer.paths[:, 0], [(1 - level) / 2, (1 + level) / 2]))


def test_share__stays_between_0_and_1_and_around_its_level():
    rng = np.random.default_rng(0)
    n = np.full(48, 40)
    y = monthly(rng.binomial(n, 0.3) / n)
    answer = forecast_series(y, as_of=after(y), origins=6, scale="share", n=pd.Series(n, index=y.index))
    low, high = interval(answer)
    assert 0 < low < 0.3 < high < 1
    # the binomial spread alone is +/- .142
    assert 0.2 < high - low < 0.5
    assert answer.paths.min() >= 0 and answer.paths.max() <= 1


def test_share__months_of_none_and_all_are_no_problem():
    n = np.full(36, 12)
    won = np.random.default_rng(1).binomial(n, 0.15)
    won[[3, 9]] = 0
    won[20] = 12
    y = monthly(won / n)
    answer = forecast_series(y, as_of=after(y), origins=6, scale="share", n=pd.Series(n, index=y.index))
    low, high = interval(answer)
    assert 0 <= low < 0.05
    assert 0.2 < high < 1
    assert np.isfinite(answer.paths).all()


def test_change__may_be_negative_and_never_below_minus_1():
    y = monthly(0.1 + 0.2 * np.random.default_rng(2).standard_normal(48))
    answer = forecast_series(y, as_of=after(y), origins=6, scale="change")
    low, high = interval(answer)
    assert -1 < low < 0 < high
    assert answer.paths.min() > -1


def test_amount__interval_covers_what_comes_next():
    """15 seasonal series; at 95 % one of them would miss."""
    inside = []
    for seed in range(15):
        rng = np.random.default_rng(seed)
        months = np.arange(37)
        y = monthly(1000 * np.exp(0.3 * np.sin(2 * np.pi * months / 12) + 0.1 * rng.standard_normal(37)))
        answer = forecast_series(y.iloc[:-1], as_of=y.index[-1], origins=6)
        low, high = interval(answer)
        inside.append(low <= y.iloc[-1] <= high)
    assert np.mean(inside) >= 0.8


def test_amount__is_what_the_revenue_model_says_of_months_as_they_are(make_facts, make_months, monkeypatch):
    """The same series, with the series' own errors only, through the model's own door."""
    from predictkpi.predictors.revenue.model import RevenueForecaster
    from predictkpi.snapshot import Snapshot

    monkeypatch.setattr("predictkpi.features.workdays.Workdays.factors", lambda self, months: np.ones(len(months)))
    as_of = pd.Timestamp("2023-01-01")
    snapshot = Snapshot(make_facts(make_months(36)), as_of)
    model = RevenueForecaster(origins=6)
    table = model.training_table(snapshot)
    inputs = model.inputs(snapshot)
    inputs = inputs[inputs["entity_id"] == "total"]
    expected = model.fit(table[table["entity_id"] == "total"]).answers(inputs)[0]
    found = forecast_series(inputs.set_index("ds")["y"], as_of=as_of, name="total", origins=6)
    np.testing.assert_allclose(found.paths, expected.paths)


def test_gaps__are_filled_in_and_said():
    y = monthly(1000 + 20 * np.random.default_rng(3).standard_normal(36))
    y.iloc[[5, 35]] = np.nan
    answer = forecast_series(y, as_of=pd.Timestamp("2023-01-01"), origins=6)
    assert answer.status is Status.LIMITED
    assert answer.reason == "2 months without a value were filled in"
    assert 900 < np.median(answer.paths[:, 0]) < 1100


def test_same_input__gives_the_same_paths():
    y = monthly(1000 + 20 * np.random.default_rng(4).standard_normal(30))
    first, second = (forecast_series(y, as_of=after(y), origins=6) for _ in range(2))
    np.testing.assert_array_equal(first.paths, second.paths)


def test_empty_series__has_nothing_to_say():
    answer = forecast_series(monthly([np.nan, np.nan]), as_of=pd.Timestamp("2020-03-01"), scale="share")
    assert answer.status is Status.INSUFFICIENT_DATA
    assert answer.reason == "no complete month yet"
    assert np.isnan(answer.paths).all()


def test_series__refuses_the_running_month_and_other_lengths():
    with pytest.raises(DataError, match="only months up to 2020-11 are complete"):
        forecast_series(monthly(np.ones(12)), as_of=pd.Timestamp("2020-12-31"))
    with pytest.raises(DataError, match="not the start of a month"):
        forecast_series(monthly(np.ones(3)).set_axis(pd.date_range("2020-01-06", periods=3, freq="W")), as_of=pd.Timestamp("2021-01-01"))


def by_quarter(values, combine) -> pd.Series:
    """Whole calendar quarters of a monthly series."""
    grouped = values.groupby(values.index.to_period("Q").start_time)
    return grouped.apply(combine)[grouped.size() == 3]


def test_quarter__of_a_sum_is_the_sum_of_its_months():
    y = monthly(1000 * np.exp(0.05 * np.random.default_rng(5).standard_normal(36)))
    answer = forecast_series(y, as_of=after(y), origins=6)
    values = quarter_values(answer, by_quarter(y, "sum"))
    np.testing.assert_allclose(values, answer.paths[:, :3].sum(axis=1))


def test_quarter__of_a_ratio_covers_what_comes_next():
    """Costs of 1,000 over a Poisson count of 10 a month: the quarter is the ratio of sums, below the mean of the months' ratios.

    12 series; its interval is narrower than the first month's, and at 95 % holds all but one of the quarters that follow.
    """
    inside, widths = [], []
    for seed in range(12):
        count = pd.Series(np.maximum(np.random.default_rng(seed).poisson(10, 39), 1), index=monthly(np.ones(39)).index)
        known = count.iloc[:-3]
        answer = forecast_series(1000.0 / known, as_of=count.index[-3], origins=6)
        values = quarter_values(answer, 3000.0 / by_quarter(known, "sum"))
        low, high = np.quantile(values, [0.025, 0.975])
        inside.append(low <= 3000.0 / count.iloc[-3:].sum() <= high)
        widths.append(np.log(high / low) / np.log(np.divide(*interval(answer)[::-1])))
        assert np.median(values) < np.median(answer.paths[:, :3].mean(axis=1))
    assert np.mean(inside) >= 0.9
    assert np.mean(widths) < 0.8


def test_quarter__of_a_share_stays_between_0_and_1():
    n = pd.Series(20, index=monthly(np.ones(36)).index)
    won = pd.Series(np.random.default_rng(6).binomial(20, 0.05, 36), index=n.index)
    answer = forecast_series(won / n, as_of=after(won), origins=6, scale="share", n=n)
    quarters, of = by_quarter(won, "sum"), by_quarter(n, "sum")
    values = quarter_values(answer, quarters / of, scale="share", n=n, n_quarters=of)
    assert values.min() >= 0 and values.max() <= 1
    assert np.quantile(values, 0.99) < 0.5
    assert 0.02 < np.median(values) < 0.1


def test_quarter__of_something_else_is_what_quarters_have_been():
    """A quarter's own value is half of its months' mean, but for one that has none: as much is expected of the next."""
    y = monthly(np.full(36, 10.0) + np.arange(36) % 2)
    quarters = by_quarter(y, "mean") / 2
    quarters.iloc[4] = np.nan
    answer = forecast_series(y, as_of=after(y), origins=6)
    np.testing.assert_allclose(quarter_values(answer, quarters), answer.paths[:, :3].mean(axis=1) / 2)


def test_quarter__without_an_earlier_one_has_no_values():
    y = monthly(np.full(36, 10.0))
    answer = forecast_series(y, as_of=after(y), origins=6)
    assert len(quarter_values(answer, pd.Series(dtype=float, index=pd.DatetimeIndex([])))) == 0
    assert len(quarter_values(answer, by_quarter(y, "sum") * np.nan)) == 0


def test_quarter__beyond_the_newest_three_years_does_not_count():
    y = monthly(np.full(60, 10.0))
    quarters = by_quarter(y, "sum")
    quarters.iloc[:8] = 999.0
    answer = forecast_series(y, as_of=after(y), origins=6)
    np.testing.assert_allclose(quarter_values(answer, quarters), answer.paths[:, :3].sum(axis=1))
