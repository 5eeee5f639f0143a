"""The page at /deals/{deal_id}: what will become of a deal, why, and what has become of it so far."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from predictkpi.core.access import Permission
from predictkpi.service.access.permissions import CurrentCaller, allow
from predictkpi.service.dashboard.deal.context import DealPage, deal
from predictkpi.service.dashboard.site import show
from predictkpi.service.dependencies import ServingState
from predictkpi.service.view import View

__all__ = ["DealPage", "deal", "router"]

router = APIRouter(include_in_schema=False)


@router.get("/deals/{deal_id:path}", dependencies=[allow(Permission.ROWS)])
def deal_page(deal_id: Annotated[str, Path(max_length=200)], request: Request, caller: CurrentCaller, serving: ServingState) -> Response:
    """One deal, open or closed; for one that is not known, or not to be seen, the page of that error."""
    with_numbers = caller.may(Permission.NUMBERS)

    def build(view: View) -> DealPage:
        return deal(view, deal_id, serving=serving, with_numbers=with_numbers)

    return show(request, "deal.html", build, title=lambda page: page.name)
