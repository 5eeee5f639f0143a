"""Requests that are tried again where that can help, and problems as exceptions."""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import requests

from predictkpi.client.answers import Problem, ProblemItem

NDJSON = "application/x-ndjson"
AGAIN = frozenset({429, 502, 503, 504})
IN_FLIGHT = "/problems/in-flight"
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0


class ProblemError(Exception):
    """The service answered with a problem (RFC 9457): ``type`` names the kind, ``errors`` each wrong value."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem['status']} {problem['title']}: {problem['detail']}")
        self.problem = problem

    @property
    def type(self) -> str:
        """Stable address of a page that explains it, such as ``/problems/unknown-entity``."""
        return self.problem["type"]

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem["status"]

    @property
    def errors(self) -> list[ProblemItem]:
        """Each wrong value of the request."""
        return self.problem.get("errors") or []

    @property
    def request_id(self) -> str:
        """Under which the service's log has the request."""
        return self.problem["request_id"]


class Transport:
    """Sends requests to one service.

    What was refused for the moment (429, 502, 503, 504, or the same request in flight) or did not get through is sent again, up to
    ``retries`` times, after the pause that the service asks for or one that doubles each time. A POST carries an `Idempotency-Key`, so that
    sending it again does nothing twice. ``timeout``: seconds to connect, and between two bytes of an answer.
    """

    def __init__(self, url: str, key: str | None, *, timeout: float, retries: int, sleep: Callable[[float], None] = time.sleep) -> None:
        self._url = url.rstrip("/")
        self._timeout = timeout
        self._retries = retries
        self._sleep = sleep
        self._session = requests.Session()
        self._session.headers["User-Agent"] = "predictkpi-client"
        if key is not None:
            self._session.headers["Authorization"] = f"Bearer {key}"

    def close(self) -> None:
        """Let go of open connections."""
        self._session.close()

    def get(self, path: str, params: Mapping[str, Any]) -> Any:
        """The answer; raises `ProblemError`, and what `requests` raises where nothing gets through."""
        return self._ask("GET", path, params=_said(params)).json()

    def post(self, path: str, body: Any, params: Mapping[str, Any]) -> Any:
        """Likewise."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        return self._ask("POST", path, params=_said(params), json=body, headers=headers).json()

    def lines(self, path: str, bodies: Iterable[Any], params: Mapping[str, Any]) -> Iterator[Any]:
        """An answer line by line for bodies line by line, neither held in memory as a whole; not sent again."""
        sent = (json.dumps(body).encode() + b"\n" for body in bodies)
        headers = {"Content-Type": NDJSON, "Accept": NDJSON}
        with self._send("POST", path, params=_said(params), data=sent, headers=headers, stream=True) as answer:
            yield from (json.loads(line) for line in answer.iter_lines() if line)

    def _ask(self, method: str, path: str, **given: Any) -> requests.Response:
        for tried in range(self._retries + 1):
            pause = min(FIRST_PAUSE * 2**tried, LONGEST_PAUSE) * random.uniform(0.5, 1.0)
            try:
                return self._send(method, path, **given)
            except ProblemError as error:
                asked = error.problem.get("retry_after")
                may_help = error.status in AGAIN or error.type == IN_FLIGHT
                if not may_help or tried == self._retries or (asked or 0.0) > LONGEST_PAUSE:
                    raise
                pause = pause if asked is None else asked
            except (requests.ConnectionError, requests.Timeout):
                if tried == self._retries:
                    raise
            self._sleep(pause)
        raise AssertionError("the last try returns or raises")

    def _send(self, method: str, path: str, **given: Any) -> requests.Response:
        # a redirect would turn a POST into a GET, and means that the address of the service is not the right one
        answer = self._session.request(method, self._url + path, timeout=self._timeout, allow_redirects=False, **given)
        if answer.status_code >= 300:
            raise ProblemError(_problem(answer))
        return answer


def _said(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters that are stated, flags as the service writes them."""
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in params.items() if value is not None}


def _problem(answer: requests.Response) -> Problem:
    if answer.headers.get("Content-Type", "").startswith("application/problem+json"):
        problem: Problem = answer.json()
    else:  # not the service, but something before it
        problem = {
            "type": "about:blank",
            "title": answer.reason or "no answer of this service",
            "status": answer.status_code,
            "detail": answer.headers.get("Location") or answer.text[:200],
            "instance": answer.url,
            "request_id": answer.headers.get("X-Request-ID", ""),
        }
    after = answer.headers.get("Retry-After", "")
    if after.isdigit():
        problem["retry_after"] = float(after)
    return problem
