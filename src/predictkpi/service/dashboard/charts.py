"""Charts: Vega-Lite documents as plain dicts, and sparklines as SVG paths. Pure; colours come from the page's theme (see `THEMES`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from predictkpi.service.dashboard.formats import amount, is_number, money, month, signed_amount

_FONT = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

_BAND = ("mean", "q025", "q10", "q90", "q975")


def _theme(*, ink: str, muted: str, line: str, series: str, good: str, bad: str) -> dict[str, Any]:
    """A Vega-Lite config. Marks refer to its styles by name, so that one document serves both themes."""
    return {
        "background": "transparent",
        "font": _FONT,
        "view": {"stroke": None},
        "axis": {"labelColor": muted, "gridColor": line, "domainColor": line, "tickColor": line, "labelFontSize": 12, "labelPadding": 8},
        "style": {
            "history": {"color": series, "strokeWidth": 2.25},
            "forecast": {"color": series, "strokeWidth": 2.25, "strokeDash": [5, 4]},
            "wide": {"color": series, "opacity": 0.14},
            "narrow": {"color": series, "opacity": 0.24},
            "target": {"color": ink, "opacity": 0.8},
            "now": {"color": muted, "strokeWidth": 1, "strokeDash": [2, 3]},
            "now-label": {"color": muted, "fontSize": 11},
            "hover": {"color": muted, "strokeWidth": 1},
            "hover-point": {"color": series, "size": 70},
            "level": {"color": series},
            "rise": {"color": good},
            "fall": {"color": bad},
            "change": {"color": ink, "fontSize": 12},
        },
    }


THEMES: dict[str, dict[str, Any]] = {
    "light": _theme(ink="#101828", muted="#5d6b82", line="#e6e9ef", series="#3355e0", good="#0a7a48", bad="#b42318"),
    "dark": _theme(ink="#f2f4f8", muted="#98a2b5", line="#272d3a", series="#7f9bff", good="#4fd08f", bad="#ff8f86"),
}


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
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "description": description,
        "width": "container",
        "height": height,
        "padding": {"left": 0, "right": 4, "top": 8, "bottom": 6},
        "autosize": {"type": "fit", "contains": "padding"},
        "data": {"values": rows + ahead},
        "encoding": {"x": _month_axis()},
        "layer": [*_bands(), *_lines(), *_targets(rows + ahead), *_now(rows), *_hover()],
    }


def waterfall(start: float, steps: Mapping[str, float], end: float, *, currency: str, description: str) -> dict[str, Any]:
    """From ``start`` by its steps to ``end``, one row each from top to bottom; steps are signed, in currency, and add up."""
    rows = [_level_row("a week ago", start, currency)]
    at = start
    for name, change in steps.items():
        told = {"Step": name, "Change": f"{signed_amount(change)} {currency}"}
        kind = "rise" if change >= 0 else "fall"
        rows.append({"label": name, "kind": kind, "from": at, "to": at + change, "text": signed_amount(change), "told": told})
        at += change
    rows.append(_level_row("now", end, currency))
    low, high = (pick(row[key] for row in rows for key in ("from", "to")) for pick in (min, max))
    # room for the numbers behind the bars
    domain = [low - 0.04 * (high - low), high + 0.3 * (high - low or 1.0)]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "description": description,
        "width": "container",
        "height": 26 * len(rows),
        "padding": {"left": 0, "right": 4, "top": 2, "bottom": 2},
        "autosize": {"type": "fit", "contains": "padding"},
        "data": {"values": rows},
        "encoding": {
            # in the order given: layers that hold some of the rows would each sort by themselves
            "y": {
                "field": "label",
                "type": "nominal",
                "sort": [row["label"] for row in rows],
                "axis": {"title": None, "domain": False, "ticks": False},
            },
            "tooltip": {"field": "told", "type": "nominal"},
        },
        "layer": [
            *[_steps(kind, domain) for kind in ("rise", "fall")],
            {
                "transform": [{"filter": "datum.kind == 'level'"}],
                "mark": {"type": "tick", "style": "level", "thickness": 3, "size": 18},
                "encoding": {"x": _amount_axis("to", domain)},
            },
            {
                "transform": [{"calculate": "max(datum.from, datum.to)", "as": "right"}],
                "mark": {"type": "text", "style": "change", "align": "left", "dx": 7},
                "encoding": {"x": _amount_axis("right", domain), "text": {"field": "text"}},
            },
        ],
    }


def sparkline(values: Sequence[float | None], *, width: float = 240, height: float = 56, pad: float = 4) -> dict[str, Any] | None:
    """A line through the given values as SVG path data; None with fewer than two. Gaps are skipped.

    Returns ``width, height, line, area, x, y`` with the last point in ``x, y``.
    """
    points = [(index, float(value)) for index, value in enumerate(values) if value is not None and is_number(value)]
    if len(points) < 2:
        return None
    low, high = min(value for _, value in points), max(value for _, value in points)
    span, steps = (high - low) or 1.0, max(len(values) - 1, 1)
    level = 0.5 if high == low else None
    xy = [
        (pad + index / steps * (width - 2 * pad), pad + (1 - (level if level is not None else (value - low) / span)) * (height - 2 * pad))
        for index, value in points
    ]
    line = "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in xy)
    area = f"{line} L{xy[-1][0]:.1f} {height:g} L{xy[0][0]:.1f} {height:g} Z"
    return {"width": width, "height": height, "line": line, "area": area, "x": round(xy[-1][0], 1), "y": round(xy[-1][1], 1)}


def interval_bar(low: float | None, middle: float | None, high: float | None, *, span: tuple[float, float]) -> dict[str, float] | None:
    """Where an interval lies on a common scale, in percent of its width: ``left, width, middle, zero``; None if a number is missing."""
    if low is None or middle is None or high is None or not all(map(is_number, (low, middle, high))):
        return None
    start, length = span[0], (span[1] - span[0]) or 1.0

    def position(value: float) -> float:
        return round(min(max((value - start) / length, 0.0), 1.0) * 100, 2)

    return {"left": position(low), "width": round(position(high) - position(low), 2), "middle": position(middle), "zero": position(0.0)}


def _level_row(label: str, value: float, currency: str) -> dict[str, Any]:
    return {"label": label, "kind": "level", "from": value, "to": value, "text": amount(value), "told": {label: money(value, currency)}}


def _steps(kind: str, domain: Sequence[float]) -> dict[str, Any]:
    return {
        "transform": [{"filter": f"datum.kind == '{kind}'"}],
        "mark": {"type": "bar", "style": kind, "height": 14, "cornerRadius": 2},
        "encoding": {"x": _amount_axis("from", domain), "x2": {"field": "to"}},
    }


def _amount_axis(field: str, domain: Sequence[float]) -> dict[str, Any]:
    return {"field": field, "type": "quantitative", "axis": None, "scale": {"domain": list(domain), "zero": False}}


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dicts by column name."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _history_row(row: dict[str, Any], currency: str) -> dict[str, Any]:
    told = {"Month": month(row["ds"]), "Revenue": money(row["value"], currency)}
    value = _finite(row["value"])
    return _with_target(_place(row["ds"]) | {"kind": "history", "actual": value, "y": value, "told": told}, row, currency)


def _forecast_row(row: dict[str, Any], currency: str) -> dict[str, Any]:
    told = {
        "Month": month(row["ds"]),
        "Expected": money(row["mean"], currency),
        "80 % range": f"{amount(row['q10'])} to {money(row['q90'], currency)}",
        "95 % range": f"{amount(row['q025'])} to {money(row['q975'], currency)}",
    }
    numbers = {name: _finite(row[name]) for name in _BAND}
    return _with_target(_place(row["ds"]) | {"kind": "forecast", **numbers, "y": numbers["mean"], "told": told}, row, currency)


def _with_target(point: dict[str, Any], row: dict[str, Any], currency: str) -> dict[str, Any]:
    value = row.get("target")
    if value is None or not is_number(value):
        return point
    return point | {"target": value, "told": point["told"] | {"Target": money(value, currency)}}


def _finite(value: float | None) -> float | None:
    """JSON knows no NaN."""
    return value if is_number(value) else None


def _place(ds: pd.Timestamp) -> dict[str, Any]:
    """Where a month stands on the axis, and the strip of the chart that is nearer to it than to its neighbours."""
    half = pd.Timedelta(days=15)
    return {"ds": _local(ds), "begins": _local(ds - half), "ends": _local(ds + pd.DateOffset(months=1) - half)}


def _local(instant: pd.Timestamp) -> str:
    """With a time of day, so that Vega reads it as local time, not as midnight UTC."""
    return instant.strftime("%Y-%m-%dT%H:%M:%S")


def _month_axis() -> dict[str, Any]:
    label = "timeFormat(datum.value, '%b') == 'Jan' ? timeFormat(datum.value, '%Y') : timeFormat(datum.value, '%b')"
    axis = {"title": None, "grid": False, "labelExpr": label, "tickCount": {"interval": "month", "step": 3}, "labelOverlap": "parity"}
    return {"field": "ds", "type": "temporal", "axis": axis}


def _money_axis(field: str) -> dict[str, Any]:
    label = "replace(format(datum.value, '~s'), 'G', 'B')"
    axis = {"title": None, "labelExpr": label, "tickCount": 5, "domain": False, "ticks": False}
    return {"field": field, "type": "quantitative", "axis": axis, "scale": {"zero": False, "nice": True}}


def _bands() -> list[dict[str, Any]]:
    kept = [{"filter": "isValid(datum.q10)"}]
    return [
        {
            "transform": kept,
            "mark": {"type": "area", "style": style, "interpolate": "monotone"},
            "encoding": {"y": _money_axis(low), "y2": {"field": high}},
        }
        for style, low, high in (("wide", "q025", "q975"), ("narrow", "q10", "q90"))
    ]


def _lines() -> list[dict[str, Any]]:
    return [
        {
            "transform": [{"filter": f"isValid(datum.{field})"}],
            "mark": {"type": "line", "style": style, "interpolate": "monotone"},
            "encoding": {"y": _money_axis(field)},
        }
        for style, field in (("history", "actual"), ("forecast", "mean"))
    ]


def _targets(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    if not any("target" in row for row in rows):
        return []
    mark = {"type": "tick", "style": "target", "orient": "horizontal", "size": 10, "thickness": 2}
    return [{"transform": [{"filter": "isValid(datum.target)"}], "mark": mark, "encoding": {"y": _money_axis("target")}}]


def _now(known: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A rule at the last known month, where the fan begins."""
    if not known:
        return []
    data = {"values": [{"ds": known[-1]["ds"], "label": "forecast"}]}
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
            "encoding": {"y": _money_axis("y"), "opacity": is_near},
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
