"""The stages that open deals stand in, and how deals of the company have moved on from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast
from urllib.parse import urlencode

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import Freq
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.pipeline.book import Asked
from predictkpi.service.paging import NONE
from predictkpi.service.view import View

CONVERSION, STAY, CYCLE = "stage_conversion", "time_in_stage", "sales_cycle_median"
CONVERSION_FREQ: Freq = "Q"


@dataclass(frozen=True)
class Stage:
    """One stage: what stands in it, and how deals have left it. Widths in percent."""

    name: str
    href: str
    is_chosen: bool
    count: str
    count_width: float
    amount: str
    amount_width: float
    expected: str
    onward: str
    onward_percent: float
    onward_n: str
    stay: str


@dataclass(frozen=True)
class Funnel:
    """All stages that the caller has open deals in. Without the company's numbers ``has_past`` is false and those texts are empty."""

    stages: list[Stage]
    has_past: bool
    conversion_period: str
    stay_until: str
    cycle: str
    sources: list[tuple[str, str]]


@dataclass(frozen=True)
class Past:
    """The newest values of the KPIs by stage (columns ``value, n``) with the periods they are of, and of the whole sales cycle."""

    conversion: pd.DataFrame
    conversion_of: pd.Timestamp | None
    stay: pd.DataFrame
    stay_of: pd.Timestamp | None
    cycle: float | None


def of_company(view: View) -> Past:
    """How deals have moved, from the KPI catalogue; for who may see the company's numbers."""
    return cast(Past, view.page("pipeline-past", _past))


def newest(view: View, kpi: str, freq: Freq = "M", *, by: str | None = None) -> tuple[pd.DataFrame, pd.Timestamp | None]:
    """A KPI in its newest complete period: by member ``value, n``, and the period's start; None where it has none."""
    series = view.kpi_series(kpi, freq=freq, by=by)
    last = None if series.empty else series[c.DS].max()
    return series[series[c.DS] == last].set_index(c.MEMBER)[[c.VALUE, c.N]], last


def funnel(view: View, found: pd.DataFrame, *, stages: list[str], asked: Asked, with_numbers: bool) -> Funnel:
    """Stages of the deals that were asked for, in the order in which deals go through them."""
    past = of_company(view) if with_numbers else None
    by_stage = found.groupby(c.STAGE)[[c.AMOUNT, "expected_value"]].sum().reindex(stages, fill_value=0.0)
    counts = found[c.STAGE].value_counts().reindex(stages, fill_value=0)
    most, largest = max(1, int(counts.max() if len(counts) else 0)), max(1.0, float(by_stage[c.AMOUNT].max() if len(by_stage) else 0.0))
    has_chances = "close_time" in view.champions
    shown = []
    for stage in stages:
        count, amount = int(counts[stage]), float(by_stage.at[stage, c.AMOUNT])
        onward, departures = _of(past.conversion, stage) if past else (None, None)
        stay = _of(past.stay, stage)[0] if past else None
        others = asked.parameters | {c.STAGE: stage} if asked.stage != stage else _without_stage(asked)
        shown.append(
            Stage(
                name=_("without stage") if stage == NONE else stage,
                href=f"/pipeline?{urlencode(others)}",
                is_chosen=asked.stage == stage,
                count=f.number(count),
                count_width=round(count / most * 100, 1),
                amount=f.amount(amount),
                amount_width=round(max(amount, 0.0) / largest * 100, 1),
                expected=f.amount(float(by_stage.at[stage, "expected_value"])) if has_chances else f.MISSING,
                onward=f.percent(onward),
                onward_percent=round((onward or 0.0) * 100, 1),
                onward_n=f.number(departures),
                stay=f.days(stay),
            )
        )
    return _funnel(view, shown, past)


def _funnel(view: View, stages: list[Stage], past: Past | None) -> Funnel:
    if past is None:
        return Funnel(stages, False, "", "", "", [])
    conversion = f.quarter(past.conversion_of, view.company.fiscal_year_starts) if past.conversion_of is not None else ""
    until = f.month(past.stay_of) if past.stay_of is not None else ""
    names = ((CONVERSION, f"?freq={CONVERSION_FREQ}&by=stage"), (STAY, "?by=stage"), (CYCLE, ""))
    return Funnel(stages, True, conversion, until, f.days(past.cycle), [(name, f"/v1/kpis/{name}{query}") for name, query in names])


def _past(view: View) -> Past:
    cycle, _of_month = newest(view, CYCLE)
    conversion, stay = newest(view, CONVERSION, CONVERSION_FREQ, by=c.STAGE), newest(view, STAY, by=c.STAGE)
    return Past(*conversion, *stay, cycle=float(cycle[c.VALUE].iloc[0]) if len(cycle) else None)


def _of(values: pd.DataFrame, stage: str) -> tuple[float | None, float | None]:
    """Value and count of a stage; a value that is missing is None."""
    if stage not in values.index:
        return None, None
    value = float(values.at[stage, c.VALUE])
    return (value if f.is_number(value) else None), float(values.at[stage, c.N])


def _without_stage(asked: Asked) -> dict[str, str]:
    return {name: value for name, value in asked.parameters.items() if name != c.STAGE}
