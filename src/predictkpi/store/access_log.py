"""Who asked for what: one row a day for each caller, route, subject and outcome, with how often. Instants are UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from predictkpi.store.engine import reading, writing
from predictkpi.store.erased import of_erased
from predictkpi.store.frames import read_frame
from predictkpi.store.schema import ACCESS_LOG

ERASED = "erased"
"""In place of the id of what was erased: it may be asked for still."""
_KEY = ("day", "actor", "action", "subject", "status")


class Accesses:
    """The access log of a store; every method raises as those of `Store`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def add(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Add counts (columns of `schema.ACCESS_LOG`) to those there are."""
        with writing(self._engine) as connection:
            routes, subjects = (pd.Series([str(row[name]) for row in rows], dtype="str") for name in ("action", "subject"))
            gone = of_erased(connection, routes, subjects)
            rows = [dict(row) | ({"subject": ERASED} if is_gone else {}) for row, is_gone in zip(rows, gone, strict=True)]
            make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
            insert = make(ACCESS_LOG)
            seen = {"times": ACCESS_LOG.c.times + insert.excluded.times, "last_at": insert.excluded.last_at}
            connection.execute(insert.on_conflict_do_update(index_elements=list(_KEY), set_=seen), rows)

    def read(self, *, subject: str | None = None, actor: str | None = None, limit: int = 100) -> pd.DataFrame:
        """Newest first: columns of `schema.ACCESS_LOG`."""
        statement = sa.select(ACCESS_LOG).order_by(ACCESS_LOG.c.last_at.desc(), ACCESS_LOG.c.actor, ACCESS_LOG.c.subject)
        if subject is not None:
            statement = statement.where(ACCESS_LOG.c.subject == subject)
        if actor is not None:
            statement = statement.where(ACCESS_LOG.c.actor == actor)
        with reading(self._engine) as connection:
            return read_frame(connection, statement.limit(limit))
