"""Numbers and dates as people read them. A missing number is an en dash, never NaN."""

from __future__ import annotations

import math

import pandas as pd

from predictkpi.core.periods import pandas_freq

MISSING = "–"
_MINUS = "\u2212"
_NARROW = "\u202f"
_STEPS = ((1e9, "B"), (1e6, "M"), (1e3, "k"))


def is_number(value: float | None) -> bool:
    """Neither None nor NaN nor infinite."""
    return value is not None and math.isfinite(value)


def amount(value: float | None) -> str:
    """Three significant digits with a scale: 1.23 M, 45.6 k, 950."""
    if value is None or not is_number(value):
        return MISSING
    size = abs(value)
    for scale, letter in _STEPS:
        if size >= scale * 0.9995:
            scaled = size / scale
            digits = max(0, 2 - int(math.log10(scaled) + 1e-9)) if scaled >= 1 else 2
            return f"{_sign(value)}{scaled:,.{digits}f}{_NARROW}{letter}"
    return f"{_sign(value)}{size:,.0f}"


def signed_amount(value: float) -> str:
    """A change of an amount: +45.6 k."""
    return f"{'+' if value > 0 else ''}{amount(value)}"


def money(value: float | None, currency: str) -> str:
    """An amount with its currency: 1.23 M EUR."""
    text = amount(value)
    return text if text == MISSING else f"{text} {currency}"


def percent(share: float | None, *, digits: int = 0) -> str:
    """A share as percent: 27 %."""
    if share is None or not is_number(share):
        return MISSING
    return f"{_sign(share)}{abs(share) * 100:,.{digits}f}{_NARROW}%"


def signed_percent(share: float | None, *, digits: int = 1) -> str:
    """A change as percent, with its sign: +4.2 %."""
    if share is None or not is_number(share):
        return MISSING
    rounded = round(share * 100, digits)
    return f"{'+' if rounded > 0 else _MINUS if rounded < 0 else '±'}{abs(rounded):,.{digits}f}{_NARROW}%"


def signed(value: float | None, unit: str, *, digits: int = 0) -> str:
    """A change with its sign and unit: −3 days."""
    if value is None or not is_number(value):
        return MISSING
    rounded = round(value, digits)
    return f"{'+' if rounded > 0 else _MINUS if rounded < 0 else '±'}{abs(rounded):,.{digits}f} {unit}"


def days(value: float | None) -> str:
    """Whole days: 64 days."""
    if value is None or not is_number(value):
        return MISSING
    return f"{value:,.0f} day{'' if round(value) == 1 else 's'}"


def date(instant: pd.Timestamp | None, *, with_year: bool = True) -> str:
    """A day: 3 Feb 2026."""
    if instant is None or pd.isna(instant):
        return MISSING
    return f"{instant.day} {instant:%b %Y}" if with_year else f"{instant.day} {instant:%b}"


def month(instant: pd.Timestamp) -> str:
    """A month: February 2026."""
    return f"{instant:%B %Y}"


def quarter(start: pd.Timestamp, fiscal_year_starts: int) -> str:
    """The fiscal quarter that holds an instant: Q1 2026, Q1 FY 2026 where the year is not the calendar's."""
    found = start.to_period(pandas_freq("Q", fiscal_year_starts=fiscal_year_starts))
    return f"Q{found.quarter} {_fiscal(fiscal_year_starts)}{found.qyear}"


def year(start: pd.Timestamp, fiscal_year_starts: int) -> str:
    """The fiscal year that holds an instant: 2026, or FY 2026."""
    return f"{_fiscal(fiscal_year_starts)}{start.to_period(pandas_freq('Q', fiscal_year_starts=fiscal_year_starts)).qyear}"


def _fiscal(fiscal_year_starts: int) -> str:
    return "FY " if fiscal_year_starts != 1 else ""


def _sign(value: float) -> str:
    return _MINUS if value < 0 else ""
