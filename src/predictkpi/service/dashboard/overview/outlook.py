"""The revenue forecast: fan chart, the same numbers as a table, and growth with its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import future_periods
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.charts import fan_chart, interval_bar, records
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.overview.cards import monthly
from predictkpi.service.kpi_answers import targets_of
from predictkpi.service.view import View

HISTORY_MONTHS = 24
_SHOWN = ["mean", "q025", "q10", "q90", "q975"]


@dataclass(frozen=True)
class Growth:
    """One growth figure with its 80 % interval and where that lies on the panel's common scale."""

    title: str
    against: str
    middle: str
    low: str
    high: str
    bar: dict[str, float] | None


@dataclass(frozen=True)
class MonthRow:
    """One month of the forecast, written out."""

    month: str
    expected: str
    likely: str
    wide: str
    target: str


@dataclass(frozen=True)
class Outlook:
    """The forecast card."""

    chart: dict[str, Any]
    description: str
    next_months: str
    next_months_growth: str
    months: int
    growth: list[Growth]
    rows: list[MonthRow]
    has_targets: bool
    status: str
    reason: str


def outlook(view: View) -> Outlook | None:
    """The total's forecast; None if the champion has no numbers for it."""
    champion = view.champions.get("revenue")
    if champion is None or c.TOTAL not in champion.table:
        return None
    rows = champion.table.rows(c.TOTAL)
    wide = rows.pivot(index=c.HORIZON, columns=c.STATISTIC, values=c.VALUE).sort_index()
    if "mean" not in wide or wide["mean"].isna().all():
        return None
    months = future_periods(view.as_of, int(wide.index.max()), "M")
    forecast = wide.reindex(columns=_SHOWN).assign(ds=months[wide.index - 1])
    targets = targets_of(view, "revenue", "M")
    promised = targets[targets[c.SCOPE] == c.TOTAL].set_index(c.DS)[c.VALUE]
    forecast["target"] = promised.reindex(forecast["ds"]).to_numpy()
    history = monthly(view, "revenue")[c.VALUE].rename("value").tail(HISTORY_MONTHS).reset_index()
    history["target"] = promised.reindex(history[c.DS]).to_numpy()
    total = float(forecast["mean"].sum())
    description = _(
        "Monthly revenue: {known} months of history and {ahead} months of forecast. Expected over the forecast: {expected}."
    ).format(known=len(history), ahead=len(forecast), expected=f.money(total, view.company.currency))
    answer = view.predict("revenue", c.TOTAL)
    return Outlook(
        chart=fan_chart(history, forecast, currency=view.company.currency, description=description),
        description=description,
        next_months=f.money(total, view.company.currency),
        next_months_growth=_growth_of_sum(total, view, len(forecast)),
        months=len(forecast),
        growth=_growth(wide, months, view),
        rows=[_month_row(row, view.company.currency) for row in records(forecast)],
        has_targets=bool(forecast["target"].notna().any()),
        status=answer.status.value,
        reason=answer.reason if answer.reason != champion.ref.reason else "",
    )


def _month_row(row: dict[str, Any], currency: str) -> MonthRow:
    def span(low: str, high: str) -> str:
        return f.between(f.amount(row[low]), f.amount(row[high]))

    return MonthRow(f.month(row["ds"]), f.money(row["mean"], currency), span("q10", "q90"), span("q025", "q975"), f.amount(row["target"]))


def _growth_of_sum(total: float, view: View, months: int) -> str:
    past = monthly(view, "revenue")[c.VALUE].tail(months)
    return f.signed_percent(total / past.sum() - 1) if len(past) == months and past.sum() > 0 else ""


def _growth(wide: pd.DataFrame, months: pd.DatetimeIndex, view: View) -> list[Growth]:
    """The two quarters that end next, against the quarter before each, and the last month against the year before."""
    chosen = [("qoq", horizon) for horizon in _horizons(wide, "qoq")[:2]] + [("yoy", horizon) for horizon in _horizons(wide, "yoy")[-1:]]
    if not chosen:
        return []
    figures = {key: [_cell(wide, key, quantile) for quantile in ("q10", "q50", "q90")] for key in chosen}
    ends = [0.0, *(value for low, _, high in figures.values() for value in (low, high))]
    margin = (max(ends) - min(ends)) * 0.06
    span = (min(ends) - margin, max(ends) + margin)
    growths = []
    for (kind, horizon), (low, middle, high) in figures.items():
        title, against = _growth_titles(kind, months[horizon - 1], view.company.fiscal_year_starts)
        bar = interval_bar(low, middle, high, span=span)
        growths.append(Growth(title, against, f.signed_percent(middle), f.signed_percent(low), f.signed_percent(high), bar))
    return growths


def _cell(wide: pd.DataFrame, key: tuple[str, int], quantile: str) -> float:
    kind, horizon = key
    return float(wide[f"growth_{kind}_{quantile}"].loc[horizon])


def _horizons(wide: pd.DataFrame, kind: str) -> list[int]:
    column = f"growth_{kind}_q50"
    return [int(horizon) for horizon in wide.index[wide[column].notna()]] if column in wide else []


def _growth_titles(kind: str, month: pd.Timestamp, fiscal_year_starts: int) -> tuple[str, str]:
    if kind == "yoy":
        return f.month(month), _("on the year before")
    before = f.quarter(month - pd.DateOffset(months=3), fiscal_year_starts)
    return f.quarter(month, fiscal_year_starts), _("on {period}").format(period=before)
