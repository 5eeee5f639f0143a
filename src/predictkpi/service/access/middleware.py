"""Finds out who asks before anything else is done, and turns away who may not, or not so often."""

from __future__ import annotations

from functools import cache
from urllib.parse import quote

import anyio.to_thread
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from predictkpi.core.access import Caller
from predictkpi.errors import PredictKpiError
from predictkpi.service.access.keyring import Access, TokenUnreadError
from predictkpi.service.access.permissions import ASKED
from predictkpi.service.access.sessions import COOKIE
from predictkpi.service.error_handlers import respond_to
from predictkpi.service.problems import ForbiddenError, RateLimitedError, UnauthenticatedError

PUBLIC = ("/health/", "/problems/", "/static/", "/sign-in", "/sign-out")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
TOKENS_AT_ONCE = 4
OWN_PAGES = frozenset({b"same-origin", b"none"})


class AccessMiddleware:
    """Plain ASGI: puts the `Caller` into the request's state, or answers 401, 403, 429 or 503; lets no answer out that was not asked for.

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
        if _is_forged(access, scope, is_public=is_public):
            await _refusal(ForbiddenError("a page of another site must not change anything here"), scope)(scope, receive, send)
            return
        try:
            caller = await _caller(access, scope)
            wait = access.seconds_to_wait(caller)
            if wait and not is_public:
                raise RateLimitedError(f"{caller.name} may ask {caller.per_minute} times a minute", seconds=wait)
        except PredictKpiError as error:
            if not is_public:
                await _refusal(error, scope)(scope, receive, send)
                return
        state = scope["state"]
        state["caller"] = caller

        async def send_if_asked(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400 and ASKED not in state and not is_public:
                raise RuntimeError(f"{scope['path']} does not say who may use it: give its route dependencies=[allow(...)]")
            await send(message)

        await self.app(scope, receive, send_if_asked)


async def _caller(access: Access, scope: Scope) -> Caller:
    peer = scope["client"][0] if scope.get("client") else ""
    try:
        return access.caller(dict(scope["headers"]), peer)
    except TokenUnreadError as unread:
        # Threads of their own: an issuer that is slow must not keep those who have a key from theirs.
        return await anyio.to_thread.run_sync(unread.read, limiter=_readers())


@cache
def _readers() -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(TOKENS_AT_ONCE)


def _is_forged(access: Access, scope: Scope, *, is_public: bool) -> bool:
    """Whether a page of another site makes somebody's browser change something here: only a browser says where a request is from."""
    if scope["method"] in SAFE_METHODS:
        return False
    headers = dict(scope["headers"])
    is_by_browser = is_public or access.is_open or COOKIE.encode() in headers.get(b"cookie", b"")
    return is_by_browser and headers.get(b"sec-fetch-site", b"same-origin") not in OWN_PAGES


def _refusal(error: PredictKpiError, scope: Scope) -> Response:
    """A problem; a person with a browser is shown where to sign in."""
    accepts = dict(scope["headers"]).get(b"accept", b"")
    if isinstance(error, UnauthenticatedError) and scope["method"] == "GET" and b"text/html" in accepts:
        return RedirectResponse(f"/sign-in?next={quote(scope['path'])}", status_code=303, headers={"Cache-Control": "no-store"})
    return respond_to(error, scope)
