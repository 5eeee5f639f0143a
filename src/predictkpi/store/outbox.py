"""The outbox: messages are written down first, then claimed by whoever delivers them, and kept with what became of them.

A message is ``waiting`` until it is ``delivered`` or ``dead``. A claim is a lease: nobody else gets the message before it ends, and if the
process that holds it dies, somebody does after it has ended. All instants are UTC, and given by the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import pandas as pd
import sqlalchemy as sa

from predictkpi.errors import ConflictError, NotFoundError
from predictkpi.store.engine import reading, writing
from predictkpi.store.frames import in_chunks, read_frame
from predictkpi.store.marks import read_marks, write_marks
from predictkpi.store.schema import OUTBOX

LISTED = ("message_id", "type", "state", "queued_at", "due_at", "attempts", "answer", "ended_at")
_ROW = OUTBOX.c


class Delivery(StrEnum):
    """What has become of a message."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True)
class Letter:
    """A message as it is sent; ``attempt`` (from 1) is the one that this claim is for, none before it was claimed."""

    message_id: str
    type: str
    body: str
    attempt: int = 0


@dataclass(frozen=True)
class MovedMarks:
    """Marks of a ``source`` as they were ``read``, and those that are ``moved`` by what is told."""

    source: str
    read: Mapping[str, str]
    moved: Mapping[str, str]


class Outbox:
    """See the module. May be shared by threads, as the store it belongs to."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def queue(self, letters: Sequence[Letter], *, now: pd.Timestamp, marks: MovedMarks | None = None) -> int:
        """Add messages, and in the same transaction the marks that say what has been told; returns how many are new.

        An id that is there already, whatever has become of it, adds nothing. Raises `ConflictError`, and adds nothing, where another
        process has moved the marks since they were read.
        """
        with writing(self._engine) as connection:
            if marks is not None:
                if read_marks(connection, marks.source) != dict(marks.read):
                    raise ConflictError("another process has told news meanwhile")
                write_marks(connection, marks.source, marks.moved)
            new = {letter.message_id: letter for letter in letters}
            for ids in in_chunks(list(new)):
                for known in connection.execute(sa.select(_ROW.message_id).where(_ROW.message_id.in_(ids))).scalars().all():
                    del new[known]
            rows = [
                {"message_id": one.message_id, "type": one.type, "body": one.body, "state": Delivery.WAITING.value, "attempts": 0}
                for one in new.values()
            ]
            if rows:
                connection.execute(sa.insert(OUTBOX), [row | {"queued_at": now, "due_at": now, "answer": ""} for row in rows])
            return len(rows)

    def claim(self, now: pd.Timestamp, *, lease: pd.Timedelta) -> Letter | None:
        """The oldest message that is due, for this caller alone until ``now + lease``; None where none is. Counts as an attempt."""
        is_free = sa.or_(_ROW.claimed_until.is_(None), _ROW.claimed_until <= now)
        due = sa.select(OUTBOX).where(_ROW.state == Delivery.WAITING.value, _ROW.due_at <= now, is_free).order_by(_ROW.outbox_id).limit(1)
        with writing(self._engine) as connection:
            found = connection.execute(due).mappings().first()
            if found is None:
                return None
            attempt = found["attempts"] + 1
            claimed = sa.update(OUTBOX).where(_ROW.outbox_id == found["outbox_id"])
            connection.execute(claimed.values(attempts=attempt, claimed_until=now + lease))
            return Letter(found["message_id"], found["type"], found["body"], attempt)

    def settle(self, letter: Letter, state: Delivery, *, answer: str, now: pd.Timestamp, due_at: pd.Timestamp | None = None) -> bool:
        """Say what became of a claimed message; one that is still waiting is due again at ``due_at``.

        False, and nothing is changed, where the claim had ended and somebody else has taken the message since.
        """
        ended = {} if state is Delivery.WAITING else {"ended_at": now}
        due = {} if due_at is None else {"due_at": due_at}
        mine = sa.update(OUTBOX).where(
            _ROW.message_id == letter.message_id, _ROW.attempts == letter.attempt, _ROW.state == Delivery.WAITING.value
        )
        with writing(self._engine) as connection:
            done = connection.execute(mine.values(state=state.value, claimed_until=None, answer=answer, **due, **ended))
            return bool(done.rowcount)

    def hold_back(self, until: pd.Timestamp) -> None:
        """No waiting message is due before that."""
        with writing(self._engine) as connection:
            early = sa.update(OUTBOX).where(_ROW.state == Delivery.WAITING.value, _ROW.due_at < until)
            connection.execute(early.values(due_at=until))

    def replay(self, message_ids: Sequence[str] | None, *, now: pd.Timestamp) -> int:
        """Let these messages, or all dead ones, wait again, due now and with all attempts before them; returns how many.

        One that was delivered is sent again; one that is being sent just now is left to that. Raises `NotFoundError` for an unknown id.
        """
        again = sa.update(OUTBOX).where(sa.or_(_ROW.claimed_until.is_(None), _ROW.claimed_until <= now))
        again = again.values(state=Delivery.WAITING.value, due_at=now, claimed_until=None, attempts=0, ended_at=None)
        with writing(self._engine) as connection:
            if message_ids is None:
                return connection.execute(again.where(_ROW.state == Delivery.DEAD.value)).rowcount
            for message_id in message_ids:
                if connection.execute(sa.select(_ROW.outbox_id).where(_ROW.message_id == message_id)).scalar() is None:
                    raise NotFoundError(f"no message {message_id!r} in the outbox; `predictkpi webhooks list` shows those there are")
            return sum(connection.execute(again.where(_ROW.message_id == message_id)).rowcount for message_id in message_ids)

    def messages(self, state: Delivery | None = None, *, ids: Sequence[str] | None = None, limit: int = 100) -> pd.DataFrame:
        """The newest messages, of that state or with those ids where given: `LISTED`."""
        statement = sa.select(*(_ROW[name] for name in LISTED)).order_by(_ROW.outbox_id.desc()).limit(limit)
        if state is not None:
            statement = statement.where(_ROW.state == state.value)
        if ids is not None:
            statement = statement.where(_ROW.message_id.in_(list(ids)))
        with reading(self._engine) as connection:
            return read_frame(connection, statement)

    def counts(self) -> dict[Delivery, int]:
        """How many messages there are in each state."""
        with reading(self._engine) as connection:
            rows = connection.execute(sa.select(_ROW.state, sa.func.count()).group_by(_ROW.state))
            found = {str(state): int(count) for state, count in rows}
        return {state: found.get(state.value, 0) for state in Delivery}
