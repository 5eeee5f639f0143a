"""Numbers and dates as people read them, in the language of the context. A missing number is an en dash, never NaN."""

from __future__ import annotations

import math
from functools import cache

import pandas as pd
from babel.dates import format_date, format_skeleton

from predictkpi.core.periods import pandas_freq
from predictkpi.service.dashboard.languages import current, gettext, ngettext

MISSING = "–"
_MINUS = "\u2212"
_NARROW = "\u202f"
SCALES = {"en": ("B", "M", "k"), "de": ("Mrd.", "Mio.", "Tsd.")}
"""Billions, millions and thousands, as they are cut short."""
_SIZES = (1e9, 1e6, 1e3)


def is_number(value: float | None) -> bool:
    """Neither None nor NaN nor infinite."""
    return value is not None and math.isfinite(value)


def number(value: float | None, digits: int = 0) -> str:
    """With as many digits behind the point: 1,234.5."""
    if value is None or not is_number(value):
        return MISSING
    rounded = round(abs(value), digits)
    text = f"{rounded:,.{digits}f}".translate(_separators(current().code))
    return f"{_MINUS if value < 0 and rounded else ''}{text}"


@cache
def _separators(code: str) -> dict[int, str]:
    """From Python's marks to those of a language. A page has some thousand numbers: Babel's own way takes ten times as long."""
    symbols = current().locale.number_symbols
    marks = symbols.get("latn", symbols)
    return str.maketrans({",": marks["group"], ".": marks["decimal"]})


def amount(value: float | None) -> str:
    """Three significant digits with a scale: 1.23 M, 45.6 k, 950."""
    if value is None or not is_number(value):
        return MISSING
    size = abs(value)
    for scale, letter in zip(_SIZES, SCALES[current().code], strict=True):
        if size >= scale * 0.9995:
            scaled = size / scale
            digits = max(0, 2 - int(math.log10(scaled) + 1e-9)) if scaled >= 1 else 2
            return f"{_sign(value)}{number(scaled, digits)}{_NARROW}{letter}"
    return number(value)


def signed_amount(value: float) -> str:
    """A change of an amount: +45.6 k."""
    return f"{'+' if value > 0 else ''}{amount(value)}"


def money(value: float | None, currency: str) -> str:
    """An amount with its currency: 1.23 M EUR."""
    text = amount(value)
    return text if text == MISSING else f"{text} {currency}"


def percent(share: float | None, *, digits: int = 0) -> str:
    """A share as percent: 27%, and 27 % in German."""
    if share is None or not is_number(share):
        return MISSING
    return f"{number(share * 100, digits)}{percent_sign()}"


def percent_sign() -> str:
    """As it stands behind a number."""
    return "%" if current().code == "en" else f"{_NARROW}%"


def signed_percent(share: float | None, *, digits: int = 1) -> str:
    """A change as percent, with its sign: +4.2%."""
    if share is None or not is_number(share):
        return MISSING
    return f"{_signed(share * 100, digits)}{percent_sign()}"


def signed(value: float | None, unit: str, *, digits: int = 0) -> str:
    """A change with its sign and unit: −3 days."""
    if value is None or not is_number(value):
        return MISSING
    return f"{_signed(value, digits)} {unit}"


def days(value: float | None) -> str:
    """Whole days: 64 days."""
    if value is None or not is_number(value):
        return MISSING
    return ngettext("{count} day", "{count} days", round(value)).format(count=number(value))


def date(instant: pd.Timestamp | None, *, with_year: bool = True) -> str:
    """A day: 3 Feb 2026."""
    if instant is None or pd.isna(instant):
        return MISSING
    locale = current().locale
    return str(format_date(instant, "medium", locale=locale) if with_year else format_skeleton("MMMd", instant, locale=locale))


def moment(instant: pd.Timestamp | None) -> str:
    """A day and time of day: 3 Feb 2026, 14:05."""
    if instant is None or pd.isna(instant):
        return MISSING
    return f"{date(instant)}, {instant:%H:%M}"


def month(instant: pd.Timestamp) -> str:
    """A month: February 2026."""
    return str(format_skeleton("yMMMM", instant, locale=current().locale))


def quarter(start: pd.Timestamp, fiscal_year_starts: int) -> str:
    """The fiscal quarter that holds an instant: Q1 2026, Q1 FY 2026 where the year is not the calendar's."""
    found = start.to_period(pandas_freq("Q", fiscal_year_starts=fiscal_year_starts))
    return f"Q{found.quarter} {_fiscal(fiscal_year_starts)}{found.qyear}"


def year(start: pd.Timestamp, fiscal_year_starts: int) -> str:
    """The fiscal year that holds an instant: 2026, or FY 2026."""
    return f"{_fiscal(fiscal_year_starts)}{start.to_period(pandas_freq('Q', fiscal_year_starts=fiscal_year_starts)).qyear}"


def between(low: str, high: str) -> str:
    """A range in words: 1.2 M to 3.4 M."""
    return gettext("{low} to {high}").format(low=low, high=high)


def _fiscal(fiscal_year_starts: int) -> str:
    return f"{gettext('FY')} " if fiscal_year_starts != 1 else ""


def _sign(value: float) -> str:
    return _MINUS if value < 0 else ""


def _signed(value: float, digits: int) -> str:
    rounded = round(value, digits)
    return f"{'+' if rounded > 0 else '' if rounded < 0 else '±'}{number(rounded, digits)}"
