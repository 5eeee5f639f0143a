"""The colours of charts in the page's two themes, and what all charts share."""

from __future__ import annotations

from typing import Any

import pandas as pd

from predictkpi.service.dashboard.formats import is_number
from predictkpi.service.dashboard.vega_locale import short_number

_FONT = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def _theme(*, ink: str, muted: str, line: str, series: str, other: str, deals: str, new: str, good: str, bad: str) -> dict[str, Any]:
    """A Vega-Lite config. Marks refer to its styles by name, so that one document serves both themes."""
    return {
        "background": "transparent",
        "font": _FONT,
        "view": {"stroke": None},
        "axis": {
            "labelColor": muted,
            "titleColor": muted,
            "gridColor": line,
            "domainColor": line,
            "tickColor": line,
            "labelFontSize": 12,
            "labelPadding": 8,
        },
        "style": {
            "history": {"color": series, "strokeWidth": 2.25},
            "forecast": {"color": series, "strokeWidth": 2.25, "strokeDash": [5, 4]},
            "scenario": {"color": other, "strokeWidth": 2.25},
            "said": {"color": ink, "size": 34, "strokeWidth": 1.4},
            "said-range": {"color": ink, "strokeWidth": 1.2, "opacity": 0.55},
            "zero": {"color": muted, "strokeWidth": 1},
            "booked": {"color": series},
            "from_deals": {"color": deals},
            "new": {"color": new},
            "wide": {"color": series, "opacity": 0.14},
            "narrow": {"color": series, "opacity": 0.24},
            "target": {"color": ink, "opacity": 0.8},
            "now": {"color": muted, "strokeWidth": 1, "strokeDash": [2, 3]},
            "now-label": {"color": muted, "fontSize": 11},
            "hover": {"color": muted, "strokeWidth": 1},
            "hover-point": {"color": series, "size": 70},
            "history-point": {"color": series, "size": 70},
            "rival": {"color": muted, "strokeWidth": 1.75},
            "rival-point": {"color": muted, "size": 45},
            "champion": {"color": ink, "strokeWidth": 1.75, "strokeDash": [5, 4]},
            "champion-point": {"color": ink, "size": 45},
            "level": {"color": series},
            "rise": {"color": good},
            "fall": {"color": bad},
            "change": {"color": ink, "fontSize": 12},
        },
    }


THEMES: dict[str, dict[str, Any]] = {
    "light": _theme(
        ink="#101828",
        muted="#5d6b82",
        line="#e6e9ef",
        series="#3355e0",
        other="#b4560b",
        deals="#a3b2f0",
        new="#dde3fa",
        good="#0a7a48",
        bad="#b42318",
    ),
    "dark": _theme(
        ink="#f2f4f8",
        muted="#98a2b5",
        line="#272d3a",
        series="#7f9bff",
        other="#f0a35e",
        deals="#4c5c95",
        new="#29324c",
        good="#4fd08f",
        bad="#ff8f86",
    ),
}


def vega_lite(description: str, height: int | dict[str, Any], **parts: Any) -> dict[str, Any]:
    """A Vega-Lite document as wide as its place on the page; ``parts`` are its members."""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "description": description,
        "width": "container",
        "height": height,
        "padding": {"left": 0, "right": 4, "top": 8, "bottom": 6},
        "autosize": {"type": "fit", "contains": "padding"},
        **parts,
    }


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dicts by column name."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def finite(value: float | None) -> float | None:
    """The number, or None: JSON knows no NaN."""
    return value if is_number(value) else None


def local(instant: pd.Timestamp) -> str:
    """With a time of day, so that Vega reads it as local time, not as midnight UTC."""
    return instant.strftime("%Y-%m-%dT%H:%M:%S")


def money_axis(field: str) -> dict[str, Any]:
    """An axis of amounts, written short."""
    axis = {"title": None, "labelExpr": short_number(), "tickCount": 5, "domain": False, "ticks": False}
    return {"field": field, "type": "quantitative", "axis": axis, "scale": {"zero": False, "nice": True}}
