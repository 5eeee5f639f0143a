"""Where each customer stands among all: rank and decile by the revenue expected over a year."""

from __future__ import annotations

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.predictors.clv.spec import MEAN

RANKED_BY = 12
"""Months of the horizon whose mean ranks."""
RANK, DECILE = "rank", "decile"


def ranks(predictions: pd.DataFrame) -> pd.DataFrame:
    """``rank`` and ``decile`` by entity_id, whole numbers, from the predictions of a whole cohort.

    Rank 1 is worth most; equals share the better rank. Decile 1 is the best tenth.
    """
    chosen = predictions[(predictions[c.STATISTIC] == MEAN) & (predictions[c.HORIZON] == RANKED_BY)]
    rank = chosen.set_index(c.ENTITY_ID)[c.VALUE].rank(method="min", ascending=False).astype("int64")
    return pd.DataFrame({RANK: rank, DECILE: (rank - 1) * 10 // max(len(rank), 1) + 1})
