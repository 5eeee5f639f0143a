"""Customers who come back, and customers who do not. Nobody signs off here: whether a customer has left is read from the orders."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.kpis.base import CELL, CUSTOMER_DIMENSIONS, IS_PARTIAL, Kpi, View, no_cells, starts_of
from predictkpi.kpis.shares import share_cells
from predictkpi.kpis.standing import AT, SINCE, UNTIL, YEAR, standing, standing_at_ends

_BEFORE, _NEXT, _HIT = "before", "next", "hit"


def _last_purchases(orders: pd.DataFrame) -> pd.DataFrame:
    """One row per customer and purchase day, as a state: it is the customer's last purchase until the next one, or for 12 months.

    Refunds are no purchases.
    """
    sales = orders[orders[c.AMOUNT] >= 0]
    days = sales.assign(**{SINCE: sales[c.DS].dt.normalize()})[[c.CUSTOMER_ID, SINCE]].drop_duplicates()
    days = days.sort_values([c.CUSTOMER_ID, SINCE], ignore_index=True)
    by_customer = days.groupby(c.CUSTOMER_ID)[SINCE]
    days[_BEFORE], days[_NEXT] = by_customer.shift(1), by_customer.shift(-1)
    days[UNTIL] = days[_NEXT].fillna(days[SINCE] + YEAR).clip(upper=days[SINCE] + YEAR)
    return days


class RepeatPurchaseRate(Kpi):
    """Share of a rolling year's buyers who bought on two days or more. A year that the orders cover only in part is partial."""

    name = "repeat_purchase_rate"
    title: ClassVar[dict[str, str]] = {"en": "Repeat purchase rate", "de": "Wiederkaufsrate"}
    formula = "customers with orders on two or more days of the 12 months up to the period's end / customers with an order in them"
    family = "customers"
    unit = "share"
    better = "up"
    counts = "customers"
    needs = ("orders",)
    dimensions = CUSTOMER_DIMENSIONS
    settles_with = "orders"

    def compute(self, view: View) -> pd.DataFrame:
        """Share of buyers whose purchase before the last one lies in the same year."""
        purchases = _last_purchases(view.snapshot.orders)
        if purchases.empty:
            return no_cells()
        covered_from, _ = view.coverage(view.snapshot.orders[c.DS])
        starts = view.periods(purchases[SINCE].min())
        buyers = standing_at_ends(purchases.assign(**{c.MEMBER: view.members(purchases)}), view, starts)
        buyers[_HIT] = buyers[_BEFORE] >= buyers[AT] - YEAR
        cells = share_cells(buyers.groupby(CELL), _HIT)
        return cells.assign(**{IS_PARTIAL: view.ends(starts_of(cells)) - YEAR < covered_from})


class ChurnRate(Kpi):
    """Share of the customers of the year before the period who have bought nothing in the year up to its end.

    No value where the year before the period is not covered whole: nobody can be seen to leave there.
    """

    name = "churn_rate"
    title: ClassVar[dict[str, str]] = {"en": "Churn rate", "de": "Abwanderungsrate"}
    formula = (
        "customers with an order in the 12 months before the period and none in the 12 months up to its end / "
        "customers with an order in the 12 months before the period"
    )
    family = "customers"
    unit = "share"
    better = "down"
    counts = "customers"
    needs = ("orders",)
    dimensions = CUSTOMER_DIMENSIONS

    def compute(self, view: View) -> pd.DataFrame:
        """Share of last purchases that no longer count at the period's end and were not followed by another."""
        purchases = _last_purchases(view.snapshot.orders)
        if purchases.empty:
            return no_cells()
        covered_from, _ = view.coverage(view.snapshot.orders[c.DS])
        starts = view.periods(purchases[SINCE].min())
        customers = standing(purchases.assign(**{c.MEMBER: view.members(purchases)}), starts, labels=starts)
        ends = view.ends(pd.DatetimeIndex(customers[c.DS]))
        came_back = customers[_NEXT].to_numpy() < ends.to_numpy()
        customers[_HIT] = ~came_back & (customers[SINCE].to_numpy() < (ends - YEAR).to_numpy())
        cells = share_cells(customers.groupby(CELL), _HIT)
        is_covered = np.asarray(starts_of(cells) - YEAR >= covered_from)
        cells[c.VALUE] = cells[c.VALUE].where(is_covered)
        return cells
