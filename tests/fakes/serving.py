"""A small HTTP server on loopback in a thread of its own, for fakes of vendors' APIs, and the troubles it can be told to make."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    status: int = 200
    content: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    is_cut: bool = False

    def body(self) -> bytes:
        return self.content.encode() if isinstance(self.content, str) else json.dumps(self.content).encode()


CUT = "cut"
"""Trouble: the connection drops in the middle of the body."""


class Fake:
    """Subclasses answer requests. ``trouble("/search", Answer(429, ...))`` answers the next request to such a path that way instead.

    Only a request of that ``method``, where one is named.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._troubles: list[tuple[str, str, Answer | str]] = []

    def trouble(self, path: str, what: Answer | str, *, times: int = 1, method: str = "") -> None:
        self._troubles += [(path, method, what)] * times

    def seen(self, path: str) -> list[Request]:
        return [request for request in self.requests if path in request.path]

    def answer(self, request: Request) -> Answer:
        raise NotImplementedError

    def handle(self, request: Request) -> Answer:
        self.requests.append(request)
        for number, (path, method, what) in enumerate(self._troubles):
            if path in request.path and method in ("", request.method):
                del self._troubles[number]
                if isinstance(what, Answer):
                    return what
                answer = self.answer(request)
                answer.is_cut = True
                return answer
        return self.answer(request)


@contextmanager
def serving(fake: Fake, *, port: int = 0) -> Iterator[str]:
    """The URL under which the fake answers as long as the block lasts; on a port of its own, or on one where it was before."""
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(fake.handle))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(handle: Callable[[Request], Answer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            split = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(split.query).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = handle(Request(self.command, split.path, query, self.headers, body))
            content = answer.body()
            send = self.send_response_only if "Date" in answer.headers else self.send_response
            send(answer.status)
            for name, value in ({"Content-Type": "application/json"} | answer.headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if answer.is_cut else content)
            self.close_connection = True

        do_GET = do_POST = do_DELETE = do_PATCH = _serve  # noqa: N815

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
            """Say nothing."""

    return Handler
