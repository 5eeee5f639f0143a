"""A company's own fields in a request: each value checked against the kind that the store knows of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from predictkpi.core import columns as c
from predictkpi.service.error_handlers import json_pointer
from predictkpi.service.instants import IsoInstant
from predictkpi.service.problems import FieldError
from predictkpi.service.schemas import OwnValue
from predictkpi.service.view import View

_WANTED = {"number": "a number", "flag": "true or false", "category": "text", "date": "a date"}
_INSTANT: TypeAdapter[datetime] = TypeAdapter(IsoInstant)


def own_field_rows(
    given: Mapping[str, OwnValue], view: View, *, row_id: str, known_at: pd.Timestamp, pointer: str
) -> tuple[list[dict[str, object]], list[FieldError], list[str]]:
    """Rows of the table of attributes for a deal, what is wrong with its values, and what of them is news to every model.

    Null and blank text are no value. A field that the store has never seen is no error.
    """
    rows: list[dict[str, object]] = []
    wrong, news = [], []
    for name, value in given.items():
        if name not in view.deal_attributes:
            news.append(f"attribute {name!r} was never seen in the data and is not used")
            continue
        kind, seen = view.deal_attributes[name]
        try:
            text = _as_text(value, kind, view)
        except ValueError as error:
            wrong.append(
                FieldError(f"attribute {name!r} must be {error}, got {value!r:.80}", pointer + json_pointer([name]).removeprefix("#"))
            )
            continue
        if kind == "category" and text is not None and text not in seen:
            news.append(f"attribute {name!r}: {text!r:.80} was never seen in the data and counts as unknown")
        rows.append({c.TABLE: "deals", c.ENTITY_ID: row_id, c.NAME: name, c.KIND: kind, c.VALUE: text, c.KNOWN_AT: known_at})
    return rows, wrong, news


def _as_text(value: OwnValue, kind: str, view: View) -> str | None:
    """As `tables.attributes.to_text` would write it; `ValueError` saying what was wanted where the value is not of its kind."""
    if value is None or value == "":
        return None
    if kind == "category" and isinstance(value, str):
        return value
    if kind == "flag" and isinstance(value, bool):
        return "true" if value else "false"
    if kind == "number" and isinstance(value, float):
        return repr(value)
    if kind == "date" and isinstance(value, str):
        try:
            return f"{view.local(_INSTANT.validate_python(value)):%Y-%m-%dT%H:%M:%S}"
        except ValidationError as error:
            raise ValueError(f"a date ({error.errors()[0]['msg'].removeprefix('Value error, ')})") from error
    raise ValueError(_WANTED[kind])
