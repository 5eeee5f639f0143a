"""When each customer was won. Pure; CAC and cohort CLV share it."""

from __future__ import annotations

import pandas as pd

from predictkpi.core import columns as c


def acquisitions(orders: pd.DataFrame) -> pd.DataFrame:
    """One row per customer who ever paid: ``customer_id, ds``, the instant of the first order with a positive amount.

    A free order or a refund wins nobody. Customers who bought before the loaded history began look new at its beginning.
    """
    paid = orders[orders[c.AMOUNT] > 0]
    return paid.groupby(c.CUSTOMER_ID)[c.DS].min().reset_index()
