"""Cells to typed columns: text, numbers and instants. A cell that cannot be converted is marked, never replaced.

Each function takes a column as `files` returns it (text, or the type that Parquet or Excel gave it) and returns the typed column; the
cells that are not empty and could not be converted come back as a mask.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from predictkpi.sources.mapping import Dates, Reading

_TIME_OF_DAY = ("%H", "%I", "%T", "%X", "%c", "ISO8601")
_TIME = r"[T ]\d\d"
_OFFSET = _TIME + r".*(?:Z|[+-]\d\d(?::?\d\d)?)$"
_FLAGS = {"true": True, "yes": True, "y": True, "t": True, "1": True, "false": False, "no": False, "n": False, "f": False, "0": False}
_INSTANT: Final = "datetime64[us]"
_THOUSANDS = (",", ".", " ", "'")

EARLIEST, LATEST = pd.Timestamp("1900-01-01"), pd.Timestamp("2261-12-31 23:59:59.999999")
"""Instants that facts may have: the span in which a nanosecond clock, a time zone and a calendar of months all still work."""
TOO_LARGE = 1e15
"""Numbers from here on are no amounts: a double does not hold their cents."""


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
        plain = plain.mask(_has_mark_in_wrong_place(text, reading)).str.replace(reading.thousands, "", regex=False)
    if reading.decimal != ".":
        plain = plain.str.replace(".", "?", regex=False).str.replace(reading.decimal, ".", regex=False)
    numbers = pd.to_numeric(plain, errors="coerce").astype("float64").replace([np.inf, -np.inf], np.nan)
    return numbers, text.notna() & numbers.isna()


def as_flag(values: pd.Series) -> tuple[pd.Series, pd.Series]:
    """``boolean`` and the mask of cells that are neither yes nor no; other spellings go through the mapping's ``values``."""
    text = as_text(values)
    flags = text.str.casefold().map(_FLAGS).astype("boolean")
    return flags, text.notna() & flags.isna()


def _grouped(thousands: str, decimal: str) -> str:
    """Pattern of a whole cell whose thousands marks, if any, part groups of three."""
    return rf"[+-]?\d{{1,3}}(?:{re.escape(thousands)}\d{{3}})*(?:{re.escape(decimal)}\d+)?"


def _has_mark_in_wrong_place(text: pd.Series, reading: Reading) -> pd.Series:
    return text.str.contains(reading.thousands, regex=False, na=False) & ~text.str.fullmatch(
        _grouped(reading.thousands, reading.decimal), na=False
    )


def why_no_number(values: pd.Series, reading: Reading) -> pd.Series:
    """For cells that `as_number` could not convert: the reason, and where another reading would do, which one."""
    text = as_text(values)
    marks = f"thousands {reading.thousands!r}" if reading.thousands else "no thousands mark"
    plain = f"not a number (decimal {reading.decimal!r}, {marks})"
    reasons = pd.Series(plain, index=values.index, dtype="str")
    if reading.thousands:
        is_number = text.str.fullmatch(rf"[+-]?[\d{re.escape(reading.thousands + reading.decimal)}]*\d", na=False)
        misplaced = is_number & _has_mark_in_wrong_place(text, reading)
        return reasons.mask(misplaced, "mark in the wrong place: are decimal and thousands swapped?")
    for mark in _THOUSANDS:
        if mark != reading.decimal:
            would_do = text.str.fullmatch(_grouped(mark, reading.decimal), na=False)
            reasons = reasons.mask(would_do, f'{plain}; with a thousands mark it would be: state thousands: "{mark}"')
    return reasons


def out_of_range(values: pd.Series) -> pd.Series:
    """Mask of instants outside `EARLIEST` to `LATEST`, or of numbers that are not below `TOO_LARGE` either way."""
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return (values < EARLIEST) | (values > LATEST)
    return values.notna() & ~(values.abs() < TOO_LARGE)


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
    if form == "ISO8601":
        local = _iso(text, dates, time_zone)
        return Instants(local, text.notna() & local.isna())
    parsed = _parse(text, form)
    failed = text.notna() & parsed.isna()
    has_time = any(token in form for token in _TIME_OF_DAY)
    local = _localised(parsed, dates, time_zone) if has_time else parsed.astype(_INSTANT)
    return Instants(local, failed, _swapped(text, form, failed))


def _iso(text: pd.Series, dates: Dates, time_zone: str) -> pd.Series:
    """Cell by cell: an instant with an offset, local time of ``dates.time_zone``, or a bare day, which stays that day."""
    has_offset = text.str.contains(_OFFSET, na=False)
    is_day = ~text.str.contains(_TIME, na=False)
    offset = _localised(pd.to_datetime(text.where(has_offset), format="ISO8601", errors="coerce", utc=True), dates, time_zone)
    naive = _localised(_parse(text.mask(has_offset | is_day), "ISO8601"), dates, time_zone)
    return offset.fillna(naive).fillna(_parse(text.where(is_day), "ISO8601").astype(_INSTANT))


def _parse(text: pd.Series, form: str) -> pd.Series:
    return pd.to_datetime(text, format=form, errors="coerce", utc="%z" in form)


def _localised(values: pd.Series, dates: Dates, time_zone: str) -> pd.Series:
    """To the company's time zone. Typed days (midnight everywhere, no zone of their own) stay the days they are.

    Instants out of range stay so, but come near enough for a time zone to be applied.
    """
    margin, zone = pd.Timedelta(days=3), values.dt.tz
    values = values.dt.as_unit("us").clip((EARLIEST - margin).tz_localize(zone), (LATEST + margin).tz_localize(zone))
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
