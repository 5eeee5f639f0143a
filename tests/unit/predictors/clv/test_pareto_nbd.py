from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import gammaln, hyp2f1

from predictkpi.errors import InsufficientDataError
from predictkpi.predictors.clv.pareto_nbd import ParetoNbd, fit_pareto_nbd, log_likelihood

POSITIVE = st.floats(0.05, 20.0)


def draw(n, *, r, alpha, s, beta, ahead, seed=0):
    """Frequency, recency, T and purchases in (T, T + ahead] of customers seen for 20 to 80 periods."""
    rng = np.random.default_rng(seed)
    T = rng.uniform(20, 80, n)
    rate, leaves = rng.gamma(r, 1.0 / alpha, n), rng.exponential(1.0, n) / rng.gamma(s, 1.0 / beta, n)
    now, frequency, recency, later, on = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n), np.ones(n, bool)
    while on.any():
        now = now + rng.exponential(1.0, n) / rate
        on = on & (now <= np.minimum(leaves, T + ahead))
        seen = on & (now <= T)
        frequency += seen
        recency = np.where(seen, now, recency)
        later += on & ~seen
    return frequency, recency, T, later


def one(model: ParetoNbd, name: str, *arguments: float, t: float | None = None) -> float:
    """A method for one customer."""
    arrays = [np.array([value], dtype=float) for value in arguments]
    return float(getattr(model, name)(*([] if t is None else [t]), *arrays)[0])


@settings(max_examples=60, deadline=None)
@given(POSITIVE, POSITIVE, POSITIVE, POSITIVE, st.integers(0, 40), st.floats(0.0, 1.0), st.floats(0.5, 50.0))
def test_log_likelihood__is_the_integral_over_the_moment_of_leaving(r, alpha, s, beta, x, share, T):
    tx = share * T if x else 0.0

    check_against_integral(ParetoNbd(r, alpha, s, beta), x, tx, T)


@pytest.mark.parametrize("x", [0.0, 4.0])
def test_log_likelihood__holds_where_a_hypergeometric_function_is_lost(x):
    # a small alpha with a large s: SciPy's 2F1 of the note's solution is NaN
    check_against_integral(ParetoNbd(1.86, 0.117, 239.0, 278.0), x, 0.4 if x else 0.0, 1.2)
    check_against_integral(ParetoNbd(1.86, 0.117, 239.0, 278.0), x, 0.0, 0.0012)


