"""When each customer was won. Pure; CAC and cohort CLV share it."""

from __future__ import annotations

import pandas as pd

from predictkpi.core import columns as c


def acquisitions(orders: pd.DataFrame) -> pd.DataFrame:
    """One row per customer who ever ordered: ``customer_id, ds``, the instant of the first order.

    A free first order wins a customer, a refund wins nobody. Who bought before the loaded history began looks new at its beginning.
    """
    sales = orders[orders[c.AMOUNT] >= 0]
    return sales.groupby(c.CUSTOMER_ID)[c.DS].min().reset_index()
