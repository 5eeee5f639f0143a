"""Whether and when a deal will close."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, cast

from fastapi import APIRouter, Path, Request
from pydantic import ValidationError

from predictkpi.core.access import Permission
from predictkpi.errors import PredictKpiError
from predictkpi.pipelines.changes import week_change
from predictkpi.predictors.close_time.changes import HORIZON, Week
from predictkpi.service.access.permissions import allow
from predictkpi.service.deal_schemas import ChangeParts, DealChange
from predictkpi.service.dependencies import CurrentView, Record, ServingState, problems
from predictkpi.service.envelopes import model_of
from predictkpi.service.error_handlers import build_problem, fields_of, problem_of, request_id_of
from predictkpi.service.horizons import Horizons, WithCurve, chosen_horizons
from predictkpi.service.payloads import PreparedDeal, predict, prepare
from predictkpi.service.problems import PROBLEM_TYPES
from predictkpi.service.reasons import Language, WithReasons, with_reasons
from predictkpi.service.schemas import BatchItem, BatchOut, DealBatchIn, DealIn, PredictionEnvelope, Problem

router = APIRouter(prefix="/v1/deals", tags=["deals"])

DealId = Annotated[str, Path(description="the company's own id", max_length=200, examples=["D-0001"])]
_PROBLEMS = ("deal-closed", "insufficient-data", "invalid-request", "no-champion", "not-ready", "no-data")


@router.get("/{deal_id:path}/close-time", dependencies=[allow(Permission.ROWS)], responses=problems("unknown-entity", *_PROBLEMS))
def deal_close_time(
    deal_id: DealId,
    view: CurrentView,
    record: Record,
    horizons: Horizons = None,
    curve: WithCurve = False,
    reasons: WithReasons = False,
    language: Language = "en",
) -> PredictionEnvelope:
    """An open deal of the store: chance to be won and lost by each horizon, chance to win at all, and the close date given a win."""
    wanted = chosen_horizons(view.champion("close_time").predictor.spec, horizons)
    answer = view.predict("close_time", deal_id, horizons=wanted, with_curve=curve)
    record([answer])
    return with_reasons(answer, view, language=language) if reasons else answer


@router.get("/{deal_id:path}/close-time/changes", dependencies=[allow(Permission.ROWS)], responses=problems("unknown-entity", *_PROBLEMS))
def deal_changes(deal_id: DealId, view: CurrentView, serving: ServingState) -> DealChange:
    """What has moved an open deal's chance to be won within 90 days since a week ago: its data, time passing, a new model version."""
    champion = view.champion("close_time")
    view.demand("deal", deal_id)
    week = cast(Week, view.page("week", lambda view: Week.before(view.snapshot)))
    found = week_change(serving.store, serving.registry, deal_id, week, predictor=champion.predictor, ref=champion.ref)
    change = found.change
    parts = None
    if change.before is not None and change.data is not None and change.time is not None and change.model is not None:
        parts = ChangeParts(data=change.data, time=change.time, model=change.model)
    return DealChange(
        entity_id=deal_id,
        label=view.label("deal", deal_id),
        as_of=change.as_of,
        since=change.since,
        horizon=HORIZON,
        now=change.now,
        before=change.before,
        change=None if change.before is None else change.now - change.before,
        parts=parts,
        model=model_of(champion.ref),
        version_before=found.version_before,
        notes=list(found.notes),
    )


@router.post("/close-time", dependencies=[allow(Permission.PREDICT)], responses=problems("malformed-json", *_PROBLEMS))
def payload_close_time(
    deal: DealIn,
    view: CurrentView,
    record: Record,
    horizons: Horizons = None,
    curve: WithCurve = False,
    reasons: WithReasons = False,
    language: Language = "en",
) -> PredictionEnvelope:
    """A deal in the request, which the store need not know. Only what the request says is used about it."""
    champion = view.champion("close_time")
    wanted = chosen_horizons(champion.predictor.spec, horizons)
    answers = predict([prepare(deal, view)], champion, view, horizons=wanted, with_curve=curve, reasons_in=language if reasons else None)
    record(answers)
    return answers[0]


@router.post(
    "/close-time/batch",
    dependencies=[allow(Permission.PREDICT)],
    responses=problems("malformed-json", *(slug for slug in _PROBLEMS if slug != "deal-closed")),
)
def batch_close_time(batch: DealBatchIn, view: CurrentView, record: Record, request: Request, horizons: Horizons = None) -> BatchOut:
    """Many deals at once; each is answered by a prediction or by its own problem, in the order of the request."""
    champion = view.champion("close_time")
    wanted = chosen_horizons(champion.predictor.spec, horizons)
    answers = _Answers(request.url.path, request_id_of(request))
    prepared: list[tuple[int, PreparedDeal]] = []
    for index, raw in enumerate(batch.deals):
        try:
            deal = DealIn.model_validate(raw)
            prepared.append((index, prepare(deal, view, index=index, pointer=f"#/deals/{index}")))
        except ValidationError as error:
            answers.refuse_fields(index, error)
        except PredictKpiError as error:
            answers.refuse(index, error)

    def answer(deals: Sequence[PreparedDeal]) -> list[PredictionEnvelope]:
        return predict(deals, champion, view, horizons=wanted)

    _predict_all(prepared, answer, answers)
    items = [answers.items[index] for index in range(len(batch.deals))]
    record(item.prediction for item in items if item.prediction is not None)
    failed = sum(item.problem is not None for item in items)
    return BatchOut(as_of=view.as_of, succeeded=len(items) - failed, failed=failed, items=items)


class _Answers:
    """The items of a batch's answer, filled in any order."""

    def __init__(self, path: str, request_id: str) -> None:
        self.items: dict[int, BatchItem] = {}
        self._path = path
        self._request_id = request_id

    def accept(self, index: int, prediction: PredictionEnvelope) -> None:
        self.items[index] = BatchItem(index=index, prediction=prediction)

    def refuse(self, index: int, error: PredictKpiError) -> None:
        self._put(index, problem_of(error, instance=self._path, request_id=self._request_id))

    def refuse_fields(self, index: int, error: ValidationError) -> None:
        fields = fields_of(error, prefix=["body", "deals", index])
        detail = f"deal {index}: {len(fields)} value{'s' if len(fields) != 1 else ''} cannot be used: see errors"
        kind = PROBLEM_TYPES["invalid-request"]
        self._put(index, build_problem(kind, detail=detail, instance=self._path, request_id=self._request_id, fields=fields))

    def _put(self, index: int, problem: Problem) -> None:
        self.items[index] = BatchItem(index=index, problem=problem)


def _predict_all(
    prepared: list[tuple[int, PreparedDeal]], answer: Callable[[Sequence[PreparedDeal]], list[PredictionEnvelope]], answers: _Answers
) -> None:
    """All at once; if the model refuses the batch, one by one, so that only the deal it refuses goes without."""
    try:
        for (index, _), prediction in zip(prepared, answer([deal for _, deal in prepared]), strict=True):
            answers.accept(index, prediction)
    except PredictKpiError:
        for index, deal in prepared:
            try:
                answers.accept(index, answer([deal])[0])
            except PredictKpiError as error:
                answers.refuse(index, error)
