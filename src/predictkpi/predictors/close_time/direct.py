"""Won, lost or open by a horizon, asked directly: one boosted classifier over (landmark, horizon) pairs.

A hazard multiplies its errors along the periods; a direct answer does not, but has fewer distinct events to learn each horizon from. Their
errors differ, so their mean is better than either. A pair is used if its horizon ends within what was observed, event or not: that end
does not depend on what happened, so no weighting for censoring is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from predictkpi.features.deal_asof import Floats, Ints
from predictkpi.features.deal_history import TO_EXPECTED
from predictkpi.predictors.close_time.boosting import Boosting, Rows, softmax, train
from predictkpi.predictors.close_time.design import Design
from predictkpi.predictors.close_time.hazard import ROWS_AT_ONCE, SUPPORT, has_seen_a_year
from predictkpi.predictors.close_time.periods import ENDS, calendar_for, landmark_days, spread
from predictkpi.predictors.close_time.table import DURATION, EVENT, IS_SAMPLED, OBSERVED

if TYPE_CHECKING:
    from lightgbm import Booster

HORIZON_FEATURES = ("horizon", "business_days", "first_weekday", "last_weekday", "to_expected_then", "rush_days")
RUSH = HORIZON_FEATURES.index("rush_days")
PAIRS_KEPT = 0.25
"""Share of the pairs that is learnt from, drawn blindly: neighbouring horizons of one landmark say nearly the same."""


class Direct:
    """A fitted classifier, and the last of the period ends that it was asked about; later ones keep its answer."""

    def __init__(self, booster: Booster, design: Design, last_period: int) -> None:
        self.booster, self.design, self.last_period = booster, design, last_period

    @property
    def feature_names(self) -> list[str]:
        """What each column of the booster is."""
        return [*self.design.names, *HORIZON_FEATURES]

    @classmethod
    def fit(cls, table: pd.DataFrame, settings: Boosting, design: Design, *, held_out: pd.DataFrame | None = None) -> Direct:
        """Learn from the sampled landmarks of a training table; ``held_out`` landmarks settle the number of rounds."""
        rows = table[table[IS_SAMPLED].to_numpy(bool)].reset_index(drop=True)
        watched = (rows[OBSERVED].to_numpy(float)[:, None] >= ENDS).sum(axis=0)
        last_period = int(np.max(np.flatnonzero(watched >= SUPPORT), initial=0))
        with_quarters = has_seen_a_year(rows)
        held = None if held_out is None else _pairs(held_out, settings, design, last_period, with_quarters=with_quarters)
        booster = train(_pairs(rows, settings, design, last_period, with_quarters=with_quarters), settings, held_out=held)
        return cls(booster, design, last_period)

    def daily(self, inputs: pd.DataFrame) -> Floats:
        """Daily cumulative incidences ``(n, 2, LAST_DAY + 1)``."""
        parts = [
            spread(part, self.incidence(self.scores(part)))
            for part in (inputs.iloc[low : low + ROWS_AT_ONCE] for low in range(0, max(len(inputs), 1), ROWS_AT_ONCE))
        ]
        return np.concatenate(parts)

    def matrix(self, inputs: pd.DataFrame) -> Floats:
        """All horizons of all inputs, ``(n * n_periods, n_features)``, input by input."""
        n, n_periods = len(inputs), len(ENDS)
        row, period = np.repeat(np.arange(n), n_periods), np.tile(np.minimum(np.arange(n_periods), self.last_period), n)
        return np.column_stack([np.repeat(self.design.matrix(inputs), n_periods, axis=0), _horizon_features(inputs, row, period)])

    def scores(self, inputs: pd.DataFrame) -> Floats:
        """The booster's raw scores (logits) of each horizon, ``(n, n_periods, 3)``."""
        if not len(inputs):
            return np.zeros((0, len(ENDS), 3))
        raw = np.asarray(self.booster.predict(self.matrix(inputs), num_threads=1, raw_score=True))
        return raw.reshape(len(inputs), len(ENDS), 3)

    def incidence(self, scores: Floats) -> Floats:
        """Cumulative incidences at the period ends from scores, made to rise and to leave room for each other: ``(n, 2, n_periods)``."""
        rising = np.maximum.accumulate(softmax(scores)[:, :, 1:], axis=1)
        rising /= np.maximum(rising[:, -1:].sum(axis=2, keepdims=True), 1.0)
        return np.moveaxis(rising, 1, 2)


def _pairs(landmarks: pd.DataFrame, settings: Boosting, design: Design, last_period: int, *, with_quarters: bool) -> Rows:
    """(landmark, horizon) rows that were watched to their end."""
    observed, duration = landmarks[OBSERVED].to_numpy(float), landmarks[DURATION].to_numpy(float)
    mature = observed[:, None] >= ENDS[: last_period + 1]
    mature &= np.random.default_rng(settings.seed).random(mature.shape) < PAIRS_KEPT
    row, period = np.nonzero(mature)
    outcome = np.where(duration[row] < ENDS[period], landmarks[EVENT].to_numpy(np.int64)[row], 0)
    horizons = _horizon_features(landmarks, row, period)
    if not with_quarters:
        horizons[:, RUSH] = 0.0
    return Rows(np.column_stack([design.matrix(landmarks)[row], horizons]), outcome, np.ones(len(row)), design.categorical)


def _horizon_features(frame: pd.DataFrame, row: Ints, period: Ints) -> Floats:
    """`HORIZON_FEATURES` of each (row, period end)."""
    start, calendar = landmark_days(frame)[row], calendar_for(frame)
    days = ENDS[period]
    return np.column_stack(
        [
            days,
            calendar.business_days(start, start + days),
            calendar.look(calendar.weekday, start),
            calendar.look(calendar.weekday, start + days),
            frame[TO_EXPECTED].to_numpy(float)[row] - days,
            calendar.rush_days(start, start + days),
        ]
    )
