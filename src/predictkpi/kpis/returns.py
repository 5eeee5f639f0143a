"""What acquisition cost brings back: realised value against it, and the time until it is earned."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.kpis.base import CELL, IS_PARTIAL, Kpi, View, no_cells
from predictkpi.kpis.cac import Cac, paid_acquisitions
from predictkpi.kpis.clv import ClvRealised

DAYS_A_MONTH = 365.25 / 12


class LtvToCac(Kpi):
    """Realised CLV of a cohort over what it cost to win it. Revenue, not margin: the cost of goods is not among the tables.

    Later cohorts have had less time. No ratio for customers that cost nothing.
    """

    name = "ltv_to_cac"
    title: ClassVar[dict[str, str]] = {"en": "LTV to CAC, realised", "de": "Kundenwert zu Gewinnungskosten (LTV:CAC)"}
    formula = "realised CLV of the customers won in the period / CAC of the period"
    family = "customers"
    unit = "ratio"
    better = "up"
    counts = "customers"
    needs = Cac.needs
    dimensions = Cac.dimensions
    over_time = "matures"

    def compute(self, view: View) -> pd.DataFrame:
        """The ratio per cohort that `Cac` has a cell for."""
        cost = Cac().compute(view)
        if cost.empty:
            return cost
        value = ClvRealised().compute(view)[c.VALUE].reindex(cost.index)
        return cost.assign(**{c.VALUE: value / cost[c.VALUE].where(cost[c.VALUE] > 0)})


class CacPayback(Kpi):
    """Months until a cohort's net revenue per customer has reached its CAC; 0 where the first orders pay.

    Counted from each customer's first order, and only as far as the whole cohort has lived. No value for a cohort that has
    not paid back by then. Revenue, not margin, as in `LtvToCac`.
    """

    name = "cac_payback"
    title: ClassVar[dict[str, str]] = {"en": "CAC payback", "de": "Amortisationsdauer der Kundengewinnung"}
    formula = (
        "months after the first order at which cumulative net revenue per customer won in the period first reaches the CAC of the period"
    )
    family = "customers"
    unit = "months"
    better = "down"
    counts = "customers"
    needs = Cac.needs
    dimensions = Cac.dimensions
    over_time = "matures"

    def compute(self, view: View) -> pd.DataFrame:
        """Age of the order that brings each cohort to its CAC."""
        cost = Cac().compute(view)
        if cost.empty:
            return no_cells()
        won = paid_acquisitions(view)
        won = won.assign(**{c.MEMBER: view.members(won), "first": won[c.DS], c.DS: view.starts(won[c.DS])})
        won["lived"] = view.snapshot.as_of - won.groupby(CELL)["first"].transform("max")
        orders = view.snapshot.orders[[c.CUSTOMER_ID, c.AMOUNT, c.DS]].rename(columns={c.DS: "booked"})
        bought = orders.merge(won, on=c.CUSTOMER_ID)
        bought["age"] = bought["booked"] - bought["first"]
        bought = bought[(bought["age"] >= pd.Timedelta(0)) & (bought["age"] <= bought["lived"])].sort_values("age", kind="stable")
        earned = bought.groupby(CELL)[c.AMOUNT].cumsum()
        due = cost[c.VALUE] * cost[c.N]
        is_paid = earned.to_numpy() >= due.reindex(pd.MultiIndex.from_frame(bought[CELL])).to_numpy() * (1 - 1e-12)
        age = bought[is_paid].groupby(CELL)["age"].min()
        months = age.dt.total_seconds() / 86_400 / DAYS_A_MONTH
        return pd.DataFrame({c.VALUE: months.reindex(cost.index), c.N: cost[c.N], IS_PARTIAL: cost[IS_PARTIAL]})
