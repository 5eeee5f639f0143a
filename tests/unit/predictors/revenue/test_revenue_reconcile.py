"""Paths that add up: the published form, the bounds, and what must not disturb the total."""

from __future__ import annotations

import numpy as np
import pytest

from predictkpi.predictors.revenue.errors import OF_NOISE, ErrorModel
from predictkpi.predictors.revenue.reconcile import constraints, error_covariance, raised, reconciled

REGIONS, SEGMENTS = ("EMEA", "APAC", "Americas"), ("Large", "Small")
CELLS = [f"region={region}&segment={segment}" for region in REGIONS for segment in SEGMENTS]
NAMES = ["total", *(f"region={name}" for name in REGIONS), *(f"segment={name}" for name in SEGMENTS), *CELLS]
# Which cells each of them is made of.
SUMMING = np.array(
    [np.ones(6)]
    + [[float(f"region={name}&" in cell) for cell in CELLS] for name in REGIONS]
    + [[float(cell.endswith(f"={name}")) for cell in CELLS] for name in SEGMENTS]
    + list(np.eye(6))
)


def covariance_of(n: int, seed: int = 0) -> np.ndarray:
    factor = np.random.default_rng(seed).standard_normal((n, 2 * n))
    return factor @ factor.T


def test_constraints__hold_for_whatever_adds_up_and_say_nothing_twice():
    rows = constraints(NAMES)
    assert np.linalg.matrix_rank(rows) == len(rows) == len(NAMES) - len(CELLS)
    np.testing.assert_allclose(rows @ SUMMING, 0, atol=1e-12)


def test_constraints__of_series_that_nothing_splits_are_none():
    assert constraints(["total"]).shape == (0, 1)
    assert constraints(["series", "other=x"]).shape == (0, 2)


@pytest.mark.parametrize("seed", range(3))
def test_reconciled__is_mintrace_as_published_with_a_summing_matrix(seed):
    """Wickramasuriya et al. (2019), theorem 1: S (S' W^-1 S)^-1 S' W^-1 y."""
    covariance = covariance_of(len(NAMES), seed)
    y = 100 + 10 * np.random.default_rng(seed).standard_normal((len(NAMES), 1, 12))
    weight = np.linalg.inv(covariance)
    bottom = np.linalg.solve(SUMMING.T @ weight @ SUMMING, SUMMING.T @ weight @ y.reshape(len(NAMES), -1))
    expected = (SUMMING @ bottom).reshape(y.shape)
    np.testing.assert_allclose(reconciled(y, constraints(NAMES), covariance), expected, rtol=1e-9)


def test_reconciled__leaves_alone_what_adds_up_already():
    y = (SUMMING @ np.random.default_rng(0).uniform(1, 9, (6, 20))).reshape(len(NAMES), 20, 1)
    np.testing.assert_allclose(reconciled(y, constraints(NAMES), covariance_of(len(NAMES))), y, rtol=1e-12)


def test_reconciled__adds_up_where_sizes_differ_by_millions():
    names = ["total", "region=EMEA", "region=APAC", "region=new"]
    y = np.array([1e9, 6e8, 3e8, 5.0])[:, None, None] * np.exp(0.1 * np.random.default_rng(0).standard_normal((4, 50, 12)))
    found = reconciled(y, constraints(names), np.diag(np.square([1e8, 5e7, 4e7, 2.0])))
    assert np.abs(found[0] - found[1:].sum(axis=0)).max() <= 1e-9 * found[0].max()


def test_reconciled__a_small_uncertain_series_does_not_disturb_the_total():
    """A newcomer's paths swing tenfold, and are still small beside the total: neither it nor the established series move by much."""
    names = ["total", "region=EMEA", "region=new"]
    errors = ErrorModel(series=["total", "region=EMEA"], correlation=[[1.0, 0.8], [0.8, 1.0]])
    y = np.array([1010.0, 1000.0, 10.0])[:, None, None] * np.ones((3, 200, 1))
    y[2] *= np.exp(np.random.default_rng(0).standard_normal((200, 1)))
    variances = np.outer(np.square([0.1, 0.1, 1.0]), OF_NOISE)
    covariance = error_covariance(errors, names, variances, level=np.array([1010.0, 1000.0, 10.0]))
    found = reconciled(y, constraints(names), covariance)
    np.testing.assert_allclose(found[0], found[1] + found[2], rtol=1e-12)
    swing = y[2].std()
    assert swing > 10
    assert max(found[0].std(), found[1].std()) < 0.6 * swing
    assert max(found[0].std(), found[1].std()) < 0.015 * 1010
    assert np.abs(found[:2].mean(axis=1) / y[:2, 0] - 1).max() < 0.005


def test_reconciled__moves_a_series_by_as_much_as_its_errors_are_large():
    names = ["total", "region=EMEA", "region=APAC"]
    y = np.array([100.0, 60.0, 50.0])[:, None, None]
    found = reconciled(y, constraints(names), np.diag([9.0, 4.0, 0.0]))[:, 0, 0]
    np.testing.assert_allclose(found, [100 + 10 * 9 / 13, 60 - 10 * 4 / 13, 50])


def test_error_covariance__is_that_of_the_paths_drawn():
    errors = ErrorModel(coefficients=[1.0, 0.3, 0.1, 0.02, 0.01], series=["a", "b"], correlation=[[1.0, 0.6], [0.6, 1.0]], freedom=1e6)
    names, level = ["b", "new", "a"], np.array([50.0, 10.0, 100.0])
    variances = np.outer(np.square([0.3, 0.1, 0.2]), OF_NOISE)
    drawn = [errors.draw(name, own, draws=40_000, horizon=2, seed=1)[:, 0] for name, own in zip(names, variances, strict=True)]
    found = error_covariance(errors, names, variances, level)
    np.testing.assert_allclose(np.cov(level[:, None] * np.array(drawn)), found, rtol=0.06, atol=0.03 * found.max())


def test_raised__adds_up_and_is_nowhere_below_its_bound():
    rng = np.random.default_rng(0)
    usual = SUMMING @ np.array([100.0, 3.0, 50.0, 0.5, 20.0, 1.0])
    y = usual[:, None, None] + rng.standard_normal((len(NAMES), 300, 12)) * np.sqrt(usual)[:, None, None] * 3
    covariance, rows = np.diag(usual), constraints(NAMES)
    before = reconciled(y, rows, covariance)
    lowest = np.zeros((len(NAMES), 12))
    found = raised(before, lowest, np.tile(usual[:, None], 12), rows, covariance)
    assert before.min() < -5
    assert found.min() >= 0
    assert np.abs(np.einsum("kn,ndh->kdh", rows, found)).max() <= 1e-9 * found.max()
    untouched = (before >= 0).all(axis=0)
    assert 0.05 < untouched.mean() < 0.95
    np.testing.assert_array_equal(found[:, untouched], before[:, untouched])


def test_raised__leaves_series_that_may_be_negative_below_zero():
    names, usual = ["total", "region=EMEA", "region=refunds"], np.array([90.0, 100.0, -10.0])
    y = np.repeat(usual[:, None], 4, axis=1)[:, :, None]
    lowest = np.array([[0.0], [0.0], [-np.inf]])
    np.testing.assert_array_equal(raised(y, lowest, usual[:, None], constraints(names), np.diag([9.0, 9.0, 1.0])), y)
