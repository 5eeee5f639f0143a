"""Entries on their way to the store: counted in memory, written by a thread, so that no request waits for a database."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from typing import ClassVar, Generic, Protocol, Self, TypeVar

from predictkpi.errors import PredictKpiError
from predictkpi.service.background import Rounds, outcome

log = logging.getLogger(__name__)


class Counted(Protocol):
    """An entry that came so many times since it was last written."""

    times: int

    def again(self, other: Self) -> None:
        """Count the same once more."""
        ...


K = TypeVar("K")
V = TypeVar("V", bound=Counted)


class Backlog(ABC, Generic[K, V]):
    """`start` and `stop` frame the thread that writes. What cannot be written waits, up to ``most`` different entries.

    What comes beyond that is counted in `dropped`.
    """

    what: ClassVar[str]
    """Its entries, as a message names them."""

    def __init__(self, *, most: int, every_seconds: float, retry_seconds: float) -> None:
        self.dropped = 0
        """How often, since the start, an entry came that is not in the store and never will be."""
        self._most = most
        self._waiting: dict[K, V] = {}
        self._lock = threading.Lock()
        self._failure: str | None = None
        self._rounds = Rounds(
            f"predictkpi {self.what}",
            lambda: self.write(),
            pause=lambda: every_seconds if self._failure is None else retry_seconds,
            in_the_end=True,
        )

    @abstractmethod
    def _send(self, taken: dict[K, V]) -> None:
        """Write entries and take out of the dictionary what is written; raises what the store raises."""

    def start(self) -> None:
        """Begin to write, in the background; returns at once."""
        self._rounds.start()

    def stop(self) -> None:
        """Write what waits, if that works at the first go, and stop."""
        self._rounds.stop()
        if self._waiting:
            log.error("%d %s were not logged: %s", self.waiting, self.what, self._failure)

    @property
    def waiting(self) -> int:
        """Different entries that are not written yet."""
        return len(self._waiting)

    @property
    def trouble(self) -> str | None:
        """What keeps entries from being logged, or kept some of them; None when all were."""
        parts = []
        if self._failure is not None:
            parts.append(f"{self.what} are not being logged ({self._failure}): {self.waiting} wait")
        if self.dropped:
            parts.append(f"{self.dropped} {self.what} since the start were not logged: too many waited")
        return "; ".join(parts) or None

    def write(self) -> BaseException | None:
        """Write everything that waits; what failed, if anything did: then all that was not written waits again."""
        if not self._waiting:
            return None
        with self._lock:
            taken, self._waiting = self._waiting, {}
        error = outcome(lambda: self._send(taken), f"predictkpi {self.what}")
        self._settle(error, taken)
        return error

    def _settle(self, error: BaseException | None, left: dict[K, V]) -> None:
        with self._lock:
            newer, self._waiting = self._waiting, left
            for key, entry in newer.items():
                self._put(key, entry)
        if error is not None and self._failure is None:
            log.error("%s cannot be logged", self.what, exc_info=error)
        if error is None and self._failure is not None:
            log.warning("%s are logged again; %d were lost", self.what, self.dropped)
        self._failure = None if error is None else str(error) if isinstance(error, PredictKpiError) else type(error).__name__

    def _put(self, key: K, entry: V) -> None:
        """Only with the lock held."""
        before = self._waiting.get(key)
        if before is not None:
            before.again(entry)
        elif len(self._waiting) < self._most:
            self._waiting[key] = entry
        else:
            self.dropped += entry.times
