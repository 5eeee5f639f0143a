"""What held at each of many instants, out of rows that hold from one instant to another. Pure; stocks and rolling windows share it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.kpis.base import View

SINCE = "since"
UNTIL = "until"
AT = "at"

YEAR = pd.DateOffset(months=12)


def standing_at_ends(states: pd.DataFrame, view: View, starts: pd.DatetimeIndex) -> pd.DataFrame:
    """`standing` at the end of each period; ``ds`` is the period's start."""
    return standing(states, view.ends(starts), labels=starts)


def standing(states: pd.DataFrame, instants: pd.DatetimeIndex, *, labels: pd.DatetimeIndex) -> pd.DataFrame:
    """Each state once per instant (increasing) at which it held: its columns, ``at`` and the instant's label as ``ds``.

    A state holds at an instant if it began before it and was not replaced before it: what happens at the instant itself comes after.
    """
    first = np.searchsorted(instants, states[SINCE], side="right")
    beyond = np.searchsorted(instants, states[UNTIL], side="right")  # an empty until sorts last
    count = np.maximum(beyond - first, 0)
    row = np.repeat(np.arange(len(states)), count)
    position = np.arange(len(row)) - np.repeat(np.cumsum(count) - count - first, count)
    return states.iloc[row].assign(**{c.DS: labels[position], AT: instants[position]})
