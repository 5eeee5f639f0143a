"""The data itself: is there enough of it, and what was kept aside."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from predictkpi.core.access import Permission
from predictkpi.service.access.permissions import allow
from predictkpi.service.api.account import NO_NUL, Cursor, Limit
from predictkpi.service.data_schemas import ReadinessAnswer, RejectPage
from predictkpi.service.data_state import readiness_of, reject_page
from predictkpi.service.dependencies import CurrentView, ServingState, problems
from predictkpi.service.paging import link_next

router = APIRouter(prefix="/v1", tags=["data"])


@router.get("/readiness", dependencies=[allow(Permission.TRUST)], responses=problems("not-ready", "no-data"))
def read_readiness(view: CurrentView, request: Request) -> ReadinessAnswer:
    """By predictor: what there is, what is needed, which rung of the ladder that gives, and what would lift it."""
    return ReadinessAnswer(as_of=view.as_of, items=readiness_of(view, request.app.state.models_dir))


@router.get("/rejects", dependencies=[allow(Permission.REJECTS)], responses=problems("invalid-request", "store-unavailable"))
def read_rejects(
    serving: ServingState,
    request: Request,
    response: Response,
    table: Annotated[str | None, Query(max_length=200, pattern=NO_NUL, description="only of this table", examples=["orders"])] = None,
    file: Annotated[str | None, Query(max_length=1000, pattern=NO_NUL, description="only from this file or query")] = None,
    load_id: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="only of this load")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> RejectPage:
    """Rows that were kept aside, with what is wrong with each: the newest load first, the rows of one load in file order."""
    found = reject_page(serving.store, limit=limit, table=table, file=file, load_id=load_id, cursor=cursor)
    link_next(request, response, found.next)
    return found
