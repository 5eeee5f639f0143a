from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import gamma as gamma_distribution

from predictkpi.errors import InsufficientDataError
from predictkpi.predictors.clv.gamma_gamma import GammaGamma, SpendObjective, fit_gamma_gamma


def draw(n, *, p, q, gamma, seed=0):
    rng = np.random.default_rng(seed)
    purchases = 1.0 + rng.poisson(rng.gamma(1.0, 2.0, n))
    nu = rng.gamma(q, 1.0 / gamma, n)
    return purchases, rng.gamma(p * purchases) / nu / purchases, p / nu


def test_gradient__agrees_with_finite_differences():
    purchases, value, _ = draw(200, p=3.0, q=4.0, gamma=50.0)
    for prior_weight in (0.0, 2.0):
        objective = SpendObjective(purchases, value, prior_weight=prior_weight)
        theta = np.array([0.7, 1.1, 3.0])
        _, gradient = objective(theta)
        for i in range(3):
            step = np.zeros(3)
            step[i] = 1e-5
            assert gradient[i] == pytest.approx((objective(theta + step)[0] - objective(theta - step)[0]) / 2e-5, rel=1e-6, abs=1e-8)


def test_log_likelihood__is_the_mixture_by_integration():
    model = GammaGamma(2.5, 3.5, 40.0)
    for n, z in ((1.0, 30.0), (4.0, 12.0)):

        def of_nu(nu, n=n, z=z):
            return gamma_distribution.pdf(z, model.p * n, scale=1 / (nu * n)) * gamma_distribution.pdf(nu, model.q, scale=1 / model.gamma)

        assert model.log_likelihood(np.array([n]), np.array([z]))[0] == pytest.approx(np.log(quad(of_nu, 0, 2)[0]), abs=1e-6)


def test_fit__recovers_what_it_was_drawn_from():
    purchases, value, _ = draw(30_000, p=3.0, q=4.0, gamma=50.0, seed=3)
    fitted = fit_gamma_gamma(purchases, value)
    assert (fitted.p, fitted.q, fitted.gamma) == pytest.approx((3.0, 4.0, 50.0), rel=0.07)
    assert fitted.mean_value == pytest.approx(50.0, rel=0.02)
    assert fitted.loglik >= GammaGamma(3.0, 4.0, 50.0).log_likelihood(purchases, value).sum()


def test_expected_value__is_calibrated_given_the_history():
    purchases, value, true_mean = draw(60_000, p=3.0, q=4.0, gamma=50.0, seed=6)
    expected = GammaGamma(3.0, 4.0, 50.0).expected_value(purchases, value)
    for low, high in ((0, 20), (20, 40), (40, 80), (80, 1e9)):
        group = (expected >= low) & (expected < high)
        assert expected[group].mean() == pytest.approx(true_mean[group].mean(), rel=0.05)


def test_expected_value__moves_from_the_population_to_the_customer():
    model = GammaGamma(3.0, 4.0, 50.0)
    expected = model.expected_value(np.array([0.0, 1.0, 10.0, 10_000.0]), np.full(4, 200.0))
    assert expected[0] == pytest.approx(model.mean_value)
    assert (np.diff(expected) > 0).all()
    assert expected[-1] == pytest.approx(200.0, rel=1e-3)


def test_fit__one_giant_order_leaves_the_others_where_they_were():
    purchases, value, _ = draw(1_000, p=3.0, q=4.0, gamma=50.0)
    usual = float(np.median(value))
    with_giant = fit_gamma_gamma(np.append(purchases, 1.0), np.append(value, 1000.0 * usual))
    without = fit_gamma_gamma(purchases, value)
    one = (np.ones(1), np.array([usual]))
    assert with_giant.expected_value(*one)[0] == pytest.approx(without.expected_value(*one)[0], rel=0.1)


@pytest.mark.parametrize("n", [1, 4])
def test_fit__of_equal_or_single_values_has_a_mean_near_them(n):
    fitted = fit_gamma_gamma(np.ones(n), np.full(n, 80.0), prior_weight=1.0)
    assert 20.0 < fitted.mean_value < 240.0
    assert fitted.q > 1.0


def test_fit__refuses_no_customers():
    with pytest.raises(InsufficientDataError):
        fit_gamma_gamma(np.zeros(0), np.zeros(0))
