"""Table schemas: strict inside (`validate` raises), counting at the border (`split_rejects` sets rows aside with reasons)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.arrays import Columns, is_missing, is_text
from predictkpi.errors import SchemaError

Kind = Literal["string", "number", "instant"]
REJECT_COLUMNS = ["field", "value", "reason"]
REQUIRED = "required, but empty"
_EMPTY: dict[Kind, Any] = {"string": None, "number": np.nan, "instant": np.datetime64("NaT", "us")}
_ARRAYS: dict[Kind, str] = {"string": "object", "number": "float64", "instant": "datetime64[us]"}
NUL_IN_TEXT = "holds a NUL character (\\x00), which no database keeps in text"


def has_nul(text: pd.Series) -> pd.Series:
    """Mask of cells with a NUL character: PostgreSQL takes none, so no store does."""
    return text.astype("str").str.contains("\0", regex=False, na=False)


@dataclass(frozen=True)
class Column:
    """One column: its kind, whether it may be empty, and what it means (unit, sign, period)."""

    name: str
    kind: Kind
    description: str
    required: bool = False
    minimum: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class RowCheck:
    """A rule over several columns of one row; ``fails`` marks the rows that break it."""

    field: str
    reason: str
    fails: Callable[[pd.DataFrame], pd.Series]


@dataclass(frozen=True)
class TableSchema:
    """A fact table: what a row is, what identifies it, and when it happened.

    ``known_at`` belongs to every table and is not listed. ``planned`` tables (targets) may speak of the future.
    """

    name: str
    grain: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    happened_at: str | None
    checks: tuple[RowCheck, ...] = field(default=())
    planned: bool = False

    @property
    def column_names(self) -> list[str]:
        """Names in schema order, without ``known_at``."""
        return [column.name for column in self.columns]

    def column(self, name: str) -> Column:
        """The column of that name; `SchemaError` names what there is."""
        for column in self.columns:
            if column.name == name:
                return column
        raise SchemaError.missing_columns(self.name, missing=[name], available=self.column_names)

    def empty(self) -> pd.DataFrame:
        """No rows, all columns, right dtypes."""
        dtypes = {"string": "str", "number": "float64", "instant": "datetime64[us]"}
        series = {column.name: pd.Series([], dtype=dtypes[column.kind]) for column in self.columns}
        return pd.DataFrame(series | {c.KNOWN_AT: pd.Series([], dtype="datetime64[us]")})

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> Columns:
        """Records as the table's columns and ``known_at``; what a record does not name is missing, what the table lacks is left out."""
        kinds = self._kinds()
        return Columns({name: np.array([row.get(name) for row in rows], dtype=_ARRAYS[kind]) for name, kind in kinds}, len(rows))

    def typed(self, rows: pd.DataFrame | Columns, names: Sequence[str] | None = None) -> Columns:
        """The table's columns and ``known_at`` (or the named ones) as arrays of their kind; one that is not there is missing."""
        kinds = [(name, kind) for name, kind in self._kinds() if names is None or name in names]
        held = Columns.of(rows, [name for name, _ in kinds if name in rows]) if isinstance(rows, pd.DataFrame) else rows
        return Columns(
            {name: _cast(held[name], kind) if name in held else np.full(len(held), _EMPTY[kind], _ARRAYS[kind]) for name, kind in kinds},
            len(held),
        )

    def _kinds(self) -> list[tuple[str, Kind]]:
        return [*((column.name, column.kind) for column in self.columns), (c.KNOWN_AT, "instant")]

    def split_rejects(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Set aside rows that break a rule.

        Parameters: ``frame`` with typed columns (see `sources`), any index. Returns ``(good, rejects)``; ``rejects`` has one row per
        rejected row: the original index, and the first broken rule as ``field, value, reason``.
        """
        missing = set(self.column_names) - set(frame.columns)
        if missing:
            raise SchemaError.missing_columns(self.name, missing=missing, available=frame.columns)
        rejects = []
        remaining = frame
        for name, fails, reason in self._rules(frame):
            bad = fails.reindex(remaining.index) & True
            if bad.any():
                broken = remaining[bad]
                values = broken[name].astype("object").where(broken[name].notna(), "")
                rejects.append(pd.DataFrame({"field": name, "value": values.map(str), "reason": reason}, index=broken.index))
                remaining = remaining[~bad]
        found = pd.concat(rejects) if rejects else pd.DataFrame(columns=REJECT_COLUMNS, index=frame.index[:0])
        return remaining, found

    def validate(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return ``frame`` if every row keeps every rule and keys are unique; raise `SchemaError` otherwise."""
        good, rejects = self.split_rejects(frame)
        if len(rejects):
            first = rejects.iloc[0]
            raise SchemaError(
                f"{self.name}: {len(rejects)} rows break the schema; first: {first['field']}={first['value']!r}: {first['reason']}"
            )
        for column in (column.name for column in self.columns if column.kind == "string"):
            if has_nul(good[column]).any():
                raise SchemaError(f"{self.name}: {column}={good.loc[has_nul(good[column]), column].iloc[0]!r}: {NUL_IN_TEXT}")
        twice = good.duplicated([*self.key, c.KNOWN_AT] if c.KNOWN_AT in good else list(self.key))
        if twice.any():
            raise SchemaError(f"{self.name}: key {self.key} repeats, first at {good.loc[twice, list(self.key)].iloc[0].to_dict()}")
        return good

    def _rules(self, frame: pd.DataFrame) -> list[tuple[str, pd.Series, str]]:
        rules = []
        for column in self.columns:
            values = frame[column.name]
            if column.required:
                empty = values.isna() | (values == "") if column.kind == "string" else values.isna()
                rules.append((column.name, empty, REQUIRED))
            if column.minimum is not None:
                rules.append((column.name, values < column.minimum, f"must not be below {column.minimum:g}"))
            if column.choices:
                rules.append((column.name, values.notna() & ~values.isin(column.choices), f"must be one of {', '.join(column.choices)}"))
        rules += [(check.field, check.fails(frame), check.reason) for check in self.checks]
        return rules


def _cast(values: npt.NDArray[Any], kind: Kind) -> npt.NDArray[Any]:
    if kind == "string" and not is_text(values):
        text = values.astype(object)
        text[is_missing(values)] = None
        return text
    return values if values.dtype == _ARRAYS[kind] else values.astype(_ARRAYS[kind])
