"""What a sync keeps beside the facts, in the same transaction: how far each object of a source was read, and which records are gone.

A deleted record is not erased: it is withdrawn, known from the load that learnt of it. Snapshots of earlier instants still hold it, so what
was computed then can be rebuilt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import sqlalchemy as sa

from predictkpi.core import columns as c
from predictkpi.store.frames import in_chunks, insert_frame, read_frame
from predictkpi.store.schema import FACT_TABLES, LOAD_ID, MARKS, VERSION_ID, WITHDRAWALS
from predictkpi.tables import table_schema

IS_WITHDRAWN = "is_withdrawn"


def read_marks(connection: sa.Connection, source: str) -> dict[str, str]:
    """The marks of that source by object, as its connector wrote them."""
    rows = connection.execute(sa.select(MARKS.c["object"], MARKS.c["mark"]).where(MARKS.c["source"] == source))
    return {str(name): str(mark) for name, mark in rows}


def write_marks(connection: sa.Connection, source: str, marks: Mapping[str, str]) -> None:
    """Move these marks; those of other objects stay."""
    for name, mark in marks.items():
        connection.execute(sa.delete(MARKS).where(MARKS.c["source"] == source, MARKS.c["object"] == name))
        connection.execute(sa.insert(MARKS).values(source=source, object=name, mark=mark))


def withdraw(
    connection: sa.Connection, table: str, column: str, ids: Sequence[str], *, known_at: pd.Timestamp, load_id: int, is_withdrawn: bool
) -> int:
    """State that the rows of ``table`` with these ids are gone (or back); returns for how many that is news.

    Ids that the table never held are passed over.
    """
    stated = read_statements(connection, table, column).drop_duplicates(c.VALUE, keep="last").set_index(c.VALUE)[IS_WITHDRAWN]
    gone = set(stated.index[stated.astype("bool")])
    wanted = [value for value in dict.fromkeys(ids) if (value in gone) != is_withdrawn]
    held = FACT_TABLES[table].c[column]
    there = {
        str(value)
        for chunk in in_chunks(wanted)
        for value in connection.execute(sa.select(held).distinct().where(held.in_(chunk))).scalars()
    }
    news = [value for value in wanted if value in there]
    if news:
        rows = pd.DataFrame({c.VALUE: news, IS_WITHDRAWN: is_withdrawn, c.KNOWN_AT: known_at.as_unit("us")})
        write_statements(connection, table, column, rows, load_id=load_id)
    return len(news)


def write_statements(connection: sa.Connection, table: str, column: str, said: pd.DataFrame, *, load_id: int) -> None:
    """Append statements on records (``value, is_withdrawn, known_at``), where ``value`` is what they have in ``column``."""
    insert_frame(connection, WITHDRAWALS, said.assign(**{"table": table, "field": column, LOAD_ID: load_id}))


def read_statements(connection: sa.Connection, table: str, column: str) -> pd.DataFrame:
    """All statements on the records of ``table`` by ``column``, oldest first: ``value, is_withdrawn, known_at``."""
    held = WITHDRAWALS.c
    statement = sa.select(held[c.VALUE], held[IS_WITHDRAWN], held[c.KNOWN_AT]).where(held["table"] == table, held["field"] == column)
    return read_frame(connection, statement.order_by(held[c.KNOWN_AT], held["withdrawal_id"]))


def count_statements(connection: sa.Connection) -> dict[str, int]:
    """How many there are, by table; one of which nothing was stated is not named."""
    table = WITHDRAWALS.c["table"]
    return {str(name): int(count) for name, count in connection.execute(sa.select(table, sa.func.count()).group_by(table).order_by(table))}


def with_withdrawals(
    connection: sa.Connection, table: str, versions: pd.DataFrame, *, known_before: pd.Timestamp, newest_load: int
) -> pd.DataFrame:
    """The versions of ``table`` and, where any of its records was gone before that instant and up to that load, what was stated of them.

    A statement is a copy of the version then in force, known at the statement and flagged ``is_deleted`` (or not, if it came back); one
    made by ``version_id`` is of that version. Without any, the frame comes back as it is, and without that column.
    """
    held = WITHDRAWALS.c
    where = (held["table"] == table) & (held[c.KNOWN_AT] < known_before) & (held[LOAD_ID] <= newest_load)
    statement = sa.select(held["field"], held[c.VALUE], held[IS_WITHDRAWN], held[c.KNOWN_AT]).where(where)
    stated = read_frame(connection, statement.order_by(held[c.KNOWN_AT], held["withdrawal_id"]))
    if stated.empty:
        return versions
    parts = [versions.assign(**{c.IS_DELETED: False})]
    for column, rows in stated.groupby("field"):
        said = rows.rename(columns={c.VALUE: str(column), c.KNOWN_AT: "stated_at"}).drop(columns="field")
        named = versions if column != VERSION_ID else _with_ids(connection, table, versions)
        found = named.merge(said, on=str(column))
        found = found[found[c.KNOWN_AT] <= found["stated_at"]]
        found = found.drop_duplicates([*table_schema(table).key, "stated_at", IS_WITHDRAWN], keep="last")
        parts.append(found.assign(**{c.KNOWN_AT: found["stated_at"], c.IS_DELETED: found[IS_WITHDRAWN].astype("bool")})[list(parts[0])])
    return pd.concat(parts, ignore_index=True).sort_values(c.KNOWN_AT, kind="stable", ignore_index=True)


def _with_ids(connection: sa.Connection, table: str, versions: pd.DataFrame) -> pd.DataFrame:
    """The versions with their ``version_id``, as text."""
    key = [*table_schema(table).key, c.KNOWN_AT]
    held = FACT_TABLES[table]
    ids = read_frame(connection, sa.select(held.c[VERSION_ID], *(held.c[name] for name in key)))
    return versions.merge(ids.astype({VERSION_ID: "str"}), on=key)
