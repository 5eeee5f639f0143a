"""What was promised against what came true: on the line both are the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from predictkpi.service.dashboard.charts.themes import vega_lite
from predictkpi.service.dashboard.formats import amount, number, percent, percent_sign
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.vega_locale import short_number

Point = tuple[float, float, int]
"""Promised, came true, and how many outcomes stand behind it."""


def calibration_chart(points: Sequence[Point], *, is_share: bool, description: str, height: int = 300) -> dict[str, Any]:
    """Points of shares, or of amounts, with the line of perfect promises; the area of a point grows with its outcomes."""
    write = _percent if is_share else amount
    rows = [
        {
            "promised": promised,
            "came": came,
            "n": n,
            "told": {_("Promised"): write(promised), _("Came true"): write(came), _("Outcomes"): number(n)},
        }
        for promised, came, n in points
    ]
    highest = max([value for promised, came, _n in points for value in (promised, came)], default=1.0)
    domain = [0.0, 1.0 if is_share and highest > 0.7 else highest * 1.06 or 1.0]
    ends = {"values": [{"promised": end, "came": end} for end in domain]}
    x = {"x": _axis("promised", _("promised"), domain, is_share=is_share)}
    y = {"y": _axis("came", _("came true"), domain, is_share=is_share)}
    size = {"field": "n", "type": "quantitative", "legend": None, "scale": {"range": [50, 260], "zero": True}}
    layers = [
        {"data": ends, "mark": {"type": "line", "style": "now", "aria": False}, "encoding": x | y},
        {"mark": {"type": "line", "style": "history", "opacity": 0.45, "aria": False}, "encoding": x | y},
        {
            "mark": {"type": "point", "style": "level", "filled": True, "opacity": 0.9},
            "encoding": x | y | {"size": size, "tooltip": {"field": "told", "type": "nominal"}},
        },
    ]
    return vega_lite(description, height, data={"values": rows}, layer=layers)


def _percent(share: float) -> str:
    return percent(share, digits=1)


def _axis(field: str, title: str, domain: Sequence[float], *, is_share: bool) -> dict[str, Any]:
    label = f"format(datum.value * 100, '.0f') + '{percent_sign()}'" if is_share else short_number()
    axis = {"title": title, "titleFontWeight": 400, "labelExpr": label, "tickCount": 5, "domain": False, "ticks": False}
    return {"field": field, "type": "quantitative", "axis": axis, "scale": {"domain": list(domain), "nice": False}}
