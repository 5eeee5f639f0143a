"""Why the outlook of a month is as it is: the steps of the revenue predictor, and what the open deals change. Adds up to its mean."""

from __future__ import annotations

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.outlook.outlook import Outlook

OPEN_DEALS = "open_deals"
TITLE = {"en": "open deals", "de": "offene Deals"}


def reasons(outlook: Outlook, explained: pd.DataFrame, scope: str) -> pd.DataFrame:
    """One row per month (``ds``), one column per step, in currency; ``forecast``, the last one, is their sum.

    ``explained`` is what the revenue predictor's `explain` says of the scope at the outlook's as_of.
    """
    own = explained[explained[c.ENTITY_ID] == scope]
    steps = own.pivot(index=c.HORIZON, columns="feature", values="contribution")[list(dict.fromkeys(own["feature"]))]
    deals = outlook.revenue(scope).mean(axis=0) - outlook.answers[scope].paths.mean(axis=0)
    table = steps.assign(**{OPEN_DEALS: deals}).set_axis(pd.Index(outlook.months, name=c.DS), axis=0)
    return table.assign(forecast=np.asarray(table.sum(axis=1))).rename_axis(columns=None).reset_index()
