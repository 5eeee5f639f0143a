"""Discrete-time competing risks by gradient boosting: in each period a deal stays open, is won or is lost.

A multiclass LightGBM over person-period rows (Tutz & Schmid, Modeling Discrete Time-to-Event Data, 2016, ch. 8): its three
probabilities are the hazards of a period, and their product along the periods is the cumulative incidence.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from predictkpi.core.arrays import Columns
from predictkpi.features.deal_asof import Floats, Ints
from predictkpi.predictors.close_time.boosting import Boosting, softmax
from predictkpi.predictors.close_time.learner import Learner
from predictkpi.predictors.close_time.periods import LENGTHS, PERIOD_FEATURES, Seen, at_risk, period_features


class Hazard(Learner):
    """A fitted hazard; periods after the last one watched keep its pace."""

    own_features = PERIOD_FEATURES
    of_quarters = ("days_to_quarter_end", "rush_share")

    @classmethod
    def pairs(cls, landmarks: Columns, settings: Boosting, last_period: int) -> tuple[Ints, Ints, Ints, Floats]:
        """Person-period rows; those without an event are thinned, and weigh the inverse."""
        row, period, outcome = at_risk(landmarks)
        kept = (outcome > 0) | (np.random.default_rng(settings.seed).random(len(row)) < settings.negatives)
        row, period, outcome = row[kept], period[kept], outcome[kept]
        return row, period, outcome, np.where(outcome > 0, 1.0, 1.0 / settings.negatives)

    @staticmethod
    def period_columns(seen: Seen, last_period: int) -> Iterator[npt.NDArray]:
        """See `period_features`."""
        return period_features(seen)

    def incidence(self, scores: Floats) -> Floats:
        """Cumulative incidences at the period ends from scores: ``(n, 2, n_periods)``."""
        hazards = self._beyond(softmax(scores))
        survival = hazards[:, :, 0].cumprod(axis=1)
        before = np.ones_like(survival)
        before[:, 1:] = survival[:, :-1]
        return (before[:, :, None] * hazards[:, :, 1:]).cumsum(axis=1).transpose(0, 2, 1)

    def _beyond(self, hazards: Floats) -> Floats:
        """Periods that nobody was watched through keep the pace of the last one that was."""
        last = self.last_period
        stays = hazards[:, last, 0][:, None] ** (LENGTHS[last + 1 :] / LENGTHS[last])
        leaves = np.maximum(hazards[:, last, 1:].sum(axis=1), 1e-12)
        shares = hazards[:, last, 1:] / leaves[:, None]
        hazards[:, last + 1 :, 0] = stays
        hazards[:, last + 1 :, 1:] = (1.0 - stays)[:, :, None] * shares[:, None, :]
        return hazards
