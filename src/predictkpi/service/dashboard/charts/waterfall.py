"""A waterfall: from what it was, step by step, to what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from predictkpi.service.dashboard.charts.themes import vega_lite
from predictkpi.service.dashboard.formats import amount, money, signed_amount
from predictkpi.service.dashboard.languages import gettext as _


def waterfall(start: float, steps: Mapping[str, float], end: float, *, currency: str, description: str) -> dict[str, Any]:
    """From ``start`` by its steps to ``end``, one row each from top to bottom; steps are signed, in currency, and add up."""
    rows = [_level_row(_("a week ago"), start, currency)]
    at = start
    for name, change in steps.items():
        told = {_("Step"): name, _("Change"): f"{signed_amount(change)} {currency}"}
        kind = "rise" if change >= 0 else "fall"
        rows.append({"label": name, "kind": kind, "from": at, "to": at + change, "text": signed_amount(change), "told": told})
        at += change
    rows.append(_level_row(_("now"), end, currency))
    low, high = (pick(row[key] for row in rows for key in ("from", "to")) for pick in (min, max))
    # room for the numbers behind the bars
    domain = [low - 0.04 * (high - low), high + 0.55 * (high - low or 1.0)]
    # in the order given: layers that hold some of the rows would each sort by themselves
    y = {
        "field": "label",
        "type": "nominal",
        "sort": [row["label"] for row in rows],
        "axis": {"title": None, "domain": False, "ticks": False},
    }
    marks = [
        *[_steps(kind, domain) for kind in ("rise", "fall")],
        {
            "transform": [{"filter": "datum.kind == 'level'"}],
            "mark": {"type": "tick", "style": "level", "thickness": 3, "size": 18},
            "encoding": {"x": _amount_axis("to", domain)},
        },
        {
            "transform": [{"calculate": "max(datum.from, datum.to)", "as": "right"}],
            "mark": {"type": "text", "style": "change", "align": "left", "dx": 7},
            "encoding": {"x": _amount_axis("right", domain), "text": {"field": "text"}},
        },
    ]
    encoding = {"y": y, "tooltip": {"field": "told", "type": "nominal"}}
    return vega_lite(description, 26 * len(rows), data={"values": rows}, encoding=encoding, layer=marks)


def _level_row(label: str, value: float, currency: str) -> dict[str, Any]:
    return {"label": label, "kind": "level", "from": value, "to": value, "text": amount(value), "told": {label: money(value, currency)}}


def _steps(kind: str, domain: Sequence[float]) -> dict[str, Any]:
    return {
        "transform": [{"filter": f"datum.kind == '{kind}'"}],
        "mark": {"type": "bar", "style": kind, "height": 14, "cornerRadius": 2},
        "encoding": {"x": _amount_axis("from", domain), "x2": {"field": "to"}},
    }


def _amount_axis(field: str, domain: Sequence[float]) -> dict[str, Any]:
    return {"field": field, "type": "quantitative", "axis": None, "scale": {"domain": list(domain), "zero": False}}
