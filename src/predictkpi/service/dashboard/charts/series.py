"""The chart of one KPI: its values with their own interval, what was promised, and the months ahead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from predictkpi.core.periods import Freq
from predictkpi.service.dashboard.charts.themes import finite, local, records, vega_lite
from predictkpi.service.dashboard.formats import between
from predictkpi.service.dashboard.languages import current
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.vega_locale import short_number

_AHEAD = ("mean", "q025", "q10", "q90", "q975")
_STRIP: dict[Freq, pd.DateOffset] = {
    "D": pd.DateOffset(hours=12),
    "W": pd.DateOffset(hours=84),
    "M": pd.DateOffset(days=15),
    "Q": pd.DateOffset(days=45),
    "Y": pd.DateOffset(days=182),
}
"""Half a period: how far to either side its point answers to the pointer."""

_AREAS = (("wide", "low", "high"), ("wide", "q025", "q975"), ("narrow", "q10", "q90"))
"""Style, lower and upper end of each band: the KPI's own interval, and those of the months ahead."""

Write = Callable[[float | None], str]
Scale = Callable[[str], dict[str, Any]]


def series_chart(
    history: pd.DataFrame,
    ahead: pd.DataFrame,
    *,
    freq: Freq,
    unit: str,
    write: Write,
    name: Callable[[pd.Timestamp], str],
    description: str,
    height: int = 320,
) -> dict[str, Any]:
    """One series by its periods.

    Parameters: ``history`` columns ``ds, value, low, high, target``; ``ahead`` columns ``ds, mean, q025, q10, q90, q975``, maybe without
    rows; both ascending. ``write`` tells a value with its unit, ``name`` a period; ``unit`` is the KPI's.
    """
    known = [_known(row, freq, write, name) for row in records(history)]
    coming = [_coming(row, freq, write, name) for row in records(ahead)]
    last = next((row for row in reversed(known) if row["actual"] is not None), None)
    if last is not None and coming:
        last |= dict.fromkeys(_AHEAD, last["actual"])
    scale = _axis(unit)
    layers = [
        *_areas(scale, [name for name in _AREAS if any(name[1] in row for row in known + coming)]),
        *_lines(scale, ["actual", *(["mean"] if coming else [])]),
        *_targets(known, scale),
        *(_now(last) if coming and last is not None else []),
        *_hover(scale),
    ]
    return vega_lite(description, height, data={"values": known + coming}, encoding={"x": _time_axis(freq)}, layer=layers)


def _known(row: dict[str, Any], freq: Freq, write: Write, name: Callable[[pd.Timestamp], str]) -> dict[str, Any]:
    value, low, high, target = (finite(row[key]) for key in ("value", "low", "high", "target"))
    told = {_("Period"): name(row["ds"]), _("Value"): write(value)}
    if low is not None and high is not None:
        told[_("95 % interval")] = between(write(low), write(high))
    if target is not None:
        told[_("Target")] = write(target)
    own = {"low": low, "high": high} if low is not None and high is not None else {}
    promised = {} if target is None else {"target": target}
    return _place(row["ds"], freq) | own | promised | {"actual": value, "y": value, "told": told}


def _coming(row: dict[str, Any], freq: Freq, write: Write, name: Callable[[pd.Timestamp], str]) -> dict[str, Any]:
    told = {
        _("Period"): name(row["ds"]),
        _("Expected"): write(row["mean"]),
        _("80 % range"): between(write(row["q10"]), write(row["q90"])),
        _("95 % range"): between(write(row["q025"]), write(row["q975"])),
    }
    return _place(row["ds"], freq) | {key: finite(row[key]) for key in _AHEAD} | {"y": finite(row["mean"]), "told": told}


def _place(ds: pd.Timestamp, freq: Freq) -> dict[str, Any]:
    return {"ds": local(ds), "begins": local(ds - _STRIP[freq]), "ends": local(ds + _STRIP[freq])}


def _time_axis(freq: Freq) -> dict[str, Any]:
    month = "timeFormat(datum.value, '%b') == 'Jan' ? timeFormat(datum.value, '%Y') : timeFormat(datum.value, '%b')"
    label = {"D": "timeFormat(datum.value, '%d. %b')", "W": "timeFormat(datum.value, '%d. %b')", "Y": "timeFormat(datum.value, '%Y')"}
    axis = {"title": None, "grid": False, "labelExpr": label.get(freq, month), "labelOverlap": "parity"}
    return {"field": "ds", "type": "temporal", "axis": axis}


def _axis(unit: str) -> Scale:
    sign = "" if current().code == "en" else "\u202f"
    label = f"format(datum.value * 100, '~g') + '{sign}%'" if unit == "share" else short_number()
    axis = {"title": None, "labelExpr": label, "tickCount": 5, "domain": False, "ticks": False}
    return lambda field: {"field": field, "type": "quantitative", "axis": axis, "scale": {"zero": False, "nice": True}}


def _areas(scale: Scale, bands: Sequence[tuple[str, str, str]]) -> list[dict[str, Any]]:
    return [
        {
            "transform": [{"filter": f"isValid(datum.{low})"}],
            "mark": {"type": "area", "style": style, "interpolate": "monotone"},
            "encoding": {"y": scale(low), "y2": {"field": high}},
        }
        for style, low, high in bands
    ]


def _lines(scale: Scale, fields: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "transform": [{"filter": f"isValid(datum.{field})"}],
            "mark": {"type": "line", "style": style, "interpolate": "monotone"},
            "encoding": {"y": scale(field)},
        }
        for field, style in zip(fields, ("history", "forecast"), strict=False)
    ]


def _targets(rows: Sequence[dict[str, Any]], scale: Scale) -> list[dict[str, Any]]:
    if not any("target" in row for row in rows):
        return []
    mark = {"type": "tick", "style": "target", "orient": "horizontal", "size": 10, "thickness": 2}
    return [{"transform": [{"filter": "isValid(datum.target)"}], "mark": mark, "encoding": {"y": scale("target")}}]


def _now(last: dict[str, Any]) -> list[dict[str, Any]]:
    """A rule at the last known period, where the fan begins."""
    data = {"values": [{"ds": last["ds"], "label": _("forecast")}]}
    text = {"type": "text", "style": "now-label", "align": "left", "dx": 6, "baseline": "top", "y": 0}
    return [
        {"data": data, "mark": {"type": "rule", "style": "now"}},
        {"data": data, "mark": text, "encoding": {"text": {"field": "label"}}},
    ]


def _hover(scale: Scale) -> list[dict[str, Any]]:
    select = {"type": "point", "fields": ["ds"], "on": "pointerover", "clear": "pointerout"}
    is_near = {"condition": {"param": "near", "empty": False, "value": 1}, "value": 0}
    strip = {"x": {"field": "begins", "type": "temporal"}, "x2": {"field": "ends"}, "tooltip": {"field": "told", "type": "nominal"}}
    return [
        {"mark": {"type": "rule", "style": "hover", "aria": False}, "encoding": {"opacity": is_near}},
        {
            "transform": [{"filter": "isValid(datum.y)"}],
            "mark": {"type": "point", "style": "hover-point", "filled": True, "aria": False},
            "encoding": {"y": scale("y"), "opacity": is_near},
        },
        {
            "params": [{"name": "near", "select": select}],
            "mark": {"type": "rect", "fillOpacity": 0, "y": 0, "y2": "height", "aria": False},
            "encoding": strip,
        },
    ]
