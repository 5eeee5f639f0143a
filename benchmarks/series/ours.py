"""The revenue engine on series that come from no snapshot."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.predictors.revenue.model import RevenueForecaster
from predictkpi.predictors.revenue.point import point_path, prepare
from predictkpi.predictors.revenue.shared import SharedMember
from predictkpi.predictors.revenue.table import inputs_of

Floats = npt.NDArray[np.float64]

AS_OF = pd.Timestamp("2020-01-01")


def points(history: Floats, horizon: int, season: int) -> Floats:
    """The point path (horizon,) after the series."""
    return point_path(prepare(history, season=season), horizon)


def company_points(histories: list[Floats], horizon: int, season: int, told: Callable[[int], None]) -> Floats:
    """The point paths (n, horizon) of series taken as those of one company: what they have in common is learnt from all of them."""
    series = [prepare(y, season=season) for y in histories]
    shared, paths = SharedMember.learn(series, horizon=horizon), []
    for done, each in enumerate(series):
        paths.append(shared.blended(each, point_path(each, horizon)))
        told(done)
    return np.array(paths)


def sample_paths(histories: dict[str, Floats], *, origins: int = 24, pool_series: int = 60) -> dict[str, Floats]:
    """Paths (draws, 12) of monthly series taken as those of one company: they share one model of errors, learnt inside them.

    Series named as scopes add up. All series are dated to end with the month before `AS_OF`.
    """
    by_origin, rows = {}, []
    for name, y in histories.items():
        months = pd.date_range(end=AS_OF, periods=len(y) + 1, freq="MS", unit="us")[:-1]
        back = range(min(origins, len(y) - 1), -1, -1)
        by_origin[name] = {AS_OF - pd.DateOffset(months=k): pd.Series(y[: len(y) - k], index=months[: len(y) - k]) for k in back}
        rows.append(inputs_of(name, AS_OF, months, y))
    answers = RevenueForecaster(origins=origins, pool_series=pool_series).learn(by_origin).answers(pd.concat(rows, ignore_index=True))
    return {answer.entity_id: answer.paths for answer in answers}
