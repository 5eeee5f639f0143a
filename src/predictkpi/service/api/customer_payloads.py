"""What customers that the request describes will be worth."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response

from predictkpi.service.batches import Batch, counted
from predictkpi.service.customer_payload_schemas import CustomerBatchIn, CustomerBatchOut, CustomerIn
from predictkpi.service.customer_payloads import PreparedCustomer, predict, prepare
from predictkpi.service.customer_schemas import CustomerEnvelope
from predictkpi.service.dependencies import CurrentView, Record, problems
from predictkpi.service.error_handlers import request_id_of
from predictkpi.service.reasons import Language, WithReasons
from predictkpi.service.wire import sent

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

    def prepared(raw: Any, index: int, pointer: str) -> PreparedCustomer:
        return prepare(CustomerIn.model_validate(raw), view, index=index, pointer=pointer)

    asked = Batch(
        "customer",
        prepared,
        partial(predict, champion=champion, view=view),
        path=request.url.path,
        request_id=request_id_of(request),
    )
    items = [item for chunk in asked.chunks(batch.customers) for item in chunk]
    record(item.prediction for item in items if item.prediction is not None)
    return sent(counted(items, view.as_of.isoformat()))
