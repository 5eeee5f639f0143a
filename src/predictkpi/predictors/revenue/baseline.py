"""Seasonal naive: the same month of the last year again, with the errors this rule made before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

from predictkpi.core import columns as c
from predictkpi.core.types import Status
from predictkpi.errors import SettingsError
from predictkpi.predictors.revenue.forecaster import HORIZON, SeriesForecaster, ladder, series_by_origin
from predictkpi.predictors.revenue.point import SEASON
from predictkpi.predictors.revenue.scopes import CROSSED, Crossed, checked_pairs
from predictkpi.predictors.revenue.together import normals, pulled, shared_revenue

Floats = npt.NDArray[np.float64]

# The relative spread of an error where none could be observed yet.
_ERROR_UNSEEN = 0.35
_FEWEST_PATHS = 5


class RevenueBaseline(SeriesForecaster):
    """Same month of the last year; the last month where less than 13 are there. Paths add whole past error vectors.

    Errors are log ratios where all months are positive, else relative to the mean size of the year before their origin, and divided by
    their series' own root mean square; the pool is all series and origins of the company. In draw d two series have vectors of the more
    similar a mean the more revenue they share. Paths are made to add up like the model's, so that whatever serves adds up.
    """

    kind: ClassVar[Literal["model", "baseline"]] = "baseline"
    format = "predictkpi.revenue.baseline/2"

    def __init__(self, *, draws: int = 1000, origins: int = 24, crossed: Crossed = CROSSED, random_state: int = 0) -> None:
        if draws < 100 or origins < 1:
            raise SettingsError(f"revenue baseline: draws={draws} (100 or more), origins={origins} (1 or more)")
        self.draws = draws
        self.origins = origins
        self.crossed = checked_pairs(crossed)
        self.random_state = random_state

    def _learn(self, table: pd.DataFrame) -> None:
        by_origin = series_by_origin(table)
        self.size_: dict[str, float] = {}
        vectors: list[list[float]] = []
        for entity_id, versions in sorted(by_origin.items()):
            truth = versions[max(versions)]
            errors = []
            for known in versions.values():
                history = known.to_numpy(dtype=float)
                ahead = truth[truth.index > known.index[-1]].to_numpy(dtype=float)[:HORIZON]
                if len(history) > SEASON and len(ahead) and _level(history) > 0:
                    errors.append(_errors(history, ahead))
            if not errors:
                continue
            size = float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))
            self.size_[entity_id] = size
            if size > 0:  # what repeats itself to the last digit has no shape of errors, and none are drawn for it
                vectors += [(error / size).tolist() for error in errors if len(error) == HORIZON]
        self.vectors_ = sorted(vectors, key=np.mean)
        level = {entity_id: _level(versions[max(versions)].to_numpy(dtype=float)) for entity_id, versions in by_origin.items()}
        self.names_ = sorted(level)
        self.together_ = pulled(np.eye(len(level)), shared_revenue(self.names_, level), 1.0).tolist()

    def _paths(self, entity_id: str, history: Floats) -> tuple[Floats, Status, str]:
        status, reason = ladder(len(history))
        if status is Status.INSUFFICIENT_DATA:
            return np.full((self.draws, HORIZON), np.nan), status, reason
        naive, errors = seasonal_naive(history, HORIZON), self._size(entity_id) * self._drawn(entity_id)
        if (history > 0).all():
            return naive * np.exp(errors), status, reason
        paths = naive + _level(history) * errors
        return (np.maximum(paths, 0.0) if (history >= 0).all() else paths), status, reason

    def _carried(self, history: Floats) -> float:
        return 0.0  # the rule takes the year before as it was, whatever the running month says

    def _covariance(self, entity_ids: Sequence[str], histories: Sequence[Floats]) -> Floats:
        """The total's is nothing: it stays as it is and its parts give way, of which young ones only repeat their last month."""
        sizes = [self._size(name) * _level(history) for name, history in zip(entity_ids, histories, strict=True)]
        size = np.where(np.array(entity_ids) == c.TOTAL, 0.0, sizes)
        return np.diag(np.square(size))

    def _size(self, entity_id: str) -> float:
        sizes = [size for size in self.size_.values() if size > 0]
        return self.size_.get(entity_id, float(np.median(sizes)) if sizes else _ERROR_UNSEEN)

    def _drawn(self, entity_id: str) -> Floats:
        """Standardised whole error vectors (draws, H); normal ones while few are known."""
        if len(self.vectors_) < _FEWEST_PATHS:
            return np.random.default_rng(self.random_state).standard_normal((self.draws, HORIZON))
        rank = norm.cdf(normals(entity_id, self.names_, self.together_, draws=self.draws, seed=self.random_state))
        return np.array(self.vectors_)[(rank * len(self.vectors_)).astype(int)]

    def _settings(self) -> dict[str, Any]:
        return {"draws": self.draws, "origins": self.origins, "crossed": self.crossed, "random_state": self.random_state}

    def _learned(self) -> dict[str, Any]:
        return {"size": self.size_, "vectors": self.vectors_, "names": self.names_, "together": self.together_}

    def _restore(self, learned: dict[str, Any]) -> None:
        self.size_ = {str(name): float(value) for name, value in learned["size"].items()}
        self.vectors_, self.names_, self.together_ = (list(learned[name]) for name in ("vectors", "names", "together"))


def seasonal_naive(history: Floats, horizon: int) -> Floats:
    """The last year's months again (horizon,); the last month repeated where there are fewer than 13."""
    if len(history) <= SEASON:
        return np.full(horizon, history[-1])
    return np.resize(history[-SEASON:], horizon)


def _errors(history: Floats, ahead: Floats) -> Floats:
    naive = seasonal_naive(history, HORIZON)[: len(ahead)]
    if (history > 0).all() and (ahead > 0).all():
        return np.log(ahead / naive)
    return (ahead - naive) / _level(history)


def _level(history: Floats) -> float:
    return float(np.abs(history[-SEASON:]).mean())
