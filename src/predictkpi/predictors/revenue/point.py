"""The point forecast of one series, monthly unless said otherwise: shrunk season, damped ETS, Theta and a learnt member, or simpler means.

Sources: Miller & Williams (2003) for the James-Stein shrinkage of seasonal indices; Fiorucci et al. (2016) for the (dynamic)
optimised Theta models; Hyndman et al. (2008) for damped ETS. Both come from statsforecast, imported only when a forecast is made.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from predictkpi.predictors.revenue.network import learnt_path

Floats = npt.NDArray[np.float64]

SEASON = 12
SEASONAL_MONTHS = 24
MODEL_MONTHS = 12
MEAN_MONTHS = 3
_DAMPING = 0.7
# An outlier lies this many robust deviations and at least this factor away from the months around it.
_OUTLIER_DEVIATIONS = 6.0
_OUTLIER_FACTOR = 3.0
_PEAK_AGAIN = 0.5
_FITS_KEPT = 4096


@dataclass(frozen=True)
class Prepared:
    """A series made ready: outliers pulled in, and its seasonal indices taken out.

    ``log`` says that all months are positive, so season multiplies and errors are relative. ``season`` (12,), or as many as a
    year has periods, holds the index of the month ``k`` steps after the first month at ``k % 12``: factors with mean log 0 if ``log``,
    additions in currency otherwise. ``kept`` is the share of the estimated season that shrinking left, 0 without a season.
    """

    y: Floats
    log: bool
    season: Floats
    outliers: int
    kept: float = 0.0

    @property
    def period(self) -> int:
        """Periods of a year: 12 for months."""
        return len(self.season)

    def adjusted(self) -> Floats:
        """The series without its season, in currency."""
        index = self.season[np.arange(len(self.y)) % self.period]
        return self.y / index if self.log else self.y - index

    def with_season(self, path: Floats) -> Floats:
        """Put the season of the months after the series back into an adjusted path."""
        index = self.season[(len(self.y) + np.arange(len(path))) % self.period]
        return path * index if self.log else path + index

    @property
    def level(self) -> float:
        """Mean size of the last year's months, the unit of relative errors where ``log`` does not hold."""
        return float(np.abs(self.y[-self.period :]).mean()) if len(self.y) else 0.0

    def until(self, n: int) -> Prepared:
        """The first ``n`` months with the season learnt from all of them."""
        return Prepared(self.y[:n], self.log, self.season, self.outliers, self.kept)

    def season_error(self) -> float:
        """How much larger an error is for a season learnt from other years than for one learnt from the same months: a factor of 1 or more.

        An index is the kept part of a mean over the years: in sample it follows the noise, out of sample it adds to it.
        """
        years = len(self.y) / self.period
        return float(np.sqrt((1 + self.kept**2 / years) / (1 - self.kept * (2 - self.kept) / years))) if years > 1 else 1.0


def prepare(y: Floats, *, season: int = SEASON) -> Prepared:
    """Pull in outliers and estimate the season of ``season`` periods (none below two years)."""
    clean, outliers = _without_outliers(np.asarray(y, dtype=float), season)
    log = bool(len(clean)) and bool((clean > 0).all())
    if len(clean) < 2 * season:
        return Prepared(clean, log, np.ones(season) if log else np.zeros(season), outliers)
    indices, kept = shrunk_seasonal_indices(np.log(clean) if log else clean, season)
    return Prepared(clean, log, np.exp(indices) if log else indices, outliers, float(kept))


def shrunk_seasonal_indices(x: Floats, season: int = SEASON) -> tuple[Floats, Floats]:
    """Additive seasonal indices (..., season) of series ``x`` (..., n), n >= 2 x season, and the share (...) of them that was kept.

    Index ``k`` belongs to the positions ``k % 12``; they sum to 0.

    Month means of the difference to the 2x12 moving average, whose ends are extrapolated by the mean change from year to year / 12,
    shrunk towards none by the factor max(0, 1 - (m - 3) v / sum d²) with v the mean variance of an index.
    """
    n = x.shape[-1]
    weights = np.ones(season + 1)
    weights[[0, -1]] = 0.5
    half = season // 2
    middle = np.lib.stride_tricks.sliding_window_view(x, season + 1, axis=-1) @ (weights / season)
    slope = np.mean(x[..., season:] - x[..., :-season], axis=-1, keepdims=True) / season
    before = middle[..., :1] - slope * np.arange(half, 0, -1)
    after = middle[..., -1:] + slope * np.arange(1, half + 1)
    ratio = x - np.concatenate([before, middle, after], axis=-1)
    month = np.arange(n) % season
    counts = np.bincount(month)
    means = ratio @ (month[:, None] == np.arange(season)) / counts
    residual = ratio - means[..., month]
    variance = (residual**2).sum(axis=-1) / max(n - season, 1) * np.mean(1 / counts)
    deviations = means - means.mean(axis=-1, keepdims=True)
    spread = (deviations**2).sum(axis=-1)
    kept = np.where(spread > 0, np.maximum(0.0, 1 - (season - 3) * variance / np.where(spread > 0, spread, 1.0)), 0.0)
    return kept[..., None] * deviations, kept


