"""Customers page by page, and what is known of one."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from predictkpi.core import columns as c
from predictkpi.service.customer_facts import customer_facts, customer_row
from predictkpi.service.customer_rows import REVENUE, customer_rows
from predictkpi.service.dependencies import CurrentView, problems
from predictkpi.service.listing import Asked, only, seen, source_of
from predictkpi.service.paging import link_next
from predictkpi.service.row_schemas import CustomerFacts, CustomerPage

router = APIRouter(prefix="/v1/customers", tags=["customers"])

Sort = Literal[
    "customer_id", "label", "owner", "created_at", "first_order_at", "last_order_at", "orders", "revenue", "open_deals",
    "mean", "p_alive", "rank",
    "-customer_id", "-label", "-owner", "-created_at", "-first_order_at", "-last_order_at", "-orders", "-revenue", "-open_deals",
    "-mean", "-p_alive", "-rank",
]  # fmt: skip
_FILTERS = (c.SEGMENT, c.REGION, c.INDUSTRY, c.CHANNEL, c.OWNER)


class CustomersAsked(Asked):
    """Which customers, and in which order."""

    segment: list[str] = only("of this segment")
    region: list[str] = only("of this region")
    industry: list[str] = only("of this industry")
    channel: list[str] = only("that this channel won")
    owner: list[str] = only("whose newest deal this rep owns")
    min_value: float | None = Field(None, allow_inf_nan=False, description="only those worth at least this within 12 months (mean)")
    max_value: float | None = Field(None, allow_inf_nan=False, description="only those worth at most this")
    min_revenue: float | None = Field(None, allow_inf_nan=False, description="only those with at least this net revenue so far")
    max_revenue: float | None = Field(None, allow_inf_nan=False, description="only those with at most this net revenue so far")
    sort: Sort = Field("customer_id", description="in this order; with `-` from the largest on; rows without a value come last")


@router.get("", responses=problems("invalid-request", "not-ready", "no-data"))
def list_customers(asked: Annotated[CustomersAsked, Query()], view: CurrentView, request: Request, response: Response) -> CustomerPage:
    """Customers with what they will be worth, page by page, accounts without an order among them.

    Follow `next` (or the header `Link`) until it is null. Filters are the same on every page; the sort must be. By `customer_id`, the
    default, a walk sees each customer once, also when data comes in between; by other fields one that moves may come twice or not at all.
    """
    rows = customer_rows(view)
    kept = rows.among({name: getattr(asked, name) for name in _FILTERS})
    kept &= rows.between("mean", asked.min_value, asked.max_value) & rows.between(REVENUE, asked.min_revenue, asked.max_revenue)
    found = rows.page(kept & seen(view, rows, "customer"), sort=asked.sort, cursor=asked.cursor, limit=asked.limit)
    link_next(request, response, found.next)
    items = [customer_row(row) for row in rows.dicts(found.positions)]
    return CustomerPage(**source_of(view, "clv"), total=found.total, next=found.next, items=items)


@router.get("/{customer_id:path}", responses=problems("unknown-entity", "invalid-request", "not-ready", "no-data"))
def read_customer(
    customer_id: Annotated[str, Path(description="the company's own id", max_length=200, examples=["C-0001"])], view: CurrentView
) -> CustomerFacts:
    """A customer as it is known as of the view: its orders by year, its deals, and the prediction in short."""
    return customer_facts(view, customer_id)
