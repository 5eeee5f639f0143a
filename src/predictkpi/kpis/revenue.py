"""Revenue, and its growth against the period before, the quarter before and the year before."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import Freq
from predictkpi.kpis.base import CUSTOMER_DIMENSIONS, IS_PARTIAL, Kpi, View, no_cells, starts_of


class Revenue(Kpi):
    """Net booked revenue. A period inside the covered range without orders is a true zero."""

    name = "revenue"
    title: ClassVar[dict[str, str]] = {"en": "Revenue", "de": "Umsatz"}
    formula = "sum of the amounts of all orders booked in the period, net of tax; refunds and credit notes are negative"
    unit = "currency"
    better = "up"
    counts = "orders"
    needs = ("orders",)
    dimensions = (*CUSTOMER_DIMENSIONS, c.PRODUCT)
    least_n = 0
    when_empty = 0.0

    def compute(self, view: View) -> pd.DataFrame:
        """Sum and count of orders; a first quarter or year that began before the first order's month is partial."""
        orders = view.snapshot.orders
        if orders.empty:
            return no_cells()
        cells = view.group(orders, c.DS)[c.AMOUNT].agg(["sum", "size"]).set_axis([c.VALUE, c.N], axis=1)
        covered_from, _ = view.coverage(orders[c.DS])
        return cells.assign(**{IS_PARTIAL: starts_of(cells) < covered_from})


class _RevenueGrowth(Kpi):
    """Change of revenue between two complete periods of the same length. ``n`` counts the orders of the thinner one.

    No value where the earlier period lies (partly) before the first order, or where its revenue was not positive.
    """

    unit = "share"
    better = "up"
    counts = "orders"
    needs = Revenue.needs
    dimensions = Revenue.dimensions
    periods_back: ClassVar[dict[Freq, int]]

    def compute(self, view: View) -> pd.DataFrame:
        """Growth on the full grid of revenue, so that a gap counts as a period."""
        revenue = view.fill(Revenue().compute(view))
        if revenue.empty:
            return no_cells()
        orders = revenue[c.N].fillna(0)
        amount = revenue[c.VALUE].fillna(Revenue.when_empty)
        # The span of the facts is the company's, not the member's: only there is a period without a row known to be a zero.
        covered_from, _ = view.coverage(view.snapshot.orders[c.DS])
        comparable = amount.where(starts_of(revenue) >= covered_from)
        back = self.periods_back[view.freq]
        base = comparable.groupby(level=c.MEMBER).shift(back)
        base_orders = orders.groupby(level=c.MEMBER).shift(back).fillna(0)
        return pd.DataFrame({c.VALUE: amount / base.where(base > 0) - 1, c.N: np.minimum(orders, base_orders)})


class RevenueGrowthMom(_RevenueGrowth):
    """Growth on the month before; always by month."""

    name = "revenue_growth_mom"
    title: ClassVar[dict[str, str]] = {"en": "Revenue growth, month on month", "de": "Umsatzwachstum zum Vormonat"}
    formula = "revenue of the month / revenue of the month before - 1"
    fixed_freq = "M"
    periods_back: ClassVar[dict[Freq, int]] = {"M": 1}


class RevenueGrowthQoq(_RevenueGrowth):
    """Growth on the fiscal quarter before; always by fiscal quarter."""

    name = "revenue_growth_qoq"
    title: ClassVar[dict[str, str]] = {"en": "Revenue growth, quarter on quarter", "de": "Umsatzwachstum zum Vorquartal"}
    formula = "revenue of the fiscal quarter / revenue of the fiscal quarter before - 1"
    fixed_freq = "Q"
    periods_back: ClassVar[dict[Freq, int]] = {"Q": 1}


class RevenueGrowthYoy(_RevenueGrowth):
    """Growth on the same period a year before; days and weeks go back 52 whole weeks, so that weekdays meet weekdays."""

    name = "revenue_growth_yoy"
    title: ClassVar[dict[str, str]] = {"en": "Revenue growth, year on year", "de": "Umsatzwachstum zum Vorjahr"}
    formula = "revenue of the period / revenue of the same period a year before - 1"
    periods_back: ClassVar[dict[Freq, int]] = {"D": 364, "W": 52, "M": 12, "Q": 4, "Y": 1}
