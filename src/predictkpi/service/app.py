"""The web application: opens store and registry, mounts API and dashboard, and stands guard before both."""

from __future__ import annotations

import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.datastructures import State

from predictkpi import __version__
from predictkpi.kpis.attainment import Bands
from predictkpi.pipelines.alerts import AlertRule
from predictkpi.pipelines.open_store import open_registry
from predictkpi.pipelines.rules import ALERTS, TARGETS, read_rule
from predictkpi.pipelines.webhooks import open_webhook
from predictkpi.service import error_handlers, openapi, tracing
from predictkpi.service.access import Access, AccessMiddleware, allow
from predictkpi.service.access.log import AccessLog
from predictkpi.service.access.oidc import Oidc
from predictkpi.service.answer_log import AnswerLog
from predictkpi.service.api import ROUTERS
from predictkpi.service.compression import CompressionMiddleware
from predictkpi.service.conditional import ConditionalMiddleware
from predictkpi.service.dashboard import ROUTERS as PAGES
from predictkpi.service.dashboard import warm_steps
from predictkpi.service.dashboard.assets import Assets
from predictkpi.service.dashboard.site import problem_page
from predictkpi.service.deliverer import Deliverer
from predictkpi.service.fast_paths import FastPaths
from predictkpi.service.fast_payloads import warm_up
from predictkpi.service.guards import GuardMiddleware
from predictkpi.service.idempotency import IdempotencyMiddleware
from predictkpi.service.logs import set_up
from predictkpi.service.lookout import Lookout
from predictkpi.service.memory import share_arenas
from predictkpi.service.metrics import Metrics, shared_folder
from predictkpi.service.middleware import RequestContextMiddleware
from predictkpi.service.peers import among_peers
from predictkpi.service.registry_memory import RegistryMemory
from predictkpi.service.state import POLL_SECONDS, Serving
from predictkpi.service.store_memory import StoreMemory
from predictkpi.settings import Settings, read_settings
from predictkpi.store import Store

LOG_WAIT_SECONDS = 2.0
"""For a load that is under way: the logs try again later, and a service that stops need not wait for long."""

KEY_WAIT_SECONDS = 0.2
"""For a load that is under way: the request waits, and is then answered without keeping the answer."""

SWITCH_SECONDS = 0.0005
"""How long a thread in the background may keep Python's lock while a request waits for it; 5 ms by default, at each read and write."""

_IN_OUR_OWN_WAY: dict[str, Any] = {
    **dict.fromkeys(("docs_url", "redoc_url", "openapi_url")),
    "telemetry": dict.fromkeys(("tracing", "metrics", "logs"), False),
}
"""What FastAPI would do by itself: pages of documentation (see `openapi` and the dashboard's), and telemetry (`tracing` and `metrics`)."""


def create_app(settings: Settings, *, poll_seconds: float = POLL_SECONDS, warms: bool = True) -> FastAPI:
    """The application; nothing is opened before it starts.

    ``poll_seconds``: how often the store, the keys and the champions' aliases are looked at, at most.
    ``warms``: whether pages are worked out before anybody asks for them.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        sys.setswitchinterval(SWITCH_SECONDS)
        share_arenas()
        state = app.state
        _read_rules(state, settings.models_dir)
        state.door = own_door
        state.lookout = Lookout(lambda: state.serving.in_sight)
        registry = open_registry(settings)
        state.registry_memory = RegistryMemory(registry)
        state.serving = Serving(
            store,
            registry,
            poll_seconds=poll_seconds,
            prepare=warm_up,
            warm=warm_steps(state) if warms else {},
            answers=AnswerLog(own_door),
            troubles=[lambda: state.accesses.trouble, lambda: state.deliverer.trouble],
        )
        state.deliverer = Deliverer(own_door, webhook, every_seconds=poll_seconds)
        # Stopped in reverse: the logs are written out before the deliverer waits for a receiver.
        parts = (state.deliverer, state.access, state.accesses, state.lookout, state.serving)
        for part in parts:
            part.start()
        state.assets.start()
        async with among_peers(shared_folder(), lambda: state.serving.current is not None and state.access.has_read):
            yield
        for part in reversed(parts):
            part.stop()
        store.close()
        own_door.close()
        door_of_keys.close()

    webhook = open_webhook(settings)
    # The logs, and what a person changes, have a door of their own: whoever waits there for a load keeps nobody else waiting.
    store, own_door = Store(settings.database_url), Store(settings.database_url, wait_seconds=LOG_WAIT_SECONDS)
    door_of_keys = Store(settings.database_url, wait_seconds=KEY_WAIT_SECONDS)
    app = FastAPI(
        title="predictkpi",
        version=__version__,
        lifespan=lifespan,
        **_IN_OUR_OWN_WAY,
        generate_unique_id_function=openapi.operation_id,
    )
    app.router.redirect_slashes = False
    app.state.assets = Assets()
    app.state.problem_page = problem_page
    app.state.metrics = Metrics()
    app.state.store_memory = StoreMemory()
    app.state.access = _access(settings, store, poll_seconds)
    app.state.accesses = AccessLog(own_door)
    error_handlers.install(app)
    openapi.install(app)
    for router, permission in ROUTERS:
        app.include_router(router, dependencies=[allow(permission)] if permission else [])
    for page in PAGES:
        app.include_router(page)
    _stand_guard(app, settings, door_of_keys)
    return app


def _read_rules(state: State, models_dir: Path) -> None:
    state.models_dir = models_dir
    state.alert_rule = read_rule(AlertRule, models_dir / ALERTS)
    state.bands = read_rule(Bands, models_dir / TARGETS)


def _stand_guard(app: FastAPI, settings: Settings, door_of_keys: Store) -> None:
    """The middleware; the last one added is the first to see a request."""
    app.add_middleware(FastPaths)
    app.add_middleware(ConditionalMiddleware)
    app.add_middleware(IdempotencyMiddleware, repeatables=door_of_keys.repeatables, seconds=settings.request_seconds)
    app.add_middleware(CompressionMiddleware, minimum_size=1000, compresslevel=6)
    app.add_middleware(
        GuardMiddleware,
        most_at_once=settings.most_at_once,
        max_body_bytes=settings.max_body_bytes,
        seconds=settings.request_seconds,
    )
    app.add_middleware(AccessMiddleware)
    app.add_middleware(RequestContextMiddleware, metrics=app.state.metrics, accesses=app.state.accesses, tracer=tracing.tracer())


def app_of_environment() -> FastAPI:
    """The application of the settings in force: what each process of `predictkpi serve --workers` makes."""
    settings = read_settings()
    set_up(settings.log_format, settings.log_level)
    return create_app(settings)


def _access(settings: Settings, store: Store, poll_seconds: float) -> Access:
    oidc = None
    if settings.oidc_issuer is not None:
        oidc = Oidc(settings.oidc_issuer, settings.oidc_audience or "", roles_claim=settings.oidc_roles_claim)
    secret = settings.session_secret.get_secret_value() if settings.session_secret else secrets.token_urlsafe(32)
    share = 1.0 / settings.workers
    return Access(store, host=settings.host, session_secret=secret, oidc=oidc, share=share, poll_seconds=poll_seconds)
