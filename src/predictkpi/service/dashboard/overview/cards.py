"""The four KPI cards: newest value, change, target with its light, alert and trend, each from what the API answers of the KPI."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import Status
from predictkpi.kpis import Kpi, get_kpi
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.charts import sparkline
from predictkpi.service.dashboard.kpi_words import (
    Aim,
    Tone,
    address,
    aim_of,
    bare_text,
    change_text,
    change_tone,
    lacking,
    thin,
    tone_of,
    value_text,
)
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.languages import in_words, ngettext, sentence
from predictkpi.service.kpi_answers import Rules
from predictkpi.service.view import View

TREND_MONTHS = 24
Changes = Callable[[pd.Series, pd.Timestamp], "list[Change]"]


@dataclass(frozen=True)
class Change:
    """A change against something, with whether that is good."""

    text: str
    against: str
    tone: Tone


@dataclass(frozen=True)
class Card:
    """One card, which leads to the page of its KPI."""

    name: str
    href: str
    title: str
    definition: str
    period: str
    value: str
    changes: list[Change] = field(default_factory=list)
    note: str = ""
    aim: Aim | None = None
    spark: dict[str, Any] | None = None
    spark_label: str = ""
    status: Status = Status.FULL
    empty: str = ""


def cards(view: View, rules: Rules) -> list[Card]:
    """Revenue, CAC, realised CLV and sales cycle, in this order."""
    return [_revenue(view, rules), _cac(view, rules), _clv(view), _sales_cycle(view, rules)]


def monthly(view: View, kpi: str) -> pd.DataFrame:
    """The total of a KPI by month: index ``ds``, columns ``value, n, status``."""
    return view.kpi_series(kpi).set_index(c.DS)[[c.VALUE, c.N, c.STATUS]].sort_index()


def _revenue(view: View, rules: Rules) -> Card:
    def changes(_values: pd.Series, ds: pd.Timestamp) -> list[Change]:
        found = []
        for name, against in (("revenue_growth_mom", _("on the month before")), ("revenue_growth_yoy", _("on the year before"))):
            growth = monthly(view, name)[c.VALUE]
            if ds in growth.index and pd.notna(growth[ds]):
                found.append(Change(f.signed_percent(growth[ds]), against, tone_of(growth[ds], "up")))
        return found

    return _card(view, get_kpi("revenue"), rules, changes)


def _cac(view: View, rules: Rules) -> Card:
    def changes(values: pd.Series, ds: pd.Timestamp) -> list[Change]:
        usual = values[values.index < ds].dropna().tail(12).mean()
        if not usual or pd.isna(usual):
            return []
        change = values[ds] / usual - 1
        return [Change(f.signed_percent(change), _("on its 12-month average"), tone_of(change, "down"))]

    return _card(view, get_kpi("cac"), rules, changes)


def _clv(view: View) -> Card:
    """Realised CLV over all cohorts: their means, weighted by size. The trend is what it was at each month's end.

    It has neither light nor alert: a cohort's value still grows.
    """
    kpi, cohorts, revenue = get_kpi("clv_realised"), monthly(view, "clv_realised"), monthly(view, "revenue")
    valued = cohorts[cohorts[c.VALUE].notna() & (cohorts[c.N] > 0)]
    if valued.empty:
        return _nothing(kpi, view)
    customers = int(valued[c.N].sum())
    value = float((valued[c.VALUE] * valued[c.N]).sum() / customers)
    so_far = (revenue[c.VALUE].cumsum() / cohorts[c.N].reindex(revenue.index).fillna(0).cumsum()).tail(TREND_MONTHS)
    changes = []
    if len(so_far) > 12:
        change = so_far.iloc[-1] / so_far.iloc[-13] - 1
        changes.append(Change(f.signed_percent(change), _("on the year before"), tone_of(change, "up")))
    told = ngettext("mean net revenue of {count} customer", "mean net revenue of {count} customers", customers)
    return Card(
        name=kpi.name,
        href=address(kpi),
        title=in_words(kpi.title),
        definition=sentence(kpi.formula),
        period=_("all cohorts to date"),
        value=value_text(value, kpi, view.company),
        changes=changes,
        note=told.format(count=f.number(customers)),
        spark=sparkline(list(so_far)),
        spark_label=_trend_label(kpi, so_far),
    )


def _sales_cycle(view: View, rules: Rules) -> Card:
    kpi = get_kpi("sales_cycle_median")

    def changes(values: pd.Series, ds: pd.Timestamp) -> list[Change]:
        before = values.get(ds - pd.DateOffset(years=1))
        if before is None or pd.isna(before):
            return []
        change = values[ds] - before
        return [Change(change_text(change, kpi, view.company), _("on the year before"), change_tone(change, kpi, view.company))]

    return _card(view, kpi, rules, changes, note=_win_rates(view))


def _win_rates(view: View) -> str:
    rate = monthly(view, "win_rate")[c.VALUE].dropna()
    if rate.empty:
        return ""
    newest = {"rate": f.percent(rate.iloc[-1]), "month": f.month(rate.index[-1])}
    if len(rate) <= 3:
        return _("win rate {rate} in {month}").format(**newest)
    usual = {"usual": f.percent(rate.tail(12).mean()), "count": f.number(min(len(rate), 12))}
    return _("win rate {rate} in {month}, {usual} over {count} months").format(**newest, **usual)


def _card(view: View, kpi: Kpi, rules: Rules, changes: Changes, *, note: str = "") -> Card:
    series = monthly(view, kpi.name)
    valued = series[series[c.VALUE].notna()]
    if valued.empty:
        return _nothing(kpi, view)
    ds, newest = valued.index[-1], valued.iloc[-1]
    trend = series[c.VALUE].tail(TREND_MONTHS)
    status = Status(newest[c.STATUS])
    return Card(
        name=kpi.name,
        href=address(kpi),
        title=in_words(kpi.title),
        definition=sentence(kpi.formula),
        period=f.month(ds),
        value=value_text(float(newest[c.VALUE]), kpi, view.company),
        changes=changes(series[c.VALUE], ds),
        note=note or thin(kpi, newest[c.N], status),
        aim=aim_of(view, kpi, ds, rules.bands),
        spark=sparkline(list(trend)),
        spark_label=_trend_label(kpi, trend),
        status=status,
    )


def _nothing(kpi: Kpi, view: View) -> Card:
    return Card(
        name=kpi.name,
        href=address(kpi),
        title=in_words(kpi.title),
        definition=sentence(kpi.formula),
        period="",
        value=f.MISSING,
        empty=lacking(kpi, view),
        status=Status.INSUFFICIENT_DATA,
    )


def _trend_label(kpi: Kpi, trend: pd.Series) -> str:
    known = trend.dropna()
    if len(known) < 2:
        return ""
    return _("{title} over {count} months, from {first} in {since} to {last}").format(
        title=in_words(kpi.title),
        count=len(trend),
        first=bare_text(known.iloc[0], kpi),
        since=f.month(known.index[0]),
        last=bare_text(known.iloc[-1], kpi),
    )
