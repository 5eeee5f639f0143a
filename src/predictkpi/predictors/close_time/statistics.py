"""From daily cumulative incidences to the long frame of predictions. Pure; model and baseline share it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import Status
from predictkpi.features.incidence import Floats
from predictkpi.predictors.close_time.spec import CAUSES, HORIZONS, LAST_DAY, QUANTILES

COLUMNS = [c.ENTITY_ID, c.AS_OF, c.HORIZON, c.STATISTIC, c.VALUE, c.STATUS, c.REASON]
NEVER_WON = "no deal like this was won in the history seen, so it has no close date given a win"


def predictions(inputs: pd.DataFrame, daily: Floats, status: npt.NDArray[np.object_], reason: npt.NDArray[np.object_]) -> pd.DataFrame:
    """``entity_id, as_of, horizon, statistic, value, status, reason``: 16 rows per deal, deal by deal.

    ``daily`` is ``(n, 2, LAST_DAY + 1)``; ``status`` and ``reason`` hold one entry per deal.
    """
    names = [(horizon, f"cif_{name}") for horizon in HORIZONS for name in CAUSES]
    names += [(LAST_DAY, "p_win"), *((LAST_DAY, name) for name in QUANTILES)]
    incidences = np.moveaxis(daily[:, :, list(HORIZONS)], 2, 1).reshape(len(daily), len(HORIZONS) * len(CAUSES))
    won = daily[:, 0, :]
    values = np.column_stack([incidences, won[:, -1], *(close_quantile(won, level) for level in QUANTILES.values())])
    n, width = len(inputs), len(names)
    undated = np.isnan(values.ravel())
    return pd.DataFrame(
        {
            c.ENTITY_ID: np.repeat(inputs[c.ENTITY_ID].to_numpy(object), width),
            c.AS_OF: np.repeat(inputs[c.AS_OF].to_numpy(), width),
            c.HORIZON: np.tile(np.asarray([horizon for horizon, _ in names], np.int64), n),
            c.STATISTIC: np.tile(np.asarray([name for _, name in names], object), n),
            c.VALUE: values.ravel(),
            c.STATUS: np.where(undated, Status.INSUFFICIENT_DATA.value, np.repeat(status, width)),
            c.REASON: np.where(undated, NEVER_WON, np.repeat(reason, width)),
        },
        columns=COLUMNS,
    )


def close_quantile(won: Floats, level: float) -> Floats:
    """Days until a share ``level`` of all wins within `LAST_DAY` has happened: ``(n,)``, never negative; NaN where a win has no chance.

    ``won`` is ``(n, days)``, rising; within a day the chance is even.
    """
    total = won[:, -1]
    wanted = level * total
    after = np.minimum((won < wanted[:, None]).sum(axis=1), won.shape[1] - 1)
    before = np.maximum(after - 1, 0)
    rows = np.arange(len(won))
    low, step = won[rows, before], won[rows, after] - won[rows, before]
    within = np.divide(wanted - low, step, out=np.zeros_like(step), where=step > 0)
    return np.where(total > 1e-9, before + np.clip(within, 0.0, 1.0), np.nan)
