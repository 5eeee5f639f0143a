"""Rows as plain NumPy arrays by name: a frame without an index, as light for one deal of a request as for a million events.

Features and predictors compute on these; pandas stands where tables are read and where predictions are handed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Texts = npt.NDArray[np.object_]
"""Text: `str`, or None where it is missing."""
_MANY = 10_000
"""Rows from which on it is looked whether a column's text repeats."""


class Columns:
    """Columns of equal length: numbers, flags, instants (``datetime64[us]``) and `Texts`. Do not modify what you did not make.

    ``len`` is the number of rows; ``in`` and iteration speak of names, in order.
    """

    __slots__ = ("_arrays", "_rows")

    def __init__(self, arrays: Mapping[str, npt.NDArray[Any]], rows: int) -> None:
        self._arrays, self._rows = arrays, rows

    @classmethod
    def of(cls, frame: pd.DataFrame, names: Sequence[str] | None = None) -> Columns:
        """A frame's columns (or the named ones of them), its index left out."""
        return cls({str(name): array_of(frame[name]) for name in (frame.columns if names is None else names)}, len(frame))

    def __len__(self) -> int:
        return self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __contains__(self, name: object) -> bool:
        return name in self._arrays

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self._arrays[name]

    def floats(self, name: str) -> npt.NDArray[np.float64]:
        """A column of numbers or flags as float64."""
        return np.asarray(self._arrays[name], dtype=float)

    def has_text(self, name: str) -> bool:
        """Whether a column holds text."""
        return is_text(self[name])

    def stacked(self, names: Sequence[str]) -> npt.NDArray[np.float64]:
        """Columns of numbers one below the other, ``(len(names), len)``."""
        return np.array([self.floats(name) for name in names]).reshape(len(names), len(self))

    def shared(self, name: str) -> Any:
        """The value of a column that is known to be the same in all rows; None where that is not known."""
        return None

    def tuples(self, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Row by row, the values of these columns in plain Python; None where there is no such column."""
        columns = (self[name].tolist() if name in self else [None] * len(self) for name in names)
        return zip(*columns, strict=True) if names else (() for _ in range(len(self)))

    def take(self, rows: npt.NDArray[Any] | slice) -> Columns:
        """These rows: positions, a mask or a slice."""
        taken = {name: array[rows] for name, array in self._arrays.items()}
        return Columns(taken, len(next(iter(taken.values())) if taken else np.arange(self._rows)[rows]))

    def with_columns(self, arrays: Mapping[str, npt.NDArray[Any]]) -> Columns:
        """These and further columns, or others in their place."""
        return Columns({name: self[name] for name in self} | dict(arrays), self._rows)

    def frame(self) -> pd.DataFrame:
        """As a frame; text as ``str``."""
        made = {name: pd.array(array, dtype="str") if is_text(array) else array for name, array in ((name, self[name]) for name in self)}
        return pd.DataFrame(made, index=pd.RangeIndex(self._rows))


class Records(Columns):
    """A few rows kept as dictionaries; a column is made when it is asked for. ``same``: columns of one value for all rows.

    What a row does not name is missing.
    """

    __slots__ = ("_same", "rows")

    def __init__(self, rows: Sequence[Mapping[str, Any]], *, same: Mapping[str, Any]) -> None:
        super().__init__({}, len(rows))
        self.rows, self._same = rows, same

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._same, *(name for row in self.rows for name in row)]))

    def __contains__(self, name: object) -> bool:
        return name in self._same or any(name in row for row in self.rows)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        made: dict[str, npt.NDArray[Any]] = self._arrays  # type: ignore[assignment]
        if name not in made:
            if name in self._same:
                made[name] = np.full(len(self), self._same[name])
            else:
                made[name] = np.array([row.get(name) for row in self.rows], dtype=object if self.has_text(name) else float)
        return made[name]

    def has_text(self, name: str) -> bool:
        """See `Columns.has_text`."""
        if name in self._same:
            return is_text(self[name])
        values = [row.get(name) for row in self.rows]
        return any(isinstance(value, str) for value in values) or all(value is None for value in values)

    def stacked(self, names: Sequence[str]) -> npt.NDArray[np.float64]:
        """See `Columns.stacked`."""
        return np.array([[row.get(name, np.nan) for row in self.rows] for name in names], float).reshape(len(names), len(self))

    def floats(self, name: str) -> npt.NDArray[np.float64]:
        """See `Columns.floats`."""
        return np.array([row.get(name, np.nan) for row in self.rows], dtype=float)

    def tuples(self, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """See `Columns.tuples`."""
        return (tuple(map(row.get, names)) for row in self.rows)

    def shared(self, name: str) -> Any:
        """See `Columns.shared`."""
        return self._same.get(name)

    def take(self, rows: npt.NDArray[Any] | slice) -> Records:
        """See `Columns.take`."""
        return Records([self.rows[row] for row in np.arange(len(self))[rows]], same=self._same)


def array_of(values: pd.Series) -> npt.NDArray[Any]:
    """A column of a frame as an array that `Columns` may hold."""
    kind = values.dtype.kind
    if kind == "M":
        return values.to_numpy("datetime64[us]")
    if kind in "fib" and isinstance(values.dtype, np.dtype):
        return values.to_numpy()
    if len(values) >= _MANY and isinstance(values.dtype, pd.StringDtype):
        codes, distinct = pd.factorize(values)
        if len(distinct) < len(values) / 2:  # equal text is one object: a tenth of the memory, where there are few different ones
            return np.array([*distinct, None], dtype=object)[codes]
    return values.to_numpy(object, na_value=None)


def is_text(values: npt.NDArray[Any]) -> bool:
    """Whether a column holds text."""
    return values.dtype == object


def is_missing(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Mask of missing text, numbers or instants."""
    return np.asarray(values == np.array(None), dtype=bool) if is_text(values) else np.asarray(values != values)


def concatenated(parts: Sequence[Columns]) -> Columns:
    """Rows of several, of the same columns, one after the other."""
    if len(parts) == 1:
        return parts[0]
    return Columns({name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, sum(map(len, parts)))
