"""Sends messages to one webhook: signed, tried again where that may help, with the same id each time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import requests

from predictkpi.core.waiting import BUSY, Wait, backoff, retry_after
from predictkpi.delivery.message import Message
from predictkpi.delivery.signature import ID, SIGNATURE, TIMESTAMP, key_of, sign
from predictkpi.errors import DeliveryError, SettingsError

_TRY_AGAIN = BUSY | {408}


@dataclass(frozen=True)
class Receipt:
    """The receiver has taken the message, at that attempt (from 1)."""

    message_id: str
    attempts: int


@dataclass(frozen=True)
class Webhook:
    """A receiver. ``timeout`` and ``longest`` are seconds; ``wait`` does the waiting and ``clock`` gives seconds since 1970."""

    url: str = field(repr=False)
    secret: str = field(repr=False)
    timeout: float = 10.0
    attempts: int = 5
    longest: float = 60.0
    wait: Wait = time.sleep
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        key_of(self.secret)
        if urlsplit(self.url).scheme not in ("http", "https") or not self.host:
            raise SettingsError("the webhook's URL must begin with https:// (or http://) and name a host")

    @property
    def host(self) -> str:
        """Where it is, without what may be secret in the URL."""
        return urlsplit(self.url).hostname or ""

    def send(self, message: Message) -> Receipt:
        """Deliver; raises `DeliveryError`, which names host and trouble and no secret, once the attempts are used up or cannot help."""
        body = message.body()
        for attempt in range(self.attempts):
            trouble, asked = self._try(message.id, body)
            if trouble is None:
                return Receipt(message.id, attempt + 1)
            if asked is not None and asked > self.longest:
                raise DeliveryError(f"the webhook at {self.host} asks to wait {asked:.0f} seconds; {message.type} was not delivered")
            if attempt + 1 < self.attempts:
                self.wait(backoff(attempt, longest=self.longest) if asked is None else asked)
        raise DeliveryError(f"the webhook at {self.host}: {trouble}, {self.attempts} times in a row; {message.type} was not delivered")

    def _try(self, id_: str, body: bytes) -> tuple[str | None, float | None]:
        """What went wrong, None if nothing did, and for how many seconds the receiver wants peace."""
        timestamp = int(self.clock())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "predictkpi",
            ID: id_,
            TIMESTAMP: str(timestamp),
            SIGNATURE: sign(self.secret, id_=id_, timestamp=timestamp, body=body),
        }
        try:
            # Whoever answers with a redirect is not the receiver that was named: the message does not follow it.
            answer = requests.post(self.url, data=body, headers=headers, timeout=self.timeout, allow_redirects=False)
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            return f"the connection failed ({type(error).__name__})", None
        except (requests.RequestException, UnicodeError) as error:
            raise DeliveryError(f"the webhook at {self.host} cannot be called: {type(error).__name__}") from None
        if 200 <= answer.status_code < 300:
            return None, None
        if answer.status_code not in _TRY_AGAIN:
            raise DeliveryError(f"the webhook at {self.host} refused the message: it answered {answer.status_code} {answer.reason}")
        return f"it answered {answer.status_code} {answer.reason}", retry_after(answer.headers)
