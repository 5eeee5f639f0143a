"""Whether the pipeline is enough for what the quarter still has to bring."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import period_start
from predictkpi.kpis.base import CELL, Kpi, View
from predictkpi.kpis.deals import DEAL_DIMENSIONS
from predictkpi.kpis.pipeline import OpenPipeline
from predictkpi.kpis.revenue import Revenue
from predictkpi.kpis.standing import AT

MONTHS_A_QUARTER = 3
_QUARTER = "quarter"


class PipelineCoverage(Kpi):
    """Open pipeline over the revenue that the running fiscal quarter lacked to its target, both at the period's end.

    The running quarter is the one that holds the period's exclusive end: at the end of a quarter it is the next one. Its target is that
    of the quarter, or the sum of its three months; no value without one, nor where it was reached. The whole pipeline counts,
    whenever it is expected to close. By owner, team or source, orders count for those of their deal.
    """

    name = "pipeline_coverage"
    title: ClassVar[dict[str, str]] = {"en": "Pipeline coverage of the quarter's target", "de": "Pipeline-Abdeckung des Quartalsziels"}
    formula = "open pipeline at the period's end / (revenue target of the quarter then running - revenue booked in it by then)"
    family = "pipeline"
    unit = "ratio"
    better = "up"
    counts = "deals"
    needs = ("deals", "deal_events", "orders", "targets")
    dimensions = DEAL_DIMENSIONS

    def compute(self, view: View) -> pd.DataFrame:
        """The ratio in every cell of `OpenPipeline`."""
        pipeline = OpenPipeline().compute(view)
        if pipeline.empty:
            return pipeline
        cells = pipeline.reset_index()[CELL]
        cells[AT] = view.ends(pd.DatetimeIndex(cells[c.DS])).to_numpy()
        cells[_QUARTER] = _quarters(view, cells[AT]).to_numpy()
        target = cells.merge(_quarter_targets(view), on=[c.MEMBER, _QUARTER], how="left")[c.VALUE]
        lacking = target - (_booked_before(view, cells, AT) - _booked_before(view, cells, _QUARTER))
        return pipeline.assign(**{c.VALUE: pipeline[c.VALUE] / lacking.where(lacking > 0).to_numpy()})


def _quarters(view: View, instants: pd.Series) -> pd.Series:
    """Start of the fiscal quarter that holds each instant."""
    return period_start(instants, "Q", fiscal_year_starts=view.snapshot.company.fiscal_year_starts)


def _booked_before(view: View, cells: pd.DataFrame, instant: str) -> pd.Series:
    """All revenue that the member of each cell had booked before the cell's instant."""
    orders = view.snapshot.orders
    booked = pd.DataFrame({c.MEMBER: view.members(orders), "booked_at": orders[c.DS], c.AMOUNT: orders[c.AMOUNT]})
    booked = booked.sort_values("booked_at", kind="stable")
    booked[c.AMOUNT] = booked.groupby(c.MEMBER)[c.AMOUNT].cumsum()
    sought = cells[[c.MEMBER, instant]].astype({instant: booked["booked_at"].dtype}).sort_values(instant, kind="stable")
    last = pd.merge_asof(sought, booked, left_on=instant, right_on="booked_at", by=c.MEMBER, allow_exact_matches=False)
    return last[c.AMOUNT].set_axis(sought.index).fillna(0.0).reindex(cells.index)


def _quarter_targets(view: View) -> pd.DataFrame:
    """Revenue promised by member and fiscal quarter: for the quarter, else for its three months; ``member, quarter, value``."""
    targets = view.snapshot.targets
    targets = targets[targets[c.KPI] == Revenue.name]
    prefix = "" if view.by is None else f"{view.by}="
    scoped = targets[targets[c.SCOPE] == c.TOTAL] if view.by is None else targets[targets[c.SCOPE].str.startswith(prefix)]
    promised = pd.DataFrame({c.MEMBER: scoped[c.SCOPE].str.removeprefix(prefix), _QUARTER: _quarters(view, scoped[c.DS])})
    promised[[c.FREQ, c.VALUE]] = scoped[[c.FREQ, c.VALUE]]
    key = [c.MEMBER, _QUARTER]
    by_month = promised[promised[c.FREQ] == "M"].groupby(key)[c.VALUE].agg(["sum", "size"])
    summed = by_month[by_month["size"] == MONTHS_A_QUARTER]["sum"].rename(c.VALUE).reset_index()
    whole = promised.loc[promised[c.FREQ] == "Q", [*key, c.VALUE]]
    return pd.concat([whole, summed]).drop_duplicates(key)
