"""Customers drawn from the very process the models assume, as histories and as a company's order book."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from predictkpi.core.types import Company
from predictkpi.snapshot import MemoryFacts, Snapshot

START = pd.Timestamp("2022-01-01")


@dataclass
class Drawn:
    """A drawn order book over ``days`` days, and the facts made of it."""

    facts: MemoryFacts
    end: pd.Timestamp

    def snapshot(self, as_of: pd.Timestamp | None = None) -> Snapshot:
        return Snapshot(self.facts, self.end if as_of is None else as_of)


def draw_purchases(rng, *, n, born, days, r, alpha, a, b, first_may_leave):
    """Day numbers of the purchases of each customer born on day ``born[i]``, the first one included."""
    rate, leave = rng.gamma(r, 1.0 / alpha, n), rng.beta(a, b, n)
    purchases = []
    for i in range(n):
        now, mine = float(born[i]), [born[i]]
        gone = first_may_leave and rng.random() < leave[i]
        while not gone:
            now += rng.exponential(1.0 / rate[i])
            if now >= days:
                break
            mine.append(now)
            gone = rng.random() < leave[i]
        purchases.append(mine)
    return purchases


def order_book(rows, *, accounts=None) -> MemoryFacts:
    """Facts of ``(customer_id, ds, amount)`` rows, known when booked, and of ``(customer_id, segment, created_at)`` accounts."""
    orders = pd.DataFrame(rows, columns=["customer_id", "ds", "amount"])
    orders = orders.assign(ds=pd.to_datetime(orders["ds"]), order_id=[f"o{i}" for i in range(len(orders))])
    orders = orders.assign(currency="EUR", product="", deal_id="", known_at=orders["ds"], customer_id=orders["customer_id"].astype("str"))
    tables = {"orders": orders}
    if accounts is not None:
        customers = pd.DataFrame(accounts, columns=["customer_id", "segment", "created_at"])
        customers["created_at"] = pd.to_datetime(customers["created_at"])
        tables["customers"] = customers.assign(name="", region="", industry="", channel="", known_at=customers["created_at"])
    return MemoryFacts(tables, Company())


def draw_book(*, seed, n, days=900, r=0.8, alpha=60.0, a=0.7, b=3.0, p=3.0, q=4.0, gamma=90.0) -> Drawn:
    rng = np.random.default_rng(seed)
    born = rng.integers(0, days - 60, n)
    nu = rng.gamma(q, 1.0 / gamma, n)
    purchases = draw_purchases(rng, n=n, born=born, days=days, r=r, alpha=alpha, a=a, b=b, first_may_leave=True)
    rows = [(f"c{i:05d}", START + pd.Timedelta(days=float(day)), rng.gamma(p) / nu[i]) for i, mine in enumerate(purchases) for day in mine]
    segments = np.where(np.arange(n) % 3 == 0, "Enterprise", "SMB")
    accounts = [(f"c{i:05d}", segments[i], START + pd.Timedelta(days=int(born[i]))) for i in range(n)]
    # and accounts without an order, of all ages
    accounts += [(f"new{i:03d}", "Enterprise" if i % 2 else "SMB", START + pd.Timedelta(days=days - 5 - 8 * i)) for i in range(40)]
    return Drawn(order_book(rows, accounts=accounts), START + pd.Timedelta(days=days))


@pytest.fixture(scope="session")
def drawn() -> Drawn:
    """900 customers over 900 days, and 40 accounts without an order."""
    return draw_book(seed=1, n=900)


@pytest.fixture(scope="session")
def draw():
    """``draw(seed=, n=, days=)``: another order book from the same process."""
    return draw_book


@pytest.fixture(scope="session")
def book():
    """``book(rows, accounts=None)``: facts of a handful of orders."""
    return order_book
