"""Answers kept for repeated requests with the same ``Idempotency-Key``, and requests that are being answered. Instants are UTC."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import sqlalchemy as sa

from predictkpi.store.engine import writing
from predictkpi.store.schema import ERASURES, REPEATABLE


@dataclass(frozen=True)
class Repeated:
    """What the store holds of a request with that key: ``answer`` is None while it is being answered."""

    body_digest: str
    answer: bytes | None


class Repeatables:
    """The kept answers of a store; every method raises as those of `Store`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def begin(self, request_key: str, body_digest: str, *, now: pd.Timestamp, lease: pd.Timedelta, keep: pd.Timedelta) -> Repeated | None:
        """Claim a key; None where that worked, else what holds it.

        An answer older than ``keep`` holds a key no more, nor does a claim without an answer after ``lease``: its process died.
        """
        held = REPEATABLE.c
        is_over = sa.or_(held.asked_at < now - keep, sa.and_(held.answer.is_(None), held.asked_at < now - lease))
        with writing(self._engine) as connection:
            connection.execute(sa.delete(REPEATABLE).where(held.request_key == request_key, is_over))
            found = connection.execute(sa.select(held.body_digest, held.answer).where(held.request_key == request_key)).first()
            if found is not None:
                return Repeated(found.body_digest, found.answer)
            connection.execute(sa.insert(REPEATABLE).values(request_key=request_key, body_digest=body_digest, asked_at=now))
            return None

    def forget(self, *, now: pd.Timestamp, keep: pd.Timedelta) -> None:
        """Forget all that is older than ``keep``."""
        with writing(self._engine) as connection:
            connection.execute(sa.delete(REPEATABLE).where(REPEATABLE.c.asked_at < now - keep))

    def finish(self, request_key: str, answer: bytes, *, begun_at: pd.Timestamp, erasures: int) -> bool:
        """Keep the answer to a key claimed at ``begun_at``; false, and it is not kept, where that claim is gone.

        Nor where the list of erasures has other than ``erasures`` entries, those known to what the answer was made of: it may speak of
        somebody who was erased.
        """
        known = sa.select(sa.func.count()).select_from(ERASURES).scalar_subquery() == erasures
        with writing(self._engine) as connection:
            kept = connection.execute(sa.update(REPEATABLE).where(_is_claim(request_key, begun_at), known).values(answer=answer))
            return bool(kept.rowcount)

    def drop(self, request_key: str, *, begun_at: pd.Timestamp) -> None:
        """Give a claim of ``begun_at`` back unanswered, so that the request may be made again."""
        with writing(self._engine) as connection:
            connection.execute(sa.delete(REPEATABLE).where(_is_claim(request_key, begun_at)))


def _is_claim(request_key: str, begun_at: pd.Timestamp) -> sa.ColumnElement[bool]:
    """The row of that claim, and not of one that came after it had ended."""
    held = REPEATABLE.c
    return sa.and_(held.request_key == request_key, held.asked_at == begun_at, held.answer.is_(None))
