"""What a customer will be worth."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from predictkpi.service.customer_answers import ranked
from predictkpi.service.customer_schemas import CustomerEnvelope
from predictkpi.service.dependencies import CurrentView, Record, problems
from predictkpi.service.reasons import Language, WithReasons, with_reasons
from predictkpi.service.wire import sent

router = APIRouter(prefix="/v1/customers", tags=["customers"])


@router.get(
    "/{customer_id:path}/clv",
    response_model=CustomerEnvelope,
    responses=problems("unknown-entity", "insufficient-data", "invalid-request", "no-champion", "not-ready", "no-data"),
)
def customer_clv(
    customer_id: Annotated[str, Path(description="the company's own id", max_length=200, examples=["C-0001"])],
    view: CurrentView,
    record: Record,
    reasons: WithReasons = False,
    language: Language = "en",
) -> Response:
    """Customer lifetime value: net revenue expected over 3, 6, 12 and 24 months with its interval, and the chance to be active still.

    `rank` and `decile` say where the customer stands among all, by the mean over 12 months.
    """
    answer = view.predict("clv", customer_id)
    record([answer])
    return sent(ranked(with_reasons(answer, view, language=language) if reasons else answer, view))
