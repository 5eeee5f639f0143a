"""Small companies for the revenue tests: monthly figures in, facts out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.core.types import Company
from predictkpi.snapshot import MemoryFacts

START = pd.Timestamp("2020-01-01")
REGIONS = ("EMEA", "APAC")


def facts_of(amounts, *, start: str = "2020-01-01", company: Company | None = None) -> MemoryFacts:
    """One order a month and region on the 2nd (EMEA 60 %, APAC 40 %); a month given as None or 0 has no order."""
    months = pd.date_range(start, periods=len(amounts), freq="MS")
    rows = []
    for month, amount in zip(months, amounts, strict=True):
        if amount is None or amount == 0:
            continue
        for customer, share in (("c1", 0.6), ("c2", 0.4)):
            ds = month + pd.Timedelta(days=1)
            rows.append((f"{month:%Y%m}-{customer}", ds, customer, amount * share, "EUR", "Core", None, ds + pd.Timedelta(hours=1)))
    columns = ["order_id", "ds", "customer_id", "amount", "currency", "product", "deal_id", "known_at"]
    orders = pd.DataFrame(rows, columns=columns).astype({"ds": "datetime64[us]", "known_at": "datetime64[us]"})
    customers = pd.DataFrame(
        {
            "customer_id": ["c1", "c2"],
            "name": ["One", "Two"],
            "segment": ["SMB", None],
            "region": list(REGIONS),
            "industry": "x",
            "channel": "search",
            "created_at": pd.Series([pd.NaT, pd.NaT], dtype="datetime64[us]"),
            "known_at": pd.Timestamp("2010-01-01"),
        }
    )
    return MemoryFacts({"orders": orders, "customers": customers}, company)


def seasonal(n: int, *, noise: float = 0.05, growth: float = 0.01, seed: int = 0) -> np.ndarray:
    """Months of a growing, seasonal, noisy revenue around 1,000."""
    t = np.arange(n)
    season = 1 + 0.3 * np.sin(2 * np.pi * t / 12)
    return 1000 * np.exp(growth * t) * season * np.exp(noise * np.random.default_rng(seed).standard_normal(n))


@pytest.fixture
def make_facts():
    return facts_of


@pytest.fixture
def make_months():
    return seasonal
