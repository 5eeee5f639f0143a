"""Frames to SQL rows and back, in bulk, as Arrow columns: text is ``str``, doubles are ``float64``, instants are ``datetime64[us]``.

SQLite takes and gives tuples, which are made and taken apart a column at a time. PostgreSQL takes and gives CSV (``COPY``), which Arrow
writes and parses, so that no value of it ever becomes a Python object.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import sqlalchemy as sa

from predictkpi.store.schema import Instant

ROWS_AT_ONCE = 50_000
_TUPLES_AT_ONCE = 2_000  # few enough to stay in the processor's cache

_INSTANT = pa.timestamp("us")
_DTYPES: Mapping[pa.DataType, str] = {_INSTANT: "datetime64[us]", pa.int64(): "int64", pa.float64(): "float64", pa.bool_(): "bool"}


def insert_frame(connection: sa.Connection, table: sa.Table, frame: pd.DataFrame, *, on_rows: Callable[[int], None] | None = None) -> None:
    """Insert all rows, in order; empty values become NULL. ``on_rows`` hears how many are written so far."""
    insert = _copy_in if connection.dialect.name == "postgresql" else _insert_tuples
    for start in range(0, len(frame), ROWS_AT_ONCE):
        chunk = pa.Table.from_pandas(frame.iloc[start : start + ROWS_AT_ONCE], preserve_index=False)
        insert(connection, table, chunk)
        if on_rows is not None:
            on_rows(start + len(chunk))


def read_frame(connection: sa.Connection, statement: sa.Select[Any]) -> pd.DataFrame:
    """Result of a select, with the dtypes of its columns."""
    schema = pa.schema([(column.name, _arrow_type(column.type)) for column in statement.selected_columns])
    read = _copy_out if connection.dialect.name == "postgresql" else _read_tuples
    found = read(connection, statement, schema)
    return pd.DataFrame({field.name: found[field.name].to_pandas().astype(_DTYPES.get(field.type, "str")) for field in schema})


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
    names = ", ".join(quote.quote(name) for name in rows.column_names)
    places = ", ".join("?" * rows.num_columns)
    columns = [column.cast(pa.string()) if pa.types.is_timestamp(column.type) else column for column in rows.columns]
    values = zip(*(column.to_pylist() for column in columns), strict=True)
    _cursor(connection).executemany(f"INSERT INTO {quote.format_table(table)} ({names}) VALUES ({places})", values)


def _read_tuples(connection: sa.Connection, statement: sa.Select[Any], schema: pa.Schema) -> pa.Table:
    cursor = connection.execute(statement).cursor
    batches = []
    while cursor is not None and (rows := cursor.fetchmany(_TUPLES_AT_ONCE)):
        columns = zip(zip(*rows, strict=True), schema, strict=True)
        batches.append(pa.record_batch([_arrow_array(values, field.type) for values, field in columns], schema=schema))
    return pa.Table.from_batches(batches, schema)


def _arrow_array(values: tuple[Any, ...], kind: pa.DataType) -> pa.Array:
    """SQLite's own types are numbers and text: instants are spelt out, and flags are 0 and 1."""
    if kind == _INSTANT:
        return pa.array(values, pa.string()).cast(kind)
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
