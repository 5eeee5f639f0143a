from __future__ import annotations

import numpy as np
import pytest

from predictkpi.predictors.revenue import point
from predictkpi.predictors.revenue.network import ERRORS, PATH, Network, ask, from_arrays, learnt_errors, learnt_path, networks, to_arrays
from predictkpi.predictors.revenue.point import point_path, prepare, shrunk_seasonal_indices


def path_of(y, horizon=12):
    series = prepare(y)
    return learnt_path(series.y, series.season, series.kept, horizon)


def errors_of(y):
    series = prepare(y)
    return learnt_errors(series.y, series.season, series.kept)


@pytest.mark.parametrize(("season", "horizon"), [(12, 18), (4, 8)])
def test_networks__ship_in_files_of_numbers_alone(season, horizon):
    found = networks(season)
    assert found[PATH].layers[-1][1].shape == (horizon,)
    assert found[ERRORS].layers[-1][1].shape == (3,)
    assert all(np.isfinite(part).all() for each in found.values() for layer in each.layers for part in layer)


def test_to_arrays__comes_back_as_it_was():
    rng = np.random.default_rng(0)
    layers = [(rng.standard_normal((3, 2)), rng.standard_normal(2)), (rng.standard_normal((2, 1)), rng.standard_normal(1))]
    saved = to_arrays({PATH: Network(layers), ERRORS: Network(layers[1:])})
    again = from_arrays(saved)
    assert {name: len(each.layers) for name, each in again.items()} == {PATH: 2, ERRORS: 1}
    np.testing.assert_allclose(again[PATH].answer(np.ones((4, 3))), Network(layers).answer(np.ones((4, 3))), atol=0.01)


def test_ask__tells_a_series_alike_among_others_and_alone():
    x = np.log(1000 + 100 * np.random.default_rng(0).standard_normal((5, 40)).cumsum(axis=1))
    indices, kept = shrunk_seasonal_indices(x)
    together, alone = ask(x, indices, kept, 12), ask(x[3:4], *shrunk_seasonal_indices(x[3:4]), 12)
    np.testing.assert_allclose(together.features[3], alone.features[0], atol=1e-9)
    np.testing.assert_allclose(together.base[3], alone.base[0])


def test_ask__has_as_many_features_at_every_length():
    x = np.log(1000 + 100 * np.random.default_rng(0).standard_normal((2, 150)))
    told = [ask(x[:, -n:], *shrunk_seasonal_indices(x[:, -n:]), 12).features for n in (24, 35, 36, 60, 150)]
    assert len({features.shape for features in told}) == 1
    assert all(np.isfinite(features).all() for features in told)


def test_learnt_path__does_not_depend_on_the_currency(make_months):
    y = make_months(48)
    np.testing.assert_allclose(path_of(1e6 * y), 1e6 * path_of(y), rtol=1e-8)


def test_learnt_path__continues_trend_and_season(make_months):
    y = make_months(72, noise=0.02)
    assert np.abs(path_of(y[:60]) / y[60:] - 1).mean() < 0.06


def test_learnt_path__stands_still_beyond_its_horizon(make_months):
    y = make_months(48)
    series = prepare(y)
    far = path_of(y, 30) / series.season[(48 + np.arange(30)) % 12]
    np.testing.assert_allclose(far[18:], far[17])
    np.testing.assert_allclose(path_of(y, 30)[:12], path_of(y))


@pytest.mark.parametrize("n", [12, 23])
def test_learnt__has_nothing_to_say_below_two_years(make_months, n):
    assert path_of(make_months(n)) is None
    assert errors_of(make_months(n)) is None


def test_learnt__has_nothing_to_say_of_weeks():
    y = 100 + 5 * np.random.default_rng(0).standard_normal(120)
    series = prepare(y, season=52)
    assert learnt_path(series.y, series.season, series.kept, 12) is None
    assert np.all(np.isfinite(point_path(series, 12)))


def test_point_path__takes_the_member_for_positive_series_alone(make_months, monkeypatch):
    asked = []
    monkeypatch.setattr(point, "learnt_path", lambda y, *rest: asked.append(y.min()))
    for shift in (0, -1000):
        point_path(prepare(make_months(36) + shift), 12)
    assert len(asked) == 1 and asked[0] > 0


def test_point_path__is_the_mean_of_the_models_and_the_member(make_months, monkeypatch):
    series = prepare(make_months(40))
    both, learnt = point_path(series, 12), learnt_path(series.y, series.season, series.kept, 12)
    monkeypatch.setattr(point, "learnt_path", lambda *rest: None)
    np.testing.assert_allclose(both, (point_path(series, 12) + learnt) / 2)
    assert not np.allclose(both, learnt, rtol=1e-4)


def test_learnt_errors__grow_with_the_noise_and_shrink_with_the_history(make_months):
    steps = np.array([1, 1, 6.5])
    calm, rough = [np.mean([errors_of(make_months(48, noise=s, seed=k)) @ steps for k in range(6)]) for s in (0.05, 0.2)]
    assert 8 < rough / calm < 32
    short, long = [np.mean([errors_of(make_months(n, noise=0.1, seed=k))[1:] @ steps[1:] for k in range(12)]) for n in (24, 96)]
    assert short > 1.3 * long


def test_learnt__has_nothing_to_say_where_nothing_moves():
    assert path_of(np.full(36, 7.0)) is None
    assert errors_of(np.full(36, 7.0)) is None


def test_networks__are_read_once():
    assert networks(12) is networks(12)
