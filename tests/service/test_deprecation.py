"""A route that will go says so in its answers and in the OpenAPI document."""

from __future__ import annotations

import asyncio
from datetime import date

import httpx
import pytest
from fastapi import FastAPI

from predictkpi.core.access import ANYBODY_HERE, Permission
from predictkpi.service import error_handlers, openapi
from predictkpi.service.access import allow
from predictkpi.service.access.log import AccessLog
from predictkpi.service.deprecation import retires
from predictkpi.service.metrics import Metrics
from predictkpi.service.middleware import RequestContextMiddleware
from predictkpi.store import Store


@pytest.fixture
def app():
    app = FastAPI(title="t", version="1", generate_unique_id_function=openapi.operation_id)
    error_handlers.install(app)
    openapi.install(app)

    @app.get(
        "/v1/old",
        tags=["kpis"],
        dependencies=[allow(Permission.NUMBERS), retires(since=date(2026, 1, 1), gone=date(2027, 1, 1), successor="/v1/new")],
    )
    def old(number: int = 0) -> dict[str, int]:
        """Old."""
        return {"number": number}

    @app.get("/v1/new", tags=["kpis"], dependencies=[allow(Permission.NUMBERS)])
    def new() -> dict[str, int]:
        """New."""
        return {}

    return app


@pytest.fixture
def get(app):
    async def with_caller(scope, receive, send):
        scope.setdefault("state", {})["caller"] = ANYBODY_HERE
        await app(scope, receive, send)

    transport = httpx.ASGITransport(RequestContextMiddleware(with_caller, metrics=Metrics(), accesses=AccessLog(Store("sqlite://"))))

    async def get(path):
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(path)

    return lambda path: asyncio.run(get(path))


@pytest.mark.parametrize("path", ["/v1/old", "/v1/old?number=x"])
def test_deprecated_route__says_since_when_until_when_and_what_takes_its_place(get, path):
    headers = get(path).headers
    assert headers["deprecation"] == "@1767225600"
    assert headers["sunset"] == "Fri, 01 Jan 2027 00:00:00 GMT"
    assert '</v1/new>; rel="successor-version"' in headers["link"]


def test_other_routes__say_nothing(get):
    assert {"deprecation", "sunset", "link"} & set(get("/v1/new").headers) == set()


def test_document__marks_it(app):
    paths = app.openapi()["paths"]
    assert paths["/v1/old"]["get"]["deprecated"] is True
    assert "gone on 2027-01-01: use /v1/new" in paths["/v1/old"]["get"]["description"]
    assert "deprecated" not in paths["/v1/new"]["get"]


def test_route__that_goes_before_it_is_deprecated_is_refused():
    with pytest.raises(ValueError, match="clients need time"):
        retires(since=date(2026, 1, 1), gone=date(2026, 1, 1), successor="/v1/new")
