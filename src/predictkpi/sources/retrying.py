"""An HTTP session that survives what the internet does: dropped connections, servers that are busy, limits on the rate of requests.

Only for requests of which a repeated one does no harm: those that read (also by POST), and those that set values by a record's id.
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

import requests

from predictkpi.core.waiting import BUSY, LONGEST, Wait, backoff, retry_after
from predictkpi.errors import PredictKpiError, SourceError

ATTEMPTS = 6
KEPT = "what was loaded is kept: sync again later, and it goes on there"
_SECONDS = 60.0


class RetryingSession(requests.Session):
    """A `requests.Session` that tries again after a lost connection or a busy answer, waiting longer each time.

    It waits as long as a ``Retry-After`` header says, otherwise 1, 2, 4, 8, ... seconds with jitter, but never longer than ``longest``.
    ``wait`` does the waiting. When the attempts are used up it raises ``error``, which names ``source``, the ``way_out`` and no secret.
    """

    def __init__(
        self,
        source: str,
        *,
        attempts: int = ATTEMPTS,
        longest: float = LONGEST,
        wait: Wait = time.sleep,
        error: type[PredictKpiError] = SourceError,
        way_out: str = KEPT,
    ) -> None:
        super().__init__()
        self._source = source
        self._error = error
        self._way_out = way_out
        self._attempts = attempts
        self._longest = longest
        self._wait = wait

    def _check_is_data(self, response: requests.Response) -> None:
        if response.ok and "text/html" in response.headers.get("Content-Type", ""):
            host = urlsplit(response.url).hostname
            raise self._error(f"{self._source}: {host} answered with a web page instead of data: is a proxy or a login page in between?")

    def request(self, method: str, url: str | bytes, *args: Any, **named: Any) -> requests.Response:
        """As `requests.Session.request`; the body has been read in full when it returns."""
        named.setdefault("timeout", _SECONDS)
        for attempt in range(self._attempts):
            asked: float | None = None
            try:
                response = super().request(method, url, *args, **named)
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                trouble = f"the connection failed ({type(error).__name__})"
            else:
                if response.status_code not in BUSY:
                    self._check_is_data(response)
                    return response
                trouble = f"it answered {response.status_code} {response.reason}"
                asked = retry_after(response.headers)
            if asked is not None and asked > self._longest:
                raise self._error(f"{self._source}: it asks to wait {asked:.0f} seconds before the next request; {self._way_out}")
            if attempt + 1 < self._attempts:
                self._wait(backoff(attempt, longest=self._longest) if asked is None else asked)
        raise self._error(f"{self._source}: {trouble}, {self._attempts} times in a row; {self._way_out}")
