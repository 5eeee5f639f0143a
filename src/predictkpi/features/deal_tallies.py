"""How often, and how lately, each kind of thing happened to a deal: stages entered, activities of each kind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from predictkpi.core.arrays import Texts
from predictkpi.features.deal_asof import DAY, MISSING, Floats, Ints

STAGES = "stage"
ACTIVITIES = "activity"
TIMES, DAYS_SINCE = "times", "days_since"
MOST_KINDS = 20
"""Kinds that are told apart, the earliest known first: a kind that turns up later never pushes out one that is learnt from."""


def tallies(family: str, kinds: Sequence[str] | Texts, pair: Ints, kind: Ints, ds: Ints, landmark: Ints) -> dict[str, Floats]:
    """Two columns a kind, ``<family>.<kind>.times`` and ``.days_since`` (the last time); both are missing where it never happened.

    ``pair`` names the landmark that each thing, of code ``kind`` and at instant ``ds``, counts for.
    """
    n, width = len(landmark), min(len(kinds), MOST_KINDS)
    if not width:
        return {}
    told = kind < width
    cell = pair[told] * width + kind[told]
    times = np.bincount(cell, minlength=n * width).astype(float)
    last = np.full(n * width, MISSING)
    np.maximum.at(last, cell, ds[told])
    never = times == 0
    times[never] = np.nan
    days = (landmark.repeat(width) - last) / DAY
    days[never] = np.nan
    columns = {}
    for code in range(width):
        columns[f"{family}.{kinds[code]}.{TIMES}"] = times[code::width]
        columns[f"{family}.{kinds[code]}.{DAYS_SINCE}"] = days[code::width]
    return columns
