"""The revenue model: a Theta and ETS ensemble per series, with intervals learnt from the company's own rolling origins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import future_periods
from predictkpi.core.types import Status
from predictkpi.errors import SettingsError
from predictkpi.predictors.revenue.baseline import RevenueBaseline
from predictkpi.predictors.revenue.errors import FEW_ORIGINS, OF_NOISE, ErrorModel, SeriesErrors
from predictkpi.predictors.revenue.events import checked_events, event_factors
from predictkpi.predictors.revenue.explain import TITLES, Explained
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
from predictkpi.predictors.revenue.reconcile import error_covariance
from predictkpi.predictors.revenue.running import Booked
from predictkpi.predictors.revenue.scopes import CROSSED, Crossed, checked_pairs
from predictkpi.predictors.revenue.shared import SharedMember
from predictkpi.predictors.revenue.table import DAY_FACTOR
from predictkpi.predictors.revenue.together import pulled, shared_revenue
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
# No path of a positive series is so many times as high as expected: one draw of a heavy tail must not make the mean.
_LARGEST_FACTOR = 10.0


class RevenueForecaster(SeriesForecaster):
    """Mean of SA2, optimised Theta and the learnt member from 24 months on, Theta and ETS without season from 12 on, damped mean below;
    beside it the `SharedMember` of all series where it proved itself. Paths from `ErrorModel`.

    Parameters: ``draws`` sample paths a series; ``origins`` months to look back for backtest errors; ``pool_series`` the most series
    (the largest) whose errors are pooled; ``prior_weight`` the weight of the expected error covariance against that of all backtests;
    ``freedom`` the degrees of freedom of the spread itself: fewer give longer tails; ``crossed`` the pairs of dimensions whose
    crossed members are series too; ``events`` what is known of single months, see `Event`.
    """

    format = "predictkpi.revenue.model/4"

    def __init__(
        self,
        *,
        draws: int = 1000,
        origins: int = 24,
        pool_series: int = 60,
        prior_weight: float = 10.0,
        freedom: float = 5.0,
        crossed: Crossed = CROSSED,
        events: Sequence[Mapping[str, Any]] = (),
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
        self.crossed = checked_pairs(crossed)
        self.events = checked_events(events)
        self.random_state = random_state

    def baseline(self) -> Predictor:
        """Seasonal naive with the same number of paths."""
        return RevenueBaseline(draws=self.draws, origins=self.origins, crossed=self.crossed, random_state=self.random_state)

    @property
    def purpose(self) -> str:
        """See `Predictor.purpose`."""
        return "How revenue will go on, for the company and its parts, for plans and for the chance to hit a target."

    @property
    def limits(self) -> tuple[str, ...]:
        """See `Predictor.limits`."""
        return (
            "A break that no month of the past has seen, as in 2020, lies outside its intervals.",
            "Small series are told with the company's errors, not with their own.",
        )

    def explain(self, inputs: pd.DataFrame) -> pd.DataFrame:
        """Steps from the level of the last year to the mean of each month; see `STEPS` in `explain`."""
        rows = []
        for series, part, answer in self._answered(inputs):
            _, ahead = self._factors(series, answer.as_of)
            explained = Explained(
                history=part.history,
                days=series.days_ahead,
                events=ahead / series.days_ahead,
                shared=self.shared_,
                drawn=part.drawn,
                completed=part.answer.paths.mean(axis=0),
                final=answer.paths.mean(axis=0),
            )
            rows += [
                (answer.entity_id, answer.as_of, place + 1, "mean", step, value)
                for step, values in explained.steps().items()
                for place, value in enumerate(values)
            ]
        return pd.DataFrame(rows, columns=list(super().explain(inputs).columns))

    def reason_title(self, feature: str, language: str = "en") -> str:
        """See `Predictor.reason_title`."""
        return TITLES[feature][language]

    def _learn(self, table: pd.DataFrame) -> None:
        table = table.assign(**{c.Y: table[c.Y] / table[DAY_FACTOR]})
        by_origin = series_by_origin(table)
        if self.events:
            by_origin = {
                entity_id: {at: self._without_events(y, at) for at, y in versions.items()} for entity_id, versions in by_origin.items()
            }
        self.learn(by_origin)

    def _without_events(self, y: pd.Series, as_of: pd.Timestamp) -> pd.Series:
        past, _ = event_factors(self.events, y.to_numpy(dtype=float), pd.DatetimeIndex(y.index), pd.DatetimeIndex([]), as_of)
        return y / past

    def _factors(self, series: Booked, as_of: pd.Timestamp) -> tuple[Floats, Floats]:
        ahead = future_periods(as_of, HORIZON, "M")
        months = pd.date_range(end=ahead[0], periods=len(series.y) + 1, freq="MS", unit="us")[:-1]
        past, coming = event_factors(self.events, series.y / series.days, months, ahead, as_of)
        return series.days * past, series.days_ahead * coming

    def learn(self, by_origin: dict[str, dict[pd.Timestamp, pd.Series]]) -> Self:
        """`fit` on series already told apart: entity_id to as_of to ``y``, indexed by month as known then."""
        newest = {entity_id: versions[max(versions)] for entity_id, versions in by_origin.items()}
        largest = sorted(newest, key=lambda entity_id: (-float(newest[entity_id].abs().sum()), entity_id))[: self.pool_series]
        self.shared_ = SharedMember.learn(
            [prepare(y.to_numpy(dtype=float)) for y in newest.values()], horizon=HORIZON, seed=self.random_state
        )
        pool = [backtest_errors(entity_id, by_origin[entity_id], alone=len(largest) == 1) for entity_id in largest]
        self.errors_ = ErrorModel.fit(pool, prior_weight=self.prior_weight, freedom=self.freedom)
        self.together_ = _together(
            self.errors_, pool, {entity_id: prepare(y.to_numpy(dtype=float)).level for entity_id, y in newest.items()}
        )
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
        errors = replace(self.errors_, correlation=self.together_).draw(
            entity_id, variances, draws=self.draws, horizon=HORIZON, seed=self.random_state
        )
        size = np.sqrt(np.diag(self.errors_.covariance(variances, HORIZON)))
        if self.shared_.hears(series):  # the errors were those of each series alone
            errors, size = errors * (1 - self.shared_.saved), size * (1 - self.shared_.saved)
        return _spread(series, self.shared_.blended(series, point_path(series, HORIZON)), errors, size), status, "; ".join(reasons)

    def _carried(self, history: Floats) -> float:
        covariance = self.errors_.covariance(_variances(prepare(history)), 2) if len(history) else np.eye(2)
        return float(covariance[1, 0] / covariance[0, 0])

    def _covariance(self, entity_ids: Sequence[str], histories: Sequence[Floats]) -> Floats:
        series = [prepare(history) for history in histories]
        variances, level = np.array([_variances(each) for each in series]), np.array([each.level for each in series])
        return error_covariance(self.errors_, entity_ids, variances, level)

    def _settings(self) -> dict[str, Any]:
        names = ("draws", "origins", "pool_series", "prior_weight", "freedom", "crossed", "events", "random_state")
        return {name: getattr(self, name) for name in names}

    def _learned(self) -> dict[str, Any]:
        return self.errors_.to_json() | {"together": self.together_, "shared": self.shared_.to_json()}

    def _restore(self, learned: dict[str, Any]) -> None:
        self.errors_ = ErrorModel.from_json(learned)
        self.shared_ = SharedMember.from_json(learned["shared"])
        self.together_ = [[float(value) for value in row] for row in learned["together"]]


def _together(errors: ErrorModel, pool: Sequence[SeriesErrors], level: Mapping[str, float]) -> list[list[float]]:
    """The correlation that draws have: that of the errors, and what few origins leave open as the revenue they share says."""
    if not errors.series:
        return []
    origins = len({origin for series in pool for origin in series.origins})
    towards = shared_revenue(list(errors.series), level)
    return pulled(np.array(errors.correlation), towards, FEW_ORIGINS / (origins + FEW_ORIGINS)).tolist()


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
        bounded = np.clip(errors, -np.log(_LARGEST_FACTOR), np.log(_LARGEST_FACTOR))
        return path * np.exp(bounded - np.minimum(size, 1.0) ** 2 / 2)
    paths = path + series.level * errors
    return np.maximum(paths, 0.0) if (series.y >= 0).all() else paths
