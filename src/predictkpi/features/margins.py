"""What a customer's orders leave after their cost, where the company gives it: an own field of orders named ``margin``."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.features.attributes import kinds_of
from predictkpi.features.purchase_days import Floats
from predictkpi.snapshot import Snapshot
from predictkpi.tables.attributes import from_text

MARGIN = "margin"
"""Name of the field: a number, in the currency that the order was booked in; a refund's is negative."""
PRIOR_ORDERS = 5.0
"""Orders, of the size of the customer's own, that the company's share counts as."""

_SHARES: WeakKeyDictionary[Snapshot, tuple[pd.Series, float]] = WeakKeyDictionary()
"""A service asks the same snapshot about one customer at a time: the shares of all are worked out once."""


def margin_shares(snapshot: Snapshot, customers: pd.Index) -> Floats:
    """Margin over net amount of each customer's orders, drawn to the company's share: ``(n,)``, as known at ``snapshot.as_of``.

    Only orders that have a margin count; customers without one, or of whose orders nothing is left net of refunds, have the company's
    share. All are NaN where no order of the company has a margin, or these orders come to nothing in total.
    """
    if snapshot not in _SHARES:
        _SHARES[snapshot] = _shares(snapshot)
    own, share = _SHARES[snapshot]
    return own.reindex(customers).fillna(share).to_numpy(float)


def _shares(snapshot: Snapshot) -> tuple[pd.Series, float]:
    """Shares of customers whose orders have one, by id, and the company's."""
    nobody = pd.Series(dtype=float, index=pd.Index([], dtype="str"))
    given = _given(snapshot)
    if given is None:
        return nobody, np.nan
    orders = snapshot.orders
    margin = orders[c.ORDER_ID].map(given).to_numpy(float) * _rates(snapshot, orders)
    has = np.isfinite(margin)
    amount = orders[c.AMOUNT].to_numpy(float)[has]
    if amount.sum() <= 0:
        return nobody, np.nan
    share = float(margin[has].sum() / amount.sum())
    held = pd.DataFrame({c.CUSTOMER_ID: orders[c.CUSTOMER_ID].to_numpy()[has], MARGIN: margin[has], "net": amount, "size": np.abs(amount)})
    grouped = held.groupby(c.CUSTOMER_ID)
    sums = grouped[[MARGIN, "net"]].sum().assign(prior=PRIOR_ORDERS * grouped["size"].mean())
    sums = sums[sums["net"] > 0]
    return (sums[MARGIN] + sums["prior"] * share) / (sums["net"] + sums["prior"]), share


def _given(snapshot: Snapshot) -> pd.Series | None:
    """Margins by order id; None, at the cost of one comparison, where no order has the field, or has it as another kind by now."""
    versions = snapshot.history("attributes")
    if not ((versions[c.NAME] == MARGIN) & (versions[c.TABLE] == "orders")).any():
        return None
    held = snapshot.table("attributes")
    held = held[(held[c.TABLE] == "orders") & (held[c.NAME] == MARGIN)]
    if kinds_of(held.sort_values(c.KNOWN_AT, kind="stable")).get(MARGIN) != "number":
        return None
    numbers = held[held[c.KIND] == "number"]
    return from_text(numbers.set_index(c.ENTITY_ID)[c.VALUE], "number")


def _rates(snapshot: Snapshot, orders: pd.DataFrame) -> Floats:
    """Reporting currency per unit of each order's own, on its day: ``(n_orders,)``, 1 for orders of no other currency."""
    currency = orders[c.CURRENCY].fillna("").astype("str")
    foreign = ~currency.isin(["", snapshot.company.currency])
    found = np.ones(len(orders))
    if foreign.any():
        rates = snapshot.table("fx_rates")[[c.DS, c.CURRENCY, c.RATE]].sort_values(c.DS)
        asked = pd.DataFrame({c.DS: orders[c.DS], c.CURRENCY: currency})[foreign.to_numpy()].sort_values(c.DS, kind="stable")
        matched = pd.merge_asof(asked, rates, on=c.DS, by=c.CURRENCY).set_axis(asked.index)
        found[foreign.to_numpy()] = matched[c.RATE].reindex(orders.index[foreign.to_numpy()]).to_numpy(float)
    return found
