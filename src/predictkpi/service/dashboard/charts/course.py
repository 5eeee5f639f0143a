"""The course of a series: what came true, what is expected with its bands, what a scenario changes, and what was said before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from predictkpi.core.periods import Freq
from predictkpi.service.dashboard.charts.themes import finite, local, money_axis, records, vega_lite
from predictkpi.service.dashboard.formats import between, is_number, percent, percent_sign
from predictkpi.service.dashboard.languages import gettext as _

_BANDS = (("wide", "q025", "q975"), ("narrow", "q10", "q90"))
_LINES = (("history", "actual"), ("forecast", "expected"), ("scenario", "scenario"))
_NUMBERS = ("actual", "expected", "q025", "q10", "q90", "q975", "target", "scenario", "said", "said_q10", "said_q90")
_LENGTH: dict[str, pd.DateOffset] = {"W": pd.DateOffset(days=7), "M": pd.DateOffset(months=1), "Q": pd.DateOffset(months=3)}
_HALF = {"W": pd.Timedelta(days=3.5), "M": pd.Timedelta(days=15), "Q": pd.Timedelta(days=45)}


@dataclass(frozen=True)
class Writing:
    """How a course is written: its values, the names of its periods, and what it is a course of. ``unit``: amounts or shares."""

    unit: Literal["money", "share"]
    freq: Freq
    value: Callable[[float], str]
    period: Callable[[pd.Timestamp], str]
    title: str


def course_chart(rows: pd.DataFrame, writing: Writing, *, description: str, height: int = 340, is_small: bool = False) -> dict[str, Any]:
    """A Vega-Lite document of ``rows``: ``ds`` and any of ``actual, expected, q025 .. q975, target, scenario, said, said_q10, said_q90``.

    The bands begin at the last known period, where nothing is uncertain. A small one has room for half as many dates.
    """
    points = [_point(row, writing) for row in records(rows)]
    known = [place for place, point in enumerate(points) if point["actual"] is not None]
    if known and any(point["expected"] is not None for point in points):
        last = points[known[-1]]
        scenario = {"scenario": last["actual"]} if any(point["scenario"] is not None for point in points) else {}
        bands = dict.fromkeys(("expected", "q025", "q10", "q90", "q975"), last["actual"])
        points[known[-1]] = last | bands | scenario
    there = {name for name in _NUMBERS if any(point[name] is not None for point in points)}
    layers = [*_zero(writing), *_bands(writing, there), *_lines(writing, there), *_targets(writing, there), *_said(writing, there)]
    layers += [*_now(points, known), *_hover(writing)]
    return vega_lite(description, height, data={"values": points}, encoding={"x": _time_axis(6 if is_small else 3)}, layer=layers)


def _point(row: dict[str, Any], writing: Writing) -> dict[str, Any]:
    ds, numbers = row["ds"], {name: finite(row.get(name)) for name in _NUMBERS}
    half = _HALF[writing.freq]
    middle = numbers["expected"] if numbers["actual"] is None else numbers["actual"]
    strip = {"begins": local(ds - half), "ends": local(ds + _LENGTH[writing.freq] - half)}
    return {"ds": local(ds), **strip, **numbers, "y": middle, "told": _told(row, writing)}


def _told(row: dict[str, Any], writing: Writing) -> dict[str, str]:
    def span(low: str, high: str) -> str:
        return between(writing.value(row[low]), writing.value(row[high]))

    told = {_("Period"): writing.period(row["ds"])}
    alone = {"actual": writing.title, "expected": _("Expected"), "scenario": _("With the scenario"), "target": _("Target")}
    for name, title in alone.items():
        if is_number(row.get(name)):
            told[title] = writing.value(row[name])
        if name == "expected":
            ranges = {_("80 % range"): ("q10", "q90"), _("95 % range"): ("q025", "q975")}
            told |= {title: span(*ends) for title, ends in ranges.items() if all(is_number(row.get(end)) for end in ends)}
    if is_number(row.get("chance")):
        told[_("Chance to reach it")] = percent(row["chance"])
    if is_number(row.get("said")):
        told[_("Forecast then")] = writing.value(row["said"])
        if is_number(row.get("said_q10")):
            told[_("Its 80 % range")] = span("said_q10", "said_q90")
    return told


def _axis(field: str, writing: Writing) -> dict[str, Any]:
    axis = money_axis(field)
    if writing.unit == "share":
        axis["axis"] = axis["axis"] | {"labelExpr": f"format(datum.value * 100, '+,.0f') + '{percent_sign()}'"}
    return axis


def _time_axis(step: int) -> dict[str, Any]:
    label = "timeFormat(datum.value, '%b') == 'Jan' ? timeFormat(datum.value, '%Y') : timeFormat(datum.value, '%b')"
    axis = {"title": None, "grid": False, "labelExpr": label, "tickCount": {"interval": "month", "step": step}, "labelOverlap": "parity"}
    return {"field": "ds", "type": "temporal", "axis": axis}


def _zero(writing: Writing) -> list[dict[str, Any]]:
    """Where growth turns into loss."""
    if writing.unit == "money":
        return []
    return [{"mark": {"type": "rule", "style": "zero", "aria": False}, "encoding": {"x": None, "y": {"datum": 0}}}]


def _bands(writing: Writing, there: set[str]) -> list[dict[str, Any]]:
    return [
        {
            "transform": [{"filter": f"isValid(datum.{low})"}],
            "mark": {"type": "area", "style": style, "interpolate": "monotone"},
            "encoding": {"y": _axis(low, writing), "y2": {"field": high}},
        }
        for style, low, high in _BANDS
        if low in there
    ]


def _lines(writing: Writing, there: set[str]) -> list[dict[str, Any]]:
    return [
        {
            "transform": [{"filter": f"isValid(datum.{field})"}],
            "mark": {"type": "line", "style": style, "interpolate": "monotone"},
            "encoding": {"y": _axis(field, writing)},
        }
        for style, field in _LINES
        if field in there
    ]


def _targets(writing: Writing, there: set[str]) -> list[dict[str, Any]]:
    if "target" not in there:
        return []
    mark = {"type": "tick", "style": "target", "orient": "horizontal", "size": 10, "thickness": 2}
    return [{"transform": [{"filter": "isValid(datum.target)"}], "mark": mark, "encoding": {"y": _axis("target", writing)}}]


def _said(writing: Writing, there: set[str]) -> list[dict[str, Any]]:
    """What was said of a period: a point, and its range where one was given."""
    if "said" not in there:
        return []
    ranges = {
        "transform": [{"filter": "isValid(datum.said_q10)"}],
        "mark": {"type": "rule", "style": "said-range"},
        "encoding": {"y": _axis("said_q10", writing), "y2": {"field": "said_q90"}},
    }
    points = {
        "transform": [{"filter": "isValid(datum.said)"}],
        "mark": {"type": "point", "style": "said", "filled": False},
        "encoding": {"y": _axis("said", writing)},
    }
    return [ranges, points] if "said_q10" in there else [points]


def _now(points: Sequence[dict[str, Any]], known: Sequence[int]) -> list[dict[str, Any]]:
    """A rule at the last known period, where the fan begins."""
    if not known:
        return []
    data = {"values": [{"ds": points[known[-1]]["ds"], "label": _("forecast")}]}
    text = {"type": "text", "style": "now-label", "align": "left", "dx": 6, "baseline": "top", "y": 0}
    return [
        {"data": data, "mark": {"type": "rule", "style": "now"}},
        {"data": data, "mark": text, "encoding": {"text": {"field": "label"}}},
    ]


def _hover(writing: Writing) -> list[dict[str, Any]]:
    """A rule at the period under the pointer, with what its row tells; each period answers over its full height."""
    select = {"type": "point", "fields": ["ds"], "on": "pointerover", "clear": "pointerout"}
    is_near = {"condition": {"param": "near", "empty": False, "value": 1}, "value": 0}
    point = {"type": "point", "style": "hover-point", "filled": True, "aria": False}
    area = {"type": "rect", "fillOpacity": 0, "y": 0, "y2": "height", "aria": False}
    x = {"x": {"field": "begins", "type": "temporal"}, "x2": {"field": "ends"}}
    return [
        {"mark": {"type": "rule", "style": "hover", "aria": False}, "encoding": {"opacity": is_near}},
        {"mark": point, "encoding": {"y": _axis("y", writing), "opacity": is_near}},
        {
            "params": [{"name": "near", "select": select}],
            "mark": area,
            "encoding": {**x, "tooltip": {"field": "told", "type": "nominal"}},
        },
    ]
