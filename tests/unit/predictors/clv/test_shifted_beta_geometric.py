from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictkpi.errors import InsufficientDataError
from predictkpi.predictors.clv.shifted_beta_geometric import (
    ShiftedBetaGeometric,
    fit_shifted_beta_geometric,
    log_likelihood,
    renewals_and_losses,
)

POSITIVE = st.floats(0.05, 30.0)
PERIODS = np.arange(1, 40)


def draw(n, *, alpha, beta, seed=0):
    """Periods survived and whether lost by the end of records, for customers who joined up to ten periods before it."""
    rng = np.random.default_rng(seed)
    lasts = rng.geometric(rng.beta(alpha, beta, n)) - 1
    known = rng.integers(1, 11, n)
    return np.minimum(lasts, known), lasts < known


@given(POSITIVE, POSITIVE)
def test_survival__falls_and_adds_up_with_the_losses(alpha, beta):
    model = ShiftedBetaGeometric(alpha, beta)
    survival = model.survival(np.arange(40))
    assert survival[0] == 1.0
    assert np.all(np.diff(survival) < 0)
    assert model.p_lost_in(PERIODS) == pytest.approx(-np.diff(survival), rel=1e-6, abs=1e-12)
    assert np.cumprod(model.retention(PERIODS)) == pytest.approx(survival[1:])


@given(POSITIVE, POSITIVE)
def test_retention__rises_with_tenure(alpha, beta):
    assert np.all(np.diff(ShiftedBetaGeometric(alpha, beta).retention(PERIODS)) > 0)


@given(st.floats(0.3, 20.0), st.floats(0.3, 20.0), st.floats(0.02, 0.5), st.integers(0, 12))
def test_residual_lifetime__is_the_endless_sum_of_renewals(alpha, beta, discount, survived):
    model = ShiftedBetaGeometric(alpha, beta)
    endless = model.residual_lifetime(survived=np.array([survived]), discount=discount)
    assert model.expected_renewals(1500, survived=np.array([survived]), discount=discount) == pytest.approx(endless, rel=1e-6)


def test_expected_renewals__sum_survival_of_those_who_are_still_there():
    model, survived = ShiftedBetaGeometric(0.7, 1.2), np.array([0.0, 3.0, 9.0])
    by_hand = sum(model.survival(ahead, survived=survived) for ahead in (1, 2, 3, 4))
    assert model.expected_renewals(4, survived=survived) == pytest.approx(by_hand)
    assert model.expected_renewals(0, survived=survived).tolist() == [0.0, 0.0, 0.0]
    due_now = model.expected_renewals(1, survived=survived, discount=0.3)
    assert due_now == pytest.approx(model.retention(survived + 1))


@settings(max_examples=40)
@given(st.floats(-3.0, 3.0), st.floats(-3.0, 3.0), st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=8))
def test_gradient__agrees_with_finite_differences(a, b, counts):
    renewed, lost = np.array(counts, dtype=float).T
    theta = np.array([a, b])
    _, gradient = log_likelihood(theta, renewed, lost)
    for i, step in enumerate(np.eye(2) * 1e-5):
        up, down = (log_likelihood(theta + sign * step, renewed, lost)[0] for sign in (1, -1))
        assert gradient[i] == pytest.approx((up - down) / 2e-5, rel=1e-5, abs=1e-5)


def test_log_likelihood__is_that_of_losses_and_of_those_still_there():
    # FH07: lost 131 and 126 of 1,000, 743 still there after two years
    model = ShiftedBetaGeometric(0.7, 3.8)
    expected = 131 * np.log(model.p_lost_in(1)) + 126 * np.log(model.p_lost_in(2)) + 743 * np.log(model.survival(2))
    found, _ = log_likelihood(np.log([0.7, 3.8]), np.array([869.0, 743.0]), np.array([131.0, 126.0]))
    assert found == pytest.approx(float(expected))


def test_renewals_and_losses__count_what_was_seen():
    # lost at once; renewed twice and lost; renewed twice, still there; known only from after the first renewal, lost at the third
    renewed, lost = renewals_and_losses([0, 2, 2, 2], [True, True, False, True], entered=[0, 0, 0, 1])
    assert renewed.tolist() == [2.0, 3.0, 0.0]
    assert lost.tolist() == [1.0, 0.0, 2.0]
    assert [values.tolist() for values in renewals_and_losses([], [])] == [[], []]
    for periods, entered in (([1], [2]), ([1], [-1])):
        with pytest.raises(ValueError, match="at least entered"):
            renewals_and_losses(periods, [False], entered=entered)


@pytest.mark.parametrize(("alpha", "beta"), [(0.7, 1.2), (0.7, 3.8), (4.0, 30.0)])
def test_fit__recovers_the_curve_from_customers_who_are_mostly_still_there(alpha, beta):
    survived, is_lost = draw(40_000, alpha=alpha, beta=beta)
    fitted = fit_shifted_beta_geometric(*renewals_and_losses(survived, is_lost))
    truth = ShiftedBetaGeometric(alpha, beta)
    assert fitted.survival([1, 5, 10]) == pytest.approx(truth.survival([1, 5, 10]), rel=0.03)
    assert fitted.retention([1, 5, 10]) == pytest.approx(truth.retention([1, 5, 10]), rel=0.01)


def test_fit__learns_the_same_where_records_begin_late():
    survived, is_lost = draw(60_000, alpha=0.7, beta=1.2)
    kept = survived >= 2
    late = fit_shifted_beta_geometric(*renewals_and_losses(survived[kept], is_lost[kept], entered=np.full(kept.sum(), 2)))
    assert late.retention([3, 6, 9]) == pytest.approx(ShiftedBetaGeometric(0.7, 1.2).retention([3, 6, 9]), abs=0.01)


def test_fit__prior_holds_few_customers_in_place():
    nobody_left = fit_shifted_beta_geometric([5.0], [0.0])
    held = fit_shifted_beta_geometric([5.0], [0.0], prior_weight=1.0)
    assert nobody_left.retention(2) > 0.999
    assert 0.75 < held.retention(2) < 0.98


def test_fit__refuses_what_it_cannot_learn_from():
    with pytest.raises(InsufficientDataError, match="end of a period"):
        fit_shifted_beta_geometric([], [])
    for renewed, lost in (([1.0], [1.0, 2.0]), ([-1.0], [1.0])):
        with pytest.raises(ValueError, match="alike"):
            fit_shifted_beta_geometric(renewed, lost)
    with pytest.raises(ValueError, match="above 0"):
        ShiftedBetaGeometric(1.0, 1.0).residual_lifetime(survived=np.zeros(1), discount=0.0)
