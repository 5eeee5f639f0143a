"""The pages at /pipeline and /pipeline.csv: open deals by what they are worth, what moved them, and what is amiss with them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from predictkpi.core.access import Permission
from predictkpi.service.access.permissions import CurrentCaller, allow
from predictkpi.service.dashboard.languages import marked
from predictkpi.service.dashboard.pipeline.book import Asked, chosen, known_filters, open_book
from predictkpi.service.dashboard.pipeline.context import Pipeline, pipeline
from predictkpi.service.dashboard.pipeline.export import as_csv
from predictkpi.service.dashboard.pipeline.funnel import of_company
from predictkpi.service.dashboard.site import show
from predictkpi.service.deal_changes import change_of_week, week_before
from predictkpi.service.dependencies import ServingState, ShownView
from predictkpi.service.state import Serving
from predictkpi.service.view import View

__all__ = ["Pipeline", "pipeline", "router", "warm"]

router = APIRouter(include_in_schema=False)

PipelineAsked = Annotated[Asked, Query()]


@router.get("/pipeline", dependencies=[allow(Permission.ROWS)])
def pipeline_page(request: Request, asked: PipelineAsked, caller: CurrentCaller, serving: ServingState) -> Response:
    """Open deals of whom the caller may see, fifty at a time, and the funnel of their stages."""
    with_numbers = caller.may(Permission.NUMBERS)

    def build(view: View) -> Pipeline:
        return pipeline(view, asked, before=week_before(view, serving), with_numbers=with_numbers)

    return show(request, "pipeline.html", build, title=marked("Pipeline"))


@router.get("/pipeline.csv", dependencies=[allow(Permission.ROWS)])
def pipeline_csv(asked: PipelineAsked, view: ShownView, serving: ServingState) -> Response:
    """The same deals, all of them, as a table for a spreadsheet."""
    book = chosen(view, open_book(view, week_before(view, serving)), asked)
    headers = {
        "Content-Disposition": f'attachment; filename="pipeline-{view.as_of:%Y-%m-%d}.csv"',
        "Cache-Control": "private, no-cache",
    }
    return Response(as_csv(view, book), media_type="text/csv; charset=utf-8", headers=headers)


def warm(view: View, serving: Serving) -> None:
    """Work out, before anybody asks, what all readers of a new view share."""
    before = week_before(view, serving)
    book = open_book(view, before)
    if before.by and len(book):
        change_of_week(view, serving, str(book.index[0]))  # the facts of a week ago, looked at as of now: indexed once for all deals
    known_filters(view)
    of_company(view)
