"""The list: whom the filters leave, what they will bring together, and on how few of them it hangs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from predictkpi.core import columns as c
from predictkpi.predictors.clv.ranks import RANK
from predictkpi.predictors.clv.spec import EXPECTED_PURCHASES, MEAN, P_ALIVE, SPEC
from predictkpi.service.customer_rows import AT_RISK, LAST, ORDERS, REVENUE, STILL_ACTIVE, customer_rows
from predictkpi.service.customer_totals import range_of
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.charts import interval_bar
from predictkpi.service.dashboard.customers.asked import CSV_PATH, PATH, Asked, Option, checked, kept_of, options_of, order_of
from predictkpi.service.dashboard.customers.concentration import Concentration, concentration, top_share
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.deal_rows import LABEL
from predictkpi.service.paging import Mask, Positions, Rows
from predictkpi.service.view import View

PAGE_SIZE = 50
TOPS = (0.1, 0.2)


@dataclass(frozen=True)
class Fact:
    """One number above the list."""

    title: str
    value: str
    note: str


@dataclass(frozen=True)
class Row:
    """One customer. ``has_bought``: otherwise an account without an order, whose chance is that it becomes a customer."""

    customer_id: str
    name: str
    rank: str
    segment: str
    channel: str
    value: str
    value_range: str
    bar: dict[str, float] | None
    p_alive: str
    p_alive_percent: float
    at_risk: str
    purchases: str
    last_order: str
    revenue: str
    has_bought: bool
    status: str


@dataclass(frozen=True)
class Paging:
    """Where the shown rows stand among all; empty addresses where there is no such page."""

    told: str
    previous: str
    next: str


@dataclass(frozen=True)
class Listing:
    """The list with its form. ``status`` is the commonest one of the rows shown; a row says its own where it differs."""

    options: dict[str, list[Option]]
    q: str
    months: int
    facts: list[Fact]
    concentration: Concentration | None
    rows: list[Row]
    paging: Paging
    csv: str
    status: str
    reason: str
    is_predicted: bool


def listing(view: View, asked: Asked, *, with_totals: bool = True) -> Listing:
    """Those whom the caller may see and asks for; `InvalidRequestError` for what there is not.

    ``with_totals``: what they bring together and on how few of them it hangs are told; otherwise only how many they are.
    """
    asked = checked(view, asked)
    rows = customer_rows(view, asked.horizon)
    kept = kept_of(view, rows, asked)
    order = rows.page(kept, sort=order_of(asked), cursor=None, limit=max(len(rows.columns), 1)).positions
    last = max((len(order) - 1) // PAGE_SIZE + 1, 1)
    page = min(asked.page, last)
    shown = rows.dicts(order[(page - 1) * PAGE_SIZE : page * PAGE_SIZE])
    is_predicted = SPEC.name in view.champions
    worth = np.sort(np.nan_to_num(rows.columns.floats(MEAN)[kept]))[::-1]
    statuses = Counter(row[c.STATUS] for row in shown if row[c.STATUS])
    reasons = {row[c.REASON] for row in shown}
    if not with_totals:
        facts = _count(rows, kept)
    else:
        facts = _facts(view, rows, kept, worth, asked) if is_predicted else _facts_known(view, rows, kept)
    return Listing(
        options=options_of(view, asked),
        q=asked.q,
        months=asked.horizon,
        facts=facts,
        concentration=concentration(worth, months=asked.horizon) if is_predicted and with_totals else None,
        rows=_rows(view, shown),
        paging=_paging(asked, page, last, len(order)),
        csv=f"{CSV_PATH}{asked.query(page=1)}",
        status=statuses.most_common(1)[0][0] if statuses else "",
        reason=str(reasons.pop() or "") if len(reasons) == 1 else "",
        is_predicted=is_predicted,
    )


def _facts(view: View, rows: Rows, kept: Mask, worth: npt.NDArray[np.float64], asked: Asked) -> list[Fact]:
    currency, total = view.company.currency, float(worth.sum())
    spread = range_of(view, rows, kept, asked.horizon)
    likely = f.between(f.amount(spread["q10"]), f.money(spread["q90"], currency)) if spread else ""
    at_risk = float(np.nansum(rows.columns.floats(AT_RISK)[kept]))
    tops = [(top, top_share(worth, top)) for top in TOPS]
    return [
        *_count(rows, kept),
        Fact(
            _("Value, {count} months").format(count=asked.horizon),
            f.money(total, currency),
            _("80 % range of the sum: {range}").format(range=likely) if likely else _("the sum has a range unless it is searched by name"),
        ),
        Fact(
            _("At risk"),
            f.money(at_risk, currency),
            _("{share} of it hangs on customers who may have left").format(share=f.percent(at_risk / total if total > 0 else None)),
        ),
        Fact(
            _("The best {share} bring").format(share=f.percent(TOPS[0])),
            f.percent(tops[0][1]),
            _("the best {share} bring {value}").format(share=f.percent(tops[1][0]), value=f.percent(tops[1][1])),
        ),
    ]


def _facts_known(view: View, rows: Rows, kept: Mask) -> list[Fact]:
    revenue = float(rows.columns.floats(REVENUE)[kept].sum())
    return [*_count(rows, kept), Fact(_("Net revenue so far"), f.money(revenue, view.company.currency), "")]


def _count(rows: Rows, kept: Mask) -> list[Fact]:
    fresh = int((kept & (rows.columns.floats(ORDERS) <= 0)).sum())
    note = _("{count} of them have not ordered yet").format(count=f.number(fresh)) if fresh else ""
    return [Fact(_("Customers"), f.number(int(kept.sum())), note)]


def _rows(view: View, shown: list[dict[str, Any]]) -> list[Row]:
    highest = max([1.0, *(row["q90"] for row in shown if row["q90"] is not None)])
    lowest = min([0.0, *(row["q10"] for row in shown if row["q10"] is not None)])
    return [_row(row, (lowest, highest)) for row in shown]


def _row(row: dict[str, Any], span: tuple[float, float]) -> Row:
    has_bought, p_alive = row[STILL_ACTIVE] is not None or row[ORDERS] > 0, row[P_ALIVE]
    return Row(
        customer_id=row[c.CUSTOMER_ID],
        name=row[LABEL],
        rank=f.number(row[RANK]),
        segment=row[c.SEGMENT] or f.MISSING,
        channel=row[c.CHANNEL] or f.MISSING,
        value=f.amount(row[MEAN]),
        value_range=f.between(f.amount(row["q10"]), f.amount(row["q90"])) if row["q10"] is not None else f.MISSING,
        bar=interval_bar(row["q10"], row[MEAN], row["q90"], span=span),
        p_alive=f.percent(p_alive),
        p_alive_percent=round((p_alive or 0.0) * 100, 1),
        at_risk=f.amount(row[AT_RISK]),
        purchases=f.number(row[EXPECTED_PURCHASES], 1),
        last_order=f.date(row[LAST]),
        revenue=f.amount(row[REVENUE]),
        has_bought=has_bought,
        status=row[c.STATUS] or "",
    )


def _paging(asked: Asked, page: int, last: int, total: int) -> Paging:
    first = (page - 1) * PAGE_SIZE + 1
    told = _("{first} to {last} of {count}").format(
        first=f.number(first if total else 0), last=f.number(min(page * PAGE_SIZE, total)), count=f.number(total)
    )
    return Paging(
        told=told,
        previous=f"{PATH}{asked.query(page=page - 1)}" if page > 1 else "",
        next=f"{PATH}{asked.query(page=page + 1)}" if page < last else "",
    )


def all_positions(view: View, asked: Asked) -> tuple[Rows, Positions]:
    """Everybody of the list, in its order."""
    asked = checked(view, asked)
    rows = customer_rows(view, asked.horizon)
    kept = kept_of(view, rows, asked)
    return rows, rows.page(kept, sort=order_of(asked), cursor=None, limit=max(len(rows.columns), 1)).positions
