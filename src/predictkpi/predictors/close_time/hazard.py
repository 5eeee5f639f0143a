"""Discrete-time competing risks by gradient boosting: in each period a deal stays open, is won or is lost.

A multiclass LightGBM over person-period rows (Tutz & Schmid, Modeling Discrete Time-to-Event Data, 2016, ch. 8): its three
probabilities are the hazards of a period, and their product along the periods is the cumulative incidence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from predictkpi.features.deal_asof import Floats
from predictkpi.predictors.close_time.boosting import Boosting, Rows, softmax, train
from predictkpi.predictors.close_time.design import Design
from predictkpi.predictors.close_time.periods import (
    ENDS,
    PERIOD_FEATURES,
    STARTS,
    at_risk,
    calendar_for,
    landmark_days,
    period_features,
    spread,
)
from predictkpi.predictors.close_time.table import IS_SAMPLED

if TYPE_CHECKING:
    from lightgbm import Booster

ROWS_AT_ONCE = 10_000
SUPPORT = 30
"""Landmarks that must have been watched to a period's end for its hazard to be learnt; later periods keep the last one's pace."""

QUARTER_FEATURES = [PERIOD_FEATURES.index("days_to_quarter_end"), PERIOD_FEATURES.index("rush_share")]
"""Held constant, so that no tree can use them, until a whole year was watched: of two or three quarter ends nobody can tell a habit from
two or three odd months, and all deals open then share the same luck."""
DAYS_OF_A_YEAR = 365


def has_seen_a_year(landmarks: pd.DataFrame) -> bool:
    """Whether the landmarks span the four ends of a fiscal quarter that make up a year."""
    days = landmark_days(landmarks)
    return len(days) > 0 and int(days.max() - days.min()) >= DAYS_OF_A_YEAR


class Hazard:
    """A fitted hazard: a LightGBM booster over the columns of a design, and the last period that was watched."""

    def __init__(self, booster: Booster, design: Design, last_period: int) -> None:
        self.booster, self.design, self.last_period = booster, design, last_period

    @property
    def feature_names(self) -> list[str]:
        """What each column of the booster is."""
        return [*self.design.names, *PERIOD_FEATURES]

    @classmethod
    def fit(cls, table: pd.DataFrame, settings: Boosting, design: Design, *, held_out: pd.DataFrame | None = None) -> Hazard:
        """Learn from the sampled landmarks of a training table; ``held_out`` landmarks settle the number of rounds."""
        rows = table[table[IS_SAMPLED].to_numpy(bool)].reset_index(drop=True)
        watched = (rows["observed_days"].to_numpy(float)[:, None] >= ENDS).sum(axis=0)
        last_period = int(np.max(np.flatnonzero(watched >= SUPPORT), initial=0))
        with_quarters = has_seen_a_year(rows)
        held = None if held_out is None else _rows(held_out, settings, design, with_quarters=with_quarters)
        booster = train(_rows(rows, settings, design, with_quarters=with_quarters), settings, held_out=held)
        return cls(booster, design, last_period)

    def daily(self, inputs: pd.DataFrame) -> Floats:
        """Daily cumulative incidences ``(n, 2, LAST_DAY + 1)``."""
        parts = [
            spread(part, self.incidence(self.scores(part)))
            for part in (inputs.iloc[low : low + ROWS_AT_ONCE] for low in range(0, max(len(inputs), 1), ROWS_AT_ONCE))
        ]
        return np.concatenate(parts)

    def matrix(self, inputs: pd.DataFrame) -> Floats:
        """All periods of all inputs, ``(n * n_periods, n_features)``, input by input."""
        n, n_periods = len(inputs), len(ENDS)
        row, period = np.repeat(np.arange(n), n_periods), np.tile(np.arange(n_periods), n)
        landmark = np.repeat(self.design.matrix(inputs), n_periods, axis=0)
        return np.column_stack([landmark, period_features(inputs, row, period, calendar_for(inputs))])

    def scores(self, inputs: pd.DataFrame) -> Floats:
        """The booster's raw scores (logits) of each period, ``(n, n_periods, 3)``."""
        if not len(inputs):
            return np.zeros((0, len(ENDS), 3))
        raw = np.asarray(self.booster.predict(self.matrix(inputs), num_threads=1, raw_score=True))
        return raw.reshape(len(inputs), len(ENDS), 3)

    def incidence(self, scores: Floats) -> Floats:
        """Cumulative incidences at the period ends from scores: ``(n, 2, n_periods)``."""
        hazards = self._beyond(softmax(scores))
        survival = np.cumprod(hazards[:, :, 0], axis=1)
        before = np.concatenate([np.ones((len(scores), 1)), survival[:, :-1]], axis=1)
        return np.moveaxis(np.cumsum(before[:, :, None] * hazards[:, :, 1:], axis=1), 1, 2)

    def _beyond(self, hazards: Floats) -> Floats:
        """Periods that nobody was watched through keep the pace of the last one that was."""
        last = self.last_period
        length = (ENDS - STARTS)[last + 1 :] / (ENDS - STARTS)[last]
        stays = hazards[:, last, 0][:, None] ** length
        leaves = np.maximum(hazards[:, last, 1:].sum(axis=1), 1e-12)
        shares = hazards[:, last, 1:] / leaves[:, None]
        hazards[:, last + 1 :, 0] = stays
        hazards[:, last + 1 :, 1:] = (1.0 - stays)[:, :, None] * shares[:, None, :]
        return hazards


def _rows(landmarks: pd.DataFrame, settings: Boosting, design: Design, *, with_quarters: bool) -> Rows:
    """Person-period rows; those without an event are thinned, and weigh the inverse."""
    row, period, outcome = at_risk(landmarks)
    kept = (outcome > 0) | (np.random.default_rng(settings.seed).random(len(row)) < settings.negatives)
    row, period, outcome = row[kept], period[kept], outcome[kept]
    calendar = period_features(landmarks, row, period, calendar_for(landmarks))
    if not with_quarters:
        calendar[:, QUARTER_FEATURES] = 0.0
    matrix = np.column_stack([design.matrix(landmarks)[row], calendar])
    return Rows(matrix, outcome, np.where(outcome > 0, 1.0, 1.0 / settings.negatives), design.categorical)
