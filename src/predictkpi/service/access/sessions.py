"""Sessions of the dashboard: a cookie that names the key somebody signed in with, and that only this service can make."""

from __future__ import annotations

import hashlib
import hmac

COOKIE = "predictkpi_session"
SESSION_SECONDS = 12 * 3600


class Sessions:
    """Makes and reads cookies; ``secret`` is shared by all processes of a service and never leaves them."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def begin(self, key_id: str, now: float) -> str:
        """The cookie's value."""
        told = f"{key_id}.{int(now) + SESSION_SECONDS}"
        return f"{told}.{self._sign(told)}"

    def key_id(self, cookie: str, now: float) -> str | None:
        """Whose session it is; None for one that is over, or that this service did not begin."""
        told, _, signature = cookie.rpartition(".")
        key_id, _, until = told.rpartition(".")
        if not hmac.compare_digest(self._sign(told).encode(), signature.encode("utf-8", "replace")):
            return None
        return key_id if now < int(until) else None

    def _sign(self, told: str) -> str:
        return hmac.new(self._secret, told.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
