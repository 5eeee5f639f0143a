"""How far the level of wins strays from month to month beyond chance: what all deals of a total share, and no average takes out.

A common shock on the log-odds of every deal, with standard deviation ``spread``: in a month with expected wins E and variance
V = sum p (1 - p) under independence, the variance of the wins is about V + spread^2 V^2. Past months of the training table give the
method-of-moments estimate; it is weighed against `DEFAULT_SPREAD` by how much those months say.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.arrays import Columns
from predictkpi.features.incidence import Floats
from predictkpi.predictors.close_time.table import DURATION, EVENT, IS_SAMPLED, OBSERVED

DEFAULT_SPREAD = 0.2
"""Where no month says otherwise: the odds of all deals together go up or down by about a fifth."""
WINDOW = 30
"""Days over which wins are counted and expected."""


def level_spread(table: pd.DataFrame, daily: Callable[[Columns], Floats]) -> float:
    """Spread learnt from a training table: one landmark per deal and month that was watched for `WINDOW` days, won or not.

    ``daily`` is the fitted predictor's. Its own level is uncertain too: as one over the number of wins it saw.
    """
    watched = table[table[IS_SAMPLED].to_numpy(bool) & (table[OBSERVED].to_numpy(float) >= WINDOW)]
    month = watched[c.AS_OF].dt.to_period("M")
    rows = watched[~pd.DataFrame({"deal": watched[c.ENTITY_ID], "month": month}).duplicated().to_numpy()].reset_index(drop=True)
    if not len(rows):
        return DEFAULT_SPREAD
    chance = daily(Columns.of(rows))[:, 0, WINDOW]
    won = (rows[EVENT].to_numpy() == 1) & (rows[DURATION].to_numpy(float) < WINDOW)
    counts = pd.DataFrame({"surprise": won - chance, "variance": chance * (1.0 - chance)}).groupby(rows[c.AS_OF].dt.to_period("M")).sum()
    learnt = shrunk_spread(counts["surprise"].to_numpy(float), counts["variance"].to_numpy(float))
    return float(np.sqrt(learnt**2 + 1.0 / max(int(won.sum()), 1 / DEFAULT_SPREAD**2)))


def shrunk_spread(surprise: Floats, variance: Floats) -> float:
    """Spread from monthly observed minus expected wins and their variance under independence, both ``(months,)``.

    The squared spread is estimated with variance 2 / sum V^2 and drawn to the default's, which counts as known to within its
    own size.
    """
    default, evidence = DEFAULT_SPREAD**2, float((variance**2).sum())
    if evidence <= 0:
        return DEFAULT_SPREAD
    measured = float((surprise**2 - variance).sum()) / evidence
    precision, prior = evidence / 2.0, 1.0 / default**2
    return float(np.sqrt(max((precision * measured + prior * default) / (precision + prior), 0.0)))
