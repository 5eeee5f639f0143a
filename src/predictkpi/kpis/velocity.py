"""How much the pipeline is worth a day."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.kpis.base import CELL, Kpi, View
from predictkpi.kpis.deals import CLOSED_AT, DEAL_DIMENSIONS, OUTCOME, deal_states
from predictkpi.kpis.pipeline import OpenPipeline
from predictkpi.kpis.sales_cycle import SalesCycleMedian
from predictkpi.kpis.standing import UNTIL, YEAR, standing_at_ends

_IS_WON = "is_won"


class SalesVelocity(Kpi):
    """What the open deals bring a day if they go the way of the last 12 months, all as it stood at the period's end.

    ``n`` counts the deals won in those 12 months. The cycle is `SalesCycleMedian`, not the naive mean.
    """

    name = "sales_velocity"
    title: ClassVar[dict[str, str]] = {"en": "Sales velocity per day", "de": "Verkaufsgeschwindigkeit je Tag"}
    formula = "open deals x win rate x average deal size / median sales cycle in days (rates and sizes of the last 12 months)"
    family = "pipeline"
    unit = "currency"
    better = "up"
    counts = "deals"
    needs = ("deals", "deal_events")
    dimensions = DEAL_DIMENSIONS
    settles_with = "deal_events"

    def compute(self, view: View) -> pd.DataFrame:
        """The product per member and period end, from the first closing on."""
        cycle = SalesCycleMedian().compute(view)
        if cycle.empty:
            return cycle
        states = deal_states(view.snapshot)
        closed = states[states[OUTCOME].notna()]
        # a closing counts for 12 months, or until the deal is reopened
        year_after = closed[CLOSED_AT] + YEAR
        closed = closed.assign(**{c.MEMBER: view.members(closed), UNTIL: closed[UNTIL].fillna(year_after).clip(upper=year_after)})
        starts = view.periods(closed[CLOSED_AT].min())
        held = standing_at_ends(closed, view, starts)
        held[_IS_WON] = held[OUTCOME] == c.WON
        win_rate = held.groupby(CELL)[_IS_WON].mean()
        won = held[held[_IS_WON]].groupby(CELL)[c.AMOUNT]
        open_deals = OpenPipeline().compute(view)[c.N].reindex(cycle.index, fill_value=0)
        days = cycle[c.VALUE].where(cycle[c.VALUE] > 0)
        value = open_deals * win_rate.reindex(cycle.index) * won.mean().reindex(cycle.index) / days
        return pd.DataFrame({c.VALUE: value, c.N: won.size().reindex(cycle.index, fill_value=0)})
