"""What routes ask for: the serving state and the view of this moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.types import Scope

from predictkpi.core.access import Caller
from predictkpi.kpis.attainment import Bands
from predictkpi.pipelines.alerts import AlertRule
from predictkpi.service.kpi_answers import Rules
from predictkpi.service.lookout import Lookout
from predictkpi.service.problems import PROBLEM_JSON, PROBLEM_TYPES
from predictkpi.service.registry_memory import RegistryMemory
from predictkpi.service.state import Serving, Shown
from predictkpi.service.store_memory import StoreMemory
from predictkpi.service.view import View
from predictkpi.service.wire import Envelope


def serving_of(request: Request) -> Serving:
    """The state that `create_app` opened."""
    return request.app.state.serving  # type: ignore[no-any-return]


def current_view(request: Request) -> View:
    """One view for the whole request, of the rows that the caller may see; raises `NotReadyError` while there is none."""
    return view_for(request.scope)


def view_for(scope: Scope) -> View:
    """`current_view` for who answers a request outside of the routes."""
    serving: Serving = scope["app"].state.serving
    caller: Caller = scope["state"]["caller"]
    return serving.view if caller.rows is None else serving.view.within(caller.rows)


def shown_for(scope: Scope) -> Shown:
    """What pages are shown from, of the rows that the caller may see; raises `NotReadyError` while there is nothing."""
    serving: Serving = scope["app"].state.serving
    caller: Caller = scope["state"]["caller"]
    shown = serving.shown
    return shown if caller.rows is None else replace(shown, view=shown.view.within(caller.rows))


def shown_view(request: Request) -> View:
    """The view that pages are shown from, for what belongs to one of them: a file of what it shows, a form that stands on it."""
    return shown_for(request.scope).view


def alert_rule_of(request: Request) -> AlertRule:
    """The company's rule for alerts, as the models folder had it when the service started."""
    return request.app.state.alert_rule  # type: ignore[no-any-return]


def bands_of(request: Request) -> Bands:
    """Where the light of a target changes, likewise."""
    return request.app.state.bands  # type: ignore[no-any-return]


def rules_of(request: Request) -> Rules:
    """Both of them."""
    return Rules(bands_of(request), alert_rule_of(request))


def lookout_of(request: Request) -> Lookout:
    """Who looks for alerts."""
    return request.app.state.lookout  # type: ignore[no-any-return]


def memory_of(request: Request) -> RegistryMemory:
    """What this process keeps of the registry."""
    return request.app.state.registry_memory  # type: ignore[no-any-return]


def store_memory_of(request: Request) -> StoreMemory:
    """What this process keeps of what pages read of the store."""
    return request.app.state.store_memory  # type: ignore[no-any-return]


ServingState = Annotated[Serving, Depends(serving_of)]
CurrentView = Annotated[View, Depends(current_view)]
ShownView = Annotated[View, Depends(shown_view)]


def recorder(request: Request, view: CurrentView) -> Callable[[Iterable[Envelope]], None]:
    """Puts predictions that a route answers with into the log of served answers, and counts their rungs."""
    return lambda answers: record_answers(request.scope, view, list(answers))


def record_answers(scope: Scope, view: View, answers: Sequence[Envelope]) -> None:
    """The same for who answers a request outside of the routes."""
    state = scope["app"].state
    state.serving.answers.record(answers, at=view.now())
    state.metrics.answered(answers)


Record = Annotated[Callable[[Iterable[Envelope]], None], Depends(recorder)]
CurrentBands = Annotated[Bands, Depends(bands_of)]
CurrentAlertRule = Annotated[AlertRule, Depends(alert_rule_of)]
CurrentRules = Annotated[Rules, Depends(rules_of)]
CurrentLookout = Annotated[Lookout, Depends(lookout_of)]
CurrentMemory = Annotated[RegistryMemory, Depends(memory_of)]
CurrentStoreMemory = Annotated[StoreMemory, Depends(store_memory_of)]


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
