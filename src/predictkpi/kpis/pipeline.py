"""What becomes of deals, what is in the pipeline, and what slips."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.kpis.base import CELL, Kpi, View, no_cells
from predictkpi.kpis.deals import CLOSED_AT, DEAL_DIMENSIONS, OUTCOME, deal_states, deal_table
from predictkpi.kpis.shares import share_cells
from predictkpi.kpis.standing import AT, SINCE, standing, standing_at_ends

_HIT = "hit"


class WinRate(Kpi):
    """Share won of the deals closed in the period, by count. Open deals do not enter it; a reopened deal leaves it."""

    name = "win_rate"
    title: ClassVar[dict[str, str]] = {"en": "Win rate", "de": "Abschlussquote"}
    formula = "deals won in the period / deals won or lost in the period"
    family = "pipeline"
    unit = "share"
    better = "up"
    counts = "deals"
    needs = ("deals", "deal_events")
    dimensions = DEAL_DIMENSIONS

    def compute(self, view: View) -> pd.DataFrame:
        """Share and count over the deals that are closed at ``as_of``, in the period of their closing."""
        closed = _closed(view)
        return share_cells(view.group(closed, CLOSED_AT), _HIT) if len(closed) else no_cells()


class WinRateAmount(Kpi):
    """Share won of what was closed in the period, by amount. Deals without an amount do not enter it."""

    name = "win_rate_amount"
    title: ClassVar[dict[str, str]] = {"en": "Win rate by amount", "de": "Abschlussquote nach Wert"}
    formula = "amount of the deals won in the period / amount of the deals won or lost in the period"
    family = "pipeline"
    unit = "share"
    better = "up"
    counts = "deals"
    needs = ("deals", "deal_events")
    dimensions = DEAL_DIMENSIONS

    def compute(self, view: View) -> pd.DataFrame:
        """Ratio of sums, and the deals with an amount."""
        closed = _closed(view)
        closed = closed[closed[c.AMOUNT].notna()]
        if closed.empty:
            return no_cells()
        grouped = view.group(closed.assign(**{c.VALUE: closed[c.AMOUNT].where(closed[_HIT], 0.0)}), CLOSED_AT)
        amount = grouped[c.AMOUNT].sum()
        return pd.DataFrame({c.VALUE: grouped[c.VALUE].sum() / amount.where(amount > 0), c.N: grouped.size()})


class AverageDealSize(Kpi):
    """Mean amount of the deals won in the period; deals without an amount do not enter it."""

    name = "average_deal_size"
    title: ClassVar[dict[str, str]] = {"en": "Average deal size", "de": "Durchschnittliche Dealgröße"}
    formula = "amount of the deals won in the period / number of those deals"
    family = "pipeline"
    unit = "currency"
    better = "up"
    counts = "deals"
    needs = ("deals", "deal_events")
    dimensions = DEAL_DIMENSIONS

    def compute(self, view: View) -> pd.DataFrame:
        """Mean and count."""
        closed = _closed(view)
        won = closed[closed[_HIT] & closed[c.AMOUNT].notna()]
        if won.empty:
            return no_cells()
        return view.group(won, CLOSED_AT)[c.AMOUNT].agg(["mean", "size"]).set_axis([c.VALUE, c.N], axis=1)


class OpenPipeline(Kpi):
    """Amount of the deals open at the period's end, as they stood then. ``n`` counts all of them, also those without an amount."""

    name = "open_pipeline"
    title: ClassVar[dict[str, str]] = {"en": "Open pipeline", "de": "Offene Pipeline"}
    formula = "sum of the amounts of the deals open at the period's end"
    family = "pipeline"
    unit = "currency"
    better = "up"
    counts = "deals"
    needs = ("deals", "deal_events")
    dimensions = (c.STAGE, *DEAL_DIMENSIONS)
    least_n = 0
    when_empty = 0.0

    def compute(self, view: View) -> pd.DataFrame:
        """Sum and count per period end, from the first period with a deal on."""
        states = deal_states(view.snapshot)
        is_open = states[states[OUTCOME].isna()]
        if is_open.empty:
            return no_cells()
        starts = view.periods(states[SINCE].min())
        held = standing_at_ends(is_open.assign(**{c.MEMBER: view.members(is_open)}), view, starts)
        return held.groupby(CELL)[c.AMOUNT].agg(["sum", "size"]).set_axis([c.VALUE, c.N], axis=1)


class SlipRate(Kpi):
    """Share of the deals due in the period that were still open at its end.

    Due: open at the period's start, with an expected close date in the period as it stood at that start.
    """

    name = "slip_rate"
    title: ClassVar[dict[str, str]] = {"en": "Slip rate", "de": "Verschiebungsquote"}
    formula = (
        "deals open at the period's start, then expected to close in it, and open at its end / deals open then and expected to close in it"
    )
    family = "pipeline"
    unit = "share"
    better = "down"
    counts = "deals"
    needs = ("deals", "deal_events")
    dimensions = (c.STAGE, *DEAL_DIMENSIONS)

    def compute(self, view: View) -> pd.DataFrame:
        """Share and count; the member is the one that held the deal at the period's start."""
        states = deal_states(view.snapshot)
        is_open = states[states[OUTCOME].isna()]
        if is_open.empty:
            return no_cells()
        starts = view.periods(states[SINCE].min())
        ends = view.ends(starts)
        at_start = standing(is_open.assign(**{c.MEMBER: view.members(is_open)}), starts, labels=starts)
        expected = at_start[c.EXPECTED_CLOSE_ON].to_numpy()
        is_due = (expected >= at_start[AT].to_numpy()) & (expected < view.ends(pd.DatetimeIndex(at_start[AT])).to_numpy())
        due = at_start[is_due]
        of_due = is_open[is_open[c.DEAL_ID].isin(due[c.DEAL_ID])]
        at_end = standing(of_due, ends, labels=starts)[[c.DEAL_ID, c.DS]].assign(**{_HIT: True})
        due = due.merge(at_end, on=[c.DEAL_ID, c.DS], how="left")
        return share_cells(due.assign(**{_HIT: due[_HIT].eq(True)}).groupby(CELL), _HIT)


def _closed(view: View) -> pd.DataFrame:
    """The deals closed at ``as_of``; ``hit`` says which are won."""
    deals = deal_table(view.snapshot)
    closed = deals[deals[OUTCOME].notna()]
    return closed.assign(**{_HIT: np.asarray(closed[OUTCOME] == c.WON, dtype=bool)})
