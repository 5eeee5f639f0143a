"""At which past instants the model practises, and over which spans: it learns from cohorts whose future is known by now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from predictkpi.features.purchase_days import DAY

YEAR = 364
"""Whole weeks, so that a cutoff and the one a year before it fall on the same weekday."""
STEP, SHORT_STEP = 91, 28
"""Days between cutoffs: a quarter of `YEAR`, or four weeks while the history is too short for that."""
SHORT_HISTORY = 1.5 * YEAR
MOST_CUTOFFS = 12
LEAST_HISTORY = 60
"""Days of orders that a cohort must have behind it."""
LONGEST_SPAN = YEAR
"""Longer horizons are reached from this one by the purchase model's own growth: few histories hold two of them."""


@dataclass(frozen=True)
class Practice:
    """``cutoffs`` newest first, and the ``spans`` (days) over which what came after them is looked at; both may be empty."""

    cutoffs: tuple[pd.Timestamp, ...]
    spans: tuple[int, ...]


def practice(as_of: pd.Timestamp, *, history_days: float, horizons: Sequence[float]) -> Practice:
    """The plan for a company with so many days of orders, to be asked for ``horizons`` in days.

    A span is a horizon in whole quarters of `YEAR`, so that it is over when the next cutoff comes, or half the history where that is
    shorter. Cutoffs stand one step apart, the newest of them the shortest span
    before ``as_of``, so that one stands (about) a year back as soon as the history allows it.
    """
    spans = sorted({int(min(_whole_quarters(horizon), LONGEST_SPAN, history_days // 2)) for horizon in horizons})
    if not spans or spans[0] < SHORT_STEP:
        return Practice((), ())
    step = STEP if history_days >= SHORT_HISTORY else SHORT_STEP
    backs = [spans[0] + step * number for number in range(MOST_CUTOFFS)]
    return Practice(tuple(as_of - back * DAY for back in backs if history_days - back >= LEAST_HISTORY), tuple(spans))


def _whole_quarters(horizon: float) -> int:
    return max(round(horizon / STEP), 1) * STEP if horizon > STEP / 2 else round(horizon)


def span_of(horizon: float, spans: Sequence[int]) -> int:
    """The span that stands for a horizon in days: the longest one that is not longer (within a week), else the shortest."""
    fitting = [span for span in spans if span <= horizon + 7]
    return max(fitting) if fitting else min(spans)
