"""Orders of a few customers who spend at their own steady rate, so that a predictor per customer beats the common mean."""

from __future__ import annotations

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.tables import table_schema

END = pd.Timestamp("2024-01-01")


def orders(customers: int = 40, months: int = 24, *, spread: float = 1.0, noise: float = 0.2, seed: int = 3) -> pd.DataFrame:
    """One order per customer and month; rates are lognormal with ``spread``, amounts vary by ``noise`` around them."""
    rng = np.random.default_rng(seed)
    rates = 100 * np.exp(spread * rng.normal(size=customers))
    starts = pd.date_range(end=END, periods=months + 1, freq="MS")[:-1]
    rows = [
        (f"O{customer}-{month}", start + pd.Timedelta(days=9), f"C{customer:03d}", rates[customer] * np.exp(noise * rng.normal()))
        for customer in range(customers)
        for month, start in enumerate(starts)
    ]
    frame = pd.DataFrame(rows, columns=[c.ORDER_ID, c.DS, c.CUSTOMER_ID, c.AMOUNT])
    frame = table_schema("orders").empty().drop(columns=c.KNOWN_AT).merge(frame, how="right")
    return frame.assign(**{c.CURRENCY: "EUR", c.PRODUCT: "", c.DEAL_ID: "", c.KNOWN_AT: frame[c.DS] + pd.Timedelta(hours=1)})


def snapshot(frame: pd.DataFrame | None = None, as_of: pd.Timestamp = END) -> Snapshot:
    """Those orders as known before ``as_of``."""
    return Snapshot(MemoryFacts({"orders": orders() if frame is None else frame}), as_of)
