"""The door to erasure: what was erased, erasing, and freeing what was deleted."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import sqlalchemy as sa

from predictkpi.store.engine import forget_deleted, reading, writing
from predictkpi.store.erased import Erased, read_erased
from predictkpi.store.erasure import Erasure, erase, erase_listed, read_list, take_over
from predictkpi.store.schema import ERASURES


class Erasures:
    """The erasures of a store; every method raises as those of `Store`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def all(self) -> pd.DataFrame:
        """The list, oldest first: ``kind, digest, salt, erased_at, actor, counts``; one entry for each id, none in clear."""
        with reading(self._engine) as connection:
            return read_list(connection)

    def count(self) -> int:
        """Entries of the list: it only grows, so that a reader sees by it that something was erased."""
        with reading(self._engine) as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(ERASURES)).scalar_one())

    @property
    def erased(self) -> Erased:
        """By which what was erased is known again."""
        with reading(self._engine) as connection:
            return read_erased(connection)

    def erase(self, kind: str, name: str, *, at: pd.Timestamp, actor: str = "", dry_run: bool = False) -> Erasure:
        """Erase a ``customer`` by id or a ``person`` by name from every table; see `erasure`. A dry run counts, and changes nothing."""
        return self._erasing(lambda connection: erase(connection, kind, name, at=at, actor=actor), dry_run=dry_run)

    def erase_listed(self, *, at: pd.Timestamp, listed: pd.DataFrame | None = None, actor: str = "", dry_run: bool = False) -> Erasure:
        """Take over another copy of the list, where one is given, and erase again whatever the store still names of it."""

        def again(connection: sa.Connection) -> Erasure:
            if listed is not None:
                take_over(connection, listed)
            return erase_listed(connection, at=at, actor=actor)

        return self._erasing(again, dry_run=dry_run)

    def forget_deleted(self) -> bool:
        """Free the room of deleted rows, so that the file holds none of their bytes; false where a reader kept SQLite's log from going.

        In PostgreSQL a plain VACUUM: the room is free to be overwritten; the bytes stay until then, or until a VACUUM FULL.
        """
        return forget_deleted(self._engine)

    def _erasing(self, work: Callable[[sa.Connection], Erasure], *, dry_run: bool) -> Erasure:
        with writing(self._engine) as connection, connection.begin_nested() as savepoint:
            found = work(connection)
            if dry_run:
                savepoint.rollback()
        return found
