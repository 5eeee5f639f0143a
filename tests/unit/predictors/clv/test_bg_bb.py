from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictkpi.errors import InsufficientDataError
from predictkpi.predictors.clv.bg_bb import BgBb, fit_bg_bb, log_likelihood

POSITIVE = st.floats(0.1, 8.0)


def histories(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Every (x, tx) that ``n`` occasions can show, and how many strings of purchases have it."""
    counts: dict[tuple[int, int], int] = {}
    for bought in product((0, 1), repeat=n):
        key = (sum(bought), max((i + 1 for i, one in enumerate(bought) if one), default=0))
        counts[key] = counts.get(key, 0) + 1
    x, tx = np.array(list(counts), dtype=float).T
    return x, tx, np.full(len(x), float(n)), np.array(list(counts.values()), dtype=float)


def draw(m, n, *, alpha, beta, gamma, delta, ahead, seed=0):
    """``(x, tx, n)`` and purchases at the ``ahead`` occasions after."""
    rng = np.random.default_rng(seed)
    buys, leaves = rng.beta(alpha, beta, m), rng.beta(gamma, delta, m)
    lasts = rng.geometric(np.maximum(leaves, 1e-9)) - 1
    occasion = np.arange(1, n + ahead + 1)
    bought = (rng.random((m, n + ahead)) < buys[:, None]) & (occasion <= lasts[:, None])
    return bought[:, :n].sum(1), np.where(bought[:, :n], occasion[:n], 0).max(1), np.full(m, n), bought[:, n:].sum(1)


@settings(max_examples=40, deadline=None)
@given(POSITIVE, POSITIVE, POSITIVE, POSITIVE, st.integers(1, 7))
def test_log_likelihood__is_that_of_all_strings_together(alpha, beta, gamma, delta, n):
    x, tx, occasions, ways = histories(n)
    model = BgBb(alpha, beta, gamma, delta)
    probability = np.exp(model.log_likelihood(x, tx, occasions))
    assert ways @ probability == pytest.approx(1.0)
    # the next occasion's purchase, from the likelihood of the longer string
    longer = np.exp(model.log_likelihood(x + 1, occasions + 1, occasions + 1))
    assert model.expected_purchases(1, x, tx, occasions) == pytest.approx(longer / probability)


@settings(max_examples=40, deadline=None)
@given(*[st.floats(-2.0, 2.0)] * 4)
def test_gradient__agrees_with_finite_differences(a, b, c, d):
    x, tx, n, _ = histories(5)
    theta = np.array([a, b, c, d])
    _, gradient = log_likelihood(theta, x, tx, n)
    for i, step in enumerate(np.eye(4) * 1e-5):
        up, down = (log_likelihood(theta + sign * step, x, tx, n)[0] for sign in (1, -1))
        assert gradient[:, i] == pytest.approx((up - down) / 2e-5, rel=1e-5, abs=1e-7)


def test_p_alive__is_higher_the_later_the_last_purchase():
    model = BgBb(1.2, 0.75, 0.66, 2.8)
    alive = model.p_alive(np.full(4, 2.0), np.array([2.0, 3.0, 4.0, 6.0]), np.full(4, 6.0))
    assert np.all(np.diff(alive) > 0)
    assert alive[-1] == pytest.approx((2.8 + 6) / (0.66 + 2.8 + 6))


def test_fit__recovers_the_parameters_and_the_purchases_to_come():
    truth = {"alpha": 1.2, "beta": 0.75, "gamma": 0.66, "delta": 2.8}
    x, tx, n, later = draw(60_000, 8, **truth, ahead=5)
    fitted = fit_bg_bb(x, tx, n)
    assert (fitted.alpha, fitted.beta, fitted.gamma, fitted.delta) == pytest.approx(tuple(truth.values()), rel=0.12)
    assert fitted.expected_purchases(5, *(values.astype(float) for values in (x, tx, n))).sum() == pytest.approx(later.sum(), rel=0.02)
    assert fitted.loglik >= BgBb(**truth).log_likelihood(*(values.astype(float) for values in (x, tx, n))).sum()


def test_fit__counts_weights_as_customers():
    x, tx, n, _ = draw(4_000, 6, alpha=1.0, beta=1.0, gamma=1.0, delta=3.0, ahead=0)
    distinct, counts = np.unique(np.column_stack([x, tx, n]), axis=0, return_counts=True)
    one_by_one, counted = fit_bg_bb(x, tx, n), fit_bg_bb(*distinct.T, counts)
    assert counted.loglik == pytest.approx(one_by_one.loglik)
    assert counted.n_customers == 4_000


def test_fit__refuses_histories_that_cannot_be():
    with pytest.raises(InsufficientDataError, match="no customer"):
        fit_bg_bb([], [], [])
    for x, tx, n in ((3, 2, 6), (1, 7, 6), (0, 2, 6), (2, 0, 6)):
        with pytest.raises(ValueError, match="x <= tx <= n"):
            fit_bg_bb([x], [tx], [n])


def test_expected_purchases__of_no_occasion_are_none():
    assert BgBb(1.0, 1.0, 1.0, 1.0).expected_purchases(0, *np.ones((3, 2))).tolist() == [0.0, 0.0]
