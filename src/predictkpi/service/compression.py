"""Answers compressed for whoever takes them so; for all others nothing stands in their way."""

from __future__ import annotations

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Message, Receive, Scope, Send

_ACCEPTS, _VARY = b"accept-encoding", b"vary"
_DEPENDS = (_VARY, b"Accept-Encoding")


class CompressionMiddleware(GZipMiddleware):
    """Starlette's, which also looks through every answer that it then leaves as it is: a thirtieth of a small one's time.

    Whoever takes no compressed answer is told with each that it may come so; others with those that are large enough. As Starlette's, it
    holds the beginning of an answer back until its first part is there: until then a guard may still answer in its place.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or any(name == _ACCEPTS and b"gzip" in value for name, value in scope["headers"]):
            await super().__call__(scope, receive, send)
            return

        start: Message | None = None

        async def send_as_it_is(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message if _says_so(message) else {**message, "headers": [*message["headers"], _DEPENDS]}
                return
            if start is not None:
                first, start = start, None
                await send(first)
            await send(message)

        await self.app(scope, receive, send_as_it_is)


def _says_so(start: Message) -> bool:
    return any(name == _VARY and b"accept-encoding" in value.lower() for name, value in start["headers"])
