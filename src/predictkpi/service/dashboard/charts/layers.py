"""The layers of a series over time, shared by its charts: bands, lines, targets, the rule at now, and what the pointer shows.

A ``scale`` makes the y axis of a field. Rows have ``ds``, the strip from ``begins`` to ``ends`` that answers to the pointer, ``told`` (what
it shows there) and ``y`` (where); every other field is drawn where it is valid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd

from predictkpi.service.dashboard.charts.themes import local
from predictkpi.service.dashboard.languages import gettext as _

Layers = list[dict[str, Any]]
Scale = Callable[[str], dict[str, Any]]

MONTHS = "timeFormat(datum.value, '%b') == 'Jan' ? timeFormat(datum.value, '%Y') : timeFormat(datum.value, '%b')"
"""Writes an axis of months: a January by its year."""


def strip(ds: pd.Timestamp, begins: pd.Timestamp, ends: pd.Timestamp) -> dict[str, str]:
    """Where a period stands on the axis, and from where to where it answers to the pointer."""
    return {"ds": local(ds), "begins": local(begins), "ends": local(ends)}


def time_axis(label: str = MONTHS, **ticks: Any) -> dict[str, Any]:
    """The x axis; ``ticks``: how many, as Vega-Lite has it."""
    axis = {"title": None, "grid": False, "labelExpr": label, **ticks, "labelOverlap": "parity"}
    return {"field": "ds", "type": "temporal", "axis": axis}


def every_months(step: int) -> dict[str, Any]:
    """Ticks for `time_axis`."""
    return {"tickCount": {"interval": "month", "step": step}}


def bands(scale: Scale, ends: Iterable[tuple[str, str, str]]) -> Layers:
    """Areas: style, lower and upper end of each."""
    return [
        {
            "transform": _where(low),
            "mark": {"type": "area", "style": style, "interpolate": "monotone"},
            "encoding": {"y": scale(low), "y2": {"field": high}},
        }
        for style, low, high in ends
    ]


def lines(scale: Scale, fields: Iterable[tuple[str, str]]) -> Layers:
    """Lines: style and field of each."""
    return [
        {
            "transform": _where(field),
            "mark": {"type": "line", "style": style, "interpolate": "monotone"},
            "encoding": {"y": scale(field)},
        }
        for style, field in fields
    ]


def targets(scale: Scale) -> Layers:
    """A tick at the target of each period that has one."""
    mark = {"type": "tick", "style": "target", "orient": "horizontal", "size": 10, "thickness": 2}
    return [{"transform": _where("target"), "mark": mark, "encoding": {"y": scale("target")}}]


def now(ds: str) -> Layers:
    """A rule at the last known period, where the fan begins."""
    data = {"values": [{"ds": ds, "label": _("forecast")}]}
    text = {"type": "text", "style": "now-label", "align": "left", "dx": 6, "baseline": "top", "y": 0}
    return [
        {"data": data, "mark": {"type": "rule", "style": "now"}},
        {"data": data, "mark": text, "encoding": {"text": {"field": "label"}}},
    ]


def hover(scale: Scale) -> Layers:
    """A rule at the period under the pointer, with what its row tells; each period answers over its full height."""
    select = {"type": "point", "fields": ["ds"], "on": "pointerover", "clear": "pointerout"}
    is_near = {"condition": {"param": "near", "empty": False, "value": 1}, "value": 0}
    point = {"type": "point", "style": "hover-point", "filled": True, "aria": False}
    area = {"type": "rect", "fillOpacity": 0, "y": 0, "y2": "height", "aria": False}
    x = {"x": {"field": "begins", "type": "temporal"}, "x2": {"field": "ends"}}
    return [
        {"mark": {"type": "rule", "style": "hover", "aria": False}, "encoding": {"opacity": is_near}},
        {"transform": _where("y"), "mark": point, "encoding": {"y": scale("y"), "opacity": is_near}},
        {
            "params": [{"name": "near", "select": select}],
            "mark": area,
            "encoding": {**x, "tooltip": {"field": "told", "type": "nominal"}},
        },
    ]


def _where(field: str) -> list[dict[str, str]]:
    return [{"filter": f"isValid(datum.{field})"}]
