"""Dates that a deal is measured against: the ends of the running month, quarter and year, and the rep's expected close date. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from predictkpi.core import columns as c
from predictkpi.core.arrays import Columns
from predictkpi.core.periods import Freq
from predictkpi.features.deal_asof import DAY, Floats, microseconds
from predictkpi.features.deal_history import TO_EXPECTED
from predictkpi.predictors.close_time.spec import LAST_DAY
from predictkpi.predictors.close_time.table import FISCAL

MONTHS: dict[Freq, int] = {"M": 1, "Q": 3, "Y": 12}
"""Length of a period."""


def days_to_period_ends(inputs: Columns, freqs: Iterable[Freq]) -> Floats:
    """Days ``(n, len(freqs))`` from each row's as_of to the end of the month or fiscal quarter or year that holds it; always above 0."""
    at, lengths = inputs[c.AS_OF][:, None], np.array([MONTHS[freq] for freq in freqs])
    month = at.astype("datetime64[M]")
    passed = (month.astype(np.int64) - (inputs[FISCAL][:, None] - 1)) % lengths
    return ((month + (lengths - passed)).astype("datetime64[us]") - at).astype(np.int64) / DAY


def days_to_slip(inputs: Columns) -> Floats:
    """Days ``(n,)`` to the end of the day that the rep expects the deal to close on: negative or 0 where it has passed, NaN without one."""
    at, ahead = microseconds(inputs[c.AS_OF]), inputs.floats(TO_EXPECTED)
    is_missing = np.isnan(ahead)
    due = at + np.rint(np.where(is_missing, 0.0, ahead) * DAY).astype(np.int64)
    end_of_day = (due // DAY + 1) * DAY
    return np.where(is_missing, np.nan, (end_of_day - at) / DAY)


def within(daily: Floats, days: Floats) -> Floats:
    """Chance of an event before ``days``, ``(n,)`` or several ``(n, m)``, from daily incidences ``(n, LAST_DAY + 1)``.

    Within a day the chance is even; before day 0 it is 0, after `LAST_DAY` it stays. NaN gives NaN.
    """
    is_missing = np.isnan(days)
    reached = np.minimum(np.maximum(np.where(is_missing, 0.0, days), 0.0), LAST_DAY)
    low = np.minimum(reached.astype(np.int64), LAST_DAY - 1)
    rows = np.arange(len(daily)).reshape(-1, *[1] * (days.ndim - 1))
    before = daily[rows, low]
    found = before + (reached - low) * (daily[rows, low + 1] - before)
    found[is_missing] = np.nan
    return found
