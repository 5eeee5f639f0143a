"""What keeps one request from harming the others: a bound on how many are answered at once, on a body's size and on an answer's time."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from predictkpi.errors import PredictKpiError
from predictkpi.service.error_handlers import respond_to
from predictkpi.service.problems import OverloadedError, TooLargeError, TooLongError

RETRY_SECONDS = 1
JSON_BYTES = 12_000_000
"""The largest body that is no stream of lines; 10,000 deals are some 10 MB."""
NDJSON = b"application/x-ndjson"
ANYBODYS_PLACES, ANYBODYS_BYTES, ANYBODYS_SECONDS = 20, 4_000, 5.0
UNGUARDED = ("/health/", "/metrics")
"""Answered however busy the service is: whoever watches it has to know."""


class GuardMiddleware:
    """Plain ASGI. A request beyond ``most_at_once`` is refused at once, so that those being answered stay quick and no queue grows.

    Whoever has not said who they are (on the sign-in page) has few places, small bodies and little time, and takes none from the others.
    """

    def __init__(self, app: ASGIApp, *, most_at_once: int, max_body_bytes: int, seconds: float) -> None:
        self.app = app
        self._most_at_once = most_at_once
        self._max_body_bytes = max_body_bytes
        self._seconds = seconds
        self._at_once = {True: 0, False: 0}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["path"].startswith(UNGUARDED):
            await self.app(scope, receive, send)
            return
        is_known = scope["state"].get("caller") is not None
        most, seconds = (self._most_at_once, self._seconds) if is_known else (ANYBODYS_PLACES, min(ANYBODYS_SECONDS, self._seconds))
        exchange = _Exchange(scope, receive, send, self._most_bytes(scope) if is_known else ANYBODYS_BYTES, seconds)
        if self._at_once[is_known] >= most:
            await exchange.refuse(OverloadedError(f"{self._at_once[is_known]} requests are being answered", seconds=RETRY_SECONDS))
            return
        if exchange.announced > exchange.most_bytes:
            await exchange.refuse_body()
            return
        self._at_once[is_known] += 1
        exchange.watch()
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except (ClientDisconnect, asyncio.CancelledError):
            if not exchange.is_over:
                raise
        finally:
            exchange.timer.cancel()
            self._at_once[is_known] -= 1

    def _most_bytes(self, scope: Scope) -> int:
        """JSON is read as a whole, and by the event loop; lines are read one by one."""
        kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
        return self._max_body_bytes if kind.startswith(NDJSON) else min(self._max_body_bytes, JSON_BYTES)


class _Exchange:
    """One request and its answer: once it is refused, what the application still sends goes nowhere."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, most_bytes: int, seconds: float) -> None:
        self.is_over = False
        self.most_bytes = most_bytes
        self._scope, self._receive, self._send = scope, receive, send
        self._has_begun = False
        self._left = most_bytes
        self._seconds = seconds
        self._sending_since: float | None = None
        self._task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        self._refusal: asyncio.Task[None] | None = None

    @property
    def announced(self) -> int:
        """Bytes that ``Content-Length`` promises; 0 without a number."""
        length = next((value for name, value in self._scope["headers"] if name == b"content-length"), b"")
        return int(length) if length.isdigit() else 0

    async def receive(self) -> Message:
        """The request's next message, as long as its body is not too large."""
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            await self.refuse_body()
            return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        """Pass a message of the answer on; see `watch` for a client that does not read it."""
        if self.is_over:
            return
        self._has_begun = True
        self._sending_since = self._loop.time()
        await self._send(message)
        self._sending_since = None

    def watch(self) -> None:
        """Look, once in ``seconds``, whether the answer has begun, and whether its message under way is being read.

        One timer a request: one a message, as of `asyncio.timeout`, costs as much as sending it.
        """
        self.timer = self._loop.call_later(self._seconds, self._look)

    def _look(self) -> None:
        if not self._has_begun:
            # In place of an application that takes too long; a thread of it cannot be stopped, and counts until it ends.
            self._refusal = self._loop.create_task(self._give_up())
            return
        since = self._sending_since
        if since is not None and self._loop.time() - since >= self._seconds:
            self.is_over = True
            self._end()
            return
        self.timer = self._loop.call_at((self._loop.time() if since is None else since) + self._seconds, self._look)

    def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _give_up(self) -> None:
        await self.refuse(TooLongError(f"no answer within {self._seconds:g} seconds", seconds=RETRY_SECONDS))
        self._end()

    async def refuse_body(self) -> None:
        """Answer that the body is too large."""
        await self.refuse(TooLargeError(f"the body has more than {self.most_bytes} bytes"))

    async def refuse(self, error: PredictKpiError) -> None:
        """Answer with a problem; does nothing once an answer has begun."""
        if not self._has_begun and not self.is_over:
            self.is_over = True
            await respond_to(error, self._scope)(self._scope, self._receive, self._send)
