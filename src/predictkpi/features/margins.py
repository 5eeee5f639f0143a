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
        held = margins_held(snapshot)
        share = share_of(float(held["net"].sum()), float(held[MARGIN].sum()))
        _SHARES[snapshot] = _own_shares(held, share), share
    own, share = _SHARES[snapshot]
    return own.reindex(customers).fillna(share).to_numpy(float)


def margin_shares_of_part(part: Snapshot, customers: pd.Index, share: float) -> Floats:
    """`margin_shares` of customers whose orders are in a part of the facts, where the company's share is known."""
    return _own_shares(margins_held(part, is_number=True), share).reindex(customers).fillna(share).to_numpy(float)


def share_of(net: float, margin: float) -> float:
    """The company's share, of the sums of orders that have a margin; NaN where they come to nothing."""
    return margin / net if round(net, 6) > 0 else np.nan


def margins_held(snapshot: Snapshot, *, is_number: bool | None = None) -> pd.DataFrame:
    """Orders that have a margin: ``customer_id, margin, net``, in the reporting currency.

    ``is_number``: whether the field is a number, where that is not to be found out from these facts, which may be a part of all.
    """
    given = _given(snapshot, is_number)
    if given is None:
        return pd.DataFrame({c.CUSTOMER_ID: pd.Series([], dtype="str"), MARGIN: np.zeros(0), "net": np.zeros(0)})
    orders = snapshot.orders
    margin = orders[c.ORDER_ID].map(given).to_numpy(float) * _rates(snapshot, orders)
    has = np.isfinite(margin)
    amount = orders[c.AMOUNT].to_numpy(float)[has]
    return pd.DataFrame({c.CUSTOMER_ID: orders[c.CUSTOMER_ID].to_numpy()[has], MARGIN: margin[has], "net": amount})


def _own_shares(held: pd.DataFrame, share: float) -> pd.Series:
    """Shares of customers whose orders have one, by id; none without one of the company."""
    if np.isnan(share):
        return pd.Series(dtype=float, index=pd.Index([], dtype="str"))
    grouped = held.assign(size=held["net"].abs()).groupby(c.CUSTOMER_ID)
    sums = grouped[[MARGIN, "net"]].sum().assign(prior=PRIOR_ORDERS * grouped["size"].mean())
    sums = sums[sums["net"] > 0]
    return (sums[MARGIN] + sums["prior"] * share) / (sums["net"] + sums["prior"])


def _given(snapshot: Snapshot, is_number: bool | None) -> pd.Series | None:
    """Margins by order id; None, at the cost of one comparison, where no order has the field, or has it as another kind by now."""
    versions = snapshot.history("attributes")
    if not ((versions[c.NAME] == MARGIN) & (versions[c.TABLE] == "orders")).any():
        return None
    held = snapshot.table("attributes")
    held = held[(held[c.TABLE] == "orders") & (held[c.NAME] == MARGIN)]
    if is_number is None:
        is_number = kinds_of(held.sort_values(c.KNOWN_AT, kind="stable")).get(MARGIN) == "number"
    if not is_number:
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
