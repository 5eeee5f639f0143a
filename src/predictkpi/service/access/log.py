"""The log of who saw what: counted in memory, written by a thread of its own, so that nobody waits for it."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from predictkpi.core.access import Caller
from predictkpi.store import Store

log = logging.getLogger(__name__)

WRITE_SECONDS = 2.0
MOST_WAITING = 50_000
LONGEST = 200
"""Signs of a caller's or subject's name: no id is longer, and no index takes text of any length."""
_Key = tuple[datetime, str, str, str, int]


class AccessLog:
    """`start` and `stop` frame the thread that writes; what it cannot write waits, up to `MOST_WAITING` different entries."""

    def __init__(self, store: Store, *, every_seconds: float = WRITE_SECONDS) -> None:
        self.dropped = 0
        """Requests, since the start, that are not in the log and never will be."""
        self._store = store
        self._every_seconds = every_seconds
        self._waiting: dict[_Key, tuple[datetime, datetime, int]] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._has_failed = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to write, in the background."""
        self._thread = threading.Thread(target=self._keep_writing, name="predictkpi-accesses", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, if that works at the first go, and stop."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        if self._waiting:
            log.error("%d entries of the access log were not written", len(self._waiting))

    @property
    def trouble(self) -> str | None:
        """What keeps requests from being logged; None when all were."""
        parts = [f"the access log cannot be written: {len(self._waiting)} entries wait"] if self._has_failed else []
        if self.dropped:
            parts.append(f"{self.dropped} requests since the start are not in the access log: too many waited")
        return "; ".join(parts) or None

    def record(self, caller: Caller, action: str, subject: str, status: int) -> None:
        """Count a request; ``action`` is method and route, ``subject`` the entity that was asked for, if any."""
        now = datetime.now(UTC).replace(tzinfo=None)
        key = datetime(now.year, now.month, now.day), _fit(caller.id), action, _fit(subject), status
        self._count(key, now, now, 1)

    def write(self) -> BaseException | None:
        """Write everything that waits; what failed, if anything did: then it waits again."""
        with self._lock:
            taken, self._waiting = self._waiting, {}
        names = ("day", "actor", "action", "subject", "status")
        rows = [dict(zip(names, key, strict=True)) | {"first_at": a, "last_at": b, "times": n} for key, (a, b, n) in taken.items()]
        with ThreadPoolExecutor(1, thread_name_prefix="predictkpi-accesses-write") as pool:
            error = pool.submit(self._store.accesses.add, rows).exception()
        if error is not None:
            for key, (first, last, times) in taken.items():
                self._count(key, first, last, times)
        if error is not None and not self._has_failed:
            log.error("the access log cannot be written", exc_info=error)
        self._has_failed = error is not None
        return error

    def _count(self, key: _Key, first: datetime, last: datetime, times: int) -> None:
        with self._lock:
            before = self._waiting.get(key)
            if before is not None:
                self._waiting[key] = (min(before[0], first), max(before[1], last), before[2] + times)
            elif len(self._waiting) < MOST_WAITING:
                self._waiting[key] = (first, last, times)
            else:
                self.dropped += times

    def _keep_writing(self) -> None:
        while not self._stopping.wait(self._every_seconds):
            if self._waiting:
                self.write()
        if self._waiting:
            self.write()


def _fit(text: str) -> str:
    """As every database takes it."""
    return text[:LONGEST].replace("\0", "\ufffd").encode("utf-8", "replace").decode()
