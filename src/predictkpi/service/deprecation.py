"""Routes that will go: said in headers (RFC 9745, RFC 8594) and in the OpenAPI document, long before."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from typing import Any

from fastapi import Depends, Request
from fastapi.routing import APIRoute

EXTRA_HEADERS = "extra_headers"
"""In a request's state: headers that its answer carries, whatever the answer."""


class Retires:
    """A dependency of a route that is deprecated ``since`` a day, answers until ``gone``, and has a successor."""

    def __init__(self, *, since: date, gone: date, successor: str) -> None:
        if gone <= since:
            raise ValueError(f"gone={gone} must come after since={since}: clients need time")
        self.since, self.gone, self.successor = since, gone, successor

    async def __call__(self, request: Request) -> None:
        """Say so in the answer, also where it is a problem."""
        told = request.scope["state"].setdefault(EXTRA_HEADERS, [])
        told += [(name.encode(), value.encode()) for name, value in self.headers.items()]

    @property
    def headers(self) -> dict[str, str]:
        """``Deprecation``, ``Sunset`` and ``Link``."""
        return {
            "deprecation": f"@{int(_midnight(self.since).timestamp())}",
            "sunset": format_datetime(_midnight(self.gone), usegmt=True),
            "link": f'<{self.successor}>; rel="successor-version", </docs>; rel="deprecation"; type="text/html"',
        }


def retires(*, since: date, gone: date, successor: str) -> Any:
    """For ``dependencies=[allow(...), retires(...)]`` of a route; ``successor`` is the address that takes its place."""
    return Depends(Retires(since=since, gone=gone, successor=successor))


def retirement(route: APIRoute) -> Retires | None:
    """When a route goes; None for one that stays."""
    return next((inner.call for inner in route.dependant.dependencies if isinstance(inner.call, Retires)), None)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
