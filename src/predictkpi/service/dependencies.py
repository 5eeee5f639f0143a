"""What routes ask for: the serving state and the view of this moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Request

from predictkpi.pipelines.alerts import AlertRule
from predictkpi.service.access.permissions import CurrentCaller
from predictkpi.service.problems import PROBLEM_JSON, PROBLEM_TYPES
from predictkpi.service.schemas import PredictionEnvelope
from predictkpi.service.state import Serving
from predictkpi.service.view import View


def serving_of(request: Request) -> Serving:
    """The state that `create_app` opened."""
    return request.app.state.serving  # type: ignore[no-any-return]


def current_view(serving: Annotated[Serving, Depends(serving_of)], caller: CurrentCaller) -> View:
    """One view for the whole request, of the rows that the caller may see; raises `NotReadyError` while there is none."""
    return serving.view if caller.rows is None else serving.view.within(caller.rows)


def alert_rule_of(request: Request) -> AlertRule:
    """The company's rule for alerts, as the models folder had it when the service started."""
    return request.app.state.alert_rule  # type: ignore[no-any-return]


ServingState = Annotated[Serving, Depends(serving_of)]
CurrentView = Annotated[View, Depends(current_view)]


def recorder(request: Request, serving: ServingState, view: CurrentView) -> Callable[[Iterable[PredictionEnvelope]], None]:
    """Puts predictions that a route answers with into the log of served answers, and counts their rungs."""

    def record(answers: Iterable[PredictionEnvelope]) -> None:
        given = list(answers)
        serving.answers.record(given, at=view.local(datetime.now(UTC)))
        for answer in given:
            request.app.state.metrics.answered(answer.predictor, [answer.status.value])

    return record


Record = Annotated[Callable[[Iterable[PredictionEnvelope]], None], Depends(recorder)]
CurrentAlertRule = Annotated[AlertRule, Depends(alert_rule_of)]


def problems(*slugs: str) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route for these problem types, for OpenAPI."""
    responses: dict[int | str, dict[str, Any]] = {}
    for slug in slugs:
        kind = PROBLEM_TYPES[slug]
        text = f"{kind.title} (`{kind.path}`)"
        if kind.status in responses:
            responses[kind.status]["description"] += f" · {text}"
        else:
            content = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
            responses[kind.status] = {"description": text, "content": content}
    return responses
