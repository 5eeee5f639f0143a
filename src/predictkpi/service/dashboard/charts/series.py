"""The chart of one KPI: its values with their own interval, what was promised, and the months ahead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from predictkpi.core.periods import Freq
from predictkpi.service.dashboard.charts import layers
from predictkpi.service.dashboard.charts.themes import finite, records, vega_lite
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

_LINES = (("history", "actual"), ("forecast", "mean"))
_AREAS = (("wide", "low", "high"), ("wide", "q025", "q975"), ("narrow", "q10", "q90"))
"""Style, lower and upper end of each band: the KPI's own interval, and those of the months ahead."""

Write = Callable[[float | None], str]


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
    scale, rows = _scale(unit), known + coming
    drawn = [
        *layers.bands(scale, [band for band in _AREAS if any(band[1] in row for row in rows)]),
        *layers.lines(scale, _LINES if coming else _LINES[:1]),
        *(layers.targets(scale) if any("target" in row for row in known) else []),
        *(layers.now(last["ds"]) if coming and last is not None else []),
        *layers.hover(scale),
    ]
    return vega_lite(description, height, data={"values": rows}, encoding={"x": _time_axis(freq)}, layer=drawn)


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


def _place(ds: pd.Timestamp, freq: Freq) -> dict[str, str]:
    return layers.strip(ds, ds - _STRIP[freq], ds + _STRIP[freq])


def _time_axis(freq: Freq) -> dict[str, Any]:
    label = {"D": "timeFormat(datum.value, '%d. %b')", "W": "timeFormat(datum.value, '%d. %b')", "Y": "timeFormat(datum.value, '%Y')"}
    return layers.time_axis(label.get(freq, layers.MONTHS))


def _scale(unit: str) -> layers.Scale:
    sign = "" if current().code == "en" else "\u202f"
    label = f"format(datum.value * 100, '~g') + '{sign}%'" if unit == "share" else short_number()
    axis = {"title": None, "labelExpr": label, "tickCount": 5, "domain": False, "ticks": False}
    return lambda field: {"field": field, "type": "quantitative", "axis": axis, "scale": {"zero": False, "nice": True}}
