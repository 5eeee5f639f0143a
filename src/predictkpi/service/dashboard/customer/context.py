"""What the page of one customer shows, from a view."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.service.customer_facts import customer_facts
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.customer.curves import months_of, orders_chart, value_chart
from predictkpi.service.dashboard.customer.worth import Absent, Worth, worth
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.languages import ngettext
from predictkpi.service.row_schemas import CustomerFacts, DealRow
from predictkpi.service.view import View

SHOWN_ORDERS, SHOWN_DEALS = 20, 20
SHOWN_MONTHS = 60


@dataclass(frozen=True)
class Order:
    """One order, refund or credit note; ``deal_id`` only of a deal that the caller sees."""

    day: str
    order_id: str
    product: str
    amount: str
    is_refund: bool
    deal_id: str
    deal: str


@dataclass(frozen=True)
class Orders:
    """The orders card, of a customer who has any."""

    chart: dict[str, Any]
    description: str
    rows: list[Order]
    told: str
    years: list[tuple[str, str, str, str]]
    has_deals: bool
    has_products: bool


@dataclass(frozen=True)
class Deal:
    """One deal of the customer."""

    deal_id: str
    name: str
    state: str
    stage: str
    amount: str
    chance: str
    closes: str
    created: str


@dataclass(frozen=True)
class Customer:
    """The whole page. ``worth`` is None where nothing is predicted: ``absent`` says why, or is empty where no model serves."""

    customer_id: str
    name: str
    facts: list[tuple[str, str]]
    revenue: str
    revenue_note: str
    has_bought: bool
    worth: Worth | None
    absent: str
    chart: dict[str, Any] | None
    description: str
    orders: Orders | None
    deals: list[Deal]
    deals_note: str


def customer(view: View, customer_id: str) -> Customer:
    """Raises `UnknownEntityError` for one that is not known, or is not the caller's to see."""
    facts = customer_facts(view, customer_id)
    own = view.snapshot.orders[view.snapshot.orders[c.CUSTOMER_ID] == customer_id]
    months = months_of(own, view.as_of) if len(own) else pd.DataFrame()
    told = worth(view, customer_id)
    predicted = told if isinstance(told, Worth) else None
    description = _described(facts, predicted)
    currency = facts.currency
    return Customer(
        customer_id=customer_id,
        name=facts.label,
        facts=_facts(facts),
        revenue=f.money(facts.revenue, currency),
        revenue_note=ngettext("{count} order", "{count} orders", facts.orders).format(count=f.number(facts.orders)),
        has_bought=facts.orders > 0,
        worth=predicted,
        absent=told.reason if isinstance(told, Absent) else "",
        chart=value_chart(months, predicted.predictions, as_of=view.as_of, currency=currency, description=description)
        if predicted
        else None,
        description=description,
        orders=_orders(view, facts, own, months) if len(own) else None,
        deals=[_deal(deal) for deal in facts.deals[:SHOWN_DEALS]],
        deals_note=_("the newest {shown} of {count}").format(shown=SHOWN_DEALS, count=f.number(len(facts.deals)))
        if len(facts.deals) > SHOWN_DEALS
        else "",
    )


def _described(facts: CustomerFacts, predicted: Worth | None) -> str:
    if predicted is None:
        return ""
    return _(
        "{revenue} of net revenue so far; over the next {count} months {value} are expected on top, with an 80 % range of {range}."
    ).format(revenue=f.money(facts.revenue, facts.currency), count=predicted.months, value=predicted.value, range=predicted.likely)


def _facts(facts: CustomerFacts) -> list[tuple[str, str]]:
    told = [
        (_("Segment"), facts.segment),
        (_("Region"), facts.region),
        (_("Industry"), facts.industry),
        (_("Channel"), facts.channel),
        (_("Owner"), facts.owner),
        (_("Account opened"), _day(facts.created_at)),
        (_("First order"), _day(facts.first_order_at)),
        (_("Last order"), _day(facts.last_order_at)),
        *((name.replace("_", " "), _own(value)) for name, value in facts.attributes.items()),
    ]
    return [(title, value or f.MISSING) for title, value in told]


def _own(value: float | bool | datetime | str | None) -> str:
    """A field of the company's own."""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, datetime):
        return _day(value)
    if isinstance(value, int | float):
        return f.number(value, 0 if float(value).is_integer() else 2)
    return str(value)


def _orders(view: View, facts: CustomerFacts, own: pd.DataFrame, months: pd.DataFrame) -> Orders:
    newest = own.sort_values(c.DS, ascending=False, kind="stable").head(SHOWN_ORDERS)
    shown = months.tail(SHOWN_MONTHS)
    description = _("Net revenue by month, from {first} to {last}.").format(
        first=f.month(shown["ds"].iloc[0]), last=f.month(shown["ds"].iloc[-1])
    )
    rows = [_order(view, row) for row in newest.to_dict("records")]
    return Orders(
        chart=orders_chart(shown, currency=facts.currency, description=description),
        description=description,
        rows=rows,
        told=_("the newest {shown} of {count}").format(shown=f.number(len(rows)), count=f.number(len(own)))
        if len(own) > len(rows)
        else ngettext("{count} order", "{count} orders", len(own)).format(count=f.number(len(own))),
        years=[(str(year.year), f.number(year.orders), f.amount(year.revenue), f.amount(year.refunded)) for year in facts.years],
        has_deals=any(row.deal_id for row in rows),
        has_products=any(row.product for row in rows),
    )


def _order(view: View, row: dict[Any, Any]) -> Order:
    deal_id = row[c.DEAL_ID] if isinstance(row[c.DEAL_ID], str) and view.sees("deal", row[c.DEAL_ID]) else ""
    return Order(
        day=f.date(row[c.DS]),
        order_id=str(row[c.ORDER_ID]),
        product=row[c.PRODUCT] if isinstance(row[c.PRODUCT], str) else "",
        amount=f.number(row[c.AMOUNT], 2),
        is_refund=row[c.AMOUNT] < 0,
        deal_id=deal_id,
        deal=view.label("deal", deal_id) if deal_id else "",
    )


def _deal(deal: DealRow) -> Deal:
    told = deal.prediction
    return Deal(
        deal_id=deal.deal_id,
        name=deal.label,
        state=deal.state,
        stage=deal.stage if deal.state == "open" and deal.stage else "",
        amount=f.amount(deal.amount),
        chance=f.percent(told.p_win) if told else f.MISSING,
        closes=f.date(pd.Timestamp(told.close_q50)) if told and told.close_q50 else _day(deal.closed_at),
        created=_day(deal.created_at),
    )


def _day(instant: datetime | None) -> str:
    return f.date(pd.Timestamp(instant)) if instant is not None else f.MISSING
