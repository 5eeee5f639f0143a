"""How wrong the point path may be: what to expect of each series, corrected by one model of the errors of all series of a company.

The relative error of series i at horizons 1..H has the covariance::

    K_i = a v_i0 I + b v_i1 1 + d v_i2 M + B 1 + D M        1: all ones; M[h, k] = min(h, k)

with v_i the series' own variances: of each month alone, of a mistake about the level or season that stays, of one that grows by the month.
They are expected of a series of its length, roughness and season before any backtest (`RevenueForecaster` says how). ``a``, ``b`` and ``d``
correct them, and ``B`` and ``D`` add what moves the company as a whole and does not average out in its total. Quarter totals, year totals
and growth need exactly these correlations between months. The five are least-squares fitted to the products of backtest errors, pooled
over series and pulled towards a prior: the few overlapping origins one company has cannot carry more.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls
from scipy.stats import norm

Floats = npt.NDArray[np.float64]

# Own parts as expected; the company's growth over a year known to about 12 %.
PRIOR = np.array([1.0, 1.0, 1.0, 0.002, 0.001])
# Variances of a series of noise 1 where nothing better is known: as exponential smoothing with a gain of about .15 leaves them.
OF_NOISE = np.array([1.0, 0.05, 0.02])
FEW_ORIGINS = 6
"""At so many origins half of a correlation seen between series is believed."""
_SHAPE_LEVELS = 99
_MIN_FOR_SHAPE = 100
_LARGEST = 5.0


@dataclass(frozen=True)
class SeriesErrors:
    """Backtest errors of one series: ``errors`` (origins, H), NaN where not yet known; its ``variances`` (origins, 3) as expected then."""

    entity_id: str
    errors: Floats
    variances: Floats
    origins: Sequence[str]


@dataclass(frozen=True)
class ErrorModel:
    """Learnt covariance, correlation between series and shape of the monthly noise."""

    coefficients: list[float] = field(default_factory=lambda: PRIOR.tolist())
    series: list[str] = field(default_factory=list)
    correlation: list[list[float]] = field(default_factory=list)
    shape: list[float] = field(default_factory=list)
    freedom: float = 5.0

    @classmethod
    def fit(cls, pool: Sequence[SeriesErrors], *, prior_weight: float, freedom: float) -> Self:
        """Learn from the pool; with an empty pool the prior holds."""
        usable = sorted((s for s in pool if np.isfinite(s.errors).any() and (s.variances[:, 0] > 0).all()), key=lambda s: s.entity_id)
        if not usable:
            return cls(freedom=freedom)
        coefficients = _fit_covariance(usable, prior_weight)
        return cls(
            coefficients=coefficients.tolist(),
            series=[s.entity_id for s in usable],
            correlation=_correlation(usable).tolist(),
            shape=_shape(usable),
            freedom=freedom,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and names."""
        return asdict(self)

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`; raises KeyError or TypeError for other content."""
        return cls(**{name: saved[name] for name in cls.__dataclass_fields__})

    def covariance(self, variances: Floats, horizon: int) -> Floats:
        """K of a series with those variances (3,): (horizon, horizon)."""
        return np.tensordot(np.array(self.coefficients) * np.concatenate([variances, [1.0, 1.0]]), _basis(horizon), axes=1)

    def draw(self, entity_id: str, variances: Floats, *, draws: int, horizon: int, seed: int) -> Floats:
        """Relative errors (draws, horizon) of mean 0.

        Draw d belongs to the same imagined future in every series: its company-wide part is the same in all, its own part
        correlated as seen in the backtests. A series not seen in `fit` has an own part independent of the others.
        """
        alone, stays, grows = np.sqrt(np.array(self.coefficients[:3]) * variances)
        common_level, common_drift = self.coefficients[3:]
        shared = np.random.default_rng([seed, 0])
        company = np.sqrt(common_level) * shared.standard_normal((draws, 1))
        company = company + np.sqrt(common_drift) * shared.standard_normal((draws, horizon)).cumsum(axis=1)
        spread = np.sqrt((self.freedom - 2) / shared.chisquare(self.freedom, draws))[:, None]
        own = self._own(entity_id, draws, horizon, seed)
        month = self._shaped(own[:, :horizon])
        level = stays * own[:, [horizon]] + grows * own[:, horizon + 1 :].cumsum(axis=1)
        return spread * (alone * month + level + company)

    def _own(self, entity_id: str, draws: int, horizon: int, seed: int) -> Floats:
        """Standard normal (draws, 2 horizon + 1), correlated over the learnt series."""
        size = (draws, 2 * horizon + 1)
        if entity_id not in self.series:
            return np.random.default_rng([seed, 1, zlib.crc32(entity_id.encode())]).standard_normal(size)
        row = np.linalg.cholesky(np.array(self.correlation))[self.series.index(entity_id)]
        total = np.zeros(size)
        for name, weight in zip(self.series, row, strict=True):
            if weight:
                total += weight * np.random.default_rng([seed, 1, zlib.crc32(name.encode())]).standard_normal(size)
        return total

    def _shaped(self, normal: Floats) -> Floats:
        """Give normal noise the pooled shape of the backtest errors; mean 0 and variance 1 stay."""
        if not self.shape:
            return normal
        levels = (np.arange(_SHAPE_LEVELS) + 0.5) / _SHAPE_LEVELS
        return np.interp(normal, norm.ppf(levels), self.shape) + np.sign(normal) * np.maximum(np.abs(normal) - norm.ppf(levels[-1]), 0)


def _basis(horizon: int) -> Floats:
    steps = np.arange(1, horizon + 1)
    ones, wander = np.ones((horizon, horizon)), np.minimum.outer(steps, steps).astype(float)
    return np.stack([np.eye(horizon), ones, wander, ones, wander])


def _fit_covariance(pool: Sequence[SeriesErrors], prior_weight: float) -> Floats:
    """Non-negative least squares on the standardised products of errors, with the prior as further observations."""
    rows, targets = [], []
    for series in pool:
        horizon = series.errors.shape[1]
        basis = _basis(horizon)
        expected = np.sqrt(series.variances @ basis[:3].diagonal(axis1=1, axis2=2))
        z = np.clip(series.errors / expected, -_LARGEST, _LARGEST)
        seen = np.isfinite(z)
        known = np.nan_to_num(z)
        count = seen.T.astype(float) @ seen
        upper = np.triu(count > 0)
        # Overlapping spans repeat one another: a product at far horizons counts as one per span, not one per origin.
        span = np.minimum.outer(np.arange(1, horizon + 1), np.arange(1, horizon + 1))
        weight = np.sqrt(count[upper] / span[upper] / len(pool) / horizon)
        share = seen / expected
        sizes = np.concatenate([series.variances.T, np.ones((2, len(z)))])
        features = basis * np.einsum("ko,oh,oj->khj", sizes, share, share) / np.maximum(count, 1)
        rows.append(features[:, upper].T * weight[:, None])
        targets.append((known.T @ known)[upper] / count[upper] * weight)
    # Each coefficient's distance to the prior is measured against its own size.
    pull = np.sqrt(prior_weight) / np.maximum(PRIOR, 1e-6)
    matrix = np.concatenate([*rows, np.diag(pull)])
    solution, _ = nnls(matrix, np.concatenate([*targets, pull * PRIOR]))
    # Backtests of one quiet stretch must not promise that the next month is certain.
    return np.maximum(solution, [0.3, 0.0, 0.0, 0.0, 0.0])


def _correlation(pool: Sequence[SeriesErrors]) -> Floats:
    """Correlation between series of the error one month ahead, halfway shrunk for few origins; positive definite."""
    origins = sorted({origin for series in pool for origin in series.origins})
    z = np.full((len(origins), len(pool)), np.nan)
    for column, series in enumerate(pool):
        first = series.errors[:, 0] / np.sqrt(series.variances.sum(axis=1))
        for origin, error in zip(series.origins, first, strict=True):
            z[origins.index(origin), column] = error
    z = np.nan_to_num(np.clip(z, -4, 4))
    size = np.sqrt((z**2).sum(axis=0))
    size = np.where(size > 0, size, 1.0)
    seen = (z / size).T @ (z / size)
    kept = len(origins) / (len(origins) + FEW_ORIGINS)
    shrunk = kept * seen
    np.fill_diagonal(shrunk, 1.0)
    return shrunk


def _shape(pool: Sequence[SeriesErrors]) -> list[float]:
    """Quantiles of the standardised error one month ahead, pooled; smoothed halfway to the normal; empty where there are few."""
    z = np.concatenate([s.errors[:, 0] / np.sqrt(s.variances.sum(axis=1)) for s in pool])
    z = z[np.isfinite(z)]
    if len(z) < _MIN_FOR_SHAPE or z.std() == 0:
        return []
    levels = (np.arange(_SHAPE_LEVELS) + 0.5) / _SHAPE_LEVELS
    z = np.clip((z - z.mean()) / z.std(), -5, 5)
    mixed = (np.quantile(z, levels) + norm.ppf(levels)) / 2
    return ((mixed - mixed.mean()) / mixed.std()).tolist()
