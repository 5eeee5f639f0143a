"""A row as the source gave it, as one line of JSON, and back: rejects keep it so that they can be offered again without the file."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from typing import Any

import pandas as pd

_INSTANT = "instant"


def as_records(rows: pd.DataFrame) -> pd.Series:
    """Each row as JSON, on the index of ``rows``: text, numbers and flags as they are, instants as ``{"instant": ISO 8601}``."""
    names = [str(name) for name in rows.columns]
    cells = zip(*(rows[name].astype("object").where(rows[name].notna(), None) for name in rows.columns), strict=True)
    lines = [json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False, default=_plain) for row in cells]
    return pd.Series(lines, index=rows.index, dtype="str")


def storable(text: pd.Series) -> pd.Series:
    """The text with NUL characters spelt out, for the list of rejects: no database keeps them. (JSON spells them out anyway.)"""
    return text.astype("str").str.replace("\0", "\\x00", regex=False)


def of_records(records: Iterable[str]) -> pd.DataFrame:
    """The rows again, numbered from 0, with the columns of all of them; text columns as ``str``, what is mixed as ``object``."""
    rows = [json.loads(record, object_hook=_typed) for record in records]
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: pd.Series([row.get(name) for row in rows], dtype="object") for name in names}
    return pd.DataFrame({name: _narrowed(values) for name, values in columns.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return {_INSTANT: value.isoformat()}
    return value.item() if hasattr(value, "item") else str(value)


def _typed(found: dict[str, Any]) -> Any:
    return pd.Timestamp(found[_INSTANT]) if list(found) == [_INSTANT] and isinstance(found[_INSTANT], str) else found


def _narrowed(values: pd.Series) -> pd.Series:
    there = values.dropna()
    if all(isinstance(value, str) for value in there):
        return values.astype("str")
    if all(type(value) is int for value in there):
        return values.astype("Int64")
    if all(type(value) in (int, float) for value in there):
        return values.astype("float64")
    if all(isinstance(value, pd.Timestamp) for value in there):
        return pd.to_datetime(values)
    return values
