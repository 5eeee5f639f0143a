"""The two short lists: open deals by expected value, customers by predicted value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import Status
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard import rep_dates
from predictkpi.service.dashboard.charts import interval_bar
from predictkpi.service.dashboard.links import page_of
from predictkpi.service.view import Champion, View

SHOWN = 5
CLV_MONTHS = 12
_DEALS = ["p_win", "close_q10", "close_q50", "close_q90", "expected_value"]
_CUSTOMERS = ["mean", "q10", "q50", "q90", "p_alive"]


@dataclass(frozen=True)
class DealRow:
    """One open deal. ``remark`` says how the rep's date stands to the range, ``remark_kind`` for its colour."""

    deal_id: str
    href: str
    name: str
    owner: str
    stage: str
    amount: str
    p_win: str
    p_win_percent: float
    close_range: str
    close_middle: str
    remark: str
    remark_kind: str
    expected: str
    status: str


@dataclass(frozen=True)
class Deals:
    """The deals card. ``status`` is the commonest one of the rows shown; a row says its own where it differs."""

    rows: list[DealRow]
    open_count: str
    open_amount: str
    expected: str
    reason: str
    status: str


@dataclass(frozen=True)
class CustomerRow:
    """One customer."""

    customer_id: str
    href: str
    name: str
    segment: str
    clv: str
    clv_range: str
    bar: dict[str, float] | None
    p_alive: str
    p_alive_percent: float
    status: str


@dataclass(frozen=True)
class Customers:
    """The customers card; ``status`` as in `Deals`."""

    rows: list[CustomerRow]
    count: str
    total: str
    top_share: str
    months: int
    reason: str
    status: str


def deals(view: View) -> Deals | None:
    """Open deals, the highest win probability x amount first; None without a champion or without an open deal."""
    champion = view.champions.get("close_time")
    if champion is None or not len(champion.table):
        return None
    horizon = max(champion.predictor.spec.horizons)
    wide = champion.table.wide(horizon).reindex(columns=_DEALS).rename(columns={"expected_value": "expected"})
    table = wide.join(_current_state(view)).sort_values(["expected", "p_win"], ascending=False, na_position="last", kind="stable")
    top = table.head(SHOWN).join(_statuses(champion, horizon))
    currency = view.company.currency
    return Deals(
        rows=[_deal_row(str(deal_id), row, view) for deal_id, row in top.iterrows()],
        open_count=f.number(len(table)),
        open_amount=f.money(table[c.AMOUNT].sum(), currency),
        expected=f.money(table["expected"].sum(), currency),
        reason=_shared_reason(champion),
        status=str(top[c.STATUS].mode().iloc[0]),
    )


def customers(view: View) -> Customers | None:
    """Customers by expected revenue of the next 12 months; None without a champion or without a customer."""
    champion = view.champions.get("clv")
    if champion is None or not len(champion.table):
        return None
    table = champion.table.wide(CLV_MONTHS).reindex(columns=_CUSTOMERS)
    table = table.sort_values("mean", ascending=False, na_position="last", kind="stable")
    known = view.snapshot.customers.set_index(c.CUSTOMER_ID)[[c.SEGMENT]]
    top, total = table.head(SHOWN).join(known).join(_statuses(champion, CLV_MONTHS)), float(table["mean"].sum())
    longest = float(np.nanmax([1.0, *top["q90"].fillna(0.0)]))
    return Customers(
        rows=[_customer_row(str(customer_id), row, view, longest) for customer_id, row in top.iterrows()],
        count=f.number(len(table)),
        total=f.money(total, view.company.currency),
        top_share=f.percent(float(top["mean"].sum()) / total if total > 0 else None),
        months=CLV_MONTHS,
        reason=_shared_reason(champion),
        status=str(top[c.STATUS].mode().iloc[0]),
    )


def _current_state(view: View) -> pd.DataFrame:
    """Stage, amount, owner and the rep's date of each deal as it stands; index ``deal_id``."""
    events = view.snapshot.deal_events.sort_values(c.DS, kind="stable")
    return events.drop_duplicates(c.DEAL_ID, keep="last").set_index(c.DEAL_ID)[[c.STAGE, c.AMOUNT, c.OWNER, c.EXPECTED_CLOSE_ON]]


def _statuses(champion: Champion, horizon: int) -> pd.Series:
    """The lowest rung among each entity's numbers at the horizon shown; index ``entity_id``."""
    order = {status.value: rank for rank, status in enumerate(Status)}
    frame = champion.table.frame
    frame = frame[(frame[c.HORIZON] == horizon) & frame[c.VALUE].notna()]
    rank = frame[c.STATUS].map(order).groupby(frame[c.ENTITY_ID]).max()
    return rank.map({rank: name for name, rank in order.items()}).rename(c.STATUS)


def _shared_reason(champion: Champion) -> str:
    """A reason that holds for every entity's headline, to be said once above the table."""
    frame = champion.table.frame
    reasons = frame.loc[frame[c.STATISTIC] == champion.predictor.spec.headline, c.REASON].dropna().unique()
    return str(reasons[0]) if len(reasons) == 1 else ""


def _deal_row(deal_id: str, row: pd.Series, view: View) -> DealRow:
    low, middle, high = (_after(view.as_of, row[name]) for name in ("close_q10", "close_q50", "close_q90"))
    remark = rep_dates.verdict(row[c.EXPECTED_CLOSE_ON], low, high, view.as_of)
    return DealRow(
        deal_id=deal_id,
        href=page_of("deals", deal_id),
        name=view.label("deal", deal_id),
        owner=_text(row[c.OWNER]),
        stage=_text(row[c.STAGE]),
        amount=f.amount(row[c.AMOUNT]),
        p_win=f.percent(row["p_win"]),
        p_win_percent=round(float(np.nan_to_num(row["p_win"])) * 100, 1),
        close_range=rep_dates.span(low, high),
        close_middle=rep_dates.short(middle, view.as_of),
        remark=rep_dates.in_words(remark),
        remark_kind=remark,
        expected=f.amount(row["expected"]),
        status=_text(row[c.STATUS]),
    )


def _customer_row(customer_id: str, row: pd.Series, view: View, longest: float) -> CustomerRow:
    return CustomerRow(
        customer_id=customer_id,
        href=page_of("customers", customer_id),
        name=view.label("customer", customer_id),
        segment=_text(row[c.SEGMENT]),
        clv=f.amount(row["mean"]),
        clv_range=f.between(f.amount(row["q10"]), f.amount(row["q90"])),
        bar=interval_bar(row["q10"], row["mean"], row["q90"], span=(0.0, longest)),
        p_alive=f.percent(row["p_alive"]),
        p_alive_percent=round(float(np.nan_to_num(row["p_alive"])) * 100, 1),
        status=_text(row[c.STATUS]),
    )


def _after(as_of: pd.Timestamp, days: float) -> pd.Timestamp | None:
    return (as_of + pd.Timedelta(days=float(days))).normalize() if f.is_number(days) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) and value else f.MISSING
