from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from predictkpi.metrics.quantile import coverage, crps_from_quantiles, pinball, winkler


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_pinball__equals_naive_loop(level):
    rng = np.random.default_rng(1)
    y, q = rng.normal(size=30), rng.normal(size=30)
    expected = [level * (a - b) if a >= b else (1 - level) * (b - a) for a, b in zip(y, q, strict=True)]
    np.testing.assert_allclose(pinball(y, q, level), expected)


def test_pinball__is_least_at_the_true_quantile():
    y = np.random.default_rng(2).normal(size=20_000)
    losses = {q: pinball(y, np.full_like(y, q), 0.9).mean() for q in (0.8, norm.ppf(0.9), 1.8)}
    assert min(losses, key=losses.__getitem__) == pytest.approx(norm.ppf(0.9))


def test_crps__equals_the_closed_form_of_the_normal():
    levels = (np.arange(400) + 0.5) / 400
    y = np.array([-1.5, 0.0, 0.7])
    quantiles = np.tile(norm.ppf(levels), (3, 1))
    closed = y * (2 * norm.cdf(y) - 1) + 2 * norm.pdf(y) - 1 / math.sqrt(math.pi)
    np.testing.assert_allclose(crps_from_quantiles(y, quantiles, levels), closed, atol=2e-3)


def test_crps__of_the_median_alone_is_the_absolute_error():
    np.testing.assert_allclose(crps_from_quantiles([3.0, 1.0], [[1.0], [2.0]], [0.5]), [2.0, 1.0])


def test_crps__weighs_uneven_levels_by_what_they_stand_for():
    levels = np.array([0.1, 0.2, 0.9])
    width = [0.15, 0.4, 0.45]
    quantiles = np.array([[1.0, 2.0, 5.0]])
    expected = 2 * sum(w * pinball([3.0], [q], level)[0] for w, q, level in zip(width, quantiles[0], levels, strict=True))
    assert crps_from_quantiles([3.0], quantiles, levels)[0] == pytest.approx(expected)


@pytest.mark.parametrize("levels", [[0.5, 0.1], [0.0, 0.5], [0.5, 1.0]])
def test_crps__refuses_levels_out_of_order_or_range(levels):
    with pytest.raises(ValueError, match="levels"):
        crps_from_quantiles([1.0], [[0.0, 1.0]], levels)


def test_crps__refuses_quantiles_of_another_shape():
    with pytest.raises(ValueError, match="shape"):
        crps_from_quantiles([1.0, 2.0], [[0.0, 1.0]], [0.1, 0.9])


def test_coverage__counts_bounds_as_inside():
    assert coverage([1.0, 2.0, 3.0, 4.0], [1.0, 0.0, 4.0, 0.0], [5.0, 2.0, 5.0, 3.0]) == pytest.approx(0.5)
    assert math.isnan(coverage([], [], []))


def test_winkler__equals_naive_loop():
    rng = np.random.default_rng(5)
    y, lo = rng.normal(size=40), rng.normal(-1, 0.3, size=40)
    hi = lo + 1.5
    expected = []
    for actual, low, high in zip(y, lo, hi, strict=True):
        score = high - low
        if actual < low:
            score += 2 / 0.2 * (low - actual)
        if actual > high:
            score += 2 / 0.2 * (actual - high)
        expected.append(score)
    np.testing.assert_allclose(winkler(y, lo, hi, 0.8), expected)


@pytest.mark.parametrize("level", [0.0, 1.0, 80])
def test_levels__must_be_shares(level):
    with pytest.raises(ValueError, match="level"):
        winkler([1.0], [0.0], [2.0], level)
    with pytest.raises(ValueError, match="level"):
        pinball([1.0], [0.0], level)
