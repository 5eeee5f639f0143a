"""Targets: each year's plan, made in December from the twelve months before it."""

from __future__ import annotations

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.synthetic.world import REGION_SHARES, REGIONS, Size
from predictkpi.tables import table_schema

GROWTH = 1.12
FIRST_GROWTH = 1.05
MORE_WINS = 0.02
CHEAPER = 0.95
FIRST_WIN_RATE = 0.35
PLAN_DAYS = 20


def targets_table(size: Size, expected: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Monthly targets for revenue (total and by region), win rate and CAC, for every year and the one after the end.

    The first year has no history: its plan is ``expected`` (``ds, expected_revenue``), shared out by region.
    """
    rows = []
    for year in range(size.years + 1):
        begins = size.start + pd.DateOffset(years=year)
        made = begins - pd.Timedelta(days=PLAN_DAYS)
        months = pd.date_range(begins, periods=12, freq="MS")
        known = {name: frame[frame[c.KNOWN_AT] < made].drop_duplicates(_KEYS[name], keep="last") for name, frame in tables.items()}
        for ds, plan in zip(months, _plans(year, made, months, expected, known), strict=True):
            rows += [(kpi, scope, "M", ds, value, made + pd.Timedelta(hours=9)) for (kpi, scope), value in plan.items()]
    names = [*table_schema("targets").column_names, c.KNOWN_AT]
    return pd.DataFrame(rows, columns=names)


_KEYS = {name: list(table_schema(name).key) for name in ("customers", "orders", "deal_events", "spend")}


def _plans(
    year: int, made: pd.Timestamp, months: pd.DatetimeIndex, expected: pd.DataFrame, known: dict[str, pd.DataFrame]
) -> list[dict[tuple[str, str], float]]:
    """One plan a month: revenue takes last year's level and the company's own season."""
    season = expected.groupby(expected[c.DS].dt.month)["expected_revenue"].mean()
    weights = season.loc[list(months.month)].to_numpy()
    if year == 0:
        first = FIRST_GROWTH * float(expected["expected_revenue"].head(12).sum())
        by_region = {region: first * share for region, share in zip(REGIONS, REGION_SHARES, strict=True)}
        ratios = {("win_rate", c.TOTAL): FIRST_WIN_RATE}
    else:
        by_region, ratios = _from_last_year(made - pd.DateOffset(years=1), known)
    plans = []
    for weight in weights / weights.sum():
        revenue = {("revenue", f"region={region}"): round(value * weight, -2) for region, value in by_region.items()}
        plans.append(revenue | {("revenue", c.TOTAL): sum(revenue.values())} | ratios)
    return plans


def _from_last_year(since: pd.Timestamp, known: dict[str, pd.DataFrame]) -> tuple[dict[str, float], dict[tuple[str, str], float]]:
    """The year's revenue by region, and the ratios, planned from what happened at or after ``since`` as then known."""
    orders, events, spend = (known[name][known[name][c.DS] >= since] for name in ("orders", "deal_events", "spend"))
    regions = orders[c.CUSTOMER_ID].map(known["customers"].set_index(c.CUSTOMER_ID)[c.REGION])
    by_region = {str(region): total * GROWTH for region, total in orders[c.AMOUNT].groupby(regions).sum().items()}
    closed = events[c.STAGE].value_counts()
    wins, losses = closed.get(c.WON, 0), closed.get(c.LOST, 0)
    cost = spend[c.COST].sum() / max(_acquired(known, since), 1)
    ratios = {("win_rate", c.TOTAL): round(wins / max(wins + losses, 1) + MORE_WINS, 3), ("cac", c.TOTAL): round(cost * CHEAPER, 0)}
    return by_region, ratios


def _acquired(known: dict[str, pd.DataFrame], since: pd.Timestamp) -> int:
    """Customers whose first order is at or after ``since``, without those who had bought before the books began."""
    first_order = known["orders"].groupby(c.CUSTOMER_ID)[c.DS].min()
    created = known["customers"].set_index(c.CUSTOMER_ID)[c.CREATED_AT].reindex(first_order.index)
    return int(((first_order >= since) & (created >= known["orders"][c.DS].min().normalize())).sum())
