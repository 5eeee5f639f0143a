"""The paired bootstrap over past cutoffs and entities behind every interval of a backtest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.backtest.run import CANDIDATE
from predictkpi.core import columns as c

Floats = npt.NDArray[np.float64]
DRAWS = 2000
_DRAWS_AT_ONCE = 200


def loss_tables(losses: pd.DataFrame, names: Sequence[str]) -> Floats:
    """(names, n_cutoffs, n_entities): summed weighted loss of each candidate; 0 where an entity was not scored at a cutoff."""
    weighted = losses.assign(loss=losses["loss"] * losses["weight"])
    table = weighted.pivot_table(index=[CANDIDATE, c.AS_OF], columns=c.ENTITY_ID, values="loss", aggfunc="sum", fill_value=0.0)
    return np.stack([table.loc[name].to_numpy(float) for name in names])


def sum_tables(rows: pd.DataFrame, columns: Sequence[str]) -> Floats:
    """(columns, n_cutoffs, n_entities): sums of columns of rows that are indexed by as_of and entity_id among others."""
    tables = [rows[name].groupby(level=[c.AS_OF, c.ENTITY_ID]).sum().unstack(c.ENTITY_ID, fill_value=0.0) for name in columns]
    return np.stack([table.to_numpy(float) for table in tables])


def resampled(tables: Floats, *, draws: int = DRAWS, random_state: int = 0) -> Floats:
    """Totals (k, draws) of ``tables`` (k, n_cutoffs, n_entities) over cutoffs and entities drawn with replacement (Owen, 2007).

    An entity is drawn with all its horizons, since they err together; a cutoff with all its entities, since they share what the following
    months brought. Drawing entities alone would promote whatever luck with the calendar favoured. With one cutoff only entities are drawn.
    """
    rng = np.random.default_rng(random_state)
    k, n_cutoffs, n_entities = tables.shape
    cutoffs = rng.multinomial(n_cutoffs, np.full(n_cutoffs, 1 / n_cutoffs), size=draws)
    found = np.empty((k, draws))
    for start in range(0, draws, _DRAWS_AT_ONCE):
        chosen = slice(start, min(start + _DRAWS_AT_ONCE, draws))
        entities = rng.multinomial(n_entities, np.full(n_entities, 1 / n_entities), size=chosen.stop - start).astype(float)
        found[:, chosen] = np.einsum("bf,kfb->kb", cutoffs[chosen].astype(float), tables @ entities.T)
    return found


def improvement(model: npt.ArrayLike, reference: npt.ArrayLike) -> Floats:
    """1 - model / reference; against a faultless reference any loss counts as twice as bad, so that the figure stays finite."""
    ours, theirs = np.asarray(model, dtype=float), np.asarray(reference, dtype=float)
    saved = 1.0 - ours / np.where(theirs > 0, theirs, 1.0)
    return np.where(theirs > 0, saved, np.where(ours > 0, -1.0, 0.0))


def improvement_interval(tables: Floats, *, level: float = 0.95, draws: int = DRAWS, random_state: int = 0) -> tuple[float, float, float]:
    """Share of the second candidate's loss that the first saves, and the ends of its central interval; ``tables`` of these two."""
    drawn = improvement(*resampled(tables, draws=draws, random_state=random_state))
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(improvement(*tables.sum(axis=(1, 2)))), float(low), float(high)


def ratio_interval(tables: Floats, *, level: float = 0.95, draws: int = DRAWS, random_state: int = 0) -> tuple[float, float, float]:
    """Sum of the first table over sum of the second, and the ends of its central interval; NaN where the second is 0."""
    drawn = resampled(tables, draws=draws, random_state=random_state)
    above, below = tables.sum(axis=(1, 2))
    ratios = drawn[0][drawn[1] > 0] / drawn[1][drawn[1] > 0]
    if not below > 0 or not len(ratios):
        return (float("nan"),) * 3
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    return float(above / below), float(low), float(high)
