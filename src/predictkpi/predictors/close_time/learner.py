"""What the two boosted learners have in common: a LightGBM booster asked about every period of every deal, and one reading of its scores.

A learner says what it learns from (`pairs`), which features a period has beside the design's (`period_columns`), and how scores become
incidences. Their errors differ, so their mean is better than either: `mean_daily`.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core.arrays import Columns
from predictkpi.core.compiled import compiled
from predictkpi.features.deal_asof import Floats, Ints
from predictkpi.predictors.close_time.boosting import Boosting, Rows, train
from predictkpi.predictors.close_time.design import Design
from predictkpi.predictors.close_time.forest import Forest
from predictkpi.predictors.close_time.periods import ENDS, PeriodCalendar, Seen, landmark_days, spread
from predictkpi.predictors.close_time.reasons import reason_of
from predictkpi.predictors.close_time.shap import MOST_FEATURES, Shares
from predictkpi.predictors.close_time.table import IS_SAMPLED, OBSERVED

if TYPE_CHECKING:
    from lightgbm import Booster

log = logging.getLogger(__name__)
ROWS_AT_ONCE = 100
"""Deals asked about at a time: bounds memory and how long other threads wait, changes nothing."""
SUPPORT = 30
"""Landmarks that must have been watched to a period's end for it to be learnt."""
DAYS_OF_A_YEAR = 365


class Learner(ABC):
    """A fitted booster over the columns of a design and `own_features`, and the last period that was watched."""

    own_features: ClassVar[tuple[str, ...]]
    moved_by: ClassVar[Mapping[str, str]]
    """Those of them that a feature of the deal is added to, and which."""
    of_quarters: ClassVar[tuple[str, ...]]
    """Those of them that are held constant, so that no tree can use them, until a whole year was watched: of two or three quarter ends
    nobody can tell a habit from two or three odd months, and all deals open then share the same luck."""

    def __init__(self, booster: Booster, design: Design, last_period: int) -> None:
        self.booster, self.design, self.last_period = booster, design, last_period
        self._calendar: tuple[PeriodCalendar, Floats] | None = None

    @cached_property
    def forest(self) -> Forest:
        """The booster's trees as they are evaluated."""
        return Forest.of(self.booster, shared=len(self.design.names))

    @cached_property
    def reasons(self) -> list[str]:
        """What its features belong to, sorted."""
        return sorted({reason_of(name) for name in self.feature_names})

    @cached_property
    def _shares(self) -> Shares | None:
        of_feature = [self.reasons.index(reason_of(name)) for name in self.feature_names]
        found = Shares.of(self.booster, self.forest, shared=len(self.design.names), reasons=of_feature)
        if found is None:
            log.warning("reasons take LightGBM's way, which is ten times as long: a tree looks at more than %d features", MOST_FEATURES)
        return found

    def contributions(self, seen: Seen) -> Floats:
        """TreeSHAP values by reason, ``(n, len(reasons), n_periods, 3)``."""
        if self._shares is not None:
            return self._shares.by_reason(self.forest, seen.matrix, self.own(seen), n_reasons=len(self.reasons))
        return self.by_reason(self.contributions_by_feature(seen)[..., :-1].transpose(0, 3, 1, 2))

    def contributions_by_feature(self, seen: Seen) -> Floats:
        """As LightGBM gives them, ``(n, n_periods, 3, n_features + 1)``, the last of them the expected score."""
        values = np.asarray(self.booster.predict(self.matrix(seen), num_threads=1, pred_contrib=True))
        return values.reshape(len(seen.matrix), len(ENDS), 3, -1)

    def by_reason(self, values: Floats) -> Floats:
        """Sums over the features of each reason, from ``(n, n_features, ...)``."""
        of_feature = np.array([self.reasons.index(reason_of(name)) for name in self.feature_names])
        return np.stack([values[:, of_feature == number].sum(axis=1) for number in range(len(self.reasons))], axis=1)

    @property
    def feature_names(self) -> list[str]:
        """What each column of the booster is."""
        return [*self.design.names, *self.own_features]

    @classmethod
    def fit(cls, table: pd.DataFrame, settings: Boosting, design: Design, *, held_out: pd.DataFrame | None = None) -> Self:
        """Learn from the sampled landmarks of a training table; ``held_out`` landmarks settle the number of rounds."""
        landmarks = Columns.of(table[table[IS_SAMPLED].to_numpy(bool)])
        watched = (landmarks[OBSERVED][:, None] >= ENDS).sum(axis=0)
        last_period = int(np.max(np.flatnonzero(watched >= SUPPORT), initial=0))
        constant = () if has_seen_a_year(landmarks) else cls.of_quarters

        def rows(of: Columns) -> Rows:
            seen = Seen.of(of, design)
            row, period, outcome, weight = cls.pairs(of, settings, last_period)
            own = cls._moved(cls._of_calendar(seen.calendar, last_period), seen)
            own[:, [name in constant for name in cls.own_features]] = 0.0
            return Rows(np.column_stack([seen.matrix[row], own[row, :, period]]), outcome, weight, design.categorical)

        held = None if held_out is None else rows(Columns.of(held_out))
        return cls(train(rows(landmarks), settings, held_out=held), design, last_period)

    @classmethod
    @abstractmethod
    def pairs(cls, landmarks: Columns, settings: Boosting, last_period: int) -> tuple[Ints, Ints, Ints, Floats]:
        """What is learnt from: ``(row number, period, outcome, weight)`` with outcome 0 open, 1 won, 2 lost."""

    @staticmethod
    @abstractmethod
    def period_columns(calendar: PeriodCalendar, last_period: int) -> Iterator[npt.NDArray]:
        """`own_features` of each day and period but for what `moved_by` adds, ``(n_days, n_periods)`` or to be broadcast to it."""

    @abstractmethod
    def incidence(self, scores: Floats) -> Floats:
        """Cumulative incidences at the period ends ``(n, 2, n_periods)`` from scores ``(n, n_periods, 3)``."""

    def matrix(self, seen: Seen) -> Floats:
        """All periods of all inputs, ``(n * n_periods, n_features)``, input by input."""
        n, width = seen.matrix.shape
        matrix = np.empty((n, len(ENDS), width + len(self.own_features)))
        matrix[:, :, :width] = seen.matrix[:, None, :]
        matrix[:, :, width:] = self.own(seen).transpose(0, 2, 1)
        return matrix.reshape(n * len(ENDS), -1)

    def own(self, seen: Seen) -> Floats:
        """`own_features` of each row and period, ``(n, n_own, n_periods)``. The calendar's part is kept: a service asks of one day."""
        kept = self._calendar
        if kept is None or kept[0] is not seen.calendar:
            self._calendar = kept = seen.calendar, self._of_calendar(seen.calendar, self.last_period)
        return self._moved(kept[1], seen)

    @classmethod
    def _of_calendar(cls, calendar: PeriodCalendar, last_period: int) -> Floats:
        columns = [np.broadcast_to(column, calendar.weekday.shape) for column in cls.period_columns(calendar, last_period)]
        return np.stack(columns, axis=1).astype(float)

    @classmethod
    def _moved(cls, of_calendar: Floats, seen: Seen) -> Floats:
        return _shifted(of_calendar, seen.which, _places(cls), seen.inputs.stacked([*cls.moved_by.values()]))

    def scores(self, seen: Seen) -> Floats:
        """The booster's raw scores (logits) of each period, ``(n, n_periods, 3)``."""
        return self.forest.scores(seen.matrix, self.own(seen))


