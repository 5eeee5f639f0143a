"""The three parts of each month ahead, as stacked bars."""

from __future__ import annotations

from typing import Any

import pandas as pd

from predictkpi.service.dashboard.charts.themes import local, money_axis, records, vega_lite
from predictkpi.service.dashboard.formats import money, month
from predictkpi.service.dashboard.languages import gettext as _


def parts_chart(rows: pd.DataFrame, *, currency: str, description: str, height: int = 240) -> dict[str, Any]:
    """``rows``: ``ds, booked, from_deals, new``, in currency, one a month. Parts above zero stand on one another, those below it hang."""
    titles = {"booked": _("booked"), "from_deals": _("from open deals"), "new": _("not yet created")}
    bars = []
    for row in records(rows):
        told = {_("Month"): month(row["ds"])} | {title: money(row[name], currency) for name, title in titles.items()}
        told |= {_("Expected"): money(sum(row[name] for name in titles), currency)}
        up, down = 0.0, 0.0
        for name in titles:
            size = float(row[name])
            begin = up if size >= 0 else down
            up, down = (up + size, down) if size >= 0 else (up, down + size)
            bars.append({"ds": local(row["ds"]), "part": name, "from": begin, "to": begin + size, "value": size, "told": told})
    layers = [
        {
            "transform": [{"filter": f"datum.part == '{name}'"}],
            "mark": {"type": "bar", "style": name, "width": {"band": 0.72}},
            "encoding": {"y": _from_zero("from"), "y2": {"field": "to"}},
        }
        for name in titles
    ]
    label = "timeFormat(datum.value, '%b') == 'Jan' ? timeFormat(datum.value, '%Y') : timeFormat(datum.value, '%b')"
    axis = {"title": None, "labelExpr": label, "labelAngle": 0, "ticks": False, "labelOverlap": "parity"}
    x = {"field": "ds", "type": "ordinal", "timeUnit": "yearmonth", "axis": axis}
    encoding = {"x": x, "tooltip": {"field": "told", "type": "nominal"}}
    return vega_lite(description, height, data={"values": bars}, encoding=encoding, layer=layers)


def _from_zero(field: str) -> dict[str, Any]:
    return money_axis(field) | {"scale": {"zero": True, "nice": True}}
