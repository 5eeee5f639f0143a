"""Seasonal naive: the same month of the last year again, with the errors this rule made before."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core.types import Status
from predictkpi.errors import SettingsError
from predictkpi.predictors.revenue.forecaster import HORIZON, SeriesForecaster, ladder, series_by_origin
from predictkpi.predictors.revenue.point import SEASON
from predictkpi.predictors.revenue.scopes import CROSSED, Crossed, checked_pairs

Floats = npt.NDArray[np.float64]

# The relative spread of an error where none could be observed yet.
_ERROR_UNSEEN = 0.35
_FEWEST_PATHS = 5


class RevenueBaseline(SeriesForecaster):
    """Same month of the last year; the last month where less than 13 are there. Paths add whole past error vectors.

    Errors are log ratios where all months are positive, else relative to the mean size of the year before their origin, and divided by
    their series' own root mean square; the pool is all series and origins of the company, and draw d is the same vector in every series.
    """

    kind: ClassVar[Literal["model", "baseline"]] = "baseline"
    format = "predictkpi.revenue.baseline/1"

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
        vectors: dict[str, list[list[float]]] = {}
        for entity_id, versions in sorted(by_origin.items()):
            truth = versions[max(versions)]
            errors = {}
            for as_of, known in versions.items():
                history = known.to_numpy(dtype=float)
                ahead = truth[truth.index > known.index[-1]].to_numpy(dtype=float)[:HORIZON]
                if len(history) > SEASON and len(ahead) and _level(history) > 0:
                    errors[as_of] = _errors(history, ahead)
            if not errors:
                continue
            size = float(np.sqrt(np.mean(np.concatenate(list(errors.values())) ** 2)))
            if size > 0:
                self.size_[entity_id] = size
                for as_of, error in errors.items():
                    if len(error) == HORIZON:
                        vectors.setdefault(as_of.isoformat(), []).append((error / size).tolist())
        self.vectors_ = {origin: vectors[origin] for origin in sorted(vectors)}

    def _paths(self, entity_id: str, history: Floats) -> tuple[Floats, Status, str]:
        status, reason = ladder(len(history))
        if status is Status.INSUFFICIENT_DATA:
            return np.full((self.draws, HORIZON), np.nan), status, reason
        sizes = list(self.size_.values())
        size = self.size_.get(entity_id, float(np.median(sizes)) if sizes else _ERROR_UNSEEN)
        naive, errors = seasonal_naive(history, HORIZON), size * self._drawn()
        if (history > 0).all():
            return naive * np.exp(errors), status, reason
        paths = naive + _level(history) * errors
        return (np.maximum(paths, 0.0) if (history >= 0).all() else paths), status, reason

    def _drawn(self) -> Floats:
        """Standardised whole error vectors (draws, H), the same for every series; normal ones while few are known."""
        generator = np.random.default_rng(self.random_state)
        pool = np.array([vector for of_origin in self.vectors_.values() for vector in of_origin])
        if len(pool) < _FEWEST_PATHS:
            return generator.standard_normal((self.draws, HORIZON))
        return pool[generator.integers(len(pool), size=self.draws)]

    def _settings(self) -> dict[str, Any]:
        return {"draws": self.draws, "origins": self.origins, "crossed": self.crossed, "random_state": self.random_state}

    def _learned(self) -> dict[str, Any]:
        return {"size": self.size_, "vectors": self.vectors_}

    def _restore(self, learned: dict[str, Any]) -> None:
        self.size_ = {str(name): float(value) for name, value in learned["size"].items()}
        self.vectors_ = {str(origin): vectors for origin, vectors in learned["vectors"].items()}


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
