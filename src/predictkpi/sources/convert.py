"""Cells to typed columns: text, numbers and instants. A cell that cannot be converted is marked, never replaced.

Each function takes a column as `files` returns it (text, or the type that Parquet or Excel gave it) and returns the typed column; the
cells that are not empty and could not be converted come back as a mask.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from predictkpi.sources.mapping import Dates, Reading

_TIME_OF_DAY = ("%H", "%I", "%T", "%X", "%c", "ISO8601")
_OFFSET = r"(?:Z|[+-]\d\d:?\d\d)$"
_FLAGS = {"true": True, "yes": True, "y": True, "t": True, "1": True, "false": False, "no": False, "n": False, "f": False, "0": False}
_INSTANT: Final = "datetime64[us]"


def as_text(values: pd.Series) -> pd.Series:
    """Stripped text; empty cells are missing. Whole numbers have no decimals: an id of 17.0 in a spreadsheet is 17."""
    if values.dtype == "str":
        text = values.str.strip()
        return text.mask(text == "")
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return values.map(lambda cell: cell.isoformat(), na_action="ignore").astype("str")
    return values.astype("object").map(_cell_text, na_action="ignore").astype("str")


def _cell_text(cell: object) -> str | float:
    if isinstance(cell, bool | np.bool_):
        return str(bool(cell)).lower()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, dt.date | dt.time):
        return cell.isoformat()
    return str(cell).strip() or np.nan


def as_number(values: pd.Series, reading: Reading) -> tuple[pd.Series, pd.Series]:
    """``float64`` and the mask of cells that are no finite number."""
    if values.dtype == "object":
        is_text = values.map(lambda cell: isinstance(cell, str))
        is_number = values.map(lambda cell: isinstance(cell, int | float) and not isinstance(cell, bool))
        numbers = values.where(is_number).astype("float64")
        parsed, _ = as_number(values.where(is_text).astype("str"), reading)
        numbers = numbers.fillna(parsed)
        return numbers, (numbers.isna() & as_text(values).notna()) | (numbers.abs() == np.inf)
    if pd.api.types.is_numeric_dtype(values.dtype):
        numbers = values.astype("float64")
        return numbers, numbers.abs() == np.inf
    if values.dtype != "str":
        return pd.Series(np.nan, index=values.index), values.notna()
    text = as_text(values)
    plain = text
    if reading.thousands:
        plain = plain.str.replace(reading.thousands, "", regex=False)
    if reading.decimal != ".":
        plain = plain.str.replace(".", "?", regex=False).str.replace(reading.decimal, ".", regex=False)
    numbers = pd.to_numeric(plain, errors="coerce").astype("float64").replace([np.inf, -np.inf], np.nan)
    return numbers, text.notna() & numbers.isna()


def as_flag(values: pd.Series) -> tuple[pd.Series, pd.Series]:
    """``boolean`` and the mask of cells that are neither yes nor no; other spellings go through the mapping's ``values``."""
    text = as_text(values)
    flags = text.str.casefold().map(_FLAGS).astype("boolean")
    return flags, text.notna() & flags.isna()


@dataclass(frozen=True)
class Instants:
    """A converted column of instants.

    ``swapped`` is set where more than half of the failing cells would parse with day and month swapped: that format, how many cells parse
    under it, and how many there are.
    """

    values: pd.Series
    failed: pd.Series
    swapped: tuple[str, int, int] | None = None


def as_instants(values: pd.Series, dates: Dates, *, column: str, time_zone: str) -> Instants:
    """Naive local time of the company's ``time_zone``; text needs a format (`Dates.format_of`), typed cells do not."""
    if values.dtype == "object":
        is_instant = values.map(lambda cell: isinstance(cell, dt.date))
        typed = pd.to_datetime(values.where(is_instant), errors="coerce").astype(_INSTANT)
        rest = as_instants(as_text(values.mask(is_instant)), dates, column=column, time_zone=time_zone)
        return Instants(_localised(typed, dates, time_zone).fillna(rest.values), rest.failed, rest.swapped)
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return Instants(_localised(values, dates, time_zone), pd.Series(False, index=values.index))
    text = as_text(values)
    form = dates.format_of(column)
    if form is None:
        return Instants(pd.Series(pd.NaT, index=values.index, dtype=_INSTANT), text.notna())
    parsed = _parse(text, form)
    failed = text.notna() & parsed.isna()
    has_time = any(token in form for token in _TIME_OF_DAY)
    local = _localised(parsed, dates, time_zone) if has_time else parsed.astype(_INSTANT)
    return Instants(local, failed, _swapped(text, form, failed))


def _parse(text: pd.Series, form: str) -> pd.Series:
    has_offset = "%z" in form or (form == "ISO8601" and bool(text.str.contains(_OFFSET).any()))
    return pd.to_datetime(text, format=form, errors="coerce", utc=has_offset)


def _localised(values: pd.Series, dates: Dates, time_zone: str) -> pd.Series:
    """To the company's time zone. Typed days (midnight everywhere, no zone of their own) stay the days they are."""
    if values.dt.tz is None:
        is_days = bool((values.dropna() == values.dropna().dt.normalize()).all())
        if is_days or dates.time_zone in (None, time_zone):
            return values.astype(_INSTANT)
        # Of an hour that the clock shows twice the first is taken; one that it skips moves to the end of the gap.
        first = np.ones(len(values), dtype=bool)
        values = values.dt.tz_localize(dates.time_zone, ambiguous=first, nonexistent="shift_forward")
    return values.dt.tz_convert(time_zone).dt.tz_localize(None).astype(_INSTANT)


def _swapped(text: pd.Series, form: str, failed: pd.Series) -> tuple[str, int, int] | None:
    if not failed.any() or "%d" not in form or "%m" not in form:
        return None
    other = form.replace("%d", "%?").replace("%m", "%d").replace("%?", "%m")
    parses = _parse(text, other).notna()
    if (parses & failed).sum() * 2 <= failed.sum():
        return None
    return other, int(parses.sum()), int(text.notna().sum())
