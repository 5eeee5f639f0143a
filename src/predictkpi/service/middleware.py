"""What happens to every request: an id, headers that keep a browser inside this service, and one line, count and span about it."""

from __future__ import annotations

import logging
import random
import re
import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from predictkpi.core.access import ANYBODY_HERE, Caller
from predictkpi.service.deprecation import EXTRA_HEADERS

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

    from predictkpi.service.access.log import AccessLog
    from predictkpi.service.metrics import Metrics

log = logging.getLogger("predictkpi.requests")

REQUEST_ID_HEADER = "X-Request-ID"
DEGRADED_HEADER = "X-Predictkpi-Degraded"
"""On answers below /v1 while something is amiss: what, as in /health/ready."""
LONGEST_TROUBLE = 300
_ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._-]{8,128}")
UNKNOWN_ROUTE = "(no route)"
ROUTE, SUBJECT = "route", "subject"
"""Where the request's state holds what was asked for, if the router did not find it."""

# A chart's SVG carries style attributes, hence 'unsafe-inline' for styles alone; scripts come from this service only.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_OF_DATA = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""What answers below /v1 need, which no browser is to show as a page (OWASP's REST Security Cheat Sheet)."""
_OF_PAGES = _OF_DATA | {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
}
_PAGES_RAW, _DATA_RAW = ([(name.lower().encode(), value.encode()) for name, value in of.items()] for of in (_OF_PAGES, _OF_DATA))
_OWN_NAMES = frozenset(name for name, _ in _PAGES_RAW)
_HTML = b"text/html"
_REQUEST_ID, _DEGRADED = REQUEST_ID_HEADER.lower().encode(), DEGRADED_HEADER.lower().encode()
_WHO = frozenset({b"authorization", b"x-api-key", b"cookie"})
_FOR_ONE_ALONE = (b"cache-control", b"private, no-cache")
_HSTS = (b"strict-transport-security", b"max-age=31536000")


class RequestContextMiddleware:
    """Plain ASGI: gives each request an id (the caller's own if it is well formed), adds the headers above, and tells of its end."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, accesses: AccessLog, tracer: Tracer | None = None) -> None:
        self.app = app
        self._metrics, self._accesses = metrics, accesses
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        offered = headers.get(b"x-request-id", b"").decode("latin-1")
        # it is no secret, so the system need not be asked for it
        request_id = offered if _ACCEPTABLE_ID.fullmatch(offered) else f"{random.getrandbits(128):032x}"
        scope.setdefault("state", {})["request_id"] = request_id
        status = 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                there = dict(message["headers"])
                own = message["headers"] if _REQUEST_ID in there else [*message["headers"], (_REQUEST_ID, request_id.encode())]
                is_page = not scope["path"].startswith("/v1/") or there.get(b"content-type", b"").startswith(_HTML)
                ours = _PAGES_RAW if is_page else _DATA_RAW
                own += ours if _OWN_NAMES.isdisjoint(there) else [header for header in ours if header[0] not in there]
                own += scope["state"].get(EXTRA_HEADERS, ())
                if scope["scheme"] == "https":
                    own.append(_HSTS)
                if b"cache-control" not in there and not headers.keys().isdisjoint(_WHO):
                    own.append(_FOR_ONE_ALONE)
                if scope["path"].startswith("/v1/") and (trouble := _trouble(scope)):
                    own.append((_DEGRADED, trouble.encode()))
                message["headers"] = own
            await send(message)

        began = time.perf_counter()
        self._metrics.began()
        with self._span(scope, headers) as span:
            try:
                await self.app(scope, receive, send_with_headers)
            finally:
                self._ended(scope, status, time.perf_counter() - began, span)

    def _ended(self, scope: Scope, status: int, seconds: float, span: Span | None) -> None:
        state = scope["state"]
        route = route_of(scope)
        self._metrics.ended(scope["method"], route, status, seconds)
        caller: Caller | None = state.get("caller")
        if caller is not None and caller is not ANYBODY_HERE:
            subject = state.get(SUBJECT) or "/".join(map(str, scope.get("path_params", {}).values()))
            self._accesses.record(caller, f"{scope['method']} {route}", subject, status)
        if log.isEnabledFor(logging.INFO):
            told = {
                "request_id": state["request_id"],
                "method": scope["method"],
                "route": route,
                "status": status,
                "milliseconds": round(seconds * 1000, 2),
                "caller": caller.id if caller else "",
            }
            log.info("%s %s %d", scope["method"], route, status, extra={"told": told})
        if span is not None:
            span.update_name(f"{scope['method']} {route}")
            span.set_attributes(
                {"http.route": route, "http.response.status_code": status, "predictkpi.caller": caller.role.value if caller else ""}
            )

    def _span(self, scope: Scope, headers: dict[bytes, bytes]) -> AbstractContextManager[Any]:
        """The span of a request, below that of its caller where the request names one (W3C Trace Context); None where nobody wants it."""
        if self._tracer is None:
            return nullcontext(None)
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        parent = TraceContextTextMapPropagator().extract(
            {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}
        )
        told = {"http.request.method": scope["method"], "predictkpi.request_id": scope["state"]["request_id"]}
        return self._tracer.start_as_current_span(scope["method"], context=parent, kind=SpanKind.SERVER, attributes=told)


def route_of(scope: Scope) -> str:
    """The address of the route that has answered, with names in the place of ids: what is counted and logged."""
    return str(scope["state"].get(ROUTE) or getattr(scope.get("route"), "path_format", UNKNOWN_ROUTE))


def _trouble(scope: Scope) -> str:
    """What is amiss, for who has said who they are, as a header may hold it; empty when all is well."""
    if scope["state"].get("caller") is None:
        return ""
    told = getattr(scope["app"].state, "serving", None)
    trouble = told.trouble if told is not None else None
    return " ".join(trouble.split())[:LONGEST_TROUBLE].encode("ascii", "replace").decode() if trouble else ""
