"""Won, lost or open by a horizon, asked directly: one boosted classifier over (landmark, horizon) pairs.

A hazard multiplies its errors along the periods; a direct answer does not, but has fewer distinct events to learn each horizon from. A
pair is used if its horizon ends within what was observed, event or not: that end does not depend on what happened, so no weighting for
censoring is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from predictkpi.core.arrays import Columns
from predictkpi.core.compiled import compiled
from predictkpi.features.deal_asof import Floats, Ints
from predictkpi.features.deal_history import TO_EXPECTED
from predictkpi.predictors.close_time.boosting import Boosting, softmax
from predictkpi.predictors.close_time.learner import Learner
from predictkpi.predictors.close_time.periods import ENDS, PERIODS, PeriodCalendar
from predictkpi.predictors.close_time.table import DURATION, EVENT, OBSERVED

PAIRS_KEPT = 0.25
"""Share of the pairs that is learnt from, drawn blindly: neighbouring horizons of one landmark say nearly the same."""


class Direct(Learner):
    """A fitted classifier; horizons after the last one watched keep its answer."""

    own_features = ("horizon", "business_days", "first_weekday", "last_weekday", "to_expected_then", "rush_days")
    of_quarters = ("rush_days",)
    moved_by: ClassVar = {"to_expected_then": TO_EXPECTED}

    @classmethod
    def pairs(cls, landmarks: Columns, settings: Boosting, last_period: int) -> tuple[Ints, Ints, Ints, Floats]:
        """(landmark, horizon) rows that were watched to their end."""
        mature = landmarks[OBSERVED][:, None] >= ENDS[: last_period + 1]
        mature &= np.random.default_rng(settings.seed).random(mature.shape) < PAIRS_KEPT
        row, period = np.nonzero(mature)
        outcome = np.where(landmarks[DURATION][row] < ENDS[period], landmarks[EVENT][row], 0)
        return row, period, outcome, np.ones(len(row))

    @staticmethod
    def period_columns(calendar: PeriodCalendar, last_period: int) -> Iterator[npt.NDArray]:
        """`own_features` of each day and horizon; those after the last one watched are asked about as that one."""
        asked = np.minimum(PERIODS, last_period)
        days = ENDS[asked]
        yield days
        yield calendar.business_days_by_end[:, asked]
        yield calendar.weekday[:, :1]
        yield calendar.end_weekday[:, asked]
        yield -days
        yield calendar.rush_days_by_end[:, asked]

    def incidence(self, scores: Floats) -> Floats:
        """Cumulative incidences at the period ends from scores, made to rise and to leave room for each other: ``(n, 2, n_periods)``."""
        return direct_incidence(scores)


@compiled
def direct_incidence(scores: Floats) -> Floats:
    """`Direct.incidence`."""
    n, periods, _ = scores.shape
    found = np.empty((n, 2, periods))
    chances = np.empty(3)
    for deal in range(n):
        won, lost = 0.0, 0.0
        for period in range(periods):
            softmax(scores[deal, period], chances)
            won, lost = max(won, chances[1]), max(lost, chances[2])
            found[deal, 0, period], found[deal, 1, period] = won, lost
        room = max(won + lost, 1.0)
        for period in range(periods):
            found[deal, 0, period] /= room
            found[deal, 1, period] /= room
    return found
