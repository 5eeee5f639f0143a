"""Whose request this is: answered from memory, while one thread keeps the keys in step with the store."""

from __future__ import annotations

import ipaddress
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from http.cookies import CookieError, SimpleCookie

import pandas as pd

from predictkpi.core.access import ANYBODY_HERE, Caller
from predictkpi.pipelines.keys import PREFIX, hash_of
from predictkpi.service.access.limits import RateLimiter
from predictkpi.service.access.oidc import Oidc
from predictkpi.service.access.sessions import COOKIE, Sessions
from predictkpi.service.background import Rounds, outcome
from predictkpi.service.problems import ForbiddenError, NotReadyError, UnauthenticatedError
from predictkpi.store import Store
from predictkpi.store.keys import ApiKey

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0
FIRST_SECONDS = 0.5
NO_KEY = "this service answers only those who say who they are"
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", "::1", ""})


class Access:
    """Callers by key, session or token; `start` and `stop` frame the thread that reads the keys.

    Where the store is away the keys last read go on holding; one that expires does so by the clock.
    """

    def __init__(
        self,
        store: Store,
        *,
        host: str,
        session_secret: str,
        oidc: Oidc | None = None,
        share: float = 1.0,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self.sessions = Sessions(session_secret)
        self.oidc = oidc
        self._store = store
        self._is_local = is_loopback(host)
        self._limiter = RateLimiter(share)
        self._by_hash: Mapping[str, _Held] | None = None
        self._by_id: Mapping[str, _Held] = {}
        # until they have been read once, nobody is answered
        pause = partial(self._pause, poll_seconds)
        self._rounds = Rounds("predictkpi-keys", self._look, pause=pause, at_once=True)

    def start(self) -> None:
        """Begin to read the keys, in the background."""
        self._rounds.start()

    def stop(self) -> None:
        """Stop reading."""
        self._rounds.stop()

    def refresh(self) -> None:
        """Read the keys once; raises what the store raises."""
        held = [_Held.of(key) for key in self._store.keys.all()]
        self._by_id = {each.key.key_id: each for each in held}
        self._by_hash = {each.key.key_hash: each for each in held}

    @property
    def has_read(self) -> bool:
        """Whether the keys were read: before that nobody is answered."""
        return self._by_hash is not None

    @property
    def is_open(self) -> bool:
        """Whether everybody on this machine may do everything: no key was ever made, no issuer is named, and nobody else can reach it."""
        return self._is_local and self.oidc is None and self._by_hash is not None and not self._by_hash

    def caller(self, headers: Mapping[bytes, bytes], peer: str) -> Caller:
        """Whose request has these headers (lower case); ``peer`` is the address it comes from.

        Raises `UnauthenticatedError`, `ForbiddenError` for one that an open service does not answer, `NotReadyError` before keys were
        read, and `TokenUnreadError` for a token of the issuer that has to be read first.
        """
        if self._by_hash is None:
            raise NotReadyError("the API keys have not been read yet", missing=["API keys"])
        if self.is_open:
            return _anybody(headers, peer)
        token = _offered(headers)
        if token is None:
            return self._of_session(headers.get(b"cookie", b""))
        if token.startswith(PREFIX):
            return self.of_key(token)
        if self.oidc is None:
            raise UnauthenticatedError("this is no key of this service")
        known = self.oidc.known(token, time.time())
        if known is None:
            raise TokenUnreadError(self.oidc, token)
        return known

    def of_key(self, secret: str) -> Caller:
        """The caller with this key; raises `UnauthenticatedError` for one that is unknown, expired or revoked."""
        held = (self._by_hash or {}).get(hash_of(secret))
        if held is None:
            raise UnauthenticatedError("this is no key of this service")
        if not held.holds(time.time()):
            raise UnauthenticatedError(f"the key {held.key.key_id} is {held.key.state(utc_now())}")
        return held.caller

    def seconds_to_wait(self, caller: Caller) -> int:
        """0 where the caller may ask now, which counts; else after how many seconds."""
        return 0 if caller.per_minute is None else self._limiter.wait(caller.id, caller.per_minute, time.monotonic())

    def _of_session(self, cookies: bytes) -> Caller:
        try:
            morsel = SimpleCookie(cookies.decode("latin-1")).get(COOKIE)
        except CookieError:
            morsel = None
        if morsel is None:
            raise UnauthenticatedError(NO_KEY)
        held = self._by_id.get(self.sessions.key_id(morsel.value, time.time()) or "")
        if held is None or not held.holds(time.time()):
            raise UnauthenticatedError("the session is over: sign in again")
        return held.caller

    def _pause(self, poll_seconds: float) -> float:
        return poll_seconds if self.has_read else min(poll_seconds, FIRST_SECONDS)

    def _look(self) -> None:
        error = outcome(lambda: self.refresh(), "predictkpi-keys-read")
        if error is not None:
            log.error("the API keys cannot be read; those read before go on holding", exc_info=error)


@dataclass(frozen=True)
class _Held:
    """A key in memory: whose it is, and until when it holds, in seconds since 1970."""

    key: ApiKey
    caller: Caller
    until: float

    @classmethod
    def of(cls, key: ApiKey) -> _Held:
        until = -math.inf if key.revoked_at is not None else math.inf if key.expires_at is None else key.expires_at.timestamp()
        return cls(key, Caller(key.key_id, key.name, key.role, key.rows, key.per_minute), until)

    def holds(self, now: float) -> bool:
        return now < self.until


class TokenUnreadError(Exception):
    """A bearer token that was not read before: `read` does."""

    def __init__(self, oidc: Oidc, token: str) -> None:
        super().__init__("a token that was not read before")
        self._oidc, self._token = oidc, token

    def read(self) -> Caller:
        """See `Oidc.read`."""
        return self._oidc.read(self._token, time.time())


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a service that listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def utc_now() -> pd.Timestamp:
    """Now, naive UTC, as keys count."""
    return pd.Timestamp.now("UTC").tz_localize(None)


def _anybody(headers: Mapping[bytes, bytes], peer: str) -> Caller:
    """Only for this machine, and only by its own name: a page of some other site that a browser here has open is refused."""
    host = headers.get(b"host", b"").decode("latin-1").lower()
    name = host if host.startswith("[") and host.endswith("]") else host.rpartition(":")[0] or host
    if name not in LOCAL_NAMES or not is_loopback(peer or "127.0.0.1"):
        raise ForbiddenError(
            "without keys this service answers only this machine, by the names localhost and 127.0.0.1; "
            "make one with `predictkpi keys create`"
        )
    return ANYBODY_HERE


def _offered(headers: Mapping[bytes, bytes]) -> str | None:
    """The key or token of a request; None where it has none."""
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get(b"x-api-key", b"").decode("latin-1").strip() or None
