"""Answers compressed for whoever takes them so; for all others nothing stands in their way."""

from __future__ import annotations

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Message, Receive, Scope, Send

_ACCEPTS, _VARY = b"accept-encoding", b"vary"
_DEPENDS = (_VARY, b"Accept-Encoding")


class CompressionMiddleware(GZipMiddleware):
    """Starlette's, which also holds back and looks through every answer that it then leaves as it is: a thirtieth of a small one's time."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or any(name == _ACCEPTS and b"gzip" in value for name, value in scope["headers"]):
            await super().__call__(scope, receive, send)
            return

        async def send_as_it_is(message: Message) -> None:
            if message["type"] == "http.response.start" and not _says_so(message):
                message["headers"] = [*message["headers"], _DEPENDS]
            await send(message)

        await self.app(scope, receive, send_as_it_is)


def _says_so(start: Message) -> bool:
    return any(name == _VARY and b"accept-encoding" in value.lower() for name, value in start["headers"])
