"""Customer lifetime value that has come true so far."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.kpis.acquisition import acquisitions
from predictkpi.kpis.base import CUSTOMER_DIMENSIONS, Kpi, View, no_cells


class ClvRealised(Kpi):
    """Mean net revenue up to ``as_of`` per customer of an acquisition cohort. ``ds`` names the cohort; ``n`` is its size.

    Cohorts differ in age: a later one has had less time. The cohort of the running period is not shown; what earlier cohorts bought in it
    counts.
    """

    name = "clv_realised"
    title: ClassVar[dict[str, str]] = {"en": "Customer lifetime value, realised", "de": "Kundenwert (CLV), realisiert"}
    formula = "net revenue up to the as-of day of the customers whose first order falls in the period / number of those customers"
    family = "customers"
    unit = "currency"
    better = "up"
    counts = "customers"
    needs = ("orders",)
    dimensions = CUSTOMER_DIMENSIONS
    over_time = "matures"

    def compute(self, view: View) -> pd.DataFrame:
        """Mean and size per cohort."""
        orders = view.snapshot.orders
        cohort = acquisitions(orders)
        if cohort.empty:
            return no_cells()
        revenue = orders.groupby(c.CUSTOMER_ID)[c.AMOUNT].sum()
        cohort[c.VALUE] = cohort[c.CUSTOMER_ID].map(revenue)
        return view.group(cohort, c.DS)[c.VALUE].agg(["mean", "size"]).set_axis([c.VALUE, c.N], axis=1)
