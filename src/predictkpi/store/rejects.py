"""Rejects in the store: what was set aside, and what a replay has settled since."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import sqlalchemy as sa

from predictkpi.store.erased import read_erased
from predictkpi.store.erasure import renamed_record
from predictkpi.store.frames import in_chunks, insert_frame, read_frame
from predictkpi.store.schema import LOAD_ID, RECORD, REJECT_FIELDS, REJECT_ID, REJECTS, REPLAYED_IN

REJECT_GROUPS = ["file", "table", "field", "reason", "n", LOAD_ID, "example"]


def write_rejects(connection: sa.Connection, rejects: pd.DataFrame, *, load_id: int) -> None:
    """Keep these rejects of that load: `REJECT_FIELDS` and, where there is one, `RECORD`."""
    columns = [*REJECT_FIELDS, *([RECORD] if RECORD in rejects else [])]
    erased = read_erased(connection)
    if erased.has_persons:
        texts = [name for name in ("value", RECORD) if name in columns]
        rejects = rejects.assign(
            **{
                name: rejects[name].map(lambda text: renamed_record(text, erased.renamed), na_action="ignore").astype("str")
                for name in texts
            }
        )
    insert_frame(connection, REJECTS, rejects[columns].assign(**{LOAD_ID: load_id}))


def read_rejects(
    connection: sa.Connection,
    columns: Sequence[str],
    *,
    load_id: int | None,
    table: str | None,
    file: str | None,
    limit: int | None,
    after: tuple[int, int] | None = None,
) -> pd.DataFrame:
    """Rejects that no replay has settled, newest load first, the rows of one load in file order; only those after a load and reject id."""
    statement = _waiting(sa.select(*(REJECTS.c[name] for name in columns)))
    for name, value in ((LOAD_ID, load_id), ("table", table), ("file", file)):
        if value is not None:
            statement = statement.where(REJECTS.c[name] == value)
    if after is not None:
        load, reject = REJECTS.c[LOAD_ID], REJECTS.c[REJECT_ID]
        statement = statement.where(sa.or_(load < after[0], sa.and_(load == after[0], reject > after[1])))
    return read_frame(connection, statement.order_by(REJECTS.c[LOAD_ID].desc(), REJECTS.c[REJECT_ID]).limit(limit))


def read_reject_groups(connection: sa.Connection, *, limit: int) -> pd.DataFrame:
    """Rejects that no replay has settled, by what is wrong: `REJECT_GROUPS`, the most frequent first; ``example`` is a value of them."""
    named = [REJECTS.c[name] for name in ("file", "table", "field", "reason")]
    told = [sa.func.count().label("n"), sa.func.max(REJECTS.c[LOAD_ID]).label(LOAD_ID), sa.func.min(REJECTS.c["value"]).label("example")]
    found = _waiting(sa.select(*named, *told)).group_by(*named)
    return read_frame(connection, found.order_by(sa.func.count().desc(), *named).limit(limit))


def count_rejects(connection: sa.Connection) -> int:
    """How many rejects no replay has settled."""
    return connection.execute(_waiting(sa.select(sa.func.count()).select_from(REJECTS))).scalar_one()


def settle_rejects(connection: sa.Connection, reject_ids: Sequence[int], *, load_id: int) -> None:
    """Enter that this load has offered these rejects again; what it rejected anew is among its own rejects."""
    for chunk in in_chunks([str(reject_id) for reject_id in reject_ids]):
        these = REJECTS.c[REJECT_ID].in_([int(reject_id) for reject_id in chunk])
        connection.execute(sa.update(REJECTS).where(these).values({REPLAYED_IN: load_id}))


def _waiting(statement: sa.Select) -> sa.Select:
    return statement.where(REJECTS.c[REPLAYED_IN].is_(None))
