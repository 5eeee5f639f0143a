"""Revenue, what of it is from new customers, and its growth against the month, quarter and year before and by year since the beginning."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import Freq
from predictkpi.kpis.acquisition import acquisitions
from predictkpi.kpis.base import CUSTOMER_DIMENSIONS, IS_PARTIAL, SELLER_DIMENSIONS, Kpi, View, no_cells, starts_of


class Revenue(Kpi):
    """Net booked revenue. A period without orders is a true zero before the last order's month, and missing after it.

    By owner, team or source: those of the deal that the order comes from, as it stands; an order without a deal is of unknown ones.
    """

    name = "revenue"
    title: ClassVar[dict[str, str]] = {"en": "Revenue", "de": "Umsatz"}
    formula = "sum of the amounts of all orders booked in the period, net of tax; refunds and credit notes are negative"
    family = "revenue"
    unit = "currency"
    better = "up"
    counts = "orders"
    needs = ("orders",)
    dimensions = (*CUSTOMER_DIMENSIONS, c.PRODUCT, *SELLER_DIMENSIONS)
    least_n = 0
    when_empty = 0.0
    covered_by = "orders"
    over_time = "sums"

    def compute(self, view: View) -> pd.DataFrame:
        """Sum and count of orders; a first quarter or year that began before the first order's month is partial."""
        orders = view.snapshot.orders
        if orders.empty:
            return no_cells()
        cells = view.group(orders, c.DS)[c.AMOUNT].agg(["sum", "size"]).set_axis([c.VALUE, c.N], axis=1)
        covered_from, _ = view.coverage(orders[c.DS])
        return cells.assign(**{IS_PARTIAL: starts_of(cells) < covered_from})


class _RevenueByTenure(Kpi):
    """Net revenue of the customers that are new in the period, or of all others.

    In the first period of the data everybody looks new: it is partial. Who has only had refunds is not new.
    """

    family = "revenue"
    unit = "currency"
    better = "up"
    counts = "orders"
    needs = Revenue.needs
    dimensions = Revenue.dimensions
    least_n = 0
    when_empty = 0.0
    covered_by = "orders"
    over_time = "apart"
    settles_with = "orders"
    of_new: ClassVar[bool]

    def compute(self, view: View) -> pd.DataFrame:
        """Sum and count over the orders of the one kind of customers, in every cell that has revenue of any kind."""
        orders = view.snapshot.orders
        if orders.empty:
            return no_cells()
        first = acquisitions(orders).set_index(c.CUSTOMER_ID)[c.DS]
        is_new = view.starts(orders[c.DS]) == view.starts(orders[c.CUSTOMER_ID].map(first))
        counts = is_new == self.of_new
        kept = orders.assign(**{c.AMOUNT: orders[c.AMOUNT].where(counts, 0.0), c.N: counts})
        cells = view.group(kept, c.DS)[[c.AMOUNT, c.N]].sum().set_axis([c.VALUE, c.N], axis=1)
        starts = starts_of(cells)
        return cells.assign(**{IS_PARTIAL: starts == starts.min()})


class RevenueNewCustomers(_RevenueByTenure):
    """Net revenue of customers in the period they are won in."""

    name = "revenue_new_customers"
    title: ClassVar[dict[str, str]] = {"en": "Revenue from new customers", "de": "Umsatz mit Neukunden"}
    formula = "net revenue of the customers whose first order falls in the period"
    of_new = True


class RevenueExistingCustomers(_RevenueByTenure):
    """Net revenue of customers won in an earlier period; with `RevenueNewCustomers` it adds up to `Revenue`."""

    name = "revenue_existing_customers"
    title: ClassVar[dict[str, str]] = {"en": "Revenue from existing customers", "de": "Umsatz mit Bestandskunden"}
    formula = "net revenue of the customers whose first order falls in an earlier period"
    of_new = False


class _RevenueGrowth(Kpi):
    """Change of revenue between two complete periods of the same length. ``n`` counts the orders of the thinner one.

    No value where the earlier period lies (partly) before the first order, or where its revenue was not positive.
    """

    family = "revenue"
    unit = "share"
    better = "up"
    counts = "orders"
    needs = Revenue.needs
    dimensions = Revenue.dimensions
    is_change = True
    periods_back: ClassVar[dict[Freq, int]]

    def compute(self, view: View) -> pd.DataFrame:
        """Growth on the full grid of revenue, so that a gap counts as a period."""
        revenue = view.fill(Revenue().compute(view))
        if revenue.empty:
            return no_cells()
        orders = revenue[c.N].fillna(0)
        amount = Revenue().filled(view, revenue)
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


class RevenueCagr(Kpi):
    """Compound annual growth since the data began: two spans of 12 months, so that no season enters. Always by month.

    No value in the first 24 months, nor for a member whose revenue of either span was not positive. ``n`` counts the orders of the
    thinner span.
    """

    name = "revenue_cagr"
    title: ClassVar[dict[str, str]] = {"en": "Revenue growth per year (CAGR)", "de": "Umsatzwachstum pro Jahr (CAGR)"}
    formula = "(revenue of the 12 months up to the month's end / revenue of the first 12 months of the data) ^ (1 / years between) - 1"
    family = "revenue"
    unit = "share"
    better = "up"
    counts = "orders"
    needs = Revenue.needs
    dimensions = Revenue.dimensions
    fixed_freq = "M"
    is_change = True

    def compute(self, view: View) -> pd.DataFrame:
        """Growth of the rolling year over the first year, on the full grid of revenue."""
        revenue = view.fill(Revenue().compute(view))
        if revenue.empty:
            return no_cells()
        revenue = revenue.assign(**{c.VALUE: Revenue().filled(view, revenue), c.N: revenue[c.N].fillna(0.0)})
        by_member = revenue[[c.VALUE, c.N]].groupby(level=c.MEMBER)
        year = by_member.rolling(12).sum().droplevel(0)
        month = by_member.cumcount()
        first_year = year.where(month == 11).groupby(level=c.MEMBER).transform("max")
        years_between = (month - 11).where(month >= 23) / 12
        ratio = year[c.VALUE].where(year[c.VALUE] > 0) / first_year[c.VALUE].where(first_year[c.VALUE] > 0)
        return pd.DataFrame({c.VALUE: ratio ** (1 / years_between) - 1, c.N: np.minimum(year[c.N], first_year[c.N]).where(month >= 23)})
