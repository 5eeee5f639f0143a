"""Discrete-time competing risks by gradient boosting: in each period a deal stays open, is won or is lost.

A multiclass LightGBM over person-period rows (Tutz & Schmid, Modeling Discrete Time-to-Event Data, 2016, ch. 8): its three
probabilities are the hazards of a period, and their product along the periods is the cumulative incidence.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from predictkpi.core.arrays import Columns
from predictkpi.core.compiled import compiled
from predictkpi.features.deal_asof import Floats, Ints
from predictkpi.features.deal_history import AGE, IN_STAGE, TO_EXPECTED
from predictkpi.predictors.close_time.boosting import Boosting, softmax
from predictkpi.predictors.close_time.learner import Learner
from predictkpi.predictors.close_time.periods import LENGTHS, PERIOD_FEATURES, PeriodCalendar, at_risk, period_features


class Hazard(Learner):
    """A fitted hazard; periods after the last one watched keep its pace."""

    own_features = PERIOD_FEATURES
    of_quarters = ("days_to_quarter_end", "rush_share")
    moved_by: ClassVar = {"age_then": AGE, "in_stage_then": IN_STAGE, "to_expected_then": TO_EXPECTED}

    @classmethod
    def pairs(cls, landmarks: Columns, settings: Boosting, last_period: int) -> tuple[Ints, Ints, Ints, Floats]:
        """Person-period rows; those without an event are thinned, and weigh the inverse."""
        row, period, outcome = at_risk(landmarks)
        kept = (outcome > 0) | (np.random.default_rng(settings.seed).random(len(row)) < settings.negatives)
        row, period, outcome = row[kept], period[kept], outcome[kept]
        return row, period, outcome, np.where(outcome > 0, 1.0, 1.0 / settings.negatives)

    @staticmethod
    def period_columns(calendar: PeriodCalendar, last_period: int) -> Iterator[npt.NDArray]:
        """See `period_features`."""
        return period_features(calendar)

    def incidence(self, scores: Floats) -> Floats:
        """Cumulative incidences at the period ends from scores: ``(n, 2, n_periods)``."""
        return hazard_incidence(scores, self.last_period, LENGTHS)


@compiled
def hazard_incidence(scores: Floats, last: int, lengths: Ints) -> Floats:
    """`Hazard.incidence`: periods after the ``last`` one that anybody was watched through keep its pace."""
    n, periods, _ = scores.shape
    found = np.empty((n, 2, periods))
    hazards = np.empty((periods, 3))
    for deal in range(n):
        survival, won, lost = 1.0, 0.0, 0.0
        for period in range(periods):
            if period <= last:
                softmax(scores[deal, period], hazards[period])
            else:
                stays = hazards[last, 0] ** (lengths[period] / lengths[last])
                leaves = max(hazards[last, 1] + hazards[last, 2], 1e-12)
                hazards[period, 0] = stays
                hazards[period, 1] = (1.0 - stays) * (hazards[last, 1] / leaves)
                hazards[period, 2] = (1.0 - stays) * (hazards[last, 2] / leaves)
            won += survival * hazards[period, 1]
            lost += survival * hazards[period, 2]
            survival *= hazards[period, 0]
            found[deal, 0, period], found[deal, 1, period] = won, lost
    return found
