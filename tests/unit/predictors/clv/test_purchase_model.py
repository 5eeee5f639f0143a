from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import betaln
from scipy.stats import beta, gamma

from predictkpi.errors import InsufficientDataError
from predictkpi.predictors.clv.btyd import Btyd, CountedHistories, fit_btyd

BOTH = pytest.mark.parametrize("modified", [False, True], ids=["bg", "mbg"])


def draw(n, *, r, alpha, a, b, modified, seed=0, longest=104.0, ahead=0.0):
    """Frequency, recency, T, and purchases in (T, T + ahead], drawn purchase by purchase for all customers at once."""
    rng = np.random.default_rng(seed)
    T = rng.uniform(longest / 4, longest, n)
    rate, leave = rng.gamma(r, 1.0 / alpha, n), rng.beta(a, b, n)
    on = rng.random(n) >= leave if modified else np.ones(n, bool)
    now, frequency, recency, later = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    while on.any():
        now = now + rng.exponential(1.0, n) / rate
        seen, future = on & (now <= T), on & (now > T) & (now <= T + ahead)
        frequency += seen
        recency = np.where(seen, now, recency)
        later += future
        on = (seen | future) & (rng.random(n) >= leave)
    return frequency, recency, T, later


def expected_by_quadrature(model: Btyd, t, x, tx, T) -> float:
    """E[(1 - exp(-lambda p t)) / p] over the posteriors of lambda and p, times P(alive): no hypergeometric function."""
    k = float(model.chances(np.array([x]))[0])

    # v = p ** a takes the singularity of the Beta density at 0 away
    def of_v(v):
        p = v ** (1.0 / model.a)
        density = np.exp((model.b + k - 1) * np.log1p(-p) - betaln(model.a, model.b + k)) / model.a
        gain = -np.expm1(-(model.r + x) * np.log1p(p * t / (model.alpha + T)))
        return density * (gain / p if p > 1e-300 else (model.r + x) * t / (model.alpha + T))

    edges = np.array([0.0, *np.geomspace(1e-8, 1.0, 9)]) ** min(model.a, 1.0)
    value = sum(quad(of_v, low, high, limit=200)[0] for low, high in pairwise(edges))
    return value * float(model.p_alive(np.array([x]), np.array([tx]), np.array([T]))[0])


@BOTH
@pytest.mark.parametrize("theta", [[-1.4, 0.3, -0.2, 0.9], [0.5, -1.0, 0.8, 2.0]])
def test_gradient__agrees_with_finite_differences(modified, theta):
    x, tx, T, _ = draw(300, r=0.6, alpha=8.0, a=0.8, b=2.0, modified=modified)
    data = CountedHistories(x, tx, T, scale=10.0, modified=modified)
    theta = np.array(theta)
    for prior_weight in (0.0, 3.0):
        _, gradient = data.objective(theta, prior_weight=prior_weight)
        for i in range(4):
            step = np.zeros(4)
            step[i] = 1e-5
            up, down = (data.objective(theta + sign * step, prior_weight=prior_weight)[0] for sign in (1, -1))
            assert gradient[i] == pytest.approx((up - down) / 2e-5, rel=1e-6, abs=1e-8)


@BOTH
def test_log_likelihood__is_the_density_of_the_paper_by_integration(modified):
    model = Btyd(0.7, 6.0, 0.9, 2.5, modified=modified)
    for x, tx, T in ((0.0, 0.0, 20.0), (3.0, 11.0, 20.0)):
        # given lambda and p: still alive, or left at the last purchase; mean over a grid of quantiles of Gamma and Beta
        k = x + 1 if modified else x
        middle = (np.arange(1500) + 0.5) / 1500
        p, rate = beta.ppf(middle, model.a, model.b)[:, None], gamma.ppf(middle, model.r, scale=1 / model.alpha)
        alive = (1 - p) ** k * rate**x * np.exp(-rate * T)
        left = p * (1 - p) ** (k - 1) * rate**x * np.exp(-rate * tx) if k > 0 else 0.0
        found = model.log_likelihood(*(np.array([v]) for v in (x, tx, T)))[0]
        assert found == pytest.approx(np.log(np.mean(alive + left)), abs=5e-3)


@BOTH
def test_fit__recovers_the_parameters_it_was_drawn_from(modified):
    truth = {"r": 0.8, "alpha": 8.0, "a": 0.8, "b": 2.5}
    x, tx, T, _ = draw(30_000, **truth, modified=modified, seed=4)
    fitted = fit_btyd(x, tx, T, modified=modified)
    assert fitted.loglik >= Btyd(**truth, modified=modified).log_likelihood(x, tx, T).sum()
    assert fitted.loglik == pytest.approx(fitted.log_likelihood(x, tx, T).sum())
    assert fitted.r == pytest.approx(truth["r"], rel=0.08)
    assert fitted.alpha == pytest.approx(truth["alpha"], rel=0.12)
    assert fitted.a / (fitted.a + fitted.b) == pytest.approx(truth["a"] / (truth["a"] + truth["b"]), rel=0.08)


