"""Who asks, and who saw and changed what."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from predictkpi.core.access import Permission
from predictkpi.service.access.permissions import CurrentCaller, allow
from predictkpi.service.account_schemas import AccessCount, AccessList, Change, ChangePage, Me, RowsHeldTo
from predictkpi.service.dependencies import ServingState, problems
from predictkpi.service.paging import link_next, pack, unpack
from predictkpi.store.audit import AUDIT_ID

router = APIRouter(prefix="/v1", tags=["account"])

NO_NUL = r"^[^\x00]*$"
"""No database takes a NUL character."""
Limit = Annotated[int, Query(ge=1, le=500, description="so many rows at most")]
Cursor = Annotated[str | None, Query(min_length=1, max_length=4000, description="`next` of the page before; the first page without it")]


@router.get("/me", dependencies=[allow(None)])
def read_me(caller: CurrentCaller) -> Me:
    """Who you are to this service: your role, what you may ask for, and the rows that you are held to."""
    return Me(
        id=caller.id,
        name=caller.name,
        role=caller.role,
        permissions=[permission for permission in Permission if caller.may(permission)],
        rows=RowsHeldTo(kind=caller.rows.kind, members=sorted(caller.rows.members)) if caller.rows else None,
        per_minute=caller.per_minute,
    )


@router.get("/audit", dependencies=[allow(Permission.AUDIT)], responses=problems("invalid-request", "store-unavailable"))
def read_audit(
    serving: ServingState,
    request: Request,
    response: Response,
    subject: Annotated[str | None, Query(max_length=200, pattern=NO_NUL, description="only of this predictor, key, ...")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> ChangePage:
    """What was changed, by whom and why, newest first: trainings, promotions, roll-backs, keys."""
    before = None if cursor is None else unpack(cursor, int)[0]
    found = serving.store.audit(subject=subject, limit=limit + 1, before=before)
    rows = found.head(limit).to_dict("records")
    following = pack(int(rows[-1][AUDIT_ID])) if len(found) > limit else None
    link_next(request, response, following)
    items = [Change(**{name: row[name] for name in ("at", "actor", "action", "subject")}, detail=json.loads(row["detail"])) for row in rows]
    return ChangePage(next=following, items=items)


@router.get("/audit/accesses", dependencies=[allow(Permission.AUDIT)], responses=problems("invalid-request", "store-unavailable"))
def read_accesses(
    serving: ServingState,
    subject: Annotated[str | None, Query(max_length=200, pattern=NO_NUL, description="only of this deal, customer, ...")] = None,
    actor: Annotated[str | None, Query(max_length=200, pattern=NO_NUL, description="only by this key or token")] = None,
    limit: Annotated[int, Query(ge=1, le=5000, description="so many rows at most")] = 100,
) -> AccessList:
    """Who asked for what, and how often: by day, caller, route, deal or customer, and outcome. Some seconds behind."""
    found = serving.store.accesses.read(subject=subject, actor=actor, limit=limit)
    return AccessList(items=[AccessCount(**row) for row in found.to_dict("records")])
