"""How often, and how lately, each kind of thing happened to a deal: stages entered, activities of each kind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from predictkpi.features.deal_asof import DAY, MISSING, Ints

STAGES = "stage"
ACTIVITIES = "activity"
TIMES, DAYS_SINCE = "times", "days_since"
MOST_KINDS = 20
"""Kinds that are told apart, the earliest known first: a kind that turns up later never pushes out one that is learnt from."""


def tallies(family: str, kinds: Sequence[str], pair: Ints, kind: Ints, ds: Ints, landmark: Ints) -> pd.DataFrame:
    """Two columns a kind, ``<family>.<kind>.times`` and ``.days_since`` (the last time); both are missing where it never happened.

    ``pair`` names the landmark that each thing, of code ``kind`` and at instant ``ds``, counts for.
    """
    n, width = len(landmark), min(len(kinds), MOST_KINDS)
    told = kind < width
    cell = pair[told] * width + kind[told]
    times = np.bincount(cell, minlength=n * width).reshape(n, width).astype(float)
    last = np.full(n * width, MISSING)
    np.maximum.at(last, cell, ds[told])
    days = (landmark[:, None] - last.reshape(n, width)) / DAY
    happened = times > 0
    columns = {}
    for code in range(width):
        columns[f"{family}.{kinds[code]}.{TIMES}"] = np.where(happened[:, code], times[:, code], np.nan)
        columns[f"{family}.{kinds[code]}.{DAYS_SINCE}"] = np.where(happened[:, code], days[:, code], np.nan)
    return pd.DataFrame(columns, index=pd.RangeIndex(n))
