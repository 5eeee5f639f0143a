"""One measure at each cutoff of a backtest, for every candidate that was tested there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from predictkpi.service.dashboard.charts.themes import finite, local, vega_lite
from predictkpi.service.dashboard.formats import date, number
from predictkpi.service.dashboard.languages import gettext as _

LINES = ("history", "rival", "champion")
"""Styles in the order of the candidates: what is tested stands out."""


def cutoffs_chart(candidates: Mapping[str, pd.Series], *, measure: str, digits: int, description: str, height: int = 240) -> dict[str, Any]:
    """By title of the candidate, the first of which is the one that was tested: its values, indexed by the day of the cutoff."""
    layers: list[dict[str, Any]] = []
    for (title, values), style in zip(candidates.items(), LINES, strict=False):
        rows = [
            {
                "ds": local(pd.Timestamp(str(day))),
                "y": finite(value),
                "told": {_("Cutoff"): date(pd.Timestamp(str(day))), title: number(value, digits)},
            }
            for day, value in values.items()
        ]
        data = {"values": [row for row in rows if row["y"] is not None]}
        tooltip = {"tooltip": {"field": "told", "type": "nominal"}}
        layers += [
            {"data": data, "mark": {"type": "line", "style": style, "aria": False}},
            {"data": data, "mark": {"type": "point", "style": f"{style}-point", "filled": True}, "encoding": tooltip},
        ]
    x_axis = {"title": None, "grid": False, "tickCount": 5, "labelOverlap": True, "format": "%b %Y"}
    y_axis = {"title": measure, "titleFontWeight": 400, "tickCount": 5, "domain": False, "ticks": False}
    encoding: dict[str, Any] = {
        "x": {"field": "ds", "type": "temporal", "axis": x_axis, "scale": {"nice": False, "padding": 20}},
        "y": {"field": "y", "type": "quantitative", "axis": y_axis, "scale": {"zero": True, "nice": True}},
    }
    return vega_lite(description, height, encoding=encoding, layer=layers)
