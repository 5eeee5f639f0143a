"""What the benchmark of revenue series computes, against the project's metrics and by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.metrics.point import mase, seasonal_naive_scale, smape
from series import judging as j
from series.datasets import RETAIL_FOLDERS, load_hierarchy, load_m3
from series.generated import generate
from series.ours import points, sample_paths
from series.peers import seasonal_naive, timed

RNG = np.random.default_rng(4)


def made(n: int, season: int = 12, *, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 100 * np.exp(0.15 / season * np.arange(n) + 0.3 * np.sin(2 * np.pi * np.arange(n) / season) + 0.05 * rng.standard_normal(n))


def test_scores__are_those_of_the_metrics():
    histories = [made(40, seed=1), made(55, seed=2)]
    actual, path = RNG.uniform(50, 150, (2, 18)), RNG.uniform(50, 150, (2, 18))
    scale = j.scales(histories, 12)
    for k in range(2):
        assert scale[k] == pytest.approx(seasonal_naive_scale(histories[k], 12))
        assert j.mase_each(actual, path, scale)[k] == pytest.approx(mase(actual[k], path[k], scale[k]))
        assert j.smape_each(actual, path)[k] == pytest.approx(100 * smape(actual[k], path[k]))


def test_gain__is_paired_and_leaves_out_what_one_of_them_did():
    theirs = RNG.uniform(1, 3, 200)
    ours = theirs - 0.1 + 0.01 * RNG.standard_normal(200)
    theirs[:50] = np.nan
    mean, low, high = j.gain(ours, theirs)
    assert mean == pytest.approx((ours[50:] - theirs[50:]).mean())
    assert low < mean < high < -0.09  # the series differ by ten times as much as the methods


def test_interval_targets__are_sums_and_growth_of_the_same_paths():
    history, actual, paths = np.full(24, 10.0), np.arange(1.0, 13.0), RNG.uniform(1, 9, (7, 12))
    found = j.interval_targets(history, actual, paths)
    np.testing.assert_allclose(found["next quarter"][0], [6.0])
    np.testing.assert_allclose(found["quarters"][0], [6.0, 15.0, 24.0, 33.0])
    np.testing.assert_allclose(found["quarters"][1][:, 3], paths[:, 9:].sum(axis=1))
    np.testing.assert_allclose(found["year on year"][0][0], -0.9)
    np.testing.assert_allclose(found["next 12 months"][1][:, 0], paths.sum(axis=1))
    assert "year on year" not in j.interval_targets(np.zeros(24), actual, paths)


def test_interval_rows__of_true_draws_cover_as_often_as_they_say():
    rows = [j.interval_rows(np.full(24, 9.0), *_truth_and_draws(seed), 1.0) for seed in range(300)]
    for target in ("months", "quarters", "next 12 months", "year on year"):
        assert np.mean([row[f"{target} 80"] for row in rows]) == pytest.approx(0.8, abs=0.06)


def _truth_and_draws(seed: int) -> tuple[np.ndarray, np.ndarray]:
    drawn = 10 + np.random.default_rng(seed).standard_normal((401, 12)).cumsum(axis=1)
    return drawn[0], drawn[1:]


def test_interval_score__is_width_and_forty_times_what_lies_outside():
    actual, low, high = np.array([1.0, 5.0]), np.array([0.0, 0.0]), np.array([2.0, 4.0])
    assert j.interval_score(actual, low, high, 2.0) == pytest.approx((2 + 4 + 40 * 1) / 2 / 2)


@pytest.mark.parametrize("season", [4, 12])
def test_points__beat_seasonal_naive_on_growing_series_of_any_season(season):
    n = 6 * season
    series = [made(n + season, season, seed=seed) for seed in range(5)]
    ours, naive = (
        np.mean([np.abs(y[n:] - forecast(y[:n], season, season)).mean() for y in series]) for forecast in (points, seasonal_naive)
    )
    assert ours < 0.8 * naive


def test_sample_paths__are_of_every_series_and_do_not_depend_on_their_order():
    histories = {name: made(n, seed=n) for name, n in (("a", 30), ("b", 36))}
    found = sample_paths(histories, origins=4)
    again = sample_paths(dict(reversed(histories.items())), origins=4)
    assert {name: paths.shape[1] for name, paths in found.items()} == {"a": 12, "b": 12}
    np.testing.assert_array_equal(found["a"], again["a"])


def test_timed__forecasts_each_series():
    histories = [made(30, seed=1), made(40, seed=2)]
    found = timed(seasonal_naive, histories, 18, 12)
    np.testing.assert_allclose(found.paths[1], np.concatenate([histories[1][-12:], histories[1][-12:-6]]))


def test_datasets__that_are_absent_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="series/m3"):
        load_m3(tmp_path, "MONTHLY", season=12)
    with pytest.raises(FileNotFoundError, match="series/aus_retail"):
        load_hierarchy(tmp_path, "aus_retail")


def test_load_hierarchy__sums_the_leaves_that_run_to_the_end(tmp_path):
    rows = [(state, kind, month, 1.0 + k) for state in "AB" for kind in "xy" for k, month in enumerate(["2020-01-01", "2020-02-01"])]
    rows += [("A", "gone", "2020-01-01", 99.0)]
    folder = tmp_path / RETAIL_FOLDERS["aus_retail"]
    folder.mkdir(parents=True)
    pd.DataFrame(rows, columns=["State", "Industry", "Month", "Turnover"]).to_csv(folder / "aus_retail.csv.gz", index=False)
    data = load_hierarchy(tmp_path, "aus_retail")
    assert data.level == ["total", "state", "state", "industry", "industry"] + ["state x industry"] * 4
    np.testing.assert_allclose(data.y[:2], [[4.0, 8.0], [2.0, 4.0]])


@pytest.mark.real
def test_load_m3__gives_the_scores_computed_beside_the_data(real_data):
    """sMAPE and MASE of the published forecasts, recomputed, are those of the table that lies beside them."""
    folder = real_data("series", "m3")
    scores = pd.read_csv(folder / "m3_method_scores_computed.csv").set_index("method")
    for period, season in (("MONTHLY", 12), ("QUARTERLY", 4)):
        data = load_m3(folder.parents[1], period, season=season)
        scale = j.scales(list(data.history.values()), season)
        for method in ("THETA", "ForecastPro"):
            assert j.smape_each(data.actual, data.published[method]).mean() == pytest.approx(scores[f"smape_{period}"][method], abs=6e-3)
            assert j.mase_each(data.actual, data.published[method], scale).mean() == pytest.approx(
                scores[f"mase_{period}"][method], abs=6e-3
            )


@pytest.mark.parametrize("season", [12, 4])
def test_generate__makes_the_same_positive_series_each_time(season):
    y = generate(np.random.default_rng(3), 60, 48, season)
    assert y.shape[1] == 48 and 40 < len(y) <= 60
    assert np.all(y > 0) and np.all(np.isfinite(y))
    np.testing.assert_array_equal(y, generate(np.random.default_rng(3), 60, 48, season))


def test_generate__spreads_noise_and_season_over_orders_of_magnitude():
    x = np.log(generate(np.random.default_rng(5), 400, 96, 12))
    noise = np.median(np.abs(np.diff(x, n=2, axis=1)), axis=1)
    assert np.quantile(noise, 0.9) > 10 * np.quantile(noise, 0.1)
    months = (x - x.mean(axis=1, keepdims=True)).reshape(len(x), 8, 12).mean(axis=1).std(axis=1)
    assert np.quantile(months, 0.9) > 10 * np.quantile(months, 0.1)
