"""The dashboard: server-rendered pages, their charts and their assets. No build step, no address outside this service at run time.

A page is a folder: its router and its context (what is shown, as dataclasses of finished texts). `templates` writes contexts out, `site` is
what all pages share, `languages` and `formats` say it in the reader's language.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.datastructures import State

from predictkpi.service.dashboard import (
    customer,
    customers,
    deal,
    forecast,
    kpis,
    models,
    overview,
    pipeline,
    reference,
    sign_in,
    trust,
)
from predictkpi.service.kpi_answers import Rules
from predictkpi.service.view import View

__all__ = ["ROUTERS", "warm_steps"]

ROUTERS = (
    overview.router,
    forecast.router,
    pipeline.router,
    deal.router,
    customers.router,
    customer.router,
    kpis.router,
    trust.router,
    models.router,
    sign_in.router,
    reference.router,
)
"""What the app mounts; each route says itself whom it answers."""


def warm_steps(state: State) -> dict[str, Callable[[View], object]]:
    """What works out what the readers of a new view share, by the path of the page that needs it; ``state`` is the application's."""
    rules = Rules(state.bands, state.alert_rule)
    return {
        "/": lambda view: overview.warm(view, rules, state.lookout),
        "/pipeline": lambda view: pipeline.warm(view, state.serving),
        "/forecast": forecast.warm,
        "/customers": customers.warm,
        "/kpis": lambda view: kpis.warm(view, rules),
        "/trust": lambda view: trust.warm(view, state.models_dir, state.registry_memory),
    }
