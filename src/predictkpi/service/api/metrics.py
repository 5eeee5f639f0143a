"""How the service does, for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from predictkpi.service.dependencies import ServingState

router = APIRouter(tags=["health"])


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}})
def metrics(request: Request, serving: ServingState) -> Response:
    """Requests, latency, answers by rung of the ladder, served versions and the age of the data, in Prometheus' text format."""
    state = request.app.state
    return Response(state.metrics.text(serving, state.deliverer.counts), media_type=CONTENT_TYPE_LATEST)
