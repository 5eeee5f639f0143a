"""What customers that the request describes will be worth."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from predictkpi.errors import PredictKpiError
from predictkpi.service import wire
from predictkpi.service.customer_payload_schemas import CustomerBatchIn, CustomerBatchOut, CustomerIn
from predictkpi.service.customer_payloads import PreparedCustomer, predict, prepare
from predictkpi.service.customer_schemas import CustomerEnvelope
from predictkpi.service.dependencies import CurrentView, Record, problems
from predictkpi.service.error_handlers import build_problem, fields_of, problem_of, request_id_of
from predictkpi.service.problems import PROBLEM_TYPES
from predictkpi.service.reasons import Language, WithReasons
from predictkpi.service.view import Champion, View
from predictkpi.service.wire import plain_problem, sent

router = APIRouter(prefix="/v1/customers", tags=["customers"])

_PROBLEMS = problems("malformed-json", "insufficient-data", "invalid-request", "no-champion", "not-ready", "no-data")


@router.post("/clv", response_model=CustomerEnvelope, responses=_PROBLEMS)
def payload_clv(
    customer: CustomerIn, view: CurrentView, record: Record, reasons: WithReasons = False, language: Language = "en"
) -> Response:
    """Lifetime value of a customer in the request, which the store need not know. Only what the request says is used about it.

    `rank` and `decile` say where it would stand among the customers of the store. Its margin, where the company gives any, is taken at the
    company's share.
    """
    prepared = prepare(customer, view)
    answers = predict([prepared], view.champion("clv"), view, reasons_in=language if reasons else None)
    record(answers)
    return sent(answers[0])


@router.post("/clv/batch", response_model=CustomerBatchOut, responses=_PROBLEMS)
def batch_clv(batch: CustomerBatchIn, view: CurrentView, record: Record, request: Request) -> Response:
    """Many customers at once; each is answered by a prediction or by its own problem, in the order of the request."""
    champion = view.champion("clv")
    items: dict[int, wire.BatchItem] = {}
    prepared: dict[int, PreparedCustomer] = {}
    for index, raw in enumerate(batch.customers):
        try:
            prepared[index] = prepare(CustomerIn.model_validate(raw), view, index=index, pointer=f"#/customers/{index}")
        except ValidationError as error:
            items[index] = _refused(index, error, request)
        except PredictKpiError as error:
            items[index] = _failed(index, error, request)
    for index, answer in zip(prepared, _predicted(list(prepared.values()), champion, view), strict=True):
        if isinstance(answer, PredictKpiError):
            items[index] = _failed(index, answer, request)
        else:
            items[index] = wire.BatchItem(index, prediction=answer)
    told = [items[index] for index in range(len(batch.customers))]
    record(item.prediction for item in told if item.prediction is not None)
    failed = sum(item.problem is not None for item in told)
    return sent(wire.BatchOut(as_of=view.as_of.isoformat(), succeeded=len(told) - failed, failed=failed, items=told))


def _predicted(prepared: Sequence[PreparedCustomer], champion: Champion, view: View) -> list[wire.CustomerEnvelope | PredictKpiError]:
    """All at once; if the model refuses the batch, one by one, so that only the customer it refuses goes without."""
    try:
        return list(predict(prepared, champion, view))
    except PredictKpiError as error:
        if len(prepared) == 1:
            return [error]
        return [_predicted([each], champion, view)[0] for each in prepared]


def _failed(index: int, error: PredictKpiError, request: Request) -> wire.BatchItem:
    return wire.BatchItem(index, problem=plain_problem(problem_of(error, instance=request.url.path, request_id=request_id_of(request))))


def _refused(index: int, error: ValidationError, request: Request) -> wire.BatchItem:
    fields = fields_of(error, prefix=["body", "customers", index])
    detail = f"customer {index}: {len(fields)} value{'s' if len(fields) != 1 else ''} cannot be used: see errors"
    kind = PROBLEM_TYPES["invalid-request"]
    problem = build_problem(kind, detail=detail, instance=request.url.path, request_id=request_id_of(request), fields=fields)
    return wire.BatchItem(index, problem=plain_problem(problem))
