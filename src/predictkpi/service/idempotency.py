"""`Idempotency-Key` on POST: a repeated request is answered as it was the first time (draft-ietf-httpapi-idempotency-key-header).

The store decides, so it holds across processes. Without the header nothing is done. Where the store is away the request is answered all the
same, and `Idempotency-Kept: false` says that a repetition will be answered anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import anyio
import anyio.to_thread
import pandas as pd
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from predictkpi.core.access import Caller, Permission
from predictkpi.errors import ConflictError, PredictKpiError, StoreError
from predictkpi.service.access.permissions import ASKED, demand
from predictkpi.service.error_handlers import respond_to
from predictkpi.service.middleware import ROUTE, route_of
from predictkpi.service.problems import InFlightError, InvalidRequestError, KeyReusedError
from predictkpi.store.repeatable import Repeatables

log = logging.getLogger(__name__)

T = TypeVar("T")

HEADER = "Idempotency-Key"
KEPT_FOR = pd.Timedelta(hours=24)
FORGET_SECONDS = 3600.0
STREAM = "application/x-ndjson"
RETRY_SECONDS = 1
THREADS = 4
"""Of their own: while a load keeps the store busy, those who wait for it here keep no other request from a thread."""
_LONGEST = 255
_KEPT_HEADERS = (b"content-type",)
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_TOKEN = re.compile(r"[!#-+\--:<-\[\]-~]*")
"""Visible ASCII but the signs that quote, escape, or separate values and their parameters."""


class IdempotencyMiddleware:
    """Plain ASGI, for POST below /v1 with the header. Answers below 500 are kept for `KEPT_FOR`; others may be asked for again.

    It stands inside GZip, so that what is kept is the plain body: a client that asks again may take it compressed or not. A request whose
    process died may be made again after twice ``seconds``, the most that an answer may take. Every ``forget_seconds`` old answers go.
    """

    def __init__(self, app: ASGIApp, *, repeatables: Repeatables, seconds: float, forget_seconds: float = FORGET_SECONDS) -> None:
        self.app = app
        self._repeatables = repeatables
        self._forget_seconds = forget_seconds
        self._lease = pd.Timedelta(seconds=2 * seconds)
        self._limiter = anyio.CapacityLimiter(THREADS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or frame the life of the application."""
        if scope["type"] == "lifespan":
            forgetting = asyncio.create_task(self._keep_forgetting())
            try:
                await self.app(scope, receive, send)
            finally:
                forgetting.cancel()
            return
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith("/v1/"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.getlist(HEADER)
        if not given:
            await self.app(scope, receive, send)
            return
        try:
            request_key = _request_key(scope, key_of(given))
            if STREAM in headers.get("accept", "") or STREAM in headers.get("content-type", ""):
                raise InvalidRequestError.parameter(HEADER, "an answer line by line is not kept: send the request without this header")
            body = await _whole(receive)
            if body is not None:
                await self._once(request_key, body, scope, send)
        except PredictKpiError as error:
            await respond_to(error, scope)(scope, receive, send)

    async def _once(self, request_key: str, body: bytes, scope: Scope, send: Send) -> None:
        digest, begun_at = hashlib.sha256(body).hexdigest(), _now()
        try:
            held = await self._in_thread(self._repeatables.begin, request_key, digest, now=begun_at, lease=self._lease, keep=KEPT_FOR)
        except (StoreError, ConflictError) as error:
            log.warning("an answer will not be kept under its idempotency key: %s", error)
            await self.app(scope, _again(body), _saying(send, (b"idempotency-kept", b"false")))
            return
        if held is None:
            await self._answer(request_key, begun_at, body, scope, send)
            return
        if held.body_digest != digest:
            raise KeyReusedError(f"{HEADER} came before with another body")
        if held.answer is None:
            raise InFlightError(f"the request with this {HEADER} is being answered", seconds=RETRY_SECONDS)
        kept = _Answer.unpacked(held.answer)
        demand(scope, kept.asked)  # who asks may have lost a role since
        scope["state"][ROUTE] = kept.route
        await kept.send(_saying(send, (b"idempotency-replayed", b"true")))

    async def _answer(self, request_key: str, begun_at: pd.Timestamp, body: bytes, scope: Scope, send: Send) -> None:
        """Answer, keep the answer, and only then send it: whoever has seen it gets it again."""
        answer, is_kept, erasures = _Answer(), False, _erasures_known(scope)  # before a newer view may come in
        try:
            await self.app(scope, _again(body), answer.take)
            answer.asked, answer.route = scope["state"].get(ASKED), route_of(scope)
            if answer.status < 500:
                is_kept = await self._told(self._repeatables.finish, request_key, answer.packed(), begun_at=begun_at, erasures=erasures)
        finally:
            if not is_kept:
                await self._told(self._repeatables.drop, request_key, begun_at=begun_at)
        await answer.send(send if is_kept or answer.status >= 500 else _saying(send, (b"idempotency-kept", b"false")))

    async def _in_thread(self, tell: Callable[..., T], *said: object, **more: object) -> T:
        return await anyio.to_thread.run_sync(partial(tell, *said, **more), limiter=self._limiter)

    async def _keep_forgetting(self) -> None:
        while True:
            await asyncio.sleep(self._forget_seconds)
            try:
                await self._in_thread(self._repeatables.forget, now=_now(), keep=KEPT_FOR)
            except (StoreError, ConflictError) as error:
                log.warning("answers kept under idempotency keys wait to be forgotten: %s", error)

    async def _told(self, tell: Callable[..., bool | None], *said: object, **more: object) -> bool:
        """Whether the store could be told, and did it; a claim that it still holds ends with its lease."""
        try:
            return bool(await self._in_thread(tell, *said, **more))
        except (StoreError, ConflictError) as error:
            log.warning("an answer was not kept under its idempotency key: %s", error)
            return False


def key_of(given: list[str]) -> str:
    """The key, sent as a string of RFC 9651 (in quotes) or bare; raises `InvalidRequestError` for anything else."""
    quoted = _QUOTED.fullmatch(given[0].strip())
    bare = given[0].strip()
    if len(given) == 1 and quoted:
        bare = re.sub(r"\\(.)", r"\1", quoted[1])
    elif len(given) > 1 or not _TOKEN.fullmatch(bare):
        raise InvalidRequestError.parameter(HEADER, 'must be one string in double quotes, such as "8e03978e-40d5-43dd-bc93-6894a57f9324"')
    if not 1 <= len(bare) <= _LONGEST:
        raise InvalidRequestError.parameter(HEADER, f"must have 1 to {_LONGEST} signs, got {len(bare)}")
    return bare


@dataclass
class _Answer:
    """A whole answer, held back, with its route and the permission that this has asked for."""

    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    parts: list[bytes] = field(default_factory=list)
    asked: Permission | None = None
    route: str = ""

    async def take(self, message: Message) -> None:
        """In place of ``send``."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message["headers"])
        elif message["type"] == "http.response.body":
            self.parts.append(message.get("body", b""))

    async def send(self, send: Send) -> None:
        """Send it on."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": b"".join(self.parts)})

    def packed(self) -> bytes:
        """As the store keeps it: a line of JSON, then the body, compressed."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self.headers if name in _KEPT_HEADERS}
        told = json.dumps({"status": self.status, "headers": headers, "asked": self.asked, "route": self.route})
        return told.encode() + b"\n" + zlib.compress(b"".join(self.parts), level=1)

    @classmethod
    def unpacked(cls, kept: bytes) -> _Answer:
        """What `packed` made."""
        line, _, body = kept.partition(b"\n")
        told, whole = json.loads(line), zlib.decompress(body)
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in told["headers"].items()]
        asked = Permission(told["asked"]) if told["asked"] else None
        return cls(told["status"], [*headers, (b"content-length", str(len(whole)).encode())], [whole], asked, told["route"])


def _now() -> pd.Timestamp:
    return pd.Timestamp(datetime.now(UTC).replace(tzinfo=None))


def _erasures_known(scope: Scope) -> int:
    """Entries of the list of erasures that the view knows from which is answered; none while there is no view."""
    view = scope["app"].state.serving.current
    return 0 if view is None else view.fingerprint.erasures


def _request_key(scope: Scope, key: str) -> str:
    """Stands for who asks what under which key, and for the rows that they are held to."""
    caller: Caller = scope["state"]["caller"]
    rows = caller.rows.key if caller.rows is not None else ""
    said = (caller.id, rows, scope["method"], scope["path"], scope["query_string"].decode("latin-1"), key)
    return hashlib.sha256("\0".join(said).encode()).hexdigest()


async def _whole(receive: Receive) -> bytes | None:
    """The body; None where the client went away, or its body was refused, before its end."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _again(body: bytes) -> Receive:
    """A body that was read already; what comes after it says nothing of the client, who is answered however it ends."""
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Message:
        return next(messages, {"type": "http.disconnect"})

    return receive


def _saying(send: Send, header: tuple[bytes, bytes]) -> Send:
    async def send_with_header(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], header]
        await send(message)

    return send_with_header
