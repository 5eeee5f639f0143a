"""The log of who saw what: counted in memory, written by a thread of its own, so that nobody waits for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from predictkpi.core.access import Caller
from predictkpi.service.backlog import Backlog
from predictkpi.store import Store

WRITE_SECONDS = 2.0
RETRY_SECONDS = 10.0
MOST_WAITING = 50_000
LONGEST = 200
"""Signs of a caller's or subject's name: no id is longer, and no index takes text of any length."""
_KEY = ("day", "actor", "action", "subject", "status")
_Key = tuple[datetime, str, str, str, int]


@dataclass(slots=True)
class _Asked:
    """Requests alike of one day."""

    first_at: datetime
    last_at: datetime
    times: int = 1

    def again(self, other: _Asked) -> None:
        """Count the same once more."""
        self.last_at, self.times = max(self.last_at, other.last_at), self.times + other.times


class AccessLog(Backlog[_Key, _Asked]):
    """One entry a day for each caller, route, subject and outcome, with how often."""

    what = "entries of the access log"

    def __init__(self, store: Store, *, every_seconds: float = WRITE_SECONDS) -> None:
        super().__init__(most=MOST_WAITING, every_seconds=every_seconds, retry_seconds=RETRY_SECONDS)
        self._store = store

    def record(self, caller: Caller, action: str, subject: str, status: int) -> None:
        """Count a request; ``action`` is method and route, ``subject`` the entity that was asked for, if any."""
        now = datetime.now(UTC).replace(tzinfo=None)
        key = datetime(now.year, now.month, now.day), _fit(caller.id), action, _fit(subject), status
        with self._lock:
            self._put(key, _Asked(now, now))

    def _send(self, taken: dict[_Key, _Asked]) -> None:
        rows = [
            dict(zip(_KEY, key, strict=True)) | {"first_at": asked.first_at, "last_at": asked.last_at, "times": asked.times}
            for key, asked in taken.items()
        ]
        self._store.accesses.add(rows)
        taken.clear()


def _fit(text: str) -> str:
    """As every database takes it."""
    if len(text) <= LONGEST and text.isascii() and "\0" not in text:
        return text
    return text[:LONGEST].replace("\0", "\ufffd").encode("utf-8", "replace").decode()
