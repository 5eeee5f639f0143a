"""Conditional GET: an `ETag` on every answer, and 304 without a body to whoever holds it already."""

from __future__ import annotations

import hashlib
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TAGGED = ("/v1/", "/openapi.json")
_ENTITY_TAG = re.compile(r'(?:W/)?("[^"]*")')
_VARY = "Accept-Encoding, Authorization, Cookie, X-API-Key"
"""What an answer depends on beside its address: callers may be held to rows."""


class ConditionalMiddleware:
    """Plain ASGI, for GET below `TAGGED`. Answers of several messages (streams) pass as they are.

    It stands inside GZip: the compressed bytes carry the time of their compression, so a tag of them would change with every second, and a
    304 need not be compressed first. The tag is therefore of the plain body: strong where the client takes nothing else, weak where the
    body may be compressed on its way, for then the tag stands for two representations that are not the same byte for byte.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(TAGGED):
            await self.app(scope, receive, send)
            return
        headers, start = Headers(scope=scope), None

        async def send_tagged(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and message["status"] == 200:
                start = message
                return
            if start is not None:
                first, start = start, None
                if not message.get("more_body"):
                    message = _tagged(first, message, headers)
                await send(first)
            await send(message)

        await self.app(scope, receive, send_tagged)


def matches(if_none_match: str, tag: str) -> bool:
    """Whether a client that sends this header holds what has this tag, by the weak comparison of RFC 9110, 8.8.3.2."""
    return if_none_match.strip() == "*" or _opaque(tag) in _ENTITY_TAG.findall(if_none_match)


def _tagged(start: Message, message: Message, asked: Headers) -> Message:
    """Tag the answer; the message of its body, which is empty where the client has it."""
    body = message.get("body", b"")
    tag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
    if "gzip" in asked.get("accept-encoding", ""):
        tag = "W/" + tag
    headers = MutableHeaders(scope=start)
    headers["ETag"] = tag
    headers.add_vary_header(_VARY)
    headers.setdefault("Cache-Control", "private, no-cache")
    if not matches(", ".join(asked.getlist("if-none-match")), tag):
        return message
    start["status"] = 304
    for name in ("content-length", "content-type"):
        del headers[name]
    return {"type": "http.response.body", "body": b""}


def _opaque(tag: str) -> str:
    return tag.removeprefix("W/")
