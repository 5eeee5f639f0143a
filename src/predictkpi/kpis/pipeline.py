"""What becomes of deals."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.kpis.base import Kpi, View, no_cells
from predictkpi.kpis.deals import CLOSED_AT, DEAL_DIMENSIONS, OUTCOME, deal_table


class WinRate(Kpi):
    """Share won of the deals closed in the period, by count. Open deals do not enter it; a reopened deal leaves it."""

    name = "win_rate"
    title: ClassVar[dict[str, str]] = {"en": "Win rate", "de": "Abschlussquote"}
    formula = "deals won in the period / deals won or lost in the period"
    unit = "share"
    better = "up"
    counts = "deals"
    needs = ("deals", "deal_events")
    dimensions = DEAL_DIMENSIONS

    def compute(self, view: View) -> pd.DataFrame:
        """Share and count over the deals that are closed at ``as_of``, in the period of their closing."""
        deals = deal_table(view.snapshot)
        closed = deals[deals[OUTCOME].notna()]
        if closed.empty:
            return no_cells()
        closed = closed.assign(**{c.VALUE: (closed[OUTCOME] == c.WON).astype("float64")})
        return view.group(closed, CLOSED_AT)[c.VALUE].agg(["mean", "size"]).set_axis([c.VALUE, c.N], axis=1)
