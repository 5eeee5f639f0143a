"""Finds out who asks before anything else is done, and turns away who may not, or not so often."""

from __future__ import annotations

from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from predictkpi.core.access import Caller
from predictkpi.errors import PredictKpiError
from predictkpi.service.access.keyring import Access, TokenUnreadError
from predictkpi.service.access.sessions import COOKIE
from predictkpi.service.error_handlers import respond_to
from predictkpi.service.problems import ForbiddenError, RateLimitedError, UnauthenticatedError

PUBLIC = ("/health/", "/problems/", "/static/", "/sign-in", "/sign-out")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class AccessMiddleware:
    """Plain ASGI: puts the `Caller` into the request's state, or answers 401, 403, 429 or 503.

    Requests for what is public pass as well, with their caller where they name one and None otherwise.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        access: Access = scope["app"].state.access
        is_public = scope["path"].startswith(PUBLIC)
        caller: Caller | None = None
        try:
            caller = await _caller(access, scope)
            wait = access.seconds_to_wait(caller)
            if wait and not is_public:
                raise RateLimitedError(f"{caller.name} may ask {caller.per_minute} times a minute", seconds=wait)
        except PredictKpiError as error:
            if not is_public:
                await _refusal(error, scope)(scope, receive, send)
                return
        scope["state"]["caller"] = caller
        await self.app(scope, receive, send)


async def _caller(access: Access, scope: Scope) -> Caller:
    headers = dict(scope["headers"])
    peer = scope["client"][0] if scope.get("client") else ""
    try:
        caller = access.caller(headers, peer)
    except TokenUnreadError as unread:
        caller = await run_in_threadpool(unread.read)
    is_by_browser = COOKIE.encode() in headers.get(b"cookie", b"") or access.is_open
    if (
        scope["method"] not in SAFE_METHODS
        and is_by_browser
        and headers.get(b"sec-fetch-site", b"same-origin") not in (b"same-origin", b"none")
    ):
        raise ForbiddenError("a page of another site must not change anything here")
    return caller


def _refusal(error: PredictKpiError, scope: Scope) -> Response:
    """A problem; a person with a browser is shown where to sign in."""
    accepts = dict(scope["headers"]).get(b"accept", b"")
    if isinstance(error, UnauthenticatedError) and scope["method"] == "GET" and b"text/html" in accepts:
        return RedirectResponse(f"/sign-in?next={quote(scope['path'])}", status_code=303, headers={"Cache-Control": "no-store"})
    return respond_to(error, scope)
