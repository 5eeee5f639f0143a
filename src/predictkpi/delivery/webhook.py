"""Sends a message to the webhook, once: signed, and with a verdict on what the receiver answered. The outbox knows when to try again."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from predictkpi.core.waiting import retry_after
from predictkpi.delivery.signature import ID, SIGNATURE, TIMESTAMP, key_of, sign
from predictkpi.errors import SettingsError

_REQUEST_TIMEOUT, _TOO_MANY_REQUESTS, _GONE = 408, 429, 410
_CUT_AGAIN_SECONDS = 0.5


class Verdict(StrEnum):
    """What an answer means: the message was taken, may be taken another time, never, or the receiver wants none any more."""

    TAKEN = "taken"
    AGAIN = "again"
    REFUSED = "refused"
    GONE = "gone"


@dataclass(frozen=True)
class Answer:
    """How an attempt ended, in words without a secret; ``wait`` is for how many seconds the receiver wants peace, if it says so."""

    verdict: Verdict
    reason: str
    wait: float | None = None


@dataclass(frozen=True)
class Webhook:
    """A receiver. ``previous`` is a secret that still signs beside the new one; ``clock`` gives seconds since 1970.

    ``timeout``: seconds for a whole attempt, from its begin to the answer's headers. Only the look-up of the name (the system's own limits)
    and one connection under way (as long again, for each of the host's addresses) may go beyond it.
    """

    url: str = field(repr=False)
    secret: str = field(repr=False)
    previous: str | None = field(default=None, repr=False)
    timeout: float = 15.0
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        for secret in self.secrets:
            key_of(secret)
        if urlsplit(self.url).scheme not in ("http", "https") or not self.host:
            raise SettingsError("the webhook's URL must begin with https:// (or http://) and name a host")

    @property
    def secrets(self) -> list[str]:
        """Those that sign, the new one first."""
        return [self.secret, *([self.previous] if self.previous is not None else [])]

    @property
    def host(self) -> str:
        """Where it is, without what may be secret in the URL."""
        return urlsplit(self.url).hostname or ""

    def attempt(self, message_id: str, body: bytes) -> Answer:
        """Send it once. Never raises for what a receiver or the network does."""
        timestamp = int(self.clock())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "predictkpi",
            ID: message_id,
            TIMESTAMP: str(timestamp),
            SIGNATURE: " ".join(sign(secret, id_=message_id, timestamp=timestamp, body=body) for secret in self.secrets),
        }
        with _session(self.timeout) as (session, is_cut):
            answer = self._sent(session, headers, body)
            # Where the connection was cut, what came of the headers may look like all of them.
            return self._late if is_cut() else answer

    def _sent(self, session: requests.Session, headers: Mapping[str, str], body: bytes) -> Answer:
        try:
            # Whoever answers with a redirect is not the receiver that was named: the message does not follow it. The body is not read.
            with session.post(self.url, data=body, headers=headers, timeout=self.timeout, allow_redirects=False, stream=True) as answer:
                return _judged(answer)
        except requests.Timeout:
            return self._late
        except requests.ConnectionError as error:
            return Answer(Verdict.AGAIN, f"the connection failed ({type(error).__name__})")
        except (requests.RequestException, UnicodeError) as error:
            return Answer(Verdict.REFUSED, f"it cannot be called ({type(error).__name__})")

    @property
    def _late(self) -> Answer:
        return Answer(Verdict.AGAIN, f"it took longer than {self.timeout:g} seconds")


class _CuttableAdapter(HTTPAdapter):
    """Knows the connections that it makes, so that another thread can cut them.

    A timeout of requests is between two signs of life: a receiver that sends a byte now and then is waited for without end.
    """

    def __init__(self) -> None:
        super().__init__()
        self._connections: list[Any] = []

    def get_connection_with_tls_context(self, *given: Any, **named: Any) -> Any:
        """As requests does, direct or by a proxy."""
        pool: Any = super().get_connection_with_tls_context(*given, **named)
        make = pool.ConnectionCls

        def make_known(*given: Any, **named: Any) -> Any:
            self._connections.append(make(*given, **named))
            return self._connections[-1]

        pool.ConnectionCls = make_known
        return pool

    def cut(self) -> None:
        """Whoever waits for one of the connections is told that it has ended."""
        for connection in self._connections:
            try:
                # Of the plain socket: TLS would first forget its state, which the other thread uses.
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)
            except (OSError, TypeError):
                continue  # it is not connected yet, or no more: `_session` cuts again


@contextmanager
def _session(seconds: float) -> Iterator[tuple[requests.Session, Callable[[], bool]]]:
    """A session whose connections are cut after so many seconds, and whether they were."""
    adapter, ended, is_cut = _CuttableAdapter(), threading.Event(), threading.Event()

    def watch() -> None:
        pause = seconds
        while not ended.wait(pause):
            is_cut.set()
            adapter.cut()
            pause = _CUT_AGAIN_SECONDS

    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, adapter)
        watcher = threading.Thread(target=watch, name="predictkpi-webhook-deadline", daemon=True)
        watcher.start()
        try:
            yield session, is_cut.is_set
        finally:
            ended.set()
            watcher.join()


def _judged(answer: requests.Response) -> Answer:
    status = answer.status_code
    reason = f"it answered {status} {answer.reason}".rstrip()
    if 200 <= status < 300:
        return Answer(Verdict.TAKEN, reason)
    if status == _GONE:
        return Answer(Verdict.GONE, f"{reason}: it wants no more messages")
    if status >= 500 or status in (_REQUEST_TIMEOUT, _TOO_MANY_REQUESTS):
        return Answer(Verdict.AGAIN, reason, retry_after(answer.headers))
    return Answer(Verdict.REFUSED, reason)
