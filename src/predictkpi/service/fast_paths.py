"""The four questions that come all day, answered before the router: one deal, a stored deal or customer, and deals line by line.

Inside every middleware, on the event loop: at these answers' size a hand-over to a thread would cost more than the answer. Whatever is
unusual (another query, a body that `fast_payloads` does not take, a caller who may not, any error) goes on to the routes of `api`, which
give the same answer, or the problem. They also describe these paths in the OpenAPI document.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from predictkpi.core.access import Caller, Permission
from predictkpi.errors import PredictKpiError
from predictkpi.service.access.permissions import ASKED
from predictkpi.service.deal_stream import NDJSON, answer_lines
from predictkpi.service.dependencies import record_answers, view_for
from predictkpi.service.fast_payloads import read_deal
from predictkpi.service.middleware import ROUTE, SUBJECT
from predictkpi.service.payloads import predict, prepare
from predictkpi.service.reasons import LanguageCode
from predictkpi.service.stored import StoredAnswers
from predictkpi.service.wire import encoded

PREDICT, ROWS = Permission.PREDICT, Permission.ROWS
DEAL, BATCH = "/v1/deals/close-time", "/v1/deals/close-time/batch"
_STORED = (
    ("/v1/deals/", "/close-time", "close_time", "deal", "/v1/deals/{deal_id}/close-time"),
    ("/v1/customers/", "/clv", "clv", "customer", "/v1/customers/{customer_id}/clv"),
)
_JSON = b"application/json"
_REASONS: dict[bytes, LanguageCode | None] = {b"": None, b"reasons=true": "en", b"reasons=true&language=de": "de"}
"""Queries that are taken for one deal, and the language of the reasons they ask for."""


class FastPaths:
    """The innermost middleware; it looks for view, logs and counts where `create_app` puts them."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path, method = scope["path"], scope["method"]
        if method == "POST" and path == DEAL and scope["query_string"] in _REASONS and _header(scope, b"content-type") == _JSON:
            await self._deal(scope, receive, send, reasons_in=_REASONS[scope["query_string"]])
        elif method == "POST" and path == BATCH and _header(scope, b"content-type").startswith(NDJSON.encode()) and _may(scope, PREDICT):
            _found(scope, BATCH)
            response = await answer_lines(Request(scope, receive))
            await response(scope, receive, send)
        elif method == "GET" and not scope["query_string"] and (body := self._stored(scope, path)) is not None:
            await _send(send, body)
        else:
            await self.app(scope, receive, send)

    async def _deal(self, scope: Scope, receive: Receive, send: Send, *, reasons_in: LanguageCode | None) -> None:
        message = await receive()
        if not message.get("more_body") and message["type"] == "http.request":
            # also with reasons: a millisecond or two, of which threads that fight for Python's lock would make twice as many
            body = self._answer(scope, message.get("body", b""), reasons_in)
            if body is not None:
                await _send(send, body)
                return
        await self.app(scope, _again(message, receive), send)

    def _answer(self, scope: Scope, body: bytes, reasons_in: LanguageCode | None) -> bytes | None:
        deal = read_deal(body) if _may(scope, PREDICT) else None
        if deal is None:
            return None
        try:
            view = view_for(scope)
            answers = predict([prepare(deal, view)], view.champion("close_time"), view, reasons_in=reasons_in)
        except PredictKpiError:  # the route says what is wrong
            return None
        _found(scope, DEAL)
        record_answers(scope, view, answers)
        return encoded(answers[0])

    def _stored(self, scope: Scope, path: str) -> bytes | None:
        for prefix, suffix, predictor, entity, route in _STORED:
            entity_id = path[len(prefix) : -len(suffix)]
            if entity_id and path.startswith(prefix) and path.endswith(suffix) and _may(scope, ROWS):
                try:
                    whole, view = scope["app"].state.serving.view, view_for(scope)
                    found = StoredAnswers.of(whole).get(predictor, entity_id) if view.sees(entity, entity_id) else None
                except PredictKpiError:  # the route says what is wrong
                    return None
                if found is None:
                    return None
                _found(scope, route, entity_id)
                record_answers(scope, view, [found.answer])
                return found.body
        return None


def _may(scope: Scope, permission: Permission) -> bool:
    """Whether the caller may; the routes say it to one who may not."""
    caller: Caller = scope["state"]["caller"]
    if not caller.may(permission):
        return False
    if caller.rows is not None:
        view = scope["app"].state.serving.current
        if view is None or not view.has_within(caller.rows):
            return False  # the routes work that out in a thread
    scope["state"][ASKED] = permission
    return True


def _found(scope: Scope, route: str, subject: str = "") -> None:
    """Name the route whose answer this is, for counts and logs."""
    scope["state"] |= {ROUTE: route, SUBJECT: subject}


def _header(scope: Scope, name: bytes) -> bytes:
    return next((value for key, value in scope["headers"] if key == name), b"")


def _again(message: Message, receive: Receive) -> Receive:
    """The channel of a request whose first message was read already."""
    waiting = [message]

    async def receive_again() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_again


async def _send(send: Send, body: bytes) -> None:
    headers = [(b"content-type", _JSON), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
