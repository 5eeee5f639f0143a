"""The page /kpis: every KPI of the catalogue by family, with its newest value, change, trend, target and alert."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import Status
from predictkpi.kpis import Kpi, get_kpi, kpi_names
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.charts import sparkline
from predictkpi.service.dashboard.kpi_words import (
    Aim,
    Alerts,
    Tone,
    address,
    aim_of,
    change_text,
    change_tone,
    lacking,
    period_text,
    value_text,
)
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.languages import in_words, marked, sentence
from predictkpi.service.kpi_answers import Rules, summarise
from predictkpi.service.view import View

TREND_PERIODS = 24
FAMILIES = {
    "revenue": marked("Revenue"),
    "customers": marked("Customers"),
    "sales_cycle": marked("Sales cycle"),
    "pipeline": marked("Pipeline"),
}


@dataclass(frozen=True)
class KpiRow:
    """One KPI. ``why`` says why there is no value."""

    name: str
    href: str
    title: str
    definition: str
    value: str
    period: str
    change: str
    change_tone: Tone
    against: str
    spark: dict[str, Any] | None
    spark_label: str
    aim: Aim | None
    status: str
    why: str


@dataclass(frozen=True)
class Family:
    """KPIs that belong side by side."""

    name: str
    title: str
    rows: list[KpiRow]


@dataclass(frozen=True)
class Catalogue:
    """The whole page."""

    families: list[Family]
    alerts: Mapping[str, Alerts] = field(default_factory=dict)

    @property
    def alert_count(self) -> int:
        """How many are known."""
        return sum(len(found.notes) for found in self.alerts.values())

    @property
    def unlooked(self) -> int:
        """How many KPIs are still being looked at."""
        return sum(found.state == "looking" for found in self.alerts.values())


def catalogue(view: View, rules: Rules) -> Catalogue:
    """Every KPI there is, before its alerts are looked for."""
    kpis = [get_kpi(name) for name in kpi_names()]
    ordered = sorted(kpis, key=lambda kpi: list(FAMILIES).index(kpi.family))
    families = [
        Family(family, _(FAMILIES[family]), [_row(kpi, view, rules) for kpi in members])
        for family, members in groupby(ordered, key=lambda kpi: kpi.family)
    ]
    return Catalogue(families)


def _row(kpi: Kpi, view: View, rules: Rules) -> KpiRow:
    found, company = summarise(kpi.name, view), view.company
    latest, previous = found.latest, found.previous
    trend = view.kpi_series(kpi.name, freq=found.freq)[c.VALUE].tail(TREND_PERIODS)
    return KpiRow(
        name=kpi.name,
        href=address(kpi),
        title=in_words(kpi.title),
        definition=sentence(kpi.formula),
        value=value_text(latest.value if latest else None, kpi, company),
        period=period_text(pd.Timestamp(latest.ds), found.freq, company) if latest else "",
        change=change_text(found.change, kpi, company) if found.change is not None else "",
        change_tone=change_tone(found.change, kpi, company),
        against=_("on {period}").format(period=period_text(pd.Timestamp(previous.ds), found.freq, company)) if previous else "",
        spark=sparkline(list(trend), width=120, height=32),
        spark_label=trend_label(trend, kpi, view),
        aim=aim_of(view, kpi, pd.Timestamp(latest.ds), rules.bands, freq=found.freq) if latest else None,
        status=(latest.status if latest else Status.INSUFFICIENT_DATA).value,
        why="" if latest else lacking(kpi, view),
    )


def trend_label(trend: pd.Series, kpi: Kpi, view: View) -> str:
    """A sparkline in words."""
    known = trend.dropna()
    if len(known) < 2:
        return ""
    first, last = (value_text(value, kpi, view.company) for value in (known.iloc[0], known.iloc[-1]))
    return _("{count} periods, from {first} to {last}").format(count=f.number(len(trend)), first=first, last=last)
