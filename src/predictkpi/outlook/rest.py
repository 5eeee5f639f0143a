"""Business that does not exist yet: what no open deal and no earlier win will bring, forecast from its own past.

Seen from an origin, that is one series for each month ahead: the nearer the month, the less of it can still be opened and won in time.
Each is forecast as any revenue series, as far ahead as its own newest complete month lies behind.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.outlook.items import Items, PastSplit, past_split
from predictkpi.predictors.revenue.point import point_path, prepare
from predictkpi.predictors.revenue.table import first_whole_month

Floats = npt.NDArray[np.float64]

_YEAR = 12


def split_for(items: Items, as_of: pd.Timestamp, scopes: Sequence[str], *, horizons: int) -> PastSplit:
    """The split of all revenue since the first whole month."""
    first = first_whole_month(items.frame[c.DS].min()) if len(items.frame) else as_of
    return past_split(items, as_of, scopes, horizons=horizons, first=first)


def forecast_rest(split: PastSplit, *, horizons: int) -> Floats:
    """Expected revenue of each scope without open deals and earlier wins ``(scopes, horizons)``, the first being the rest of this month."""
    found = np.zeros((split.from_rest.shape[0], horizons))
    for step in range(horizons):
        known = split.from_rest[:, : split.complete(step), step]
        for scope, series in enumerate(known):
            begins = np.flatnonzero(series)
            if len(begins):
                found[scope, step] = point_path(prepare(series[begins[0] :].copy()), step + 1)[step]
    return found


def usual_rest(split: PastSplit) -> Floats:
    """Mean of it over the newest year of origins ``(scopes, horizons)``; what adds up in the past adds up here."""
    means = []
    for step in range(split.from_rest.shape[2]):
        known = split.from_rest[:, : split.complete(step), step][:, -_YEAR:]
        means.append(known.mean(axis=1) if known.shape[1] else np.zeros(len(known)))
    return np.stack(means, axis=1)