def point_path(series: Prepared, horizon: int) -> Floats:
    """Expected revenue of the ``horizon`` months after the series, in currency.

    From 12 months on Theta and damped ETS, with their season if there is one; from 24 on the learnt member of `network` too; below, the
    damped mean (the last month pulled towards the mean); without any month, zeros. Never below zero where no month of the history was.
    """
    y = series.y
    if not len(y) or not np.any(y[-series.period :]):
        return np.zeros(horizon)
    if len(y) < series.period:
        weights = _DAMPING ** np.arange(1, horizon + 1) if len(y) >= MEAN_MONTHS else np.zeros(horizon)
        path = y.mean() + weights * (y[-1] - y.mean())
    else:
        path = _models(series, horizon)
    if series.log:
        return np.maximum(path, 0.05 * y[-series.period :].min())
    return np.maximum(path, 0.0) if (y >= 0).all() else path


class Fit(NamedTuple):
    """What the statistical models are fitted to: values and seasonal indices as bytes, and how far ahead."""

    y: bytes
    season: bytes
    log: bool
    horizon: int


def fit_of(series: Prepared, horizon: int) -> Fit | None:
    """What `point_path` of that series fits; None where the series is too short for it, or has ended."""
    if len(series.y) < series.period or not np.any(series.y[-series.period :]):
        return None
    return Fit(series.y.tobytes(), series.season.tobytes(), series.log, max(horizon, series.period))


_FITTED_ELSEWHERE: dict[Fit, Floats] = {}


def take_fitted(paths: Mapping[Fit, Floats]) -> None:
    """Use these paths of `fitted`, worked out elsewhere, until others are taken."""
    _FITTED_ELSEWHERE.clear()
    _FITTED_ELSEWHERE.update(paths)


def _models(series: Prepared, horizon: int) -> Floats:
    """Equal mean of the statistical models and, where it speaks for such a series, the learnt member."""
    fit = Fit(series.y.tobytes(), series.season.tobytes(), series.log, max(horizon, series.period))
    elsewhere = _FITTED_ELSEWHERE.get(fit)
    path = (fitted(*fit) if elsewhere is None else elsewhere)[:horizon].copy()
    learnt = learnt_path(series.y, series.season, series.kept, horizon) if series.log else None
    return path if learnt is None else (path + learnt) / 2


@lru_cache(maxsize=_FITS_KEPT)
def fitted(y: bytes, season: bytes, log: bool, horizon: int) -> Floats:
    """Equal mean of SA2 (Theta and ETS on the adjusted series, season put back) and the Theta model of the series, told by its bytes.

    Kept, since most origins of one month's backtest are those of the next month's too.
    """
    os.environ.setdefault("NIXTLA_NUMBA_CACHE", "1")
    from statsforecast.models import AutoETS, DynamicOptimizedTheta, OptimizedTheta

    series = Prepared(np.frombuffer(y).copy(), log, np.frombuffer(season), 0)
    adjusted = np.ascontiguousarray(series.adjusted())
    if np.ptp(adjusted) <= 1e-9 * max(abs(adjusted).max(), 1e-300):
        return series.with_season(np.full(horizon, adjusted[-1]))
    theta = DynamicOptimizedTheta(season_length=1).forecast(adjusted, h=horizon)["mean"]
    ets = AutoETS(season_length=1, model="ZZN", damped=True).forecast(adjusted, h=horizon)["mean"]
    sa2 = series.with_season((np.asarray(theta, float) + np.asarray(ets, float)) / 2)
    if series.log and np.any(series.season != 1) and len(series.y) >= 2 * series.period:
        own = OptimizedTheta(season_length=series.period).forecast(series.y, h=horizon)["mean"]
    else:
        own = series.with_season(OptimizedTheta(season_length=1).forecast(adjusted, h=horizon)["mean"])
    return (sa2 + np.asarray(own, float)) / 2


def roughness(series: Prepared) -> float:
    """Month-to-month noise of the adjusted series: a standard deviation, relative to its level; robust against single months.

    From first differences, so that growth does not count; corrected for the indices that were fitted to the same months.
    NaN below `MEAN_MONTHS` or where nothing varies.
    """
    if len(series.y) < MEAN_MONTHS or series.level == 0:
        return float("nan")
    adjusted = series.adjusted()
    x = np.log(adjusted) if series.log else adjusted / series.level
    change = np.diff(x)
    change = change - np.median(change)
    limit = 4 * 1.4826 * float(np.median(np.abs(change)))
    if limit > 0:
        change = np.clip(change, -limit, limit)
    years = len(series.y) / series.period
    lost = years / (years - 1) if len(series.y) >= 2 * series.period and np.ptp(series.season) > 0 else 1.0
    noise = float(np.sqrt(lost * np.sum(change**2) / (2 * max(len(change) - 1, 1))))
    return noise if noise > 0 else float("nan")


def _without_outliers(y: Floats, season: int) -> tuple[Floats, int]:
    """Single months far from the 13 around them, pulled in to the edge of what is usual; how many there were.

    A month that stands out as far, or half as far, in another year is a season's peak and stays.
    """
    n = len(y)
    if n < season:
        return y.copy(), 0
    around = np.array([np.median(y[max(0, t - season // 2) : t + season // 2 + 1]) for t in range(n)])
    distance = y - around
    allowed = np.maximum(_OUTLIER_DEVIATIONS * 1.4826 * np.median(np.abs(distance)), _OUTLIER_FACTOR * np.abs(around))
    far = np.divide(distance, allowed, out=np.zeros(n), where=allowed > 0)
    is_outlier = np.abs(far) > 1
    for t in np.flatnonzero(is_outlier):
        others = np.delete(far[t % season :: season], t // season)
        is_outlier[t] = not np.any(others * np.sign(far[t]) > _PEAK_AGAIN)
    clean = np.where(is_outlier, around + np.sign(distance) * allowed, y)
    return clean, int(is_outlier.sum())
