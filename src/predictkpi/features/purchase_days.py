"""Orders netted per customer and day: the ground that frequency, value and rhythm of buying are read from.

A purchase is a day with a net amount above 0; a later refund lowers what the customer is worth, not how often they bought. Plain NumPy
on sorted keys: a million orders take about a second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
DAY = pd.Timedelta(days=1)


@dataclass(frozen=True)
class PurchaseDays:
    """``customers`` sorted; of each (customer, day) with an order, in that order: position ``who``, ``day`` since 1970 and ``net``.

    ``orders`` (n_customers,) counts rows of any sign; ``end`` is as_of in days since 1970.
    """

    customers: pd.Index
    who: Ints
    day: Ints
    net: Floats
    orders: Floats
    end: float

    @classmethod
    def of(cls, orders: pd.DataFrame, *, as_of: pd.Timestamp) -> PurchaseDays:
        """From orders booked before ``as_of``; rows without a customer are left out."""
        codes, customers = pd.factorize(orders[c.CUSTOMER_ID], sort=True)
        known = codes >= 0
        codes, day = codes[known], orders[c.DS].to_numpy().astype("datetime64[D]").astype(np.int64)[known]
        first = int(day.min(initial=0))
        span = int(day.max(initial=0)) - first + 1
        key = codes.astype(np.int64) * span + (day - first)
        order = np.argsort(key, kind="stable")
        key = key[order]
        starts = np.flatnonzero(np.concatenate([np.ones(min(len(key), 1), bool), key[1:] != key[:-1]]))
        amount = orders[c.AMOUNT].to_numpy(dtype=float)[known][order]
        net = np.add.reduceat(amount, starts) if len(starts) else np.zeros(0)
        return cls(
            customers=pd.Index(customers, dtype="str", name=c.CUSTOMER_ID),
            who=key[starts] // span,
            day=key[starts] % span + first,
            net=net,
            orders=np.bincount(codes, minlength=len(customers)).astype(float),
            end=float((as_of - pd.Timestamp(0)) / DAY),
        )

    def __len__(self) -> int:
        return len(self.customers)

    def bought(self) -> Purchases:
        """The days with a net amount above 0."""
        kept = self.net > 0
        return Purchases(len(self), self.who[kept], self.day[kept].astype(float), self.net[kept], self.end)


class Purchases:
    """Purchases by customer and day: ``who``, ``day`` and ``value`` (n,), and where each of the ``n_customers`` begins and ends."""

    def __init__(self, n_customers: int, who: Ints, day: Floats, value: Floats, end: float) -> None:
        self.who, self.day, self.value, self.end = who, day, value, end
        edges = np.searchsorted(who, np.arange(n_customers + 1))
        self.first, self.stop = edges[:-1], edges[1:]
        self.count = (self.stop - self.first).astype(float)
        self._sums = np.concatenate([[0.0], np.cumsum(value)])

    def at(self, position: Ints, values: Floats) -> Floats:
        """``values`` (per purchase) at a position per customer; NaN where that is none of the customer's."""
        inside = (position >= self.first) & (position < self.stop)
        found = np.full(len(position), np.nan)
        found[inside] = values[position[inside]]
        return found

    def since(self, days: float) -> Ints:
        """Position of each customer's first purchase in the last ``days`` before the end."""
        span = self.end + 2.0
        key = self.who * span + self.day
        return np.searchsorted(key, np.arange(len(self.first)) * span + max(self.end - days, 0.0))

    def spent(self, start: Ints, stop: Ints) -> Floats:
        """Value of the purchases from position ``start`` up to ``stop``."""
        return self._sums[stop] - self._sums[start]
