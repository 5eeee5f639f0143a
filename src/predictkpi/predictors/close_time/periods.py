"""Person-period rows: each landmark taken apart into periods, with the calendar of each period. Pure NumPy."""

from __future__ import annotations

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.features.deal_asof import DAY, Floats, Ints, microseconds
from predictkpi.features.deal_history import AGE, IN_STAGE, TO_EXPECTED
from predictkpi.predictors.close_time.spec import LAST_DAY, PERIOD_ENDS
from predictkpi.predictors.close_time.table import DURATION, EVENT, FISCAL, OBSERVED

ENDS = np.array(PERIOD_ENDS)
STARTS = np.concatenate([[0], ENDS[:-1]])
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


def landmark_days(frame: pd.DataFrame) -> Ints:
    """Day number of each row's as_of; an instant within a day counts from that day's midnight."""
    return microseconds(frame[c.AS_OF]) // DAY


def calendar_for(frame: pd.DataFrame) -> Calendar:
    """The calendar of all periods of all rows."""
    day = landmark_days(frame)
    fiscal = int(frame[FISCAL].iloc[0]) if len(frame) else 1
    return Calendar(int(day.min(initial=0)) if not len(day) else int(day.min()), int(day.max(initial=0)) + LAST_DAY, fiscal)


def at_risk(table: pd.DataFrame) -> tuple[Ints, Ints, Ints]:
    """Rows of the hazard: ``(row number, period, outcome)`` with outcome 0 open, 1 won, 2 lost in that period.

    A row is there if the deal was open at the period's start and the period ends within what was observed, event or not: that end
    does not depend on what happened, so no weighting for censoring is needed.
    """
    duration, event = table[DURATION].to_numpy(float), table[EVENT].to_numpy(np.int64)
    observed = table[OBSERVED].to_numpy(float)
    kept = (duration[:, None] >= STARTS) & (observed[:, None] >= ENDS)
    row, period = np.nonzero(kept)
    happened = (event[row] > 0) & (duration[row] < ENDS[period])
    return row, period, np.where(happened, event[row], 0)


def period_features(frame: pd.DataFrame, row: Ints, period: Ints, calendar: Calendar) -> Floats:
    """`PERIOD_FEATURES` of each (row, period): shape ``(len(row), n_features)``; all follow from as_of and the landmark's features."""
    start = landmark_days(frame)[row] + STARTS[period]
    end = landmark_days(frame)[row] + ENDS[period]
    ahead, days = STARTS[period], ENDS[period] - STARTS[period]
    age, in_stage, to_expected = (frame[name].to_numpy(float)[row] for name in (AGE, IN_STAGE, TO_EXPECTED))
    return np.column_stack(
        [
            period,
            days,
            age + ahead,
            in_stage + ahead,
            to_expected - ahead,
            calendar.business_days(start, end),
            calendar.look(calendar.weekday, start),
            calendar.look(calendar.to_month_end, start),
            calendar.look(calendar.to_quarter_end, start),
            calendar.rush_days(start, end) / days,
        ]
    )


def spread(frame: pd.DataFrame, incidence: Floats) -> Floats:
    """Daily incidences from incidences at the period ends ``(n, 2, n_periods)``: inside a period they grow with business time.

    A period without a business day grows evenly.
    """
    day = landmark_days(frame)
    calendar = calendar_for(frame)
    grid = np.arange(1, LAST_DAY + 1)
    period = np.searchsorted(ENDS, grid)
    start, end = day[:, None] + STARTS[period], day[:, None] + ENDS[period]
    total = calendar.business_days(start, end)
    passed = calendar.business_days(start, day[:, None] + grid)
    even = (grid - STARTS[period]) / (ENDS[period] - STARTS[period])
    share = np.where(total > 0, passed / np.maximum(total, 1), even)[:, None, :]
    before = np.concatenate([np.zeros((*incidence.shape[:2], 1)), incidence[:, :, :-1]], axis=2)[:, :, period]
    daily = before + share * (incidence[:, :, period] - before)
    return np.concatenate([np.zeros((*incidence.shape[:2], 1)), daily], axis=2)
