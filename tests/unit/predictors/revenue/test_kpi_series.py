from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.core.types import Status
from predictkpi.errors import DataError
from predictkpi.predictors.revenue.kpi_series import forecast_series


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


def test_amount__is_what_the_revenue_model_says(make_facts, make_months):
    """The same series, with the series' own errors only, through the model's own door."""
    from predictkpi.predictors.revenue.model import RevenueForecaster
    from predictkpi.snapshot import Snapshot

    as_of = pd.Timestamp("2023-01-01")
    snapshot = Snapshot(make_facts(make_months(36)), as_of)
    model = RevenueForecaster(origins=6)
    table = model.training_table(snapshot)
    inputs = model.inputs(snapshot, entity_ids=["total"])
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
