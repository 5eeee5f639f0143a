"""Attributes: a company's own fields of its customers, deals and orders, one value a row, so that no company needs a schema of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.schema import Column, RowCheck, TableSchema

OWNERS = ("customers", "deals", "orders")
"""Tables whose rows may have attributes; each has a key of one column."""
KINDS = ("category", "number", "date", "flag")
_FLAGS = {"true": True, "false": False}


def to_text(values: pd.Series, kind: str) -> pd.Series:
    """Typed values as the text that is stored; missing stays missing. Numbers keep every digit."""
    if kind == "category":
        return values.astype("str")
    text = values.astype("object")
    if kind == "number":
        text = pd.Series([repr(float(value)) for value in values], index=values.index, dtype="object")
    elif kind == "date":
        text = values.dt.strftime("%Y-%m-%dT%H:%M:%S").astype("object")
    else:
        text = text.map({True: "true", False: "false"})
    return text.where(values.notna(), None).astype("str")


def from_text(text: pd.Series, kind: str) -> pd.Series:
    """Stored text as ``str``, ``float64``, ``datetime64[us]`` or ``boolean``; what is no such value becomes missing."""
    if kind == "number":
        return pd.to_numeric(text, errors="coerce").astype("float64")
    if kind == "date":
        return pd.to_datetime(text, format="ISO8601", errors="coerce").astype("datetime64[us]")
    return text.map(_FLAGS).astype("boolean") if kind == "flag" else text.astype("str")


def as_floats(texts: Sequence[str], kind: str) -> npt.NDArray[np.float64]:
    """`from_text` as numbers: 0 or 1 of a flag, microseconds since 1970 of a date. Text as `to_text` writes it is read without pandas."""
    found = [_canonical(text, kind) for text in texts]
    odd = [place for place, value in enumerate(found) if value is None]
    if odd:
        values = from_text(pd.Series([texts[place] for place in odd], dtype="str"), kind)
        if kind == "date":
            read = np.where(values.isna(), np.nan, values.to_numpy("datetime64[us]").astype(np.int64))
        else:
            read = values.to_numpy(float, na_value=np.nan)
        for place, value in zip(odd, read, strict=True):
            found[place] = value
    return np.array(found, dtype=float)


def _canonical(text: str, kind: str) -> float | None:
    """The number in text as `to_text` writes it; None for any other."""
    if kind == "flag":
        return float(_FLAGS[text]) if text in _FLAGS else None
    try:
        if kind == "number":
            value = float(text)
            return value if repr(value) == text else None
        instant = datetime.fromisoformat(text)
        return float(np.datetime64(instant, "us").astype(np.int64)) if instant.isoformat() == text and not instant.tzinfo else None
    except ValueError:
        return None


def _is_misread(frame: pd.DataFrame) -> pd.Series:
    fails = pd.Series(False, index=frame.index)
    for kind in KINDS:
        of_kind = (frame[c.KIND] == kind) & frame[c.VALUE].notna()
        if kind != "category" and of_kind.any():
            fails |= of_kind & from_text(frame[c.VALUE].where(of_kind), kind).isna()
    return fails


def widened(attributes: pd.DataFrame) -> pd.DataFrame:
    """One row an entity, one typed column an attribute, both sorted; ``attributes`` holds one version of each value.

    An attribute has the kind that was learnt last; values of another kind, left over from an earlier mapping, are missing.
    """
    entities = pd.Index(sorted(attributes[c.ENTITY_ID].unique()), name=c.ENTITY_ID, dtype="str")
    columns = {}
    for name, rows in attributes.groupby(c.NAME, sort=True):
        kind = str(rows.sort_values(c.KNOWN_AT, kind="stable")[c.KIND].iloc[-1])
        text = rows.loc[rows[c.KIND] == kind].set_index(c.ENTITY_ID)[c.VALUE]
        columns[str(name)] = from_text(text.reindex(entities), kind)
    return pd.DataFrame(columns, index=entities)


ATTRIBUTES = TableSchema(
    name="attributes",
    grain="one row per value and version: what one field of one record holds; an empty value was emptied or never filled",
    columns=(
        Column(c.TABLE, "string", "whose field it is", required=True, choices=OWNERS),
        Column(c.ENTITY_ID, "string", "id of the customer, deal or order", required=True),
        Column(c.NAME, "string", "name of the attribute, as the mapping gives it", required=True),
        Column(c.KIND, "string", "how to read the value", required=True, choices=KINDS),
        Column(c.VALUE, "string", "the value as text: a number with a point, an ISO date, `true` or `false`, or any text"),
    ),
    key=(c.TABLE, c.ENTITY_ID, c.NAME),
    happened_at=None,
    checks=(RowCheck(c.VALUE, "is not of its kind", _is_misread),),
)
