"""The page at /trust: how good have the forecasts been, and can the data be relied on?"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from predictkpi.core.access import Permission
from predictkpi.errors import StoreError
from predictkpi.pipelines.targets import REMOVED, SET
from predictkpi.service.access.permissions import CurrentCaller, allow
from predictkpi.service.api.account import NO_NUL, Cursor
from predictkpi.service.dashboard.languages import marked
from predictkpi.service.dashboard.site import show
from predictkpi.service.dashboard.trust.context import Trust, records_of_champions, trust, warm
from predictkpi.service.dashboard.trust.data import Rejects, rejects
from predictkpi.service.data_state import reject_page
from predictkpi.service.dependencies import CurrentStoreMemory, ServingState
from predictkpi.service.view import View
from predictkpi.store import Store

__all__ = ["Trust", "router", "trust", "warm"]

router = APIRouter(include_in_schema=False)

REJECTS_SHOWN = 20


@router.get("/trust", dependencies=[allow(Permission.TRUST)])
def trust_page(
    request: Request,
    caller: CurrentCaller,
    serving: ServingState,
    kept: CurrentStoreMemory,
    file: Annotated[str, Query(max_length=1000, pattern=NO_NUL)] = "",
    table: Annotated[str, Query(max_length=200, pattern=NO_NUL)] = "",
    cursor: Cursor = None,
) -> HTMLResponse:
    """The page; rows that were kept aside only for who may see them, from this file and of this table where named."""

    def build(view: View) -> Trust:
        aside, trouble = _rejects(serving.store, file, table, cursor) if caller.may(Permission.REJECTS) else (None, "")
        return trust(
            view,
            records=records_of_champions(view, request.app.state.registry_memory),
            loads=kept.read("the book of loads", lambda: serving.store.loads(1, besides=(SET, REMOVED))),
            models_dir=request.app.state.models_dir,
            rejects=aside,
            rejects_trouble=trouble,
        )

    return show(request, "trust.html", build, title=marked("Trust"))


def _rejects(store: Store, file: str, table: str, cursor: str | None) -> tuple[Rejects | None, str]:
    """The rows, or why they cannot be shown."""
    try:
        page = reject_page(store, limit=REJECTS_SHOWN, file=file or None, table=table or None, cursor=cursor)
        return rejects(store.reject_groups(), page, file=file, table=table, is_first=cursor is None), ""
    except StoreError as error:
        return None, str(error)
