"""The log of served answers: what was said to whom asked, kept for the scoreboard without making anybody wait.

The same answer given again counts once more and is written once. Where the store cannot be written (a full disk, a database that is away)
answers go on, and wait as `Backlog` says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.answers import packed
from predictkpi.service.backlog import Backlog
from predictkpi.service.wire import Envelope
from predictkpi.store import Store

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


class AnswerLog(Backlog[str, _Waiting]):
    """`record` never waits for the store and never raises what the store raises."""

    what = "served answers"

    def __init__(
        self, store: Store, *, most: int = MOST_WAITING, every_seconds: float = WRITE_SECONDS, retry_seconds: float = RETRY_SECONDS
    ) -> None:
        super().__init__(most=most, every_seconds=every_seconds, retry_seconds=retry_seconds)
        self._store = store

    def record(self, answers: Iterable[Envelope], *, at: datetime) -> None:
        """Put answers that are being given into the queue; ``at`` is now, in local time of the company."""
        with self._lock:
            for answer in answers:
                self._put(answer.prediction_id, _Waiting(answer, at, at))

    def _send(self, taken: dict[str, _Waiting]) -> None:
        for prediction_id, waiting in taken.items():
            taken[prediction_id] = waiting.packed()
        ids = list(taken)
        for start in range(0, len(ids), ROWS_A_TRANSACTION):
            chunk = ids[start : start + ROWS_A_TRANSACTION]
            self._store.log_answers([taken[prediction_id].row for prediction_id in chunk])
            for prediction_id in chunk:
                del taken[prediction_id]


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