@BOTH
def test_fit__does_not_care_about_the_unit_of_time(modified):
    x, tx, T, _ = draw(2_000, r=0.8, alpha=8.0, a=0.8, b=2.5, modified=modified)
    weeks, days = (fit_btyd(x, tx * unit, T * unit, modified=modified) for unit in (1.0, 7.0))
    assert days.alpha / 7.0 == pytest.approx(weeks.alpha, rel=1e-3)
    assert (days.r, days.a, days.b) == pytest.approx((weeks.r, weeks.a, weeks.b), rel=1e-3)


@BOTH
def test_expected_purchases__agree_with_simulation_in_total_and_by_history(modified):
    truth = {"r": 0.8, "alpha": 8.0, "a": 0.8, "b": 2.5}
    x, tx, T, later = draw(60_000, **truth, modified=modified, seed=5, ahead=52.0)
    expected = Btyd(**truth, modified=modified).expected_purchases(52.0, x, tx, T)
    assert expected.sum() == pytest.approx(later.sum(), rel=0.03)
    for low, high in ((0, 1), (1, 3), (3, 8), (8, 500)):
        group = (x >= low) & (x < high)
        assert expected[group].mean() == pytest.approx(later[group].mean(), rel=0.08)


@BOTH
@pytest.mark.parametrize(
    "parameters",
    [(0.243, 4.414, 0.793, 2.426), (0.5, 3.0, 1.0, 2.0), (2.0, 30.0, 1.7, 0.6), (0.1, 200.0, 0.05, 40.0), (5.0, 1.0, 6.0, 300.0)],
)
def test_expected_purchases__agree_with_quadrature_also_at_the_edges(modified, parameters):
    model = Btyd(*parameters, modified=modified)
    cases = [(t, x, tx, T) for t in (0.5, 26.0, 700.0) for x, tx, T in ((0, 0, 1.0), (0, 0, 90.0), (2, 30, 39.0), (400, 700, 720.0))]
    for t, x, tx, T in cases:
        found = model.expected_purchases(t, *(np.array([float(v)]) for v in (x, tx, T)))[0]
        assert found == pytest.approx(expected_by_quadrature(model, t, float(x), float(tx), float(T)), rel=1e-4, abs=1e-9), (t, x, tx, T)


@BOTH
def test_expected_purchases__rise_with_the_horizon_and_stay_finite(modified):
    model = Btyd(0.243, 4.414, 1.0, 2.426, modified=modified)
    x, tx, T, _ = draw(500, r=0.8, alpha=8.0, a=0.8, b=2.5, modified=modified)
    by_horizon = np.array([model.expected_purchases(t, x, tx, T) for t in (1.0, 5.0, 50.0, 500.0)])
    assert np.isfinite(by_horizon).all()
    assert (np.diff(by_horizon, axis=0) > 0).all()


def test_p_alive__is_one_without_a_repeat_in_bg_and_below_it_in_mbg():
    zero, age = np.zeros(1), np.array([50.0])
    assert Btyd(0.5, 5.0, 0.8, 2.0, modified=False).p_alive(zero, zero, age)[0] == 1.0
    assert Btyd(0.5, 5.0, 0.8, 2.0, modified=True).p_alive(zero, zero, age)[0] < 0.8
    lately, long_ago = Btyd(0.5, 5.0, 0.8, 2.0).p_alive(np.full(2, 4.0), np.array([48.0, 10.0]), np.full(2, 50.0))
    assert lately > 0.8 > 0.1 > long_ago


@pytest.mark.parametrize("n", [1, 5])
def test_fit__with_the_prior_stays_sane_with_a_handful_of_one_time_buyers(n):
    fitted = fit_btyd(np.zeros(n), np.zeros(n), np.full(n, 1.0), prior_weight=1.0)
    assert 0.05 < fitted.r < 5.0
    assert 0.05 < fitted.a < 5.0
    assert fit_btyd(np.zeros(n), np.zeros(n), np.full(n, 300.0), prior_weight=1.0).expected_purchases(
        365.0, np.zeros(1), np.zeros(1), np.array([300.0])
    )[0] == pytest.approx(0.3, abs=0.3)


def test_fit__gives_fractional_days_and_whole_days_the_same_way():
    x, tx, T, _ = draw(1_500, r=0.8, alpha=8.0, a=0.8, b=2.5, modified=True)
    whole = fit_btyd(x, np.round(tx * 10), np.round(T * 10))
    shifted = fit_btyd(x, np.round(tx * 10) + 1e-9 * (x > 0), np.round(T * 10) + 1e-9)
    assert shifted.r == pytest.approx(whole.r, rel=1e-4)
    assert shifted.loglik == pytest.approx(whole.loglik, abs=1e-3)


def test_fit__refuses_no_customers():
    with pytest.raises(InsufficientDataError):
        fit_btyd(np.zeros(0), np.zeros(0), np.zeros(0))
