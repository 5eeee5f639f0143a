"""When each customer was won, and how long spend takes to win one. Pure; CAC and cohort CLV share it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from predictkpi.core import columns as c

LONGEST_LAG = 120
SMOOTHED = 28
LEAST_DAYS = 365


def acquisitions(orders: pd.DataFrame) -> pd.DataFrame:
    """One row per customer who ever ordered: ``customer_id, ds``, the instant of the first order.

    A free first order wins a customer, a refund wins nobody. Who bought before the loaded history began looks new at its beginning.
    """
    sales = orders[orders[c.AMOUNT] >= 0]
    return sales.groupby(c.CUSTOMER_ID)[c.DS].min().reset_index()


def observed_lag(spend: pd.DataFrame, won: pd.DataFrame) -> int:
    """Days between spend and the new customers it brings: the lag of 0 to 120 days at which the two move together most.

    Both are daily sums over all channels, as 28-day means, and what is correlated is their change over 28 days: their levels share
    trend and season, which fit any lag. The time from account to first order is no substitute: it leaves out the time
    from spend to account. 0 where spend covers less than a year, or where nothing moves together.
    """
    if spend.empty or won.empty:
        return 0
    first, last = spend[c.DS].min().normalize(), spend[c.DS].max().normalize()
    days = pd.date_range(first, last)
    if len(days) < LEAST_DAYS:
        return 0
    cost = spend.groupby(spend[c.DS].dt.normalize())[c.COST].sum()
    customers = won.groupby(won[c.DS].dt.normalize()).size()
    costs, gains = (_change(daily.reindex(days, fill_value=0).to_numpy(dtype=float)) for daily in (cost, customers))
    together = [_correlation(costs[: len(costs) - lag], gains[lag:]) for lag in range(LONGEST_LAG + 1)]
    best = int(np.argmax(together))
    return best if together[best] > 0 else 0


def _change(daily: np.ndarray) -> np.ndarray:
    """Change of the 28-day mean over 28 days."""
    smooth = np.convolve(daily, np.full(SMOOTHED, 1 / SMOOTHED), mode="valid")
    return smooth[SMOOTHED:] - smooth[:-SMOOTHED]


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's correlation; 0 where either does not move."""
    one, other = one - one.mean(), other - other.mean()
    norm = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / norm if norm > 0 else 0.0
