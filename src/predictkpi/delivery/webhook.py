"""Sends a message to the webhook, once: signed, and with a verdict on what the receiver answered. The outbox knows when to try again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

import requests

from predictkpi.core.waiting import retry_after
from predictkpi.delivery.signature import ID, SIGNATURE, TIMESTAMP, key_of, sign
from predictkpi.errors import SettingsError

_REQUEST_TIMEOUT, _TOO_MANY_REQUESTS, _GONE = 408, 429, 410


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

    ``timeout``: seconds to connect, and between two signs of life.
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
        try:
            # Whoever answers with a redirect is not the receiver that was named: the message does not follow it. The body is not read.
            with requests.post(self.url, data=body, headers=headers, timeout=self.timeout, allow_redirects=False, stream=True) as answer:
                return _judged(answer)
        except (requests.ConnectionError, requests.Timeout) as error:
            return Answer(Verdict.AGAIN, f"the connection failed ({type(error).__name__})")
        except (requests.RequestException, UnicodeError) as error:
            return Answer(Verdict.REFUSED, f"it cannot be called ({type(error).__name__})")


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
