"""All months ahead of a scope: their sum with its growth, and each of them in its three parts."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.outlook.growth import growth, quantiles
from predictkpi.outlook.outlook import Outlook

PARTS = ("booked", "from_deals", "new")


@dataclass(frozen=True)
class Ahead:
    """The sum of a scope's months ahead, from its paths: in currency, and as growth on as many months before; None without such."""

    months: int
    mean: float
    quantiles: dict[str, float]
    growth: dict[str, float] | None


def all_ahead(outlook: Outlook, scope: str) -> Ahead:
    """The running month, as a whole, and all after it. Raises `UnknownEntityError` for a scope that is not there."""
    sums, count = outlook.revenue(scope).sum(axis=1), len(outlook.months)
    before = outlook.sums(scope, outlook.months[0] - pd.DateOffset(months=count), outlook.months[0])
    return Ahead(count, float(sums.mean()), quantiles(sums), growth(sums, before))


def parts_by_month(outlook: Outlook, scope: str) -> pd.DataFrame:
    """``ds`` and what is expected `PARTS` by part, one row a month; they add up to the month's mean. Raises as `all_ahead`."""
    place = outlook.place(scope)
    means = (outlook.booked[place], outlook.from_deals[place].mean(axis=0), outlook.new[place].mean(axis=0))
    return pd.DataFrame({c.DS: outlook.months, **dict(zip(PARTS, means, strict=True))})
