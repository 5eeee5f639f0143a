"""Paced requests whose every answer is checked: what was asked, what came, when, and what went wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import msgspec

ANSWER_SECONDS = 35.0
RECONNECT_SECONDS = 0.02
_decoder = msgspec.json.Decoder()


@dataclass(frozen=True)
class Asked:
    """A request as bytes, and what each version answers to it, without what is new in every answer."""

    request: bytes
    expected: dict[str, object]


@dataclass
class Found:
    """What came: seconds since the start and milliseconds of each answer, its version, and failures (when asked, what, ms)."""

    at: list[float] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    failures: list[tuple[float, str, float]] = field(default_factory=list)


def request_of(method: str, path: str, body: str = "") -> bytes:
    """HTTP/1.1, kept alive."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body.encode())}"] if body else []
    return "\r\n".join([*lines, "", body]).encode()


def told(answer: dict) -> dict:
    """An answer without what is new in every one."""
    return {name: value for name, value in answer.items() if name not in ("prediction_id", "server_time")}


def check(status: int, body: bytes, asked: Asked) -> tuple[str, str]:
    """The version that answers, and what is wrong with its answer; empty if nothing is."""
    if status != 200:
        return "", f"status {status}: {_decoder.decode(body).get('type', '')}"
    answer = _decoder.decode(body)
    version = answer["model"]["version"]
    if version not in asked.expected:
        return version, f"version {version}, which was never promoted"
    return version, "" if told(answer) == asked.expected[version] else f"not what version {version} says"


async def ask(
    url: str, asked: Sequence[Asked], *, connections: int, per_second: float | None, seconds: float, began: Callable[[], float]
) -> Found:
    """Ask in turn over so many connections; ``per_second`` of all, as fast as they are answered where None."""
    found, at = Found(), urlsplit(url)
    until = began() + seconds

    async def one(number: int) -> None:
        step = connections / per_second if per_second else 0.0
        due, turn, streams = began() + number * step / connections, number * 37, None
        while began() < until:
            await asyncio.sleep(max(due - began(), 0.0))
            sent = began()
            try:
                if streams is None:
                    streams = await asyncio.open_connection(at.hostname, at.port, limit=2**22)
                chosen = asked[turn % len(asked)]
                status, body = await asyncio.wait_for(_exchange(*streams, chosen.request), ANSWER_SECONDS)
                version, wrong = check(status, body, chosen)
            except (OSError, EOFError, TimeoutError) as error:
                version, wrong = "", f"connection: {type(error).__name__}"
                if streams is not None:
                    streams[1].close()
                streams = None
                await asyncio.sleep(RECONNECT_SECONDS)
            found.at.append(sent)
            found.milliseconds.append((began() - sent) * 1e3)
            found.versions.append(version)
            if wrong:
                found.failures.append((sent, wrong, found.milliseconds[-1]))
            turn, due = turn + connections, max(due + step, began() - 1.0)  # what was missed is made up for, but for a second at most

    await asyncio.gather(*(one(number) for number in range(connections)))
    return found


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> tuple[int, bytes]:
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
    return int(head[9:12]), await reader.readexactly(length)


def clock() -> Callable[[], float]:
    """Seconds since now."""
    start = time.monotonic()
    return lambda: time.monotonic() - start
