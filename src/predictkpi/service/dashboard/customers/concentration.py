"""On how few customers the value hangs: shares of the best, and the curve of all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.charts import vega_lite
from predictkpi.service.dashboard.languages import gettext as _

POINTS = 100
TOLD = (0.01, 0.05, 0.1, 0.2, 0.5)
SAID = (0.1, 0.2, 0.5)
HEIGHT = 230
Worth = npt.NDArray[np.float64]
"""What each customer will bring, falling."""


@dataclass(frozen=True)
class Concentration:
    """The curve, the same in words, and as rows of a table: share of the customers, how many these are, share of the value."""

    chart: dict[str, Any]
    description: str
    rows: list[tuple[str, str, str]]


def top_share(worth: Worth, top: float) -> float | None:
    """Share of the value that the best ``top`` of the customers bring, at least one of them; None where nothing comes."""
    total = float(worth.sum())
    return float(worth[: _many(worth, top)].sum()) / total if total > 0 else None


def concentration(worth: Worth, *, months: int) -> Concentration | None:
    """None where nothing comes, and of a single customer."""
    total = float(worth.sum())
    if total <= 0 or len(worth) < 2:
        return None
    ends = np.unique(np.linspace(0, len(worth), POINTS + 1).round().astype(int))
    shares = np.concatenate([[0.0], worth.cumsum()])[ends] / total
    points = [
        {
            "customers": float(end) / len(worth),
            "share": round(float(share), 4),
            "told": {
                _("The best"): _("{share} of the customers ({count})").format(share=f.percent(end / len(worth)), count=f.number(int(end))),
                _("bring"): _("{share} of the value").format(share=f.percent(float(share))),
            },
        }
        for end, share in zip(ends, shares, strict=True)
    ]
    bests = [_("the best {share} bring {value}").format(share=f.percent(top), value=f.percent(top_share(worth, top))) for top in SAID]
    description = _("Cumulative share of the value over {count} months, from the best customer to the last: {told}.").format(
        count=months, told=", ".join(bests)
    )
    rows = [(f.percent(top), f.number(_many(worth, top)), f.percent(top_share(worth, top))) for top in TOLD]
    return Concentration(_chart(points, description), description, rows)


def _many(worth: Worth, top: float) -> int:
    return math.ceil(len(worth) * top - 1e-9)


def _chart(points: list[dict[str, Any]], description: str) -> dict[str, Any]:
    label = f"format(datum.value * 100, 'd') + '{f.percent_sign()}'"
    axis = {"title": None, "labelExpr": label, "domain": False, "ticks": False, "tickCount": 5}
    customers = {"field": "customers", "type": "quantitative", "axis": axis | {"grid": False}}
    share = {"field": "share", "type": "quantitative", "axis": axis, "scale": {"domain": [0, 1], "clamp": True}}
    near = {"condition": {"param": "near", "empty": False, "value": 1}, "value": 0}
    select = {"type": "point", "on": "pointerover", "nearest": True, "clear": "pointerout"}
    even = {"values": [{"customers": 0, "share": 0}, {"customers": 1, "share": 1}]}
    layers = [
        {"data": even, "mark": {"type": "line", "style": "now"}},
        {"mark": {"type": "area", "style": "wide"}},
        {"mark": {"type": "line", "style": "history"}},
        {
            "params": [{"name": "near", "select": select}],
            "mark": {"type": "point", "style": "hover-point", "filled": True, "aria": False},
            "encoding": {"opacity": near, "tooltip": {"field": "told", "type": "nominal"}},
        },
    ]
    return vega_lite(description, HEIGHT, data={"values": points}, encoding={"x": customers, "y": share}, layer=layers)
