"""Person-period rows: each landmark taken apart into periods, with the calendar of each period. Pure NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
import numpy.typing as npt

from predictkpi.core import columns as c
from predictkpi.core.arrays import Columns
from predictkpi.core.compiled import compiled
from predictkpi.features.deal_asof import DAY, Floats, Ints, distinct, microseconds
from predictkpi.predictors.close_time.design import Design
from predictkpi.predictors.close_time.spec import LAST_DAY, PERIOD_ENDS
from predictkpi.predictors.close_time.table import DURATION, EVENT, FISCAL, OBSERVED

ENDS = np.array(PERIOD_ENDS)
STARTS = np.concatenate([[0], ENDS[:-1]])
LENGTHS = ENDS - STARTS
PERIODS = np.arange(len(ENDS))
GRID = np.arange(1, LAST_DAY + 1)
"""Days that daily incidences are given before, the period each lies in, and the share of it that has passed by then."""
GRID_PERIODS = np.searchsorted(ENDS, GRID)
GRID_STARTS, GRID_ENDS = STARTS[GRID_PERIODS], ENDS[GRID_PERIODS]
EVENLY = (GRID - GRID_STARTS) / (GRID_ENDS - GRID_STARTS)
RUSH_DAYS = 10
"""The last days of a quarter, in which sales teams hurry."""
PERIOD_FEATURES = (
    "period",
    "period_days",
    "age_then",
    "in_stage_then",
    "to_expected_then",
    "business_days",
    "weekday",
    "days_to_month_end",
    "days_to_quarter_end",
    "rush_share",
)


class Calendar:
    """Day tables over a span of days, looked up by day number since 1970."""

    def __init__(self, first_day: int, last_day: int, fiscal_year_starts: int) -> None:
        self._first = first_day
        days = np.arange(first_day, last_day + 2)
        dates = days.astype("datetime64[D]")
        month = dates.astype("datetime64[M]")
        self.weekday = (days + 3) % 7
        self.to_month_end = ((month + 1).astype("datetime64[D]") - dates).astype(int)
        in_quarter = (month.astype(int) - (fiscal_year_starts - 1)) % 3
        self.to_quarter_end = ((month - in_quarter + 3).astype("datetime64[D]") - dates).astype(int)
        self._business = _running(self.weekday < 5)
        self._rush = _running(self.to_quarter_end <= RUSH_DAYS)

    def look(self, table: Ints, day: Ints) -> Ints:
        """Values of a day table."""
        return table[day - self._first]

    def business_days(self, start: Ints, end: Ints) -> Ints:
        """Weekdays in ``[start, end)``."""
        return self._business[end - self._first] - self._business[start - self._first]

    def rush_days(self, start: Ints, end: Ints) -> Ints:
        """Days in ``[start, end)`` among the last of a quarter."""
        return self._rush[end - self._first] - self._rush[start - self._first]


def _running(flags: np.ndarray) -> Ints:
    return np.concatenate([[0], np.cumsum(flags)])


def landmark_days(inputs: Columns) -> Ints:
    """Day number of each row's as_of; an instant within a day counts from that day's midnight."""
    return microseconds(inputs[c.AS_OF]) // DAY


@dataclass(frozen=True)
class PeriodCalendar:
    """What the calendar says of every period after each of some days: ``(n_days, n_periods)`` each.

    ``business_days`` and ``rush_days`` are those of a period, ``business_days_by_end`` and ``rush_days_by_end`` those from the day to its
    end; ``passed`` ``(n_days, LAST_DAY)`` is the share of its period's business time that has passed before each day of `GRID`.
    """

    business_days: Ints
    weekday: Ints
    to_month_end: Ints
    to_quarter_end: Ints
    rush_days: Ints
    business_days_by_end: Ints
    end_weekday: Ints
    rush_days_by_end: Ints
    passed: Floats

    @classmethod
    def after(cls, days: Ints, fiscal_year_starts: int) -> Self:
        """After each of these days; a period without a business day passes evenly."""
        first, last = (int(days.min()), int(days.max())) if len(days) else (0, 0)
        calendar = Calendar(first, last + LAST_DAY, fiscal_year_starts)
        day = days[:, None]
        start, end, of_grid = day + STARTS, day + ENDS, day + GRID_STARTS
        total, passed = calendar.business_days(of_grid, day + GRID_ENDS), calendar.business_days(of_grid, day + GRID)
        return cls(
            business_days=calendar.business_days(start, end),
            weekday=calendar.look(calendar.weekday, start),
            to_month_end=calendar.look(calendar.to_month_end, start),
            to_quarter_end=calendar.look(calendar.to_quarter_end, start),
            rush_days=calendar.rush_days(start, end),
            business_days_by_end=calendar.business_days(day, end),
            end_weekday=calendar.look(calendar.weekday, end),
            rush_days_by_end=calendar.rush_days(day, end),
            passed=np.where(total > 0, passed / np.maximum(total, 1), EVENLY),
        )


@lru_cache(maxsize=8)
def _after_one(day: int, fiscal_year_starts: int) -> PeriodCalendar:
    return PeriodCalendar.after(np.array([day]), fiscal_year_starts)


@lru_cache(maxsize=8)
def _after_instant(at: np.datetime64, fiscal_year_starts: int) -> PeriodCalendar:
    return _after_one(int(at.astype("datetime64[D]").astype(np.int64)), fiscal_year_starts)


def calendar_for(inputs: Columns) -> tuple[PeriodCalendar, Ints]:
    """The calendar of the different days of these inputs, and which of them each row has."""
    at = inputs.shared(c.AS_OF)
    if at is not None:
        return _after_instant(at, inputs.shared(FISCAL)), np.zeros(len(inputs), np.int64)
    days, which = distinct(landmark_days(inputs))
    fiscal = int(inputs[FISCAL][0]) if len(inputs) else 1
    return (_after_one(int(days[0]), fiscal) if len(days) == 1 else PeriodCalendar.after(days, fiscal)), which


def at_risk(landmarks: Columns) -> tuple[Ints, Ints, Ints]:
    """Rows of the hazard: ``(row number, period, outcome)`` with outcome 0 open, 1 won, 2 lost in that period.

    A row is there if the deal was open at the period's start and the period ends within what was observed, event or not: that end
    does not depend on what happened, so no weighting for censoring is needed.
    """
    duration, event = landmarks[DURATION], landmarks[EVENT]
    kept = (duration[:, None] >= STARTS) & (landmarks[OBSERVED][:, None] >= ENDS)
    row, period = np.nonzero(kept)
    happened = (event[row] > 0) & (duration[row] < ENDS[period])
    return row, period, np.where(happened, event[row], 0)


@dataclass(frozen=True)
class Seen:
    """What the learners see of rows of inputs: ``matrix`` ``(n, m)`` of a design, the calendar of their days and ``which`` each row has."""

    inputs: Columns
    matrix: Floats
    calendar: PeriodCalendar
    which: Ints

    @classmethod
    def of(cls, inputs: Columns, design: Design) -> Self:
        """Through this design."""
        return cls(inputs, design.matrix(inputs), *calendar_for(inputs))


def period_features(calendar: PeriodCalendar) -> Iterator[npt.NDArray]:
    """`PERIOD_FEATURES` of each day and period, ``(n_days, n_periods)`` or to be broadcast to it, of a deal all of whose days are 0."""
    yield PERIODS
    yield LENGTHS
    yield STARTS
    yield STARTS
    yield -STARTS
    yield calendar.business_days
    yield calendar.weekday
    yield calendar.to_month_end
    yield calendar.to_quarter_end
    yield calendar.rush_days / LENGTHS


def spread(passed: Floats, incidence: Floats) -> Floats:
    """Daily incidences ``(n, 2, LAST_DAY + 1)`` from those at the period ends ``(n, 2, n_periods)``.

    Inside a period they grow with its business time: ``passed`` ``(n, LAST_DAY)``, see `PeriodCalendar`.
    """
    return _spread(passed, incidence, GRID_PERIODS)


@compiled
def _spread(passed: Floats, incidence: Floats, period_of: Ints) -> Floats:
    n, causes, _ = incidence.shape
    daily = np.zeros((n, causes, len(period_of) + 1))
    for deal in range(n):
        for cause in range(causes):
            for day in range(len(period_of)):
                period = period_of[day]
                before = incidence[deal, cause, period - 1] if period else 0.0
                daily[deal, cause, day + 1] = before + passed[deal, day] * (incidence[deal, cause, period] - before)
    return daily
