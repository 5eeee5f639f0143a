"""The page at /customers/{customer_id}: what one customer has brought, will bring, and why."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from predictkpi.core.access import Permission
from predictkpi.service.access.permissions import allow
from predictkpi.service.dashboard.customer.context import Customer, customer
from predictkpi.service.dashboard.site import show

__all__ = ["Customer", "customer", "router"]

router = APIRouter(include_in_schema=False)


@router.get("/customers/{customer_id:path}", dependencies=[allow(Permission.ROWS)])
def customer_page(request: Request, customer_id: Annotated[str, Path(max_length=200)]) -> Response:
    """One customer; who is unknown, or not the caller's to see, is a page that says so."""
    return show(request, "customer.html", lambda view: customer(view, customer_id), title=lambda page: page.name)
