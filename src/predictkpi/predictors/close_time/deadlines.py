"""Dates that a deal is measured against: the ends of the running month, quarter and year, and the rep's expected close date. Pure."""

from __future__ import annotations

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import Freq
from predictkpi.features.deal_asof import DAY, Floats, microseconds
from predictkpi.features.deal_history import TO_EXPECTED
from predictkpi.predictors.close_time.spec import LAST_DAY
from predictkpi.predictors.close_time.table import FISCAL

MONTHS: dict[Freq, int] = {"M": 1, "Q": 3, "Y": 12}
"""Length of a period."""


def days_to_period_end(inputs: pd.DataFrame, freq: Freq) -> Floats:
    """Days ``(n,)`` from each row's as_of to the end of the month or fiscal quarter or year that holds it; always above 0."""
    at = np.asarray(inputs[c.AS_OF], dtype="datetime64[us]")
    month, length = at.astype("datetime64[M]"), MONTHS[freq]
    passed = (month.astype(np.int64) - (inputs[FISCAL].to_numpy(np.int64) - 1)) % length
    return ((month + (length - passed)).astype("datetime64[us]") - at).astype(np.int64) / DAY


def days_to_slip(inputs: pd.DataFrame) -> Floats:
    """Days ``(n,)`` to the end of the day that the rep expects the deal to close on: negative or 0 where it has passed, NaN without one."""
    at = microseconds(inputs[c.AS_OF])
    ahead = inputs[TO_EXPECTED].to_numpy(float)
    due = at + np.rint(np.nan_to_num(ahead) * DAY).astype(np.int64)
    end_of_day = (due // DAY + 1) * DAY
    return np.where(np.isnan(ahead), np.nan, (end_of_day - at) / DAY)


def within(daily: Floats, days: Floats) -> Floats:
    """Chance of an event before ``days`` ``(n,)``, from daily incidences ``(n, LAST_DAY + 1)``.

    Within a day the chance is even; before day 0 it is 0, after `LAST_DAY` it stays. NaN gives NaN.
    """
    reached = np.clip(np.nan_to_num(days), 0.0, LAST_DAY)
    low = np.minimum(reached.astype(np.int64), LAST_DAY - 1)
    rows = np.arange(len(daily))
    found = daily[rows, low] + (reached - low) * (daily[rows, low + 1] - daily[rows, low])
    return np.where(np.isnan(days), np.nan, found)
