"""The revenue model: a Theta and ETS ensemble per series, with intervals learnt from the company's own rolling origins."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core.types import Status
from predictkpi.errors import SettingsError
from predictkpi.predictors.revenue.baseline import RevenueBaseline
from predictkpi.predictors.revenue.errors import OF_NOISE, ErrorModel, SeriesErrors
from predictkpi.predictors.revenue.forecaster import HORIZON, SeriesForecaster, ladder, series_by_origin
from predictkpi.predictors.revenue.network import learnt_errors
from predictkpi.predictors.revenue.point import (
    MODEL_MONTHS,
    SEASON,
    SEASONAL_MONTHS,
    Prepared,
    point_path,
    prepare,
    roughness,
)
from predictkpi.protocol import Predictor, worst

Floats = npt.NDArray[np.float64]

# Assumed where nothing can be measured: the noise of a month, and the swing of a season nobody has seen a year of yet.
_NOISE_UNSEEN = 0.35
_SEASON_UNSEEN = 0.15
# Long real series are calmer than the generated ones that the network learnt from, short ones are not: measured on windows of the training
# part of the M3 competition.
_LEARNT_SHARE = 0.8
_LEARNT_MONTHS = 12
_FEWEST_FOR_ORIGIN = 9
_LARGEST_ERROR = 6.0


class RevenueForecaster(SeriesForecaster):
    """Mean of SA2, optimised Theta and the learnt member from 24 months on, Theta and ETS without season from 12 on, damped mean below.
    Paths from `ErrorModel`.

    Parameters: ``draws`` sample paths a series; ``origins`` months to look back for backtest errors; ``pool_series`` the most series
    (the largest) whose errors are pooled; ``prior_weight`` the weight of the expected error covariance against that of all backtests;
    ``freedom`` the degrees of freedom of the spread itself: fewer give longer tails.
    """

    format = "predictkpi.revenue.model/2"

    def __init__(
        self,
        *,
        draws: int = 1000,
        origins: int = 24,
        pool_series: int = 60,
        prior_weight: float = 10.0,
        freedom: float = 5.0,
        random_state: int = 0,
    ) -> None:
        if draws < 100 or origins < 1 or pool_series < 1 or prior_weight <= 0 or freedom <= 2:
            raise SettingsError(
                f"revenue: draws={draws} (100 or more), origins={origins}, pool_series={pool_series} (1 or more), "
                f"prior_weight={prior_weight} (above 0), freedom={freedom} (above 2)"
            )
        self.draws = draws
        self.origins = origins
        self.pool_series = pool_series
        self.prior_weight = prior_weight
        self.freedom = freedom
        self.random_state = random_state

    def baseline(self) -> Predictor:
        """Seasonal naive with the same number of paths."""
        return RevenueBaseline(draws=self.draws, origins=self.origins, random_state=self.random_state)

    def _learn(self, table: pd.DataFrame) -> None:
        self.learn(series_by_origin(table))

    def learn(self, by_origin: dict[str, dict[pd.Timestamp, pd.Series]]) -> Self:
        """`fit` on series already told apart: entity_id to as_of to ``y``, indexed by month as known then."""
        newest = {entity_id: versions[max(versions)] for entity_id, versions in by_origin.items()}
        largest = sorted(newest, key=lambda entity_id: (-float(newest[entity_id].abs().sum()), entity_id))[: self.pool_series]
        pool = [backtest_errors(entity_id, by_origin[entity_id], alone=len(largest) == 1) for entity_id in largest]
        self.errors_ = ErrorModel.fit(pool, prior_weight=self.prior_weight, freedom=self.freedom)
        return self

    def _paths(self, entity_id: str, history: Floats) -> tuple[Floats, Status, str]:
        status, reason = ladder(len(history))
        if status is Status.INSUFFICIENT_DATA:
            return np.full((self.draws, HORIZON), np.nan), status, reason
        series = prepare(history)
        reasons = [reason] if reason else []
        if series.outliers:
            status = worst(status, Status.LIMITED)
            reasons.append(f"{series.outliers} of {len(history)} months lie far from those around them and were pulled in")
        if not np.any(series.y[-SEASON:]):
            status = worst(status, Status.LIMITED)
            reasons.append("no revenue in the last 12 months: taken to have ended")
        elif not series.log:
            status = worst(status, Status.LIMITED)
            reasons.append("some months are zero or negative: errors are taken as absolute, not relative")
        variances = _variances(series)
        errors = self.errors_.draw(entity_id, variances, draws=self.draws, horizon=HORIZON, seed=self.random_state)
        size = np.sqrt(np.diag(self.errors_.covariance(variances, HORIZON)))
        return _spread(series, point_path(series, HORIZON), errors, size), status, "; ".join(reasons)

    def _settings(self) -> dict[str, Any]:
        names = ("draws", "origins", "pool_series", "prior_weight", "freedom", "random_state")
        return {name: getattr(self, name) for name in names}

    def _learned(self) -> dict[str, Any]:
        return self.errors_.to_json()

    def _restore(self, learned: dict[str, Any]) -> None:
        self.errors_ = ErrorModel.from_json(learned)


def backtest_errors(entity_id: str, versions: dict[pd.Timestamp, pd.Series], *, alone: bool = False) -> SeriesErrors:
    """Relative errors of `point_path` from each origin, against the newest version of the series.

    ``versions`` maps as_of to the series as known then. Where the series is long enough for a season but was not yet at an origin,
    the origin borrows the season of today, and its errors are widened by the error of an index learnt from so few years. A series ``alone``
    also by what they lack for having had a part in it: among the many series of a company that much would be too wide (both measured).
    """
    newest = versions[max(versions)]
    today = prepare(newest.to_numpy(dtype=float))
    truth = today.y
    rows, variances, names = [], [], []
    for as_of, known in sorted(versions.items()):
        n = len(known)
        ahead = min(HORIZON, len(truth) - n)
        if ahead < 1 or n < _FEWEST_FOR_ORIGIN or known.index[0] != newest.index[0]:
            continue
        borrowed = n < SEASONAL_MONTHS <= len(truth)
        series = today.until(n) if borrowed else prepare(known.to_numpy(dtype=float))
        if borrowed and n < MODEL_MONTHS:
            continue
        path = point_path(series, ahead)
        errors = _relative(truth[n : n + ahead], path, series, log=today.log and series.log)
        if borrowed:
            errors = errors * (today.season_error() if alone else np.sqrt(1 + SEASON / len(truth)))
        rows.append(np.concatenate([errors, np.full(HORIZON - ahead, np.nan)]))
        variances.append(_variances(today if borrowed else series))
        names.append(as_of.isoformat())
    return SeriesErrors(entity_id, np.reshape(rows, (-1, HORIZON)), np.reshape(variances, (-1, len(OF_NOISE))), names)


def _relative(actual: Floats, path: Floats, series: Prepared, *, log: bool) -> Floats:
    if log:
        return np.log(np.maximum(actual / path, 0.02))
    return (actual - path) / series.level if series.level else np.full(len(path), np.nan)


def _variances(series: Prepared) -> Floats:
    """The variances (3,) that `ErrorModel` takes: as learnt for positive series of two years and more, by the noise of the others."""
    learnt = learnt_errors(series.y, series.season, series.kept) if series.log else None
    if learnt is None:
        return OF_NOISE * _noise(series) ** 2
    return _LEARNT_SHARE * (1 + _LEARNT_MONTHS / len(series.y)) * learnt


def _noise(series: Prepared) -> float:
    """The series' own month-to-month noise, pulled towards the assumed one where few months speak; a season unseen comes on top."""
    measured, n = roughness(series), len(series.y)
    own = measured if np.isfinite(measured) else 0.0
    weight = max(n - 2, 0) / (max(n - 2, 0) + 2) if n < MODEL_MONTHS else 1.0
    variance = weight * own**2 + (1 - weight) * _NOISE_UNSEEN**2
    if n < SEASONAL_MONTHS:
        variance = variance * (1 + 1 / n) + _SEASON_UNSEEN**2 * max(0.0, 1 - n / SEASONAL_MONTHS)
    return float(np.sqrt(variance))


def _spread(series: Prepared, path: Floats, errors: Floats, size: Floats) -> Floats:
    """The point path with relative errors: of mean (nearly) the point path, and never below zero where no month of the history was."""
    errors = np.clip(errors, -_LARGEST_ERROR * size, _LARGEST_ERROR * size)
    if series.log:
        return path * np.exp(errors - np.minimum(size, 1.0) ** 2 / 2)
    paths = path + series.level * errors
    return np.maximum(paths, 0.0) if (series.y >= 0).all() else paths
