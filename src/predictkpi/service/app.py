"""The web application: opens store and registry, mounts API and dashboard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware

from predictkpi import __version__
from predictkpi.pipelines.alerts import AlertRule
from predictkpi.pipelines.open_store import open_registry, open_store
from predictkpi.pipelines.rules import ALERTS, read_rule
from predictkpi.service import error_handlers, openapi
from predictkpi.service.answer_log import AnswerLog
from predictkpi.service.api import ROUTERS
from predictkpi.service.dashboard.assets import Assets
from predictkpi.service.dashboard.pages import router as pages
from predictkpi.service.dashboard.pages import warm
from predictkpi.service.middleware import RequestContextMiddleware
from predictkpi.service.state import POLL_SECONDS, Serving
from predictkpi.settings import Settings
from predictkpi.store import Store

LOG_WAIT_SECONDS = 2.0
"""For a load that is under way: the log tries again later, and a service that stops need not wait for long."""


def create_app(settings: Settings, *, poll_seconds: float = POLL_SECONDS) -> FastAPI:
    """The application; nothing is opened before it starts.

    ``poll_seconds``: how often the store and the champions' aliases are looked at, at most.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        store, registry = open_store(settings), open_registry(settings)
        assets: Assets = app.state.assets
        app.state.alert_rule = read_rule(AlertRule, settings.models_dir / ALERTS)
        own_door = Store(settings.database_url, wait_seconds=LOG_WAIT_SECONDS)
        answers = AnswerLog(own_door)
        app.state.serving = Serving(store, registry, poll_seconds=poll_seconds, warm=lambda view: warm(view, assets), answers=answers)
        app.state.serving.start()
        assets.start()
        yield
        app.state.serving.stop()
        store.close()
        own_door.close()

    app = FastAPI(title="predictkpi", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.assets = Assets()
    error_handlers.install(app)
    openapi.install(app)
    for router in ROUTERS:
        app.include_router(router)
    app.include_router(pages)
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=6)
    app.add_middleware(RequestContextMiddleware)
    return app
