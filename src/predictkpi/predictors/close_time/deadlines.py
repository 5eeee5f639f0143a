"""Dates that a deal is measured against: the ends of the running month, quarter and year, and the rep's expected close date. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from predictkpi.core import columns as c
from predictkpi.core.arrays import Columns
from predictkpi.core.compiled import compiled
from predictkpi.core.periods import Freq
from predictkpi.features.deal_asof import DAY, Floats, Ints, microseconds
from predictkpi.features.deal_history import TO_EXPECTED
from predictkpi.predictors.close_time.spec import LAST_DAY
from predictkpi.predictors.close_time.table import FISCAL

MONTHS: dict[Freq, int] = {"M": 1, "Q": 3, "Y": 12}
"""Length of a period."""


def days_to_period_ends(inputs: Columns, freqs: Iterable[Freq]) -> Floats:
    """Days ``(n, len(freqs))`` from each row's as_of to the end of the month or fiscal quarter or year that holds it; always above 0."""
    lengths = tuple(MONTHS[freq] for freq in freqs)
    instant = inputs.shared(c.AS_OF)
    if instant is not None:
        ends = _to_period_ends(instant, inputs.shared(FISCAL), lengths)
        return np.array([ends] * len(inputs), float).reshape(len(inputs), len(lengths))
    rows = zip(inputs[c.AS_OF].astype("datetime64[us]"), inputs[FISCAL].tolist(), strict=True)
    return np.array([_to_period_ends(at, fiscal, lengths) for at, fiscal in rows], float).reshape(len(inputs), len(lengths))


@lru_cache(maxsize=64)
def _to_period_ends(at: np.datetime64, fiscal_year_starts: int, lengths: tuple[int, ...]) -> tuple[float, ...]:
    month = at.astype("datetime64[M]")
    passed = (month.astype(np.int64) - (fiscal_year_starts - 1)) % np.array(lengths)
    return tuple((((month + (np.array(lengths) - passed)).astype("datetime64[us]") - at).astype(np.int64) / DAY).tolist())


def days_to_slip(inputs: Columns) -> Floats:
    """Days ``(n,)`` to the end of the day that the rep expects the deal to close on: negative or 0 where it has passed, NaN without one."""
    return _days_to_slip(microseconds(inputs[c.AS_OF]), inputs.floats(TO_EXPECTED))


@compiled
def _days_to_slip(at: Ints, ahead: Floats) -> Floats:
    found = np.empty(len(at))
    for deal in range(len(at)):
        found[deal] = to_end_of_day(at[deal], ahead[deal])
    return found


@compiled
def to_end_of_day(at: int, ahead: float) -> float:
    """Days from an instant in microseconds to the end of the day that lies so many days ahead; NaN gives NaN."""
    if ahead != ahead:
        return np.nan
    due = at + np.int64(np.rint(ahead * DAY))
    return ((due // DAY + 1) * DAY - at) / DAY


def within(daily: Floats, days: Floats) -> Floats:
    """Chance of an event before ``days``, ``(n,)`` or several ``(n, m)``, from daily incidences ``(n, LAST_DAY + 1)``.

    Within a day the chance is even; before day 0 it is 0, after `LAST_DAY` it stays. NaN gives NaN.
    """
    return _within(daily, days if days.ndim == 2 else days[:, None]).reshape(days.shape)


@compiled
def _within(daily: Floats, days: Floats) -> Floats:
    found = np.empty(days.shape)
    for deal in range(len(days)):
        for place in range(days.shape[1]):
            found[deal, place] = chance_within(daily[deal], days[deal, place])
    return found


@compiled
def chance_within(daily: Floats, days: float) -> float:
    """`within` of one deal."""
    if days != days:
        return np.nan
    reached = min(max(days, 0.0), LAST_DAY)
    low = min(int(reached), LAST_DAY - 1)
    return daily[low] + (reached - low) * (daily[low + 1] - daily[low])
