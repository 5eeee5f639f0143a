from __future__ import annotations

import numpy as np
import pytest

from predictkpi.predictors.revenue.errors import OF_NOISE, PRIOR, ErrorModel, SeriesErrors

HORIZON = 12


def expected(noise, origins):
    return np.tile(OF_NOISE * noise**2, (origins, 1))


def simulated(names, *, origins=200, noise=0.2, level=0.0, drift=0.0, common=0.0, seed=0):
    """Backtest errors with a known covariance: noise of the month, a level mistake, a wandering level, and the company's own."""
    rng = np.random.default_rng(seed)
    company = np.sqrt(common) * rng.standard_normal((origins, 1))
    labels = [f"o{k:03d}" for k in range(origins)]
    pool = []
    for name in names:
        own = rng.standard_normal((origins, HORIZON)) + np.sqrt(level) * rng.standard_normal((origins, 1))
        own = own + np.sqrt(drift) * rng.standard_normal((origins, HORIZON)).cumsum(axis=1)
        pool.append(SeriesErrors(name, noise * own + company, expected(noise, origins), labels))
    return pool


def test_fit__without_errors_is_the_prior():
    empty = SeriesErrors("total", np.full((0, HORIZON), np.nan), expected(0.1, 0), [])
    assert ErrorModel.fit([empty], prior_weight=1.0, freedom=30.0).coefficients == PRIOR.tolist()


def test_fit__finds_the_covariance_that_made_the_errors():
    pool = simulated([f"s{k}" for k in range(12)], level=0.5, drift=0.05)
    model = ErrorModel.fit(pool, prior_weight=0.01, freedom=30.0)
    found = model.covariance(OF_NOISE * 0.04, HORIZON)
    steps = np.arange(1, HORIZON + 1)
    truth = 0.04 * (np.eye(HORIZON) + 0.5 + 0.05 * np.minimum.outer(steps, steps))
    np.testing.assert_allclose(found, truth, rtol=0.15, atol=0.003)


def test_fit__judges_each_origin_by_what_was_expected_then():
    """A series of which twice the variance was expected at half of its origins, rightly: there is nothing to correct."""
    calm, wild = simulated(["a"], level=0.05, drift=0.02)[0], simulated(["a"], level=0.05, drift=0.02, noise=0.4, seed=1)[0]
    errors, variances = np.concatenate([calm.errors, wild.errors]), np.concatenate([calm.variances, wild.variances])
    labels = [f"o{k:03d}" for k in range(len(errors))]
    both = ErrorModel.fit([SeriesErrors("a", errors, variances, labels)], prior_weight=1e-6, freedom=30.0)
    assert both.coefficients[0] == pytest.approx(1.0, rel=0.1)
    as_calm = np.tile(calm.variances[0], (len(errors), 1))
    assert ErrorModel.fit([SeriesErrors("a", errors, as_calm, labels)], prior_weight=1e-6, freedom=30.0).coefficients[0] > 1.8


def test_fit__leaves_out_a_series_of_which_no_error_is_expected():
    still = SeriesErrors("still", np.zeros((5, HORIZON)), expected(0.0, 5), [f"o{k:03d}" for k in range(5)])
    alone, beside = simulated(["a"]), [*simulated(["a"]), still]
    assert ErrorModel.fit(beside, prior_weight=1.0, freedom=30.0) == ErrorModel.fit(alone, prior_weight=1.0, freedom=30.0)


def test_fit__a_strong_prior_holds_against_few_origins():
    model = ErrorModel.fit(simulated(["a"], origins=3, level=4.0), prior_weight=1e6, freedom=30.0)
    np.testing.assert_allclose(model.coefficients, PRIOR, rtol=1e-3)


def test_draw__has_the_covariance_it_promises():
    model = ErrorModel(coefficients=[1.0, 6.0, 5.0, 0.002, 0.001], freedom=1e6)
    paths = model.draw("x", OF_NOISE * 0.09, draws=20_000, horizon=HORIZON, seed=1)
    np.testing.assert_allclose(paths.mean(axis=0), 0, atol=0.015)
    np.testing.assert_allclose(np.cov(paths.T), model.covariance(OF_NOISE * 0.09, HORIZON), atol=0.012)


def test_draw__moves_series_together_as_their_errors_did():
    pool = simulated(["a", "b"], common=0.04)
    shared = pool[0].errors
    twin = SeriesErrors("twin", shared + 0.02 * np.random.default_rng(9).standard_normal(shared.shape), pool[0].variances, pool[0].origins)
    model = ErrorModel.fit([*pool, twin], prior_weight=0.1, freedom=30.0)
    paths = {name: model.draw(name, OF_NOISE * 0.04, draws=4000, horizon=HORIZON, seed=1)[:, 0] for name in ("a", "b", "twin")}
    assert np.corrcoef(paths["a"], paths["twin"])[0, 1] > 0.85
    assert 0.2 < np.corrcoef(paths["a"], paths["b"])[0, 1] < 0.85


def test_draw__takes_the_shape_of_the_errors():
    rng = np.random.default_rng(3)
    skewed = -(rng.gamma(1.0, 1.0, (300, HORIZON)) - 1.0) * 0.2
    model = ErrorModel.fit(
        [SeriesErrors("a", skewed, expected(0.2, 300), [f"o{k:03d}" for k in range(300)])], prior_weight=0.1, freedom=1e6
    )
    drawn = model.draw("a", OF_NOISE * 0.04, draws=20_000, horizon=HORIZON, seed=1)[:, 0]
    assert np.mean((drawn / drawn.std()) ** 3) < -0.4


def test_draw__does_not_depend_on_which_series_are_asked():
    model = ErrorModel.fit(simulated(["a", "b"]), prior_weight=1.0, freedom=30.0)
    first = model.draw("a", OF_NOISE * 0.04, draws=50, horizon=HORIZON, seed=1)
    model.draw("new", OF_NOISE * 0.04, draws=50, horizon=HORIZON, seed=1)
    np.testing.assert_array_equal(model.draw("a", OF_NOISE * 0.04, draws=50, horizon=HORIZON, seed=1), first)


def test_json__round_trip_keeps_every_number():
    model = ErrorModel.fit(simulated(["a", "b"]), prior_weight=1.0, freedom=30.0)
    assert ErrorModel.from_json(model.to_json()) == model
    with pytest.raises(KeyError):
        ErrorModel.from_json({"coefficients": []})