def check_against_integral(model: ParetoNbd, x: float, tx: float, T: float) -> None:
    r, alpha, s, beta = model.r, model.alpha, model.s, model.beta

    # in units of the value at T, which keeps the integrand near 1
    def leaves_at(y):
        return np.exp((r + x) * np.log((alpha + T) / (alpha + y)) + s * np.log((beta + T) / (beta + y))) * s / (beta + y)

    gone, _ = quad(leaves_at, tx, T, epsabs=0, epsrel=1e-10, limit=200)
    alive = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + s * np.log(beta) - (r + x) * np.log(alpha + T) - s * np.log(beta + T)
    assert one(model, "log_likelihood", x, tx, T) == pytest.approx(alive + np.log1p(gone), rel=1e-7, abs=1e-7)
    assert one(model, "p_alive", x, tx, T) == pytest.approx(1 / (1 + gone), rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(*[st.floats(-2.0, 3.0)] * 4)
def test_gradient__agrees_with_finite_differences(a, b, c, d):
    x, tx, T, _ = draw(40, r=0.6, alpha=8.0, s=0.7, beta=14.0, ahead=0.0)
    theta = np.array([a, b, c, d])
    _, gradient = log_likelihood(theta, x, tx, T)
    for i, step in enumerate(np.eye(4) * 1e-5):
        up, down = (log_likelihood(theta + sign * step, x, tx, T)[0] for sign in (1, -1))
        assert gradient[:, i] == pytest.approx((up - down) / 2e-5, rel=1e-4, abs=1e-5)


def test_log_likelihood__is_the_closed_form_of_the_note():
    # FH (18) to (20) with 2F1 for alpha above and below beta, where it can be trusted
    x, tx, T = np.array([0.0, 2.0, 7.0]), np.array([0.0, 12.0, 30.0]), np.array([38.9, 30.0, 38.0])
    for r, alpha, s, beta in ((0.55, 10.6, 0.61, 11.7), (0.55, 12.0, 0.61, 7.0)):
        shape, upper = r + s + x, r + x if alpha < beta else s + 1.0
        long, gap = max(alpha, beta), abs(alpha - beta)
        first, last = (hyp2f1(shape, upper, shape + 1.0, gap / (long + at)) / (long + at) ** shape for at in (tx, T))
        alive = (alpha + T) ** -(r + x) * (beta + T) ** -s
        rates = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + s * np.log(beta)
        expected = rates + np.log(alive + s / shape * (first - last))
        assert ParetoNbd(r, alpha, s, beta).log_likelihood(x, tx, T) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(POSITIVE, POSITIVE, st.sampled_from([0.3, 0.999, 1.0, 1.001, 4.0]), POSITIVE, st.integers(0, 40))
def test_expected_purchases__grow_with_time_and_never_pass_the_rate(r, alpha, s, beta, x):
    model = ParetoNbd(r, alpha, s, beta)
    values = [one(model, "expected_purchases", x, 10.0 if x else 0.0, 12.0, t=t) for t in (0.0, 1.0, 10.0, 100.0)]
    assert values[0] == 0.0
    assert np.all(np.diff(values) > 0)
    assert values[1] <= (r + x) / (alpha + 12.0)


def test_expected_purchases__do_not_jump_where_s_is_one():
    around = [one(ParetoNbd(0.6, 8.0, s, 10.0), "expected_purchases", 3, 9.0, 12.0, t=30.0) for s in (1 - 1e-6, 1.0, 1 + 1e-6)]
    assert around[0] == pytest.approx(around[1], rel=1e-5)
    assert around[2] == pytest.approx(around[1], rel=1e-5)


@pytest.mark.parametrize("truth", [{"r": 0.6, "alpha": 8.0, "s": 0.7, "beta": 14.0}, {"r": 1.5, "alpha": 20.0, "s": 0.8, "beta": 9.0}])
def test_fit__recovers_the_parameters_it_was_drawn_from(truth):
    x, tx, T, later = draw(15_000, **truth, ahead=40.0)
    fitted = fit_pareto_nbd(x, tx, T)
    assert (fitted.r / fitted.alpha) == pytest.approx(truth["r"] / truth["alpha"], rel=0.04)
    assert (fitted.r, fitted.s) == pytest.approx((truth["r"], truth["s"]), rel=0.15)
    assert fitted.loglik >= ParetoNbd(**truth).log_likelihood(x, tx, T).sum()
    assert fitted.expected_purchases(40.0, x, tx, T).sum() == pytest.approx(later.sum(), rel=0.05)


def test_fit__does_not_depend_on_the_unit_of_time():
    x, tx, T, _ = draw(2_000, r=0.6, alpha=8.0, s=0.7, beta=14.0, ahead=0.0)
    weeks, days = fit_pareto_nbd(x, tx, T), fit_pareto_nbd(x, tx * 7, T * 7)
    assert (days.r, days.alpha / 7, days.s, days.beta / 7) == pytest.approx((weeks.r, weeks.alpha, weeks.s, weeks.beta), rel=1e-3)
    assert days.loglik == pytest.approx(weeks.loglik - x.sum() * np.log(7))


def test_log_likelihood__is_finite_for_a_customer_who_bought_a_thousand_times():
    for model in (ParetoNbd(0.5, 10.0, 0.6, 12.0), ParetoNbd(0.5, 12.0, 0.6, 1.0)):
        assert np.isfinite(one(model, "log_likelihood", 1000, 364.0, 365.0))
        assert one(model, "p_alive", 1000, 100.0, 365.0) < 1e-6
        assert one(model, "p_alive", 1000, 365.0, 365.0) == 1.0


def test_fit__needs_a_customer():
    with pytest.raises(InsufficientDataError, match="no customer has bought"):
        fit_pareto_nbd(np.zeros(0), np.zeros(0), np.zeros(0))
