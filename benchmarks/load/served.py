"""The service, with one more route: a deal validated as in ours, and a typed answer of ours' size, with no model between them."""

from __future__ import annotations

from fastapi import FastAPI

from predictkpi.core.access import Permission
from predictkpi.service.access.permissions import allow
from predictkpi.service.app import create_app
from predictkpi.service.payloads import predict, prepare
from predictkpi.service.schemas import DealIn, PredictionEnvelope
from predictkpi.settings import read_settings

WITHOUT_MODEL = "/without-model"
_constant: list[PredictionEnvelope] = []


def app() -> FastAPI:
    """For ``uvicorn --factory``."""
    served = create_app(read_settings())

    @served.post(WITHOUT_MODEL, dependencies=[allow(Permission.PREDICT)])
    async def without_model(deal: DealIn) -> PredictionEnvelope:
        if not _constant:
            view = served.state.serving.view
            answer = predict([prepare(deal, view)], view.champion("close_time"), view)[0]
            _constant.append(PredictionEnvelope.model_validate(answer, from_attributes=True))
        return _constant[0]

    return served
