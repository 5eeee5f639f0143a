"""The data itself: is there enough of it, and what was kept aside."""

from __future__ import annotations

import json
from typing import Annotated, Any, cast

import pandas as pd
from fastapi import APIRouter, Query, Request, Response

from predictkpi.core.access import Permission
from predictkpi.pipelines.readiness import readiness
from predictkpi.service.access.permissions import allow
from predictkpi.service.api.account import NO_NUL, Cursor, Limit
from predictkpi.service.data_schemas import PredictorReadiness, ReadinessAnswer, ReadinessCount, Reject, RejectPage
from predictkpi.service.dependencies import CurrentView, ServingState, problems
from predictkpi.service.paging import link_next, pack, unpack

router = APIRouter(prefix="/v1", tags=["data"])


@router.get("/readiness", dependencies=[allow(Permission.TRUST)], responses=problems("not-ready", "no-data"))
def read_readiness(view: CurrentView, request: Request) -> ReadinessAnswer:
    """By predictor: what there is, what is needed, which rung of the ladder that gives, and what would lift it."""
    models_dir = request.app.state.models_dir
    table = cast(pd.DataFrame, view.page("readiness", lambda view: readiness(view.snapshot, models_dir=models_dir)))
    counts = list(ReadinessCount.model_fields)
    items = [
        PredictorReadiness(
            predictor=str(name),
            status=rows["status"].iloc[0],
            reason=rows["reason"].iloc[0],
            counts=[ReadinessCount(**row) for row in rows[counts].to_dict("records")],
        )
        for name, rows in table.groupby("predictor", sort=False)
    ]
    return ReadinessAnswer(as_of=view.as_of, items=items)


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
    after = None if cursor is None else cast(tuple[int, int], unpack(cursor, int, int))
    found = serving.store.rejects(limit + 1, load_id=load_id, table=table, file=file, with_records=True, after=after)
    rows = found.head(limit).to_dict("records")
    following = pack(int(rows[-1]["load_id"]), int(rows[-1]["reject_id"])) if len(found) > limit else None
    link_next(request, response, following)
    return RejectPage(total=serving.store.count_rejects(), next=following, items=[_reject(row) for row in rows])


def _reject(row: dict[Any, Any]) -> Reject:
    record = row["record"]
    return Reject(
        **{name: row[name] for name in Reject.model_fields if name != "record"},
        record=json.loads(record) if isinstance(record, str) and record else None,
    )
