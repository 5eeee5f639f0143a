"""The fan chart: history, forecast and its bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from predictkpi.service.dashboard.charts.themes import finite, local, money_axis, records, vega_lite
from predictkpi.service.dashboard.formats import amount, between, is_number, money, month
from predictkpi.service.dashboard.languages import gettext as _

_BAND = ("mean", "q025", "q10", "q90", "q975")


def fan_chart(history: pd.DataFrame, forecast: pd.DataFrame, *, currency: str, description: str, height: int = 340) -> dict[str, Any]:
    """History and forecast of one monthly series.

    Parameters: ``history`` columns ``ds, value`` and maybe ``target``; ``forecast`` columns ``ds, mean, q025, q10, q90, q975`` and maybe
    ``target``; both ascending. The bands begin at the last known month, where nothing is uncertain.
    """
    rows = [_history_row(row, currency) for row in records(history)]
    ahead = [_forecast_row(row, currency) for row in records(forecast)]
    if rows and ahead:
        last = rows[-1]
        rows[-1] = last | dict.fromkeys(_BAND, last["actual"])
    layers = [*_bands(), *_lines(), *_targets(rows + ahead), *_now(rows), *_hover()]
    return vega_lite(description, height, data={"values": rows + ahead}, encoding={"x": _month_axis()}, layer=layers)


def _history_row(row: dict[str, Any], currency: str) -> dict[str, Any]:
    told = {_("Month"): month(row["ds"]), _("Revenue"): money(row["value"], currency)}
    value = finite(row["value"])
    return _with_target(_place(row["ds"]) | {"kind": "history", "actual": value, "y": value, "told": told}, row, currency)


def _forecast_row(row: dict[str, Any], currency: str) -> dict[str, Any]:
    told = {
        _("Month"): month(row["ds"]),
        _("Expected"): money(row["mean"], currency),
        _("80 % range"): between(amount(row["q10"]), money(row["q90"], currency)),
        _("95 % range"): between(amount(row["q025"]), money(row["q975"], currency)),
    }
    numbers = {name: finite(row[name]) for name in _BAND}
    return _with_target(_place(row["ds"]) | {"kind": "forecast", **numbers, "y": numbers["mean"], "told": told}, row, currency)


def _with_target(point: dict[str, Any], row: dict[str, Any], currency: str) -> dict[str, Any]:
    value = row.get("target")
    if value is None or not is_number(value):
        return point
    return point | {"target": value, "told": point["told"] | {_("Target"): money(value, currency)}}


def _place(ds: pd.Timestamp) -> dict[str, Any]:
    """Where a month stands on the axis, and the strip of the chart that is nearer to it than to its neighbours."""
    half = pd.Timedelta(days=15)
    return {"ds": local(ds), "begins": local(ds - half), "ends": local(ds + pd.DateOffset(months=1) - half)}


def _month_axis() -> dict[str, Any]:
    label = "timeFormat(datum.value, '%b') == 'Jan' ? timeFormat(datum.value, '%Y') : timeFormat(datum.value, '%b')"
    axis = {"title": None, "grid": False, "labelExpr": label, "tickCount": {"interval": "month", "step": 3}, "labelOverlap": "parity"}
    return {"field": "ds", "type": "temporal", "axis": axis}


def _bands() -> list[dict[str, Any]]:
    kept = [{"filter": "isValid(datum.q10)"}]
    return [
        {
            "transform": kept,
            "mark": {"type": "area", "style": style, "interpolate": "monotone"},
            "encoding": {"y": money_axis(low), "y2": {"field": high}},
        }
        for style, low, high in (("wide", "q025", "q975"), ("narrow", "q10", "q90"))
    ]


def _lines() -> list[dict[str, Any]]:
    return [
        {
            "transform": [{"filter": f"isValid(datum.{field})"}],
            "mark": {"type": "line", "style": style, "interpolate": "monotone"},
            "encoding": {"y": money_axis(field)},
        }
        for style, field in (("history", "actual"), ("forecast", "mean"))
    ]


def _targets(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    if not any("target" in row for row in rows):
        return []
    mark = {"type": "tick", "style": "target", "orient": "horizontal", "size": 10, "thickness": 2}
    return [{"transform": [{"filter": "isValid(datum.target)"}], "mark": mark, "encoding": {"y": money_axis("target")}}]


def _now(known: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A rule at the last known month, where the fan begins."""
    if not known:
        return []
    data = {"values": [{"ds": known[-1]["ds"], "label": _("forecast")}]}
    text = {"type": "text", "style": "now-label", "align": "left", "dx": 6, "baseline": "top", "y": 0}
    return [
        {"data": data, "mark": {"type": "rule", "style": "now"}},
        {"data": data, "mark": text, "encoding": {"text": {"field": "label"}}},
    ]


def _hover() -> list[dict[str, Any]]:
    """A rule at the month under the pointer, with that month's numbers as the row tells them; each month answers over its full height."""
    select = {"type": "point", "fields": ["ds"], "on": "pointerover", "clear": "pointerout"}
    is_near = {"condition": {"param": "near", "empty": False, "value": 1}, "value": 0}
    area = {"type": "rect", "fillOpacity": 0, "y": 0, "y2": "height", "aria": False}
    return [
        {"mark": {"type": "rule", "style": "hover", "aria": False}, "encoding": {"opacity": is_near}},
        {
            "mark": {"type": "point", "style": "hover-point", "filled": True, "aria": False},
            "encoding": {"y": money_axis("y"), "opacity": is_near},
        },
        {
            "params": [{"name": "near", "select": select}],
            "mark": area,
            "encoding": {
                "x": {"field": "begins", "type": "temporal"},
                "x2": {"field": "ends"},
                "tooltip": {"field": "told", "type": "nominal"},
            },
        },
    ]
