"""Whether and when a deal will close."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import StreamingResponse

from predictkpi.core.access import Permission
from predictkpi.service.access.permissions import allow
from predictkpi.service.batches import counted
from predictkpi.service.deal_changes import change_of_week
from predictkpi.service.deal_schemas import DealChange
from predictkpi.service.deal_stream import NDJSON, batch_of, lines_of, record_items
from predictkpi.service.dependencies import CurrentView, Record, ServingState, problems
from predictkpi.service.horizons import Horizons, WithCurve, chosen_horizons
from predictkpi.service.payloads import predict, prepare
from predictkpi.service.reasons import Language, WithReasons, with_reasons
from predictkpi.service.schemas import BatchOut, DealBatchIn, DealIn, PredictionEnvelope
from predictkpi.service.wire import sent

router = APIRouter(prefix="/v1/deals", tags=["deals"])

DealId = Annotated[str, Path(description="the company's own id", max_length=200, examples=["D-0001"])]
_LINES: dict[str, Any] = {NDJSON: {"schema": {"type": "string", "description": "one JSON text a line"}}}
_OF_LINES: dict[int | str, dict[str, Any]] = {200: {"content": _LINES}}
_PROBLEMS = ("deal-closed", "insufficient-data", "invalid-request", "no-champion", "not-ready", "no-data")


@router.get(
    "/{deal_id:path}/close-time",
    dependencies=[allow(Permission.ROWS)],
    response_model=PredictionEnvelope,
    responses=problems("unknown-entity", *_PROBLEMS),
)
def deal_close_time(
    deal_id: DealId,
    view: CurrentView,
    record: Record,
    horizons: Horizons = None,
    curve: WithCurve = False,
    reasons: WithReasons = False,
    language: Language = "en",
) -> Response:
    """An open deal of the store: chance to be won and lost by each horizon, chance to win at all, and the close date given a win."""
    wanted = chosen_horizons(view.champion("close_time").predictor.spec, horizons)
    answer = view.predict("close_time", deal_id, horizons=wanted, with_curve=curve)
    record([answer])
    return sent(with_reasons(answer, view, language=language) if reasons else answer)


@router.get("/{deal_id:path}/close-time/changes", dependencies=[allow(Permission.ROWS)], responses=problems("unknown-entity", *_PROBLEMS))
def deal_changes(deal_id: DealId, view: CurrentView, serving: ServingState) -> DealChange:
    """What has moved an open deal's chance to be won within 90 days since a week ago: its data, time passing, a new model version."""
    return change_of_week(view, serving, deal_id)


@router.post(
    "/close-time",
    dependencies=[allow(Permission.PREDICT)],
    response_model=PredictionEnvelope,
    responses=problems("malformed-json", *_PROBLEMS),
)
def payload_close_time(
    deal: DealIn,
    view: CurrentView,
    record: Record,
    horizons: Horizons = None,
    curve: WithCurve = False,
    reasons: WithReasons = False,
    language: Language = "en",
) -> Response:
    """A deal in the request, which the store need not know. Only what the request says is used about it."""
    champion = view.champion("close_time")
    wanted = chosen_horizons(champion.predictor.spec, horizons)
    answers = predict([prepare(deal, view)], champion, view, horizons=wanted, with_curve=curve, reasons_in=language if reasons else None)
    record(answers)
    return sent(answers[0])


@router.post(
    "/close-time/batch",
    dependencies=[allow(Permission.PREDICT)],
    response_model=BatchOut,
    responses=_OF_LINES | problems("malformed-json", *(slug for slug in _PROBLEMS if slug != "deal-closed")),
    openapi_extra={"requestBody": {"content": _LINES}},
)
def batch_close_time(batch: DealBatchIn, view: CurrentView, request: Request, horizons: Horizons = None) -> Response:
    """Many deals at once; each is answered by a prediction or by its own problem, in the order of the request.

    As `application/x-ndjson` the request holds one deal a line, and the answer one item a line; that answer can also be had for a JSON
    request, by `Accept`. Neither is held in memory as a whole. Of more than 50,000 lines the rest is not answered, and a last item says so.
    """
    asked = batch_of(request, view, by_line=False)
    chunks = asked.chunks(batch.deals)
    if NDJSON in request.headers.get("accept", ""):
        return StreamingResponse(lines_of(chunks, request.scope, view), media_type=NDJSON)
    items = [item for chunk in chunks for item in chunk]
    record_items(items, request.scope, view)
    return sent(counted(items, view.as_of.isoformat()))
