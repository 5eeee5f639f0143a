from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest

from predictkpi.metrics.ranking import (
    calibration_slope,
    decile_table,
    normalised_gini,
    pit_coverage,
    randomised_pit,
    total_bias,
    tweedie_deviance,
)


def naive_gini(actual, order) -> float:
    """Twice the area between the Lorenz curve and the diagonal, customer by customer."""
    total, n, area, so_far = sum(actual), len(actual), 0.0, 0.0
    for i in order:
        area += (so_far + 0.5 * actual[i]) / total / n
        so_far += actual[i]
    return 2.0 * area - 1.0


def naive_normalised(actual, predicted) -> float:
    best = sorted(range(len(actual)), key=lambda i: -actual[i])
    orders = [o for o in permutations(range(len(actual))) if all(predicted[a] >= predicted[b] for a, b in pairwise(o))]
    return np.mean([naive_gini(actual, o) for o in orders]) / naive_gini(actual, best)


@pytest.mark.parametrize("seed", range(5))
def test_normalised_gini__is_the_mean_over_all_orders_of_the_ties(seed):
    rng = np.random.default_rng(seed)
    actual = rng.gamma(0.5, 10.0, 6)
    predicted = rng.integers(0, 3, 6).astype(float)
    assert normalised_gini(actual, predicted) == pytest.approx(naive_normalised(actual, predicted))


def test_normalised_gini__of_perfect_reversed_and_constant_orders():
    actual = np.array([0.0, 1.0, 5.0, 20.0])
    assert normalised_gini(actual, actual**2) == pytest.approx(1.0)
    assert normalised_gini(actual, -actual) == pytest.approx(-1.0)
    assert normalised_gini(actual, np.ones(4)) == pytest.approx(0.0)


def test_normalised_gini__weights_repeat_rows():
    rng = np.random.default_rng(3)
    actual, predicted, weights = rng.gamma(1.0, 1.0, 20), rng.random(20), rng.integers(1, 5, 20)
    repeated = normalised_gini(np.repeat(actual, weights), np.repeat(predicted, weights))
    assert normalised_gini(actual, predicted, weights) == pytest.approx(repeated)


@pytest.mark.parametrize("actual", [[], [0.0, 0.0], [2.0, 2.0], [-3.0, 1.0]])
def test_normalised_gini__is_nan_where_nothing_can_be_ordered(actual):
    assert np.isnan(normalised_gini(actual, np.arange(len(actual))))


def test_normalised_gini__refuses_arrays_of_different_length():
    with pytest.raises(ValueError, match="shape"):
        normalised_gini([1.0, 2.0], [1.0])


def test_total_bias__and_slope():
    assert total_bias([10.0, 0.0], [6.0, 6.0]) == pytest.approx(0.2)
    assert np.isnan(total_bias([1.0, -1.0], [1.0, 1.0]))
    predicted = np.array([1.0, 2.0, 5.0])
    assert calibration_slope(0.5 * predicted + 3.0, predicted) == pytest.approx(0.5)
    assert np.isnan(calibration_slope([1.0, 2.0], [3.0, 3.0]))
    assert np.isnan(calibration_slope(np.arange(173.0), np.full(173, 97.13)))


def test_tweedie_deviance__agrees_with_its_definition():
    def naive(y, mu, p):
        # twice the integral of (y - t) / t**p from mu to y
        t = np.linspace(mu, y, 200_001)
        return 2.0 * np.trapezoid((y - t) / t**p, t)

    for y, mu, p in [(3.0, 1.0, 1.5), (1.0, 4.0, 1.5), (2.0, 2.5, 1.2)]:
        assert tweedie_deviance([y], [mu], p)[0] == pytest.approx(naive(y, mu, p), rel=1e-6)
    assert tweedie_deviance([0.0], [4.0])[0] == pytest.approx(2.0 * 4.0**0.5 / 0.5)


def test_tweedie_deviance__is_least_at_the_mean_and_finite_for_a_predicted_zero():
    actual = np.array([0.0, 0.0, 3.0, 9.0])
    losses = {mu: tweedie_deviance(actual, np.full(4, mu)).mean() for mu in (2.0, 2.9, 3.0, 3.1, 4.0)}
    assert min(losses, key=losses.get) == 3.0
    assert np.isfinite(tweedie_deviance([100.0], [0.0])).all()
    assert tweedie_deviance([-5.0], [1.0])[0] == tweedie_deviance([0.0], [1.0])[0]
    with pytest.raises(ValueError, match="power"):
        tweedie_deviance([1.0], [1.0], 2.0)


def test_decile_table__cuts_equal_groups_best_first():
    predicted = np.arange(25.0)
    table = decile_table(predicted * 2.0, predicted, groups=5)
    assert table["decile"].tolist() == [1, 2, 3, 4, 5]
    assert table["n"].tolist() == [5] * 5
    assert table["predicted_mean"].tolist() == [22.0, 17.0, 12.0, 7.0, 2.0]
    assert table["actual_share"].sum() == pytest.approx(1.0)
    assert len(decile_table([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])) == 3


def test_randomised_pit__covers_as_stated_despite_zeros():
    rng = np.random.default_rng(0)
    n = 4000
    zero = rng.random(n) < 0.7
    actual = np.where(zero, 0.0, rng.gamma(2.0, 1.0, n))
    draws = np.where(rng.random((n, 200)) < 0.7, 0.0, rng.gamma(2.0, 1.0, (n, 200)))
    pit = randomised_pit(actual, draws, rng.random(n))
    assert pit_coverage(pit, level=80.0) == pytest.approx(0.8, abs=0.02)
    too_narrow = randomised_pit(actual * 3.0, draws, rng.random(n))
    assert pit_coverage(too_narrow) < 0.75
