"""What is known of one customer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.errors import UnknownEntityError
from predictkpi.service.customer_rows import ORDERS, PREDICTED, REVENUE, customer_rows
from predictkpi.service.deal_rows import deal_row, deal_rows
from predictkpi.service.listing import own_fields, seen, source_of
from predictkpi.service.row_schemas import CustomerFacts, CustomerHeadline, CustomerRow, CustomerYear, DealRow
from predictkpi.service.view import View

MOST_DEALS = 100


def customer_facts(view: View, customer_id: str) -> CustomerFacts:
    """Raises `UnknownEntityError` also for a customer whom the caller may not see."""
    rows = customer_rows(view)
    place = rows.place(customer_id)
    if place is None or not view.sees("customer", customer_id):
        raise UnknownEntityError(f"no customer {customer_id!r} is known as of {view.as_of.isoformat()}")
    told = source_of(view, "clv")
    del told["reason"]
    return CustomerFacts(
        **dict(customer_row(rows.dicts(np.array([place]))[0])),
        **told,
        years=_years(view, customer_id),
        deals=_deals(view, customer_id),
        attributes=own_fields(view, "customers", customer_id),
    )


def customer_row(row: dict[str, Any]) -> CustomerRow:
    """One of `customer_rows` as it is answered."""
    headline = {name: row[name] for name in PREDICTED}
    shown = {name: row[name] for name in CustomerRow.model_fields if name != "prediction"}
    return CustomerRow(**shown, prediction=None if headline["mean"] is None else CustomerHeadline(**headline))


def _years(view: View, customer_id: str) -> list[CustomerYear]:
    orders = view.snapshot.orders
    own = orders.loc[orders[c.CUSTOMER_ID] == customer_id, [c.DS, c.AMOUNT]]
    back = pd.Series(np.fmax(-own[c.AMOUNT], 0.0), index=own.index)
    years = (
        own.assign(refunded=back)
        .groupby(own[c.DS].dt.year)
        .agg(**{ORDERS: (c.AMOUNT, "size"), REVENUE: (c.AMOUNT, "sum"), "refunded": ("refunded", "sum")})
    )
    return [CustomerYear(year=int(year), **row) for year, row in years.to_dict("index").items()]


def _deals(view: View, customer_id: str) -> list[DealRow]:
    rows = deal_rows(view)
    own = rows.among({c.CUSTOMER_ID: [customer_id]}) & seen(view, rows, "deal")
    found = rows.page(own, sort="-created_at", cursor=None, limit=MOST_DEALS)
    return [deal_row(row) for row in rows.dicts(found.positions)]
