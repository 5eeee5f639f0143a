"""What becomes of an open deal as time goes by: won, still open or lost, one above the other, day by day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from predictkpi.service.dashboard.charts.themes import local, records, vega_lite
from predictkpi.service.dashboard.formats import percent_sign
from predictkpi.service.dashboard.languages import gettext as _


def incidence_chart(
    as_of: pd.Timestamp,
    days: Sequence[int],
    won: Sequence[float],
    lost: Sequence[float],
    *,
    rep_date: pd.Timestamp | None,
    description: str,
    height: int = 336,
) -> dict[str, Any]:
    """Cumulative chances of a win and of a loss ``days`` after as_of, ascending; the rest is still open.

    Won grows from the bottom, lost hangs from the top. ``rep_date`` is drawn as a rule where it lies within the time shown.
    """
    rows = _rows(as_of, days, won, lost)
    layers = [_area("rise", "won", "floor"), _area("fall", "ceiling", "not_lost"), *_rule(as_of, days, rep_date), *_hover()]
    return vega_lite(description, height, data={"values": rows}, encoding={"x": _dates()}, layer=layers)


def _rows(as_of: pd.Timestamp, days: Sequence[int], won: Sequence[float], lost: Sequence[float]) -> list[dict[str, Any]]:
    """From as_of on, where all is open; each with the strip of the chart that is nearer to it than to its neighbours."""
    at = as_of + pd.to_timedelta([0, *days], unit="D")
    half = pd.Timedelta(hours=12)
    places = [[local(instant) for instant in instants] for instants in (at, at - half, at + half)]
    chances = pd.DataFrame({"won": [0.0, *won], "lost": [0.0, *lost]}).assign(floor=0, ceiling=1)
    chances["not_lost"] = 1 - chances["lost"]
    chances["open"] = chances["not_lost"] - chances["won"]
    return records(chances.assign(ds=places[0], begins=places[1], ends=places[2]))


def _dates() -> dict[str, Any]:
    label = "timeFormat(datum.value, '%m') == '01' ? timeFormat(datum.value, '%b %Y') : timeFormat(datum.value, '%b')"
    axis = {"title": None, "grid": False, "labelExpr": label, "tickCount": {"interval": "month", "step": 1}, "labelOverlap": "parity"}
    return {"field": "ds", "type": "temporal", "axis": axis}


def _share(field: str) -> dict[str, Any]:
    axis = {
        "title": None,
        "labelExpr": f"format(datum.value * 100, 'd') + '{percent_sign()}'",
        "tickCount": 5,
        "domain": False,
        "ticks": False,
    }
    return {"field": field, "type": "quantitative", "axis": axis, "scale": {"domain": [0, 1]}}


def _area(style: str, top: str, bottom: str) -> dict[str, Any]:
    mark = {"type": "area", "style": style, "opacity": 0.6, "interpolate": "monotone"}
    return {"mark": mark, "encoding": {"y": _share(top), "y2": {"field": bottom}}}


def _rule(as_of: pd.Timestamp, days: Sequence[int], rep_date: pd.Timestamp | None) -> list[dict[str, Any]]:
    """At the end of the rep's day, with a label on the side that has room."""
    if rep_date is None:
        return []
    ahead = (rep_date + pd.Timedelta(days=1) - as_of) / pd.Timedelta(days=1)
    if not 0 < ahead <= max(days):
        return []
    is_late = ahead > max(days) / 2
    data = {"values": [{"ds": local(rep_date + pd.Timedelta(days=1)), "label": _("rep's date")}]}
    side = {"align": "right", "dx": -6} if is_late else {"align": "left", "dx": 6}
    text = {"type": "text", "style": "change", "baseline": "top", "y": 6, **side}
    return [
        {"data": data, "mark": {"type": "rule", "style": "target", "strokeWidth": 1.5}},
        {"data": data, "mark": text, "encoding": {"text": {"field": "label"}}},
    ]


def _hover() -> list[dict[str, Any]]:
    """A rule at the day under the pointer, with that day's chances."""
    select = {"type": "point", "fields": ["ds"], "on": "pointerover", "clear": "pointerout"}
    is_near = {"condition": {"param": "near", "empty": False, "value": 1}, "value": 0}
    told = {"won": _("Won"), "open": _("Still open"), "lost": _("Lost")}
    area = {"type": "rect", "fillOpacity": 0, "y": 0, "y2": "height", "aria": False}
    strip = {
        "x": {"field": "begins", "type": "temporal"},
        "x2": {"field": "ends"},
        "tooltip": [
            {"field": "ds", "type": "temporal", "format": "%x", "title": _("Until")},
            *({"field": name, "type": "quantitative", "format": ".1%", "title": title} for name, title in told.items()),
        ],
    }
    return [
        {"mark": {"type": "rule", "style": "hover", "aria": False}, "encoding": {"opacity": is_near}},
        {"params": [{"name": "near", "select": select}], "mark": area, "encoding": strip},
    ]
