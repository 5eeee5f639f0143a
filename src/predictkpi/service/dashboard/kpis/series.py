"""One KPI over time: its values beside targets, the months ahead, its members, and what came out as nobody could expect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import Freq
from predictkpi.core.types import Status
from predictkpi.errors import PredictKpiError
from predictkpi.kpis.attainment import Bands
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.charts import records, series_chart, sparkline
from predictkpi.service.dashboard.kpi_words import (
    Tone,
    bare_text,
    change_text,
    change_tone,
    period_text,
    promises,
    value_text,
)
from predictkpi.service.dashboard.kpis.asked import Asked
from predictkpi.service.dashboard.kpis.catalogue import trend_label
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.languages import in_words
from predictkpi.service.kpi_answers import forecast_of
from predictkpi.service.lookout import State
from predictkpi.service.view import View

SHOWN: dict[Freq, int] = {"D": 92, "W": 78, "M": 60, "Q": 24, "Y": 12}
"""So many of the newest periods are drawn and listed; the CSV holds all of them."""


@dataclass(frozen=True)
class PointRow:
    """One period, written out."""

    period: str
    value: str
    interval: str
    n: str
    target: str
    light: str
    status: str


@dataclass(frozen=True)
class AheadRow:
    """One month ahead, written out."""

    period: str
    expected: str
    likely: str
    wide: str


@dataclass(frozen=True)
class MemberRow:
    """One member of the dimension: where it stands, with the query that shows it alone."""

    name: str
    query: str
    is_shown: bool
    value: str
    change: str
    tone: Tone
    n: str
    spark: dict[str, Any] | None
    spark_label: str
    status: str


@dataclass(frozen=True)
class Series:
    """The chart and its tables. ``ahead_note`` says why there is no forecast, ``ahead_status`` how far it can be trusted.

    ``is_waiting``: the forecast is being worked out.
    """

    chart: dict[str, Any] | None
    description: str
    rows: list[PointRow]
    ahead: list[AheadRow]
    ahead_status: str
    ahead_reason: str
    ahead_note: str
    has_interval: bool
    has_targets: bool
    has_ahead: bool
    counted: str
    is_waiting: bool = False


def is_ahead_of(asked: Asked) -> bool:
    """Whether a forecast can be shown beside this series: forecasts are by month."""
    return asked.freq == "M" or asked.kpi.fixed_freq is not None


def series_of(view: View, asked: Asked, bands: Bands, *, ahead: State = "known") -> Series:
    """The series that was asked for; without its forecast until that is known."""
    kpi, company = asked.kpi, view.company
    rows = shown_rows(view, asked, bands).tail(SHOWN[asked.freq])
    is_waiting = ahead == "looking"
    months, note = _ahead(view, asked) if ahead == "known" else (_nothing_ahead(), "")
    if ahead == "failed":
        note = _("it cannot be told; the log of the service has the cause.")
    has_ahead = not note and not is_waiting
    drawn = months if has_ahead else months.iloc[:0]
    description = _description(rows, asked, view)
    chart = None
    if rows[c.VALUE].notna().any():
        chart = series_chart(
            rows,
            drawn,
            freq=asked.freq,
            unit=kpi.unit,
            write=lambda value: value_text(value, kpi, company),
            name=lambda ds: period_text(ds, asked.freq, company),
            description=description,
        )
    return Series(
        chart=chart,
        description=description,
        rows=[_point(row, asked, view) for row in reversed(records(rows))],
        ahead=[_month(row, asked) for row in records(drawn)],
        ahead_status=str(months[c.STATUS].iloc[0]) if has_ahead else "",
        ahead_reason=str(months[c.REASON].iloc[0]) if has_ahead else "",
        ahead_note=note,
        has_interval=bool(rows[[c.LOW, c.HIGH]].notna().all(axis=1).any()),
        has_targets=bool(rows["target"].notna().any()),
        has_ahead=has_ahead,
        counted=counted_text(kpi.counts),
        is_waiting=is_waiting,
    )


def shown_rows(view: View, asked: Asked, bands: Bands) -> pd.DataFrame:
    """The series of the scope, oldest first: ``ds, value, low, high, n, status, target, light``."""
    series = view.kpi_series(asked.kpi.name, freq=asked.freq, by=asked.dimension)
    rows = series[series[c.MEMBER] == asked.member].sort_values(c.DS)[[c.DS, c.VALUE, c.LOW, c.HIGH, c.N, c.STATUS]]
    promised = promises(view, asked.kpi, asked.freq, bands)
    return rows.merge(promised.loc[promised[c.SCOPE] == asked.scope, [c.DS, "target", "light"]], on=c.DS, how="left")


def members_of(view: View, asked: Asked) -> list[MemberRow]:
    """The members of the dimension that was asked for, the largest newest value first; none without a dimension."""
    if asked.by is None:
        return []
    series = view.kpi_series(asked.kpi.name, freq=asked.freq, by=asked.by)
    newest: dict[str, float] = {}
    rows = []
    for member, own in series.groupby(c.MEMBER, sort=True):
        valued = own[own[c.VALUE].notna()].sort_values(c.DS)
        newest[str(member)] = float(valued[c.VALUE].iloc[-1]) if len(valued) else float("-inf")
        rows.append(_member(str(member), own, valued, asked, view))
    return sorted(rows, key=lambda row: -newest[row.name])


def counted_text(counts: str) -> str:
    """What ``n`` counts, as a heading."""
    return {"orders": _("Orders"), "customers": _("Customers"), "deals": _("Deals"), "entries": _("Entries")}[counts]


def scope_text(scope: str) -> str:
    """A scope for people: the whole company, or region: EMEA."""
    dimension, equals, member = scope.partition("=")
    return f"{dimension_text(dimension)}: {member}" if equals else _("Whole company")


def dimension_text(dimension: str) -> str:
    """A dimension for people."""
    words = {
        c.SEGMENT: _("segment"),
        c.REGION: _("region"),
        c.INDUSTRY: _("industry"),
        c.CHANNEL: _("channel"),
        c.PRODUCT: _("product"),
        c.OWNER: _("owner"),
        c.TEAM: _("team"),
        c.SOURCE: _("source"),
        c.STAGE: _("stage"),
    }
    return words.get(dimension, dimension)


def _ahead(view: View, asked: Asked) -> tuple[pd.DataFrame, str]:
    """The months ahead, and why they are not shown; empty where they are."""
    if not is_ahead_of(asked):
        return _nothing_ahead(), _("The forecast is by month: choose months to see it.")
    try:
        found = forecast_of(view, asked.kpi.name, asked.scope)
    except PredictKpiError as error:
        return _nothing_ahead(), str(error)
    is_told = bool(found["mean"].notna().any())
    return found, "" if is_told else str(found[c.REASON].iloc[0])


def _nothing_ahead() -> pd.DataFrame:
    return pd.DataFrame(columns=[c.DS, "mean", "q025", "q10", "q90", "q975", c.STATUS, c.REASON])


def _point(row: dict[str, Any], asked: Asked, view: View) -> PointRow:
    kpi = asked.kpi
    has_interval = pd.notna(row[c.LOW]) and pd.notna(row[c.HIGH])
    return PointRow(
        period=period_text(row[c.DS], asked.freq, view.company),
        value=bare_text(row[c.VALUE], kpi),
        interval=f.between(bare_text(row[c.LOW], kpi), bare_text(row[c.HIGH], kpi)) if has_interval else f.MISSING,
        n=f.number(row[c.N]),
        target=bare_text(row["target"], kpi),
        light=row["light"] if isinstance(row["light"], str) else "none",
        status=row[c.STATUS],
    )


def _month(row: dict[str, Any], asked: Asked) -> AheadRow:
    def span(low: str, high: str) -> str:
        return f.between(bare_text(row[low], asked.kpi), bare_text(row[high], asked.kpi))

    return AheadRow(f.month(row[c.DS]), bare_text(row["mean"], asked.kpi), span("q10", "q90"), span("q025", "q975"))


def _member(member: str, own: pd.DataFrame, valued: pd.DataFrame, asked: Asked, view: View) -> MemberRow:
    kpi, scope = asked.kpi, f"{asked.by}={member}"
    newest = valued.iloc[-1] if len(valued) else None
    change = float(valued[c.VALUE].iloc[-1] - valued[c.VALUE].iloc[-2]) if len(valued) > 1 else None
    trend = own.sort_values(c.DS)[c.VALUE].tail(24)
    return MemberRow(
        name=member,
        query=asked.query(scope=scope),
        is_shown=scope == asked.scope,
        value=value_text(None if newest is None else float(newest[c.VALUE]), kpi, view.company),
        change=change_text(change, kpi, view.company) if change is not None else "",
        tone=change_tone(change, kpi, view.company),
        n=f.number(None if newest is None else float(newest[c.N])),
        spark=sparkline(list(trend), width=120, height=32),
        spark_label=trend_label(trend, kpi, view),
        status=Status.INSUFFICIENT_DATA.value if newest is None else str(newest[c.STATUS]),
    )


def _description(rows: pd.DataFrame, asked: Asked, view: View) -> str:
    valued = rows[rows[c.VALUE].notna()]
    if valued.empty:
        return _("{title}: no period has a value yet.").format(title=in_words(asked.kpi.title))
    first, last = valued.iloc[0], valued.iloc[-1]
    return _("{title}, {scope}: from {first} in {since} to {last} in {until}.").format(
        title=in_words(asked.kpi.title),
        scope=scope_text(asked.scope),
        first=value_text(first[c.VALUE], asked.kpi, view.company),
        since=period_text(cast(pd.Timestamp, first[c.DS]), asked.freq, view.company),
        last=value_text(last[c.VALUE], asked.kpi, view.company),
        until=period_text(cast(pd.Timestamp, last[c.DS]), asked.freq, view.company),
    )
