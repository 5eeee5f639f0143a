"""Batches: how long 1,000 deals take at once, and 10,000 line by line, with the server's memory watched."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from load.servers import Server

BATCH = "/v1/deals/close-time/batch"


@dataclass(frozen=True)
class Took:
    """Seconds to the last byte (the median of some), answers, and megabytes: before, and the most seen meanwhile."""

    seconds: float
    answered: int
    before_mb: float
    peak_mb: float


def at_once(server: Server, bodies: list[str], count: int, *, times: int = 5) -> Took:
    """One JSON request."""
    deals = [json.loads(bodies[number % len(bodies)]) for number in range(count)]
    body = json.dumps({"deals": deals}).encode()
    return _took(server, body, "application/json", times, lambda answer: json.loads(answer)["succeeded"])


def line_by_line(server: Server, bodies: list[str], count: int, *, times: int = 3) -> Took:
    """One NDJSON request."""
    body = "\n".join(bodies[number % len(bodies)] for number in range(count)).encode()
    return _took(server, body, "application/x-ndjson", times, lambda answer: answer.count(b'"problem":null'))


def _took(server, body, content_type, times, count) -> Took:
    took, answered, peak = [], 0, 0.0
    _post(server, body, content_type)
    before = server.memory_mb()
    for _ in range(times):
        with server.watched():
            begun = time.perf_counter()
            answer = _post(server, body, content_type)
            took.append(time.perf_counter() - begun)
        peak, answered = max(peak, server.peak_mb), count(answer)
    return Took(sorted(took)[len(took) // 2], answered, before, peak)


def _post(server: Server, body: bytes, content_type: str) -> bytes:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=40)
    connection.request("POST", BATCH, body, {"Content-Type": content_type, "Authorization": f"Bearer {server.key}"})
    answer = connection.getresponse()
    found = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{answer.status}: {found[:500]!r}")
    return found
