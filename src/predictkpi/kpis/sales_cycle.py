"""How long deals take until they are won: the naive mean, and the median that counts the deals still open."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.features.incidence import Floats
from predictkpi.kpis.base import CELL, Kpi, View, no_cells
from predictkpi.kpis.deals import CLOSED_AT, DEAL_DIMENSIONS, OBSERVED_FROM, OUTCOME, START, deal_states, deal_table
from predictkpi.kpis.median import Median, median_among
from predictkpi.kpis.standing import SINCE, UNTIL, YEAR

_EPOCH = pd.Timestamp(0)
_SECONDS_A_DAY = 86_400.0
_WON, _LOST = 1, 2


def day_numbers(instants: pd.Series) -> Floats:
    """Days since 1970, NaN where empty."""
    return np.asarray((instants - _EPOCH).dt.total_seconds(), dtype=np.float64) / _SECONDS_A_DAY


class SalesCycleMean(Kpi):
    """The usual figure, shown for comparison: it hears only of deals that are done, so it is short while sales slow down."""

    name = "sales_cycle_mean"
    title: ClassVar[dict[str, str]] = {"en": "Sales cycle, naive mean", "de": "Verkaufszyklus, einfacher Mittelwert"}
    formula = "mean days from start to closing of the deals won in the period"
    family = "sales_cycle"
    unit = "days"
    better = "down"
    counts = "deals"
    needs = ("deals", "deal_events")
    dimensions = DEAL_DIMENSIONS

    def compute(self, view: View) -> pd.DataFrame:
        """Mean over the deals that are won at ``as_of``, in the period of their closing."""
        deals = deal_table(view.snapshot)
        won = deals[deals[OUTCOME] == c.WON]
        if won.empty:
            return no_cells()
        won = won.assign(**{c.VALUE: day_numbers(won[CLOSED_AT]) - day_numbers(won[START])})
        return view.group(won, CLOSED_AT)[c.VALUE].agg(["mean", "size"]).set_axis([c.VALUE, c.N], axis=1)


class SalesCycleMedian(Kpi):
    """Median days to a win among deals that are won, with open deals counted as not yet closed.

    Aalen-Johansen over the deals started in the 12 months up to the period's end, as they stood at that end: later closings and
    reopenings do not reach back. A deal whose history begins after its start enters late. ``n`` counts the won deals.
    """

    name = "sales_cycle_median"
    title: ClassVar[dict[str, str]] = {"en": "Sales cycle, median", "de": "Verkaufszyklus, Median"}
    formula = (
        "day at which the cumulative incidence of winning (Aalen-Johansen, deals of the last 12 months) reaches half of its final value"
    )
    family = "sales_cycle"
    unit = "days"
    better = "down"
    counts = "deals"
    needs = ("deals", "deal_events")
    dimensions = DEAL_DIMENSIONS
    settles_with = "deal_events"

    def compute(self, view: View) -> pd.DataFrame:
        """One estimate per member and period end, from the first period with a closing on."""
        states = deal_states(view.snapshot)
        first_closing = states[CLOSED_AT].min()
        if pd.isna(first_closing):
            return no_cells()
        starts = view.periods(first_closing)
        ends = view.ends(starts)
        member, names = pd.factorize(view.members(states), sort=True)
        began, since, until, closed, seen = (day_numbers(states[name]) for name in (START, SINCE, UNTIL, CLOSED_AT, OBSERVED_FROM))
        cause = states[OUTCOME].map({c.WON: _WON, c.LOST: _LOST}).fillna(0).to_numpy(dtype=int)
        found = {}
        for start, end, begin in zip(starts, day_numbers(ends.to_series()), day_numbers((ends - YEAR).to_series()), strict=True):
            is_state_then = (since < end) & ~(until < end)
            rows = np.flatnonzero(is_state_then & (began >= begin) & (began < end))
            for code, cohort in by_code(member, rows):
                duration = np.where(cause[cohort] > 0, closed[cohort], end) - began[cohort]
                found[names[code], start] = median_among(duration, cause[cohort], entry=seen[cohort] - began[cohort])
        return median_cells(found)


def by_code(code: np.ndarray, rows: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """``rows`` split by their code."""
    rows = rows[np.argsort(code[rows], kind="stable")]
    codes, first = np.unique(code[rows], return_index=True)
    return list(zip(codes, np.split(rows, first[1:]), strict=False))


def median_cells(found: dict[tuple[str, pd.Timestamp], Median]) -> pd.DataFrame:
    """Medians by member and period start as cells."""
    if not found:
        return no_cells()
    index = pd.MultiIndex.from_tuples(found, names=CELL)
    return pd.DataFrame(list(found.values()), index=index, columns=[c.VALUE, c.LOW, c.HIGH, c.N])
