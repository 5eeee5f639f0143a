"""The page at /customers: who is worth what, who may have left, which channels pay, and how cohorts grow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Query, Request, Response

from predictkpi.core.access import Permission
from predictkpi.predictors.clv.ranks import RANKED_BY
from predictkpi.service.access.permissions import CurrentCaller, allow
from predictkpi.service.dashboard.customers.asked import CSV_PATH, PATH, Asked
from predictkpi.service.dashboard.customers.channels import Channels, channels
from predictkpi.service.dashboard.customers.cohorts import Cohorts, cohorts
from predictkpi.service.dashboard.customers.export import as_csv, file_name
from predictkpi.service.dashboard.customers.listing import Listing, listing
from predictkpi.service.dashboard.languages import LANGUAGES, current, marked, speaking
from predictkpi.service.dashboard.site import show
from predictkpi.service.dependencies import ShownView
from predictkpi.service.view import View

__all__ = ["Asked", "Company", "Customers", "customers", "router", "warm"]

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Company:
    """What is about the whole company."""

    channels: Channels | None
    cohorts: Cohorts | None


@dataclass(frozen=True)
class Customers:
    """The whole page; ``company``, and totals of everybody's rows, are for who may see the company's numbers."""

    listing: Listing
    company: Company | None


def asked_for(
    segment: str = "",
    region: str = "",
    channel: str = "",
    horizon: int = RANKED_BY,
    sort: str = "",
    q: Annotated[str, Query(max_length=200)] = "",
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
) -> Asked:
    """What the address says."""
    return Asked(segment, region, channel, horizon, sort, q, page)


AskedFor = Annotated[Asked, Depends(asked_for)]


@router.get(PATH, dependencies=[allow(Permission.ROWS)])
def customers_page(request: Request, asked: AskedFor, caller: CurrentCaller) -> Response:
    """The list of those whom the caller may see; company-wide figures for who may see those."""
    with_company = caller.may(Permission.NUMBERS)
    return show(request, "customers.html", lambda view: customers(view, asked, with_company=with_company), title=marked("Customers"))


@router.get(CSV_PATH, dependencies=[allow(Permission.ROWS)])
def customers_csv(asked: AskedFor, view: ShownView) -> Response:
    """The same list, all of it."""
    name = file_name(view, asked)
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(as_csv(view, asked), media_type="text/csv; charset=utf-8", headers=headers)


def customers(view: View, asked: Asked, *, with_company: bool) -> Customers:
    """Everything on the page at /customers."""
    with_totals = with_company or view.rows is not None  # of their own rows whoever is held to them may add up
    return Customers(listing(view, asked, with_totals=with_totals), _company(view) if with_company else None)


def warm(view: View) -> None:
    """Make what takes longest of a new view before anybody asks for it."""
    for code in LANGUAGES:
        with speaking(code):
            _company(view)
    listing(view, Asked())


def _company(view: View) -> Company:
    return cast(Company, view.page(f"customers-company {current().code}", lambda view: Company(channels(view), cohorts(view))))
