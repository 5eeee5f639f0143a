"""Frames to SQL rows and back, in bulk, as Arrow columns: text is ``str``, doubles are ``float64``, instants are ``datetime64[us]``.

SQLite takes and gives tuples, which are made and taken apart a column at a time; instants are microseconds there. PostgreSQL takes and
gives CSV (``COPY``), which Arrow writes and parses, so that no value of it ever becomes a Python object.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import sqlalchemy as sa

from predictkpi.core import columns as c
from predictkpi.store.schema import VERSION_ID, Instant

OnRows = Callable[[int], None]
ROWS_AT_ONCE = 50_000
_ROWS_A_STATEMENT = 50  # the work that a statement costs besides its cells is shared by as many rows
_TUPLES_AT_ONCE = 600  # fewer than make the garbage collector look at them

_INSTANT = pa.timestamp("us")
_DTYPES: Mapping[pa.DataType, str] = {_INSTANT: "datetime64[us]", pa.int64(): "int64", pa.float64(): "float64", pa.bool_(): "bool"}


def insert_frame(connection: sa.Connection, table: sa.Table, frame: pd.DataFrame, *, on_rows: OnRows | None = None) -> None:
    """Insert all rows, in order; empty values become NULL. ``on_rows`` hears how many are written so far."""
    insert = _copy_in if connection.dialect.name == "postgresql" else _insert_tuples
    for start in range(0, len(frame), ROWS_AT_ONCE):
        chunk = pa.Table.from_pandas(frame.iloc[start : start + ROWS_AT_ONCE], preserve_index=False)
        insert(connection, table, chunk)
        if on_rows is not None:
            on_rows(start + len(chunk))


@contextmanager
def indexed_afterwards(connection: sa.Connection, table: sa.Table) -> Iterator[None]:
    """Fill an empty table without its indexes, and make them when the block ends: they are sorted once instead of grown row by row.

    Only in SQLite, where readers do not notice; in PostgreSQL they would have to wait for the transaction that drops an index.
    """
    indexes = table.indexes if connection.dialect.name == "sqlite" else set()
    for index in indexes:
        index.drop(connection)
    yield
    for index in indexes:
        index.create(connection)


def read_frame(connection: sa.Connection, statement: sa.Select[Any]) -> pd.DataFrame:
    """Result of a select, with the dtypes of its columns."""
    schema = pa.schema([(column.name, _arrow_type(column.type)) for column in statement.selected_columns])
    read = _copy_out if connection.dialect.name == "postgresql" else _read_tuples
    found = read(connection, statement, schema)
    return pd.DataFrame({field.name: found[field.name].to_pandas().astype(_DTYPES.get(field.type, "str")) for field in schema})


def read_versions(connection: sa.Connection, table: sa.Table, columns: Sequence[str], *where: sa.ColumnElement[bool]) -> pd.DataFrame:
    """These columns (``known_at`` among them) of a fact table's versions, oldest first, and at one instant in the order of their loads."""
    found = read_frame(connection, sa.select(*(table.c[name] for name in columns)).where(*where).order_by(table.c[VERSION_ID]))
    # Most loads append in this very order, so there is seldom anything to sort.
    return found if found[c.KNOWN_AT].is_monotonic_increasing else found.sort_values(c.KNOWN_AT, kind="stable", ignore_index=True)


def _arrow_type(kind: sa.types.TypeEngine[Any]) -> pa.DataType:
    if isinstance(kind, Instant):
        return _INSTANT
    if isinstance(kind, sa.Boolean):
        return pa.bool_()
    if isinstance(kind, sa.Integer):
        return pa.int64()
    return pa.float64() if isinstance(kind, sa.Double) else pa.large_string()


def _insert_tuples(connection: sa.Connection, table: sa.Table, rows: pa.Table) -> None:
    quote = connection.dialect.identifier_preparer
    rows = rows.select([name for name in rows.column_names if rows[name].null_count < len(rows)])  # NULL comes by itself
    names = ", ".join(quote.quote(name) for name in rows.column_names)
    places = "(" + ", ".join("?" * rows.num_columns) + ")"
    columns = [column.cast(_INSTANT).cast(pa.int64()) if pa.types.is_timestamp(column.type) else column for column in rows.columns]
    cells = list(chain.from_iterable(zip(*(column.to_pylist() for column in columns), strict=True)))
    cursor, done = _cursor(connection), 0
    for height in (_ROWS_A_STATEMENT, 1):  # what is left of the last statement's rows comes one by one
        size = height * len(columns)
        until = done + (len(cells) - done) // size * size
        statement = f"INSERT INTO {quote.format_table(table)} ({names}) VALUES {', '.join([places] * height)}"  # noqa: S608  quoted names, values as places
        cursor.executemany(statement, (cells[start : start + size] for start in range(done, until, size)))
        done = until


def _read_tuples(connection: sa.Connection, statement: sa.Select[Any], schema: pa.Schema) -> pa.Table:
    cursor = connection.execute(statement).cursor
    batches = []
    while cursor is not None and (rows := cursor.fetchmany(_TUPLES_AT_ONCE)):
        columns = zip(zip(*rows, strict=True), schema, strict=True)
        batches.append(pa.record_batch([_arrow_array(values, field.type) for values, field in columns], schema=schema))
    return pa.Table.from_batches(batches, schema)


def _arrow_array(values: tuple[Any, ...], kind: pa.DataType) -> pa.Array:
    """SQLite's own types are numbers and text: instants are counted, and flags are 0 and 1."""
    if kind == _INSTANT:
        return pa.array(values, pa.int64()).cast(kind)
    return pa.array(values, pa.int8()).cast(kind) if pa.types.is_boolean(kind) else pa.array(values, kind)


def _copy_in(connection: sa.Connection, table: sa.Table, rows: pa.Table) -> None:
    quote = connection.dialect.identifier_preparer
    names = ", ".join(quote.quote(name) for name in rows.column_names)
    text = io.BytesIO()
    pa.csv.write_csv(rows, text, pa.csv.WriteOptions(include_header=False))  # text is quoted, NULL is nothing at all
    with _cursor(connection) as cursor, cursor.copy(f"COPY {quote.format_table(table)} ({names}) FROM STDIN (FORMAT csv)") as copy:
        copy.write(text.getbuffer())


def _copy_out(connection: sa.Connection, statement: sa.Select[Any], schema: pa.Schema) -> pa.Table:
    compiled = statement.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
    values = {name: value.to_pydatetime() if isinstance(value, pd.Timestamp) else value for name, value in compiled.params.items()}
    text = io.BytesIO()
    with _cursor(connection) as cursor, cursor.copy(f"COPY ({compiled}) TO STDOUT (FORMAT csv)", values) as copy:
        for block in copy:
            text.write(block)
    if not text.tell():
        return schema.empty_table()
    text.seek(0)
    return pa.csv.read_csv(
        text,
        pa.csv.ReadOptions(column_names=schema.names),
        pa.csv.ParseOptions(newlines_in_values=True),
        pa.csv.ConvertOptions(
            column_types=schema,
            null_values=[""],
            true_values=["t"],
            false_values=["f"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def _cursor(connection: sa.Connection) -> Any:
    """The driver's own cursor, in the transaction of ``connection``."""
    return connection.connection.cursor()


def in_chunks(values: list[str], size: int = 500) -> Iterator[list[str]]:
    """Slices short enough for an SQL ``IN``."""
    return (values[start : start + size] for start in range(0, len(values), size))
