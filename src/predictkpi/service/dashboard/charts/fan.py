"""The fan chart: history, forecast and its bands."""

from __future__ import annotations

from typing import Any

import pandas as pd

from predictkpi.service.dashboard.charts import layers
from predictkpi.service.dashboard.charts.themes import finite, money_axis, records, vega_lite
from predictkpi.service.dashboard.formats import amount, between, is_number, money, month
from predictkpi.service.dashboard.languages import gettext as _

_BAND = ("mean", "q025", "q10", "q90", "q975")
_BANDS = (("wide", "q025", "q975"), ("narrow", "q10", "q90"))
_LINES = (("history", "actual"), ("forecast", "mean"))
_HALF = pd.Timedelta(days=15)


def fan_chart(history: pd.DataFrame, forecast: pd.DataFrame, *, currency: str, description: str, height: int = 340) -> dict[str, Any]:
    """History and forecast of one monthly series.

    Parameters: ``history`` columns ``ds, value`` and maybe ``target``; ``forecast`` columns ``ds, mean, q025, q10, q90, q975`` and maybe
    ``target``; both ascending. The bands begin at the last known month, where nothing is uncertain.
    """
    rows = [_history_row(row, currency) for row in records(history)]
    ahead = [_forecast_row(row, currency) for row in records(forecast)]
    if rows and ahead:
        last = rows[-1]
        rows[-1] = last | dict.fromkeys(_BAND, last["actual"])
    drawn = [*layers.bands(money_axis, _BANDS), *layers.lines(money_axis, _LINES)]
    drawn += layers.targets(money_axis) if any("target" in row for row in rows + ahead) else []
    drawn += layers.now(rows[-1]["ds"]) if rows else []
    drawn += layers.hover(money_axis)
    x = layers.time_axis(**layers.every_months(3))
    return vega_lite(description, height, data={"values": rows + ahead}, encoding={"x": x}, layer=drawn)


def _history_row(row: dict[str, Any], currency: str) -> dict[str, Any]:
    told = {_("Month"): month(row["ds"]), _("Revenue"): money(row["value"], currency)}
    value = finite(row["value"])
    return _with_target(_place(row["ds"]) | {"kind": "history", "actual": value, "y": value, "told": told}, row, currency)


def _forecast_row(row: dict[str, Any], currency: str) -> dict[str, Any]:
    told = {
        _("Month"): month(row["ds"]),
        _("Expected"): money(row["mean"], currency),
        _("80 % range"): between(amount(row["q10"]), money(row["q90"], currency)),
        _("95 % range"): between(amount(row["q025"]), money(row["q975"], currency)),
    }
    numbers = {name: finite(row[name]) for name in _BAND}
    return _with_target(_place(row["ds"]) | {"kind": "forecast", **numbers, "y": numbers["mean"], "told": told}, row, currency)


def _with_target(point: dict[str, Any], row: dict[str, Any], currency: str) -> dict[str, Any]:
    value = row.get("target")
    if value is None or not is_number(value):
        return point
    return point | {"target": value, "told": point["told"] | {_("Target"): money(value, currency)}}


def _place(ds: pd.Timestamp) -> dict[str, Any]:
    return layers.strip(ds, ds - _HALF, ds + pd.DateOffset(months=1) - _HALF)
