"""What customers bring as they grow older, by the quarter or month in which they first bought."""

from __future__ import annotations

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import Freq
from predictkpi.kpis.acquisition import acquisitions
from predictkpi.kpis.base import View
from predictkpi.snapshot import Snapshot

MONTH_DAYS = 365.25 / 12
STEP_MONTHS = 3
AGE, ACTIVE = "age", "active"
COHORT_COLUMNS = [c.DS, AGE, c.VALUE, ACTIVE]


def cohort_ages(snapshot: Snapshot, *, freq: Freq = "Q", steps: int = 12) -> pd.DataFrame:
    """One row per cohort (``ds``, its first instant) and age that all its customers have reached: `COHORT_COLUMNS`, sorted.

    ``age`` in months since each customer's own first order: 3, 6, ... up to ``steps`` of them. ``value`` is cumulative net revenue per
    customer of the cohort up to that age, currency; ``active`` the share of them who bought in the three months before it, the first
    order apart. A refund booked before the first order counts at once.
    """
    won = acquisitions(snapshot.orders)
    if won.empty:
        return pd.DataFrame(columns=COHORT_COLUMNS)
    view = View(snapshot, freq, None)
    codes, starts = pd.factorize(view.starts(won[c.DS]), sort=True)
    orders = snapshot.orders[snapshot.orders[c.CUSTOMER_ID].isin(won[c.CUSTOMER_ID])]
    who = pd.Index(won[c.CUSTOMER_ID]).get_indexer(orders[c.CUSTOMER_ID])
    days = (orders[c.DS].to_numpy() - won[c.DS].to_numpy()[who]) / np.timedelta64(1, "D")
    # the last step takes what comes later still, and is left out
    step = np.clip(np.ceil(days / (STEP_MONTHS * MONTH_DAYS)), 0, steps + 1).astype(np.intp)
    amount = orders[c.AMOUNT].to_numpy(float)
    size = np.bincount(codes, minlength=len(starts))[:, None]
    revenue = np.zeros((len(starts), steps + 2))
    np.add.at(revenue, (codes[who], step), amount)
    bought = np.zeros((len(won), steps + 2), bool)
    bought[who[amount > 0], step[amount > 0]] = True
    buyers = np.zeros((len(starts), steps + 2))
    np.add.at(buyers, codes, bought)
    ages = STEP_MONTHS * np.arange(1, steps + 1)
    lived = (snapshot.as_of - view.ends(pd.DatetimeIndex(starts))) / pd.Timedelta(days=1) / MONTH_DAYS
    cohort, at = np.nonzero(lived.to_numpy(float)[:, None] >= ages)
    return pd.DataFrame(
        {
            c.DS: pd.DatetimeIndex(starts)[cohort],
            AGE: ages[at],
            c.VALUE: (revenue.cumsum(axis=1) / size)[cohort, at + 1],
            ACTIVE: (buyers / size)[cohort, at + 1],
        }
    )
