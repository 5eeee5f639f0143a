"""Charts of one customer: revenue so far with what is expected on top of it, and orders month by month."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.charts import finite, local, money_axis, vega_lite
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.wire import Prediction

FEW_MONTHS = 40
"""Up to here every third month is named on the axis, beyond it only years."""
HEIGHT, LOW_HEIGHT = 300, 190
HALF_A_MONTH = pd.Timedelta(days=15)


def months_of(orders: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Net revenue and orders of each month from the first one to that which ends at or holds ``as_of``: ``ds, revenue, orders``."""
    month = orders[c.DS].dt.to_period("M")
    every = pd.period_range(month.min(), (as_of - pd.Timedelta(1, "us")).to_period("M"), freq="M")
    found = orders.groupby(month)[c.AMOUNT].agg(["sum", "size"]).reindex(every, fill_value=0)
    return pd.DataFrame({"ds": every.start_time, "revenue": found["sum"].to_numpy(float), "orders": found["size"].to_numpy(int)})


def value_chart(
    months: pd.DataFrame, ahead: Sequence[Prediction], *, as_of: pd.Timestamp, currency: str, description: str
) -> dict[str, Any]:
    """Cumulative net revenue: what has come, to ``as_of``, and what is expected on top, with the 80 % range at each horizon."""
    so_far = float(months["revenue"].sum()) if len(months) else 0.0
    rows = [_point(ds, value, _("Revenue so far"), currency) for ds, value in _history(months, as_of)]
    rows[-1] |= {"mean": so_far, "q10": so_far, "q90": so_far}
    rows += [_expected(prediction, so_far, currency) for prediction in ahead]
    _give_strips(rows)
    span = (pd.Timestamp(rows[-1]["ds"]) - pd.Timestamp(rows[0]["ds"])).days / 30
    layers = [
        {"transform": _valid("q10"), "mark": {"type": "area", "style": "narrow"}, "encoding": {"y": _money("q10"), "y2": {"field": "q90"}}},
        {"transform": _valid("actual"), "mark": {"type": "line", "style": "history"}, "encoding": {"y": _money("actual")}},
        {"transform": _valid("mean"), "mark": {"type": "line", "style": "forecast"}, "encoding": {"y": _money("mean")}},
        {"data": {"values": [{"ds": local(as_of)}]}, "mark": {"type": "rule", "style": "now"}},
        *_hover("y"),
    ]
    return vega_lite(description, HEIGHT, data={"values": rows}, encoding={"x": _months_axis(span)}, layer=layers)


def orders_chart(months: pd.DataFrame, *, currency: str, description: str) -> dict[str, Any]:
    """Net revenue of each month as a bar; a month of refunds stands below zero."""
    rows = [
        {
            "ds": local(row.ds + HALF_A_MONTH),
            "revenue": row.revenue,
            "told": {
                _("Month"): f.month(row.ds),
                _("Orders"): f.number(row.orders),
                _("Net revenue"): f.money(row.revenue, currency),
            },
        }
        for row in months.itertuples(index=False)
    ]
    bars = [
        {
            "transform": [{"filter": f"datum.revenue {sign} 0"}],
            "mark": {"type": "bar", "style": style, "width": {"band": 0.7}, "cornerRadiusEnd": 1},
            "encoding": {"y": _money("revenue")},
        }
        for sign, style, is_there in ((">=", "level", True), ("<", "fall", bool((months["revenue"] < 0).any())))
        if is_there
    ]
    x = _months_axis(len(rows)) | {"timeUnit": "yearmonth", "bandPosition": 0.5}
    encoding = {"x": x, "tooltip": {"field": "told", "type": "nominal"}}
    return vega_lite(description, LOW_HEIGHT, data={"values": rows}, encoding=encoding, layer=bars)


def _history(months: pd.DataFrame, as_of: pd.Timestamp) -> list[tuple[pd.Timestamp, float]]:
    """What had come by the end of each month; the last point is ``as_of``."""
    ends = [min(ds + pd.DateOffset(months=1), as_of) for ds in months["ds"]] if len(months) else [as_of]
    sums = months["revenue"].cumsum() if len(months) else [0.0]
    start = [(months["ds"].iloc[0], 0.0)] if len(months) else []
    return [*start, *zip(ends, map(float, sums), strict=True)]


def _point(ds: pd.Timestamp, value: float, title: str, currency: str) -> dict[str, Any]:
    told = {_("Date"): f.date(ds - pd.Timedelta(days=1)), title: f.money(value, currency)}
    return {"ds": local(ds), "actual": value, "y": value, "told": told}


def _expected(prediction: Prediction, so_far: float, currency: str) -> dict[str, Any]:
    values, until = prediction.values, pd.Timestamp(prediction.until)
    mean, low, high = (None if values.get(name) is None else so_far + float(values[name] or 0.0) for name in ("mean", "q10", "q90"))
    told = {
        _("Date"): f.date(until - pd.Timedelta(days=1)),
        _("Expected"): f.money(mean, currency),
        _("80 % range"): f.between(f.amount(low), f.money(high, currency)),
        _("of that still to come"): f.money(values.get("mean"), currency),
    }
    return {"ds": local(until), "mean": finite(mean), "q10": finite(low), "q90": finite(high), "y": finite(mean), "told": told}


def _give_strips(rows: list[dict[str, Any]]) -> None:
    """Each point answers the pointer wherever that is nearer to it than to its neighbours."""
    at = [pd.Timestamp(row["ds"]) for row in rows]
    between = [one + (other - one) / 2 for one, other in pairwise(at)]
    for row, begins, ends in zip(rows, [at[0], *between], [*between, at[-1]], strict=True):
        row |= {"begins": local(begins), "ends": local(ends)}


def _valid(field: str) -> list[dict[str, Any]]:
    return [{"filter": f"isValid(datum.{field})"}]


def _money(field: str) -> dict[str, Any]:
    return money_axis(field) | {"scale": {"zero": True, "nice": True}}


def _months_axis(months: float) -> dict[str, Any]:
    label = "timeFormat(datum.value, '%m') == '01' ? timeFormat(datum.value, '%Y') : timeFormat(datum.value, '%b')"
    every = {"interval": "month", "step": 3} if months <= FEW_MONTHS else {"interval": "year", "step": 1}
    axis = {"title": None, "grid": False, "labelExpr": label, "tickCount": every, "labelOverlap": "parity"}
    return {"field": "ds", "type": "temporal", "axis": axis}


def _hover(field: str) -> list[dict[str, Any]]:
    select = {"type": "point", "fields": ["ds"], "on": "pointerover", "clear": "pointerout"}
    near = {"condition": {"param": "near", "empty": False, "value": 1}, "value": 0}
    strip = {"type": "rect", "fillOpacity": 0, "y": 0, "y2": "height", "aria": False}
    return [
        {
            "mark": {"type": "point", "style": "hover-point", "filled": True, "aria": False},
            "encoding": {"y": _money(field), "opacity": near},
        },
        {
            "params": [{"name": "near", "select": select}],
            "mark": strip,
            "encoding": {
                "x": {"field": "begins", "type": "temporal"},
                "x2": {"field": "ends"},
                "tooltip": {"field": "told", "type": "nominal"},
            },
        },
    ]
