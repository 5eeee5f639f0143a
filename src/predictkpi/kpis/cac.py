"""Customer acquisition cost."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.kpis.acquisition import acquisitions
from predictkpi.kpis.base import IS_PARTIAL, UNKNOWN, Kpi, View, no_cells, starts_of


class Cac(Kpi):
    """Blended CAC of the same period; by channel, the channel's spend over the customers it won.

    Only the span that spend speaks for counts, on both sides of the ratio: a customer won while no spend was loaded did not come
    for free. Inside it, a channel without spend (organic) costs nothing. No ratio without a new customer, nor for customers
    whose channel is unknown.
    """

    name = "cac"
    title: ClassVar[dict[str, str]] = {"en": "Customer acquisition cost (CAC)", "de": "Kundengewinnungskosten (CAC)"}
    formula = "spend of the period / customers whose first order falls in the period"
    unit = "currency"
    better = "down"
    counts = "customers"
    needs = ("orders", "spend")
    dimensions = (c.CHANNEL,)

    def compute(self, view: View) -> pd.DataFrame:
        """Cost per new customer; a period that spend covers only in part is partial."""
        spend = view.snapshot.spend
        if spend.empty:
            return no_cells()
        covered_from, covered_to = view.coverage(spend[c.DS])
        won = acquisitions(view.snapshot.orders)
        won = won[won[c.DS].between(covered_from, covered_to, inclusive="left")]
        cells = pd.DataFrame({c.COST: view.group(spend, c.DS)[c.COST].sum(), c.N: view.group(won, c.DS).size()}).fillna(0.0)
        has_ratio = cells[c.N] > 0
        if view.by is not None:
            has_ratio &= cells.index.get_level_values(c.MEMBER) != UNKNOWN
        starts = starts_of(cells)
        return pd.DataFrame(
            {
                c.VALUE: (cells[c.COST] / cells[c.N].where(has_ratio)),
                c.N: cells[c.N],
                IS_PARTIAL: (starts < covered_from) | (view.ends(starts) > covered_to),
            }
        )
