"""The four KPI cards: newest value, change, target and trend, each from a series of the KPI catalogue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import Status
from predictkpi.kpis import Kpi, get_kpi
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.charts import sparkline
from predictkpi.service.view import View

TREND_MONTHS = 24
Tone = Literal["good", "bad", "plain"]


@dataclass(frozen=True)
class Change:
    """A change against something, with whether that is good."""

    text: str
    against: str
    tone: Tone


@dataclass(frozen=True)
class Card:
    """One card. ``target_share`` is value / target."""

    title: str
    definition: str
    period: str
    value: str
    changes: list[Change] = field(default_factory=list)
    note: str = ""
    target: str = ""
    target_share: float | None = None
    target_tone: Tone = "plain"
    spark: dict[str, Any] | None = None
    spark_label: str = ""
    status: Status = Status.FULL
    empty: str = ""


def cards(view: View) -> list[Card]:
    """Revenue, CAC, realised CLV and sales cycle, in this order."""
    return [_revenue(view), _cac(view), _clv(view), _sales_cycle(view)]


def monthly(view: View, kpi: str) -> pd.DataFrame:
    """The total of a KPI by month: index ``ds``, columns ``value, n, status``."""
    return view.kpi_series(kpi).set_index(c.DS)[[c.VALUE, c.N, c.STATUS]].sort_index()


def target_of(view: View, kpi: str, ds: pd.Timestamp) -> float | None:
    """What was promised for the total of one month; None if nothing was."""
    targets = view.snapshot.targets
    found = targets[(targets[c.KPI] == kpi) & (targets[c.SCOPE] == c.TOTAL) & (targets[c.FREQ] == "M") & (targets[c.DS] == ds)]
    return float(found[c.VALUE].iloc[0]) if len(found) else None


def _revenue(view: View) -> Card:
    def changes(_: pd.Series, ds: pd.Timestamp) -> list[Change]:
        found = []
        for name, against in (("revenue_growth_mom", "on the month before"), ("revenue_growth_yoy", "on the year before")):
            growth = monthly(view, name)[c.VALUE]
            if ds in growth.index and pd.notna(growth[ds]):
                found.append(Change(f.signed_percent(growth[ds]), against, _tone(growth[ds], "up")))
        return found

    return _card(view, "revenue", "Revenue", lambda value: f.money(value, view.company.currency), changes)


def _cac(view: View) -> Card:
    def changes(values: pd.Series, ds: pd.Timestamp) -> list[Change]:
        usual = values[values.index < ds].dropna().tail(12).mean()
        if not usual or pd.isna(usual):
            return []
        change = values[ds] / usual - 1
        return [Change(f.signed_percent(change), "on its 12-month average", _tone(change, "down"))]

    return _card(view, "cac", "Customer acquisition cost", lambda value: f.money(value, view.company.currency), changes)


def _clv(view: View) -> Card:
    """Realised CLV over all cohorts: their means, weighted by size. The trend is what it was at each month's end."""
    kpi, cohorts, revenue = get_kpi("clv_realised"), monthly(view, "clv_realised"), monthly(view, "revenue")
    valued = cohorts[cohorts[c.VALUE].notna() & (cohorts[c.N] > 0)]
    if valued.empty:
        return _nothing("Realised customer value", kpi, view)
    customers = int(valued[c.N].sum())
    value = float((valued[c.VALUE] * valued[c.N]).sum() / customers)
    so_far = (revenue[c.VALUE].cumsum() / cohorts[c.N].reindex(revenue.index).fillna(0).cumsum()).tail(TREND_MONTHS)
    changes = []
    if len(so_far) > 12:
        change = so_far.iloc[-1] / so_far.iloc[-13] - 1
        changes.append(Change(f.signed_percent(change), "on the year before", _tone(change, "up")))
    return Card(
        title="Realised customer value",
        definition=kpi.formula,
        period="all cohorts to date",
        value=f.money(value, view.company.currency),
        changes=changes,
        note=f"mean net revenue of {customers:,} customers",
        spark=sparkline(list(so_far)),
        spark_label=_trend_label("Realised customer value", so_far),
    )


def _sales_cycle(view: View) -> Card:
    def changes(values: pd.Series, ds: pd.Timestamp) -> list[Change]:
        before = values.get(ds - pd.DateOffset(years=1))
        if before is None or pd.isna(before):
            return []
        change = values[ds] - before
        return [Change(f.signed(change, "days"), "on the year before", _tone(change, "down"))]

    rate = monthly(view, "win_rate")[c.VALUE].dropna()
    note = f"win rate {f.percent(rate.iloc[-1])} in {f.month(rate.index[-1])}" if len(rate) else ""
    if len(rate) > 3:
        note += f", {f.percent(rate.tail(12).mean())} over {min(len(rate), 12)} months"
    return _card(view, "sales_cycle_median", "Sales cycle, median", f.days, changes, note=note)


def _card(
    view: View,
    kpi_name: str,
    title: str,
    write: Callable[[float | None], str],
    changes: Callable[[pd.Series, pd.Timestamp], list[Change]],
    *,
    note: str = "",
) -> Card:
    kpi, series = get_kpi(kpi_name), monthly(view, kpi_name)
    valued = series[series[c.VALUE].notna()]
    if valued.empty:
        return _nothing(title, kpi, view)
    ds = valued.index[-1]
    value, status = float(valued[c.VALUE].iloc[-1]), Status(valued[c.STATUS].iloc[-1])
    target = target_of(view, kpi_name, ds)
    trend = series[c.VALUE].tail(TREND_MONTHS)
    return Card(
        title=title,
        definition=kpi.formula,
        period=f.month(ds),
        value=write(value),
        changes=changes(series[c.VALUE], ds),
        note=note or _thin(kpi.counts, valued[c.N].iloc[-1], status),
        target=write(target) if target is not None else "",
        target_share=value / target if target else None,
        target_tone=_tone(value - target, kpi.better) if target is not None else "plain",
        spark=sparkline(list(trend)),
        spark_label=_trend_label(title, trend),
        status=status,
    )


def _thin(counted: str, n: float, status: Status) -> str:
    """Why a value is limited, where it is by its few cases."""
    return f"from only {n:.0f} {counted}" if status is Status.LIMITED else ""


def _nothing(title: str, kpi: Kpi, view: View) -> Card:
    absent = [name.replace("_", " ") for name in kpi.needs if view.snapshot.table(name).empty]
    empty = f"It needs {' and '.join(absent)}: none has been loaded." if absent else "Too little history for a value."
    return Card(title=title, definition=kpi.formula, period="", value=f.MISSING, empty=empty)


def _tone(change: float, better: str) -> Tone:
    if better == "none" or change == 0:
        return "plain"
    return "good" if (change > 0) == (better == "up") else "bad"


def _trend_label(title: str, trend: pd.Series) -> str:
    known = trend.dropna()
    if len(known) < 2:
        return ""
    return f"{title} over {len(trend)} months, from {f.amount(known.iloc[0])} in {f.month(known.index[0])} to {f.amount(known.iloc[-1])}"
