"""The course of a series: what came true, what is expected with its bands, what a scenario changes, and what was said before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from predictkpi.core.periods import Freq
from predictkpi.service.dashboard.charts import layers
from predictkpi.service.dashboard.charts.themes import finite, money_axis, records, vega_lite
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
    scale = _scale(writing)
    drawn = [
        *_zero(writing),
        *layers.bands(scale, [band for band in _BANDS if band[1] in there]),
        *layers.lines(scale, [line for line in _LINES if line[1] in there]),
        *(layers.targets(scale) if "target" in there else []),
        *_said(scale, there),
        *(layers.now(points[known[-1]]["ds"]) if known else []),
        *layers.hover(scale),
    ]
    x = layers.time_axis(**layers.every_months(6 if is_small else 3))
    return vega_lite(description, height, data={"values": points}, encoding={"x": x}, layer=drawn)


def _point(row: dict[str, Any], writing: Writing) -> dict[str, Any]:
    ds, numbers = row["ds"], {name: finite(row.get(name)) for name in _NUMBERS}
    half, length = _HALF[writing.freq], _LENGTH[writing.freq]
    middle = numbers["expected"] if numbers["actual"] is None else numbers["actual"]
    return {**layers.strip(ds, ds - half, ds + length - half), **numbers, "y": middle, "told": _told(row, writing)}


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


def _scale(writing: Writing) -> layers.Scale:
    def axis(field: str) -> dict[str, Any]:
        share = {"labelExpr": f"format(datum.value * 100, '+,.0f') + '{percent_sign()}'"}
        found = money_axis(field)
        return found if writing.unit == "money" else found | {"axis": found["axis"] | share}

    return axis


def _zero(writing: Writing) -> layers.Layers:
    """Where growth turns into loss."""
    if writing.unit == "money":
        return []
    return [{"mark": {"type": "rule", "style": "zero", "aria": False}, "encoding": {"x": None, "y": {"datum": 0}}}]


def _said(scale: layers.Scale, there: set[str]) -> layers.Layers:
    """What was said of a period: a point, and its range where one was given."""
    if "said" not in there:
        return []
    ranges = {
        "transform": [{"filter": "isValid(datum.said_q10)"}],
        "mark": {"type": "rule", "style": "said-range"},
        "encoding": {"y": scale("said_q10"), "y2": {"field": "said_q90"}},
    }
    points = {
        "transform": [{"filter": "isValid(datum.said)"}],
        "mark": {"type": "point", "style": "said", "filled": False},
        "encoding": {"y": scale("said")},
    }
    return [ranges, points] if "said_q10" in there else [points]
