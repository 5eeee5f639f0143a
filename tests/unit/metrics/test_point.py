from __future__ import annotations

import math

import numpy as np
import pytest

from predictkpi.metrics.point import mase, mean_error, rmse, seasonal_naive_scale, smape, wape


@pytest.fixture
def pair():
    rng = np.random.default_rng(3)
    return rng.normal(100, 40, 50), rng.normal(100, 40, 50)


def test_scores__equal_naive_loops(pair):
    y, yhat = pair
    n = len(y)
    absolute = squared = signed = size = symmetric = 0.0
    for actual, forecast in zip(y, yhat, strict=True):
        absolute += abs(actual - forecast)
        squared += (actual - forecast) ** 2
        signed += forecast - actual
        size += abs(actual)
        symmetric += 2 * abs(actual - forecast) / (abs(actual) + abs(forecast))
    assert mase(y, yhat, 7.0) == pytest.approx(absolute / n / 7.0)
    assert rmse(y, yhat) == pytest.approx(math.sqrt(squared / n))
    assert mean_error(y, yhat) == pytest.approx(signed / n)
    assert wape(y, yhat) == pytest.approx(absolute / size)
    assert smape(y, yhat) == pytest.approx(symmetric / n)


@pytest.mark.parametrize("season", [4, 12])
def test_seasonal_naive_scale__equals_naive_loop(season):
    y = np.random.default_rng(4).normal(size=40).cumsum()
    total = 0.0
    for t in range(season, len(y)):
        total += abs(y[t] - y[t - season])
    assert seasonal_naive_scale(y, season) == pytest.approx(total / (len(y) - season))


def test_seasonal_naive_scale__falls_back_to_steps_for_short_history():
    assert seasonal_naive_scale([1.0, 3.0, 2.0], season=12) == pytest.approx(1.5)


@pytest.mark.parametrize("history", [[], [5.0], [5.0] * 30])
def test_seasonal_naive_scale__is_nan_where_nothing_changes(history):
    assert math.isnan(seasonal_naive_scale(history))


def test_smape__counts_a_pair_of_zeros_as_right():
    assert smape([0.0, 1.0], [0.0, 3.0]) == pytest.approx(0.5)


def test_wape__is_nan_without_revenue():
    assert math.isnan(wape([0.0, 0.0], [1.0, 1.0]))


def test_mean_error__is_positive_when_forecasts_are_high():
    assert mean_error([1.0, 1.0], [2.0, 4.0]) == pytest.approx(2.0)


def test_scores__refuse_shapes_that_differ():
    with pytest.raises(ValueError, match="shape"):
        rmse([1.0, 2.0], [1.0])
