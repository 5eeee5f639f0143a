"""Frames to SQL rows and back, in bulk: nothing here handles a value at a time that pandas or Arrow can handle a column at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from predictkpi.store.schema import Instant

ROWS_AT_ONCE = 50_000


def insert_frame(connection: sa.Connection, table: sa.Table, frame: pd.DataFrame, *, on_rows: Callable[[int], None] | None = None) -> None:
    """Insert all rows, in order; empty values become NULL. ``on_rows`` hears how many are written so far."""
    is_text = connection.dialect.name == "sqlite"
    names = [str(name) for name in frame.columns]
    for start in range(0, len(frame), ROWS_AT_ONCE):
        chunk = frame.iloc[start : start + ROWS_AT_ONCE]
        values = zip(*(_sql_values(chunk[name], is_text=is_text) for name in names), strict=True)
        connection.execute(sa.insert(table), [dict(zip(names, row, strict=True)) for row in values])
        if on_rows is not None:
            on_rows(start + len(chunk))


def _sql_values(values: pd.Series, *, is_text: bool) -> list[Any]:
    empty = values.isna()
    if is_text and pd.api.types.is_datetime64_any_dtype(values.dtype):
        values = pd.Series(pa.array(values.astype("datetime64[us]")).cast(pa.string()).to_pandas(), dtype="str").set_axis(values.index)
    if not empty.any():
        return values.tolist()
    return values.astype("object").mask(empty, None).tolist()


def read_frame(connection: sa.Connection, statement: sa.Select[Any]) -> pd.DataFrame:
    """Result of a select: text as ``str``, doubles as ``float64``, whole numbers as ``int64``, instants as ``datetime64[us]``."""
    result = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(statement)
    types = {column.name: _arrow_type(column.type) for column in statement.selected_columns}
    chunks: dict[str, list[pa.Array]] = {name: [] for name in types}
    for rows in result.partitions():
        for (name, kind), values in zip(types.items(), zip(*rows, strict=True), strict=True):
            chunks[name].append(_arrow_array(values, kind))
    return pd.DataFrame({name: _series(chunks[name], kind) for name, kind in types.items()})


_INSTANT = pa.timestamp("us")


def _arrow_type(kind: sa.types.TypeEngine[Any]) -> pa.DataType:
    if isinstance(kind, Instant):
        return _INSTANT
    if isinstance(kind, sa.Boolean):
        return pa.bool_()
    if isinstance(kind, sa.Integer):
        return pa.int64()
    return pa.float64() if isinstance(kind, sa.Double) else pa.large_string()


def _arrow_array(values: tuple[Any, ...], kind: pa.DataType) -> pa.Array:
    if kind == _INSTANT and any(isinstance(value, str) for value in values):
        return pa.array(values, pa.string()).cast(_INSTANT)
    return pa.array(values, kind)


def _series(chunks: list[pa.Array], kind: pa.DataType) -> pd.Series:
    return pa.chunked_array(chunks, type=kind).to_pandas().astype(_DTYPES.get(kind, "str"))


_DTYPES: Mapping[pa.DataType, str] = {_INSTANT: "datetime64[us]", pa.int64(): "int64", pa.float64(): "float64", pa.bool_(): "bool"}


def in_chunks(values: list[str], size: int = 500) -> Iterator[list[str]]:
    """Slices short enough for an SQL ``IN``."""
    return (values[start : start + size] for start in range(0, len(values), size))
