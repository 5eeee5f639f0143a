from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.metrics.point import mase, seasonal_naive_scale
from predictkpi.predictors.revenue.baseline import seasonal_naive
from predictkpi.predictors.revenue.point import point_path, prepare, roughness, shrunk_seasonal_indices


def test_shrunk_seasonal_indices__find_a_clear_season():
    t = np.arange(60)
    truth = 0.3 * np.sin(2 * np.pi * np.arange(12) / 12)
    x = 5 + 0.01 * t + truth[t % 12] + 0.01 * np.random.default_rng(0).standard_normal(60)
    indices, kept = shrunk_seasonal_indices(x)
    np.testing.assert_allclose(indices, truth, atol=0.03)
    assert kept > 0.99


def test_shrunk_seasonal_indices__shrink_pure_noise():
    x = np.random.default_rng(1).standard_normal((200, 36))
    kept = np.mean([np.sum(shrunk_seasonal_indices(row)[0] ** 2) for row in x])
    month = np.arange(36) % 12
    raw = np.mean([np.sum((np.array([row[month == k].mean() for k in range(12)]) - row.mean()) ** 2) for row in x])
    assert kept < 0.35 * raw


def test_season_error__is_the_ratio_of_errors_outside_and_inside_the_sample():
    """A clear season over three years, whose index is a mean of three: errors of 1 - 1/3 inside and 1 + 1/3 outside, in variance."""
    inside, outside, factors = [], [], []
    for seed in range(40):
        noise = 0.05 * np.random.default_rng(seed).standard_normal(48)
        y = 100 * np.exp(0.5 * np.sin(2 * np.pi * np.arange(48) / 12) + noise)
        series = prepare(y[:36])
        x = np.log(y / np.tile(series.season, 4))
        inside.append(np.var(x[:36] - x[:36].mean()))
        outside.append(np.mean((x[36:] - x[:36].mean()) ** 2))
        factors.append(series.season_error())
    assert np.mean(factors) == pytest.approx(np.sqrt(2), rel=0.05)
    assert np.mean(factors) == pytest.approx(np.sqrt(np.mean(outside) / np.mean(inside)), rel=0.1)


def test_season_error__is_none_without_a_season():
    assert prepare(np.full(30, 7.0)).season_error() == 1.0
    assert prepare(np.arange(1.0, 13.0)).season_error() == 1.0


def test_point_path__continues_trend_and_season(make_months):
    y = make_months(60, noise=0.0)
    path = point_path(prepare(y[:48]), 12)
    assert np.abs(path / y[48:] - 1).max() < 0.1


def test_point_path__beats_seasonal_naive_on_growing_series(make_months):
    scores = []
    for seed in range(6):
        y = make_months(60, noise=0.08, seed=seed)
        scale = seasonal_naive_scale(y[:48])
        scores.append((mase(y[48:], point_path(prepare(y[:48]), 12), scale), mase(y[48:], seasonal_naive(y[:48], 12), scale)))
    model, naive = np.mean(scores, axis=0)
    assert model < 0.8 * naive


@pytest.mark.parametrize("n", [1, 2, 3, 11, 12, 13, 23, 24, 25, 60])
def test_point_path__is_finite_and_positive_at_every_length(make_months, n):
    y = make_months(n)
    path = point_path(prepare(y), 12)
    assert path.shape == (12,)
    assert np.all(np.isfinite(path)) and np.all(path > 0)
    assert np.all(path < 10 * y.max())


def test_point_path__damps_the_last_month_towards_the_mean_when_short():
    path = point_path(prepare(np.array([100.0, 100.0, 100.0, 200.0])), 12)
    assert 125 < path[11] < path[0] < 200


def test_point_path__is_the_same_again_whatever_was_done_to_the_first(make_months):
    """Fits are kept: a path of theirs that a caller changes must not come back."""
    series = prepare(make_months(30))
    path = point_path(series, 12)
    expected = path.copy()
    path[:] = -1.0
    np.testing.assert_array_equal(point_path(series, 12), expected)
    np.testing.assert_array_equal(point_path(series, 5), expected[:5])
    assert not np.allclose(point_path(prepare(make_months(30) * 1.001), 12), expected, rtol=1e-4)


@pytest.mark.parametrize("y", [np.zeros(36), np.full(36, 7.0), np.concatenate([np.full(20, 5.0), np.zeros(16)])])
def test_point_path__takes_series_without_movement(y):
    np.testing.assert_allclose(point_path(prepare(y), 12), np.full(12, y[-1]), atol=1e-9)


def test_point_path__may_be_negative_only_where_history_was(make_months):
    refunds = make_months(36) - 1000
    assert (refunds < 0).any()
    assert np.all(np.isfinite(point_path(prepare(refunds), 12)))
    sparse = np.where(np.arange(36) % 3 == 0, 50.0, 0.0)
    assert np.all(point_path(prepare(sparse), 12) >= 0)


def test_prepare__pulls_in_one_month_a_hundred_times_the_rest(make_months):
    y = make_months(48)
    broken = y.copy()
    broken[30] *= 100
    series = prepare(broken)
    assert series.outliers == 1
    np.testing.assert_allclose(point_path(series, 12), point_path(prepare(y), 12), rtol=0.35)


def test_prepare__leaves_a_level_shift_alone():
    y = np.concatenate([np.full(24, 100.0), np.full(24, 500.0)]) * (1 + 0.02 * np.random.default_rng(0).standard_normal(48))
    assert prepare(y).outliers == 0


def test_prepare__leaves_the_peak_of_a_season_alone():
    y = 100 * (1 + 0.05 * np.random.default_rng(0).standard_normal(48))
    y[11::12] *= 8
    assert prepare(y).outliers == 0
    once = y.copy()
    once[[11, 23, 35]] /= 8
    assert prepare(once).outliers == 1


def test_point_path__follows_a_level_that_shifted_for_good(make_months):
    y = make_months(69, growth=0.0)
    y[60:] /= 2
    series = prepare(y)
    assert series.outliers == 0
    assert point_path(series, 12).mean() == pytest.approx(500, rel=0.15)


@pytest.mark.parametrize("noise", [0.05, 0.2])
def test_roughness__finds_the_noise_and_not_the_growth(make_months, noise):
    found = [roughness(prepare(make_months(48, noise=noise, growth=0.02, seed=seed))) for seed in range(8)]
    assert np.mean(found) == pytest.approx(noise, rel=0.25)


@pytest.mark.real
def test_point_path__beats_seasonal_naive_on_air_passengers(real_data):
    y = pd.read_csv(real_data("series", "airpassengers") / "air_passengers.csv")["value"].to_numpy(dtype=float)
    model, naive = [], []
    for n in range(60, len(y) - 11, 12):
        scale = seasonal_naive_scale(y[:n])
        model.append(mase(y[n : n + 12], point_path(prepare(y[:n]), 12), scale))
        naive.append(mase(y[n : n + 12], seasonal_naive(y[:n], 12), scale))
    assert np.mean(model) < 0.75 * np.mean(naive)