@cache
def _places(learner: type[Learner]) -> Ints:
    """Where in `own_features` those that are moved stand."""
    return np.array([learner.own_features.index(name) for name in learner.moved_by])


@compiled
def _shifted(of_calendar: Floats, which: Ints, places: Ints, by: Floats) -> Floats:
    """The calendar's columns ``(n_days, n_own, n_periods)`` of each deal's day, those at ``places`` moved by ``(n_places, n)``."""
    own = np.empty((len(which), *of_calendar.shape[1:]))
    for deal in range(len(which)):
        own[deal] = of_calendar[which[deal]]
        for number in range(len(places)):
            own[deal, places[number]] += by[number, deal]
    return own


def has_seen_a_year(landmarks: Columns) -> bool:
    """Whether the landmarks span the four ends of a fiscal quarter that make up a year."""
    days = landmark_days(landmarks)
    return len(days) > 0 and int(days.max() - days.min()) >= DAYS_OF_A_YEAR


def mean_daily(learners: Sequence[Learner], inputs: Columns) -> Floats:
    """Mean of the daily cumulative incidences of learners of one design: ``(n, 2, LAST_DAY + 1)``."""
    seen = Seen.of(inputs, learners[0].design)
    incidence = sum(learner.incidence(learner.scores(seen)) for learner in learners) / len(learners)
    return spread(seen.calendar.passed[seen.which], np.asarray(incidence))


def by_parts(daily: Callable[[Columns], Floats], inputs: Columns) -> Floats:
    """Daily incidences of inputs, `ROWS_AT_ONCE` of them at a time."""
    if len(inputs) <= ROWS_AT_ONCE:
        return daily(inputs)
    starts = range(0, len(inputs), ROWS_AT_ONCE)
    return np.concatenate([daily(inputs.take(slice(low, low + ROWS_AT_ONCE))) for low in starts])
