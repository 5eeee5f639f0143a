"""A company's own fields in a request: each value checked against the kind that the store knows of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from predictkpi.features.new_deals import Value
from predictkpi.service.error_handlers import json_pointer
from predictkpi.service.instants import IsoInstant
from predictkpi.service.problems import FieldError
from predictkpi.service.schemas import OwnValue
from predictkpi.service.view import View

_WANTED = {"number": "a number", "flag": "true or false", "category": "text", "date": "a date"}
_INSTANT: TypeAdapter[datetime] = TypeAdapter(IsoInstant)


def own_fields(
    given: Mapping[str, OwnValue], view: View, *, pointer: str
) -> tuple[list[tuple[str, str, Value]], list[FieldError], list[str]]:
    """Fields of a deal as `NewDeal` takes them, what is wrong with its values, and what of them is news to every model.

    Null and blank text are no value. A field that the store has never seen is no error.
    """
    rows: list[tuple[str, str, Value]] = []
    wrong, news = [], []
    for name, value in given.items():
        if name not in view.deal_attributes:
            news.append(f"attribute {name!r} was never seen in the data and is not used")
            continue
        kind, seen = view.deal_attributes[name]
        try:
            held = _of_kind(value, kind, view)
        except ValueError as error:
            wrong.append(
                FieldError(f"attribute {name!r} must be {error}, got {value!r:.80}", pointer + json_pointer([name]).removeprefix("#"))
            )
            continue
        if kind == "category" and held is not None and held not in seen:
            news.append(f"attribute {name!r}: {held!r:.80} was never seen in the data and counts as unknown")
        rows.append((name, kind, held))
    return rows, wrong, news


def _of_kind(value: OwnValue, kind: str, view: View) -> Value:
    """The value as a number or a text; `ValueError` saying what was wanted where it is not of its kind."""
    if value is None or value == "":
        return None
    if kind == "category" and isinstance(value, str):
        return value
    if kind == "flag" and isinstance(value, bool):
        return float(value)
    if kind == "number" and isinstance(value, float):
        return value
    if kind == "date" and isinstance(value, str):
        try:
            return view.microseconds(_INSTANT.validate_python(value).replace(microsecond=0))
        except ValidationError as error:
            raise ValueError(f"a date ({error.errors()[0]['msg'].removeprefix('Value error, ')})") from error
    raise ValueError(_WANTED[kind])
