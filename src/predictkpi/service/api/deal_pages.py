"""Deals page by page, and what is known of one."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from predictkpi.core import columns as c
from predictkpi.service.deal_facts import facts_of
from predictkpi.service.deal_rows import OPEN, STATE, deal_row, deal_rows
from predictkpi.service.dependencies import CurrentView, problems
from predictkpi.service.listing import Asked, only, seen, source_of
from predictkpi.service.paging import Mask, Rows, link_next
from predictkpi.service.row_schemas import DealFacts, DealPage

router = APIRouter(prefix="/v1/deals", tags=["deals"])

Sort = Literal[
    "deal_id", "label", "stage", "owner", "created_at", "stage_since", "closed_at", "expected_close_on", "amount",
    "chance_90", "p_win", "close_q50", "p_slip", "expected_value",
    "-deal_id", "-label", "-stage", "-owner", "-created_at", "-stage_since", "-closed_at", "-expected_close_on", "-amount",
    "-chance_90", "-p_win", "-close_q50", "-p_slip", "-expected_value",
]  # fmt: skip
_FILTERS = (c.OWNER, c.TEAM, c.REGION, c.SEGMENT, c.STAGE, c.SOURCE, c.PRODUCT, c.CUSTOMER_ID)


class DealsAsked(Asked):
    """Which deals, and in which order."""

    state: Literal["open", "closed", "all"] = Field("open", description="open ones, those that are won or lost, or all")
    owner: list[str] = only("of this rep")
    team: list[str] = only("of this team")
    region: list[str] = only("of this region")
    segment: list[str] = only("with a customer of this segment")
    stage: list[str] = only("in this stage")
    source: list[str] = only("from this source")
    product: list[str] = only("about this product")
    customer_id: list[str] = only("of this customer")
    min_amount: float | None = Field(None, allow_inf_nan=False, description="only those with at least this amount")
    max_amount: float | None = Field(None, allow_inf_nan=False, description="only those with at most this amount")
    min_chance: float | None = Field(None, ge=0, le=1, description="only those with at least this chance to be won within 90 days")
    max_chance: float | None = Field(None, ge=0, le=1, description="only those with at most this chance")
    sort: Sort = Field("deal_id", description="in this order; with `-` from the largest on; rows without a value come last")


@router.get("", responses=problems("invalid-request", "not-ready", "no-data"))
def list_deals(asked: Annotated[DealsAsked, Query()], view: CurrentView, request: Request, response: Response) -> DealPage:
    """Deals with what is predicted of them, page by page; those open now, unless others are asked for.

    Follow `next` (or the header `Link`) until it is null. Filters are the same on every page; the sort must be. By `deal_id`, the default,
    a walk sees each deal once, also when data comes in between; by other fields a deal that moves meanwhile may come twice or not at all.
    """
    rows = deal_rows(view)
    kept = _state(rows, asked.state) & rows.among({name: getattr(asked, name) for name in _FILTERS})
    kept &= rows.between(c.AMOUNT, asked.min_amount, asked.max_amount) & rows.between("chance_90", asked.min_chance, asked.max_chance)
    found = rows.page(kept & seen(view, rows, "deal"), sort=asked.sort, cursor=asked.cursor, limit=asked.limit)
    link_next(request, response, found.next)
    items = [deal_row(row) for row in rows.dicts(found.positions)]
    return DealPage(**source_of(view, "close_time"), total=found.total, next=found.next, items=items)


@router.get("/{deal_id:path}", responses=problems("unknown-entity", "invalid-request", "not-ready", "no-data"))
def read_deal(
    deal_id: Annotated[str, Path(description="the company's own id", max_length=200, examples=["D-0001"])], view: CurrentView
) -> DealFacts:
    """A deal, open or closed, as it is known as of the view: its stages, amounts and owners so far, and the prediction in short."""
    return facts_of(view, deal_id)


def _state(rows: Rows, state: str) -> Mask:
    is_open = rows.columns[STATE] == OPEN
    return np.asarray({"open": is_open, "closed": ~is_open, "all": np.ones(len(is_open), bool)}[state], dtype=bool)
