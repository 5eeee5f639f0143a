"""The log of served answers: what was said to whom asked, kept for the scoreboard without making anybody wait.

A request puts its answers into a bounded queue in memory; one thread empties it into the store. The same answer given again counts once
more and is written once. Where the store cannot be written (a full disk, a database that is away) the answers go on and wait in the queue;
what no longer fits into it is counted, and `trouble` says so.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.answers import packed
from predictkpi.errors import PredictKpiError
from predictkpi.service.wire import Envelope
from predictkpi.store import Store

log = logging.getLogger(__name__)

MOST_WAITING = 20_000
"""Different answers that may wait: two of the largest batches, some 40 MB."""
ROWS_A_TRANSACTION = 2_000
WRITE_SECONDS = 1.0
RETRY_SECONDS = 10.0


@dataclass(slots=True)
class _Waiting:
    """An answer that was given so many times since it was last written; `packed` it takes a tenth of the room."""

    answer: Envelope | dict[str, object]
    first: datetime
    last: datetime
    times: int = 1

    def again(self, other: _Waiting) -> None:
        """Count the same given once more."""
        self.last, self.times = max(self.last, other.last), self.times + other.times

    def packed(self) -> _Waiting:
        """As the store keeps it. The writing thread does that: it takes as long as the rest of logging."""
        return self if isinstance(self.answer, dict) else replace(self, answer=_row(self.answer))

    @property
    def row(self) -> dict[str, object]:
        """The row of the store of one that is packed."""
        assert isinstance(self.answer, dict)
        return self.answer | {"first_served_at": self.first, "last_served_at": self.last, "times": self.times}


class AnswerLog:
    """`start` and `stop` frame the thread that writes; `record` never waits for it and never raises what the store raises."""

    def __init__(
        self, store: Store, *, most: int = MOST_WAITING, every_seconds: float = WRITE_SECONDS, retry_seconds: float = RETRY_SECONDS
    ) -> None:
        self.dropped = 0
        """Answers, since the start, that are not in the log and never will be."""
        self._store = store
        self._most = most
        self._every_seconds = every_seconds
        self._retry_seconds = retry_seconds
        self._waiting: dict[str, _Waiting] = {}
        self._lock = threading.Lock()
        self._failure: str | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to write, in the background; returns at once."""
        self._thread = threading.Thread(target=self._keep_writing, name="predictkpi-answers", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, if that works at the first go, and stop."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        lost = self.waiting
        if lost:
            log.error("%d served answers were not logged: %s", lost, self._failure)

    @property
    def waiting(self) -> int:
        """Different answers that are not written yet."""
        return len(self._waiting)

    @property
    def trouble(self) -> str | None:
        """What keeps answers from being logged, or kept some of them; None when all were."""
        parts = []
        if self._failure is not None:
            parts.append(f"served answers are not being logged ({self._failure}): {self.waiting} wait")
        if self.dropped:
            parts.append(f"{self.dropped} served answers since the start were not logged: too many waited")
        return "; ".join(parts) or None

    def record(self, answers: Iterable[Envelope], *, at: datetime) -> None:
        """Put answers that are being given into the queue; ``at`` is now, in local time of the company."""
        with self._lock:
            for answer in answers:
                self._put(answer.prediction_id, _Waiting(answer, at, at))

    def write(self) -> BaseException | None:
        """Write everything that waits; what failed, if anything did: then all that was not written waits again."""
        with self._lock:
            taken, self._waiting = self._waiting, {}
        with ThreadPoolExecutor(1, thread_name_prefix="predictkpi-log") as pool:
            error = pool.submit(self._send, taken).exception()
        self._settle(error, taken)
        return error

    def _send(self, taken: dict[str, _Waiting]) -> None:
        """Take out what is written, as it is written."""
        for prediction_id, waiting in taken.items():
            taken[prediction_id] = waiting.packed()
        ids = list(taken)
        for start in range(0, len(ids), ROWS_A_TRANSACTION):
            chunk = ids[start : start + ROWS_A_TRANSACTION]
            self._store.log_answers([taken[prediction_id].row for prediction_id in chunk])
            for prediction_id in chunk:
                del taken[prediction_id]

    def _settle(self, error: BaseException | None, left: dict[str, _Waiting]) -> None:
        with self._lock:
            newer, self._waiting = self._waiting, left
            for prediction_id, waiting in newer.items():
                self._put(prediction_id, waiting)
        if error is not None and self._failure is None:
            log.error("served answers cannot be logged", exc_info=error)
        if error is None and self._failure is not None:
            log.warning("served answers are logged again; %d were lost", self.dropped)
        self._failure = None if error is None else str(error) if isinstance(error, PredictKpiError) else type(error).__name__

    def _put(self, prediction_id: str, waiting: _Waiting) -> None:
        """Only with the lock held."""
        before = self._waiting.get(prediction_id)
        if before is not None:
            before.again(waiting)
        elif len(self._waiting) < self._most:
            self._waiting[prediction_id] = waiting
        else:
            self.dropped += waiting.times

    def _keep_writing(self) -> None:
        pause = self._every_seconds
        while not self._stopping.wait(pause):
            pause = self._every_seconds if not self._waiting or self.write() is None else self._retry_seconds
        self.write()


def _row(answer: Envelope) -> dict[str, object]:
    numbers = packed(
        (each.horizon, statistic, value, each.status) for each in answer.predictions for statistic, value in each.values.items()
    )
    return {
        c.PREDICTION_ID: answer.prediction_id,
        c.PREDICTOR: answer.predictor,
        c.MODEL_VERSION: answer.model.version,
        c.AS_OF: pd.Timestamp(answer.as_of),
        c.ENTITY_ID: answer.entity_id.replace("\0", "\ufffd"),  # a request may say what no database takes
        c.INPUTS_DIGEST: answer.inputs_digest,
        "content": numbers,
    }
