"""Calendar arithmetic: half-open periods, fiscal quarters, and the one place that turns an as_of into a cutoff.

Instants are naive and local to the company's time zone. A period is named by its first instant and is half-open:
``[start, next start)``. ``as_of`` is exclusive; ``cutoff`` is the last *complete* period before it, inclusive.
"""

from __future__ import annotations

from typing import Literal

import pandas as pd

Freq = Literal["D", "W", "M", "Q", "Y"]
FREQS: tuple[Freq, ...] = ("D", "W", "M", "Q", "Y")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def pandas_freq(freq: Freq, *, fiscal_year_starts: int = 1) -> str:
    """The pandas period alias, with quarters and years anchored on the fiscal calendar; weeks start on Monday."""
    last_month = _MONTHS[(fiscal_year_starts - 2) % 12]
    return {"D": "D", "W": "W-SUN", "M": "M", "Q": f"Q-{last_month}", "Y": f"Y-{last_month}"}[freq]


def period_start(instants: pd.Series, freq: Freq, *, fiscal_year_starts: int = 1) -> pd.Series:
    """First instant of the period each instant falls into."""
    alias = pandas_freq(freq, fiscal_year_starts=fiscal_year_starts)
    return instants.dt.to_period(alias).dt.start_time


def start_of(instant: pd.Timestamp, freq: Freq, *, fiscal_year_starts: int = 1) -> pd.Timestamp:
    """First instant of the period that holds ``instant``."""
    return instant.to_period(pandas_freq(freq, fiscal_year_starts=fiscal_year_starts)).start_time


def shift(start: pd.Timestamp, count: int, freq: Freq, *, fiscal_year_starts: int = 1) -> pd.Timestamp:
    """Start of the period ``count`` periods after (before, if negative) the one that holds ``start``."""
    return (start.to_period(pandas_freq(freq, fiscal_year_starts=fiscal_year_starts)) + count).start_time


def cutoff_of(as_of: pd.Timestamp, freq: Freq, *, fiscal_year_starts: int = 1) -> pd.Timestamp:
    """Start of the last complete period before ``as_of``: the last one that training may use."""
    return shift(as_of, -1, freq, fiscal_year_starts=fiscal_year_starts)


def complete_periods(first: pd.Timestamp, as_of: pd.Timestamp, freq: Freq, *, fiscal_year_starts: int = 1) -> pd.DatetimeIndex:
    """Starts of all complete periods from the one holding ``first`` up to the cutoff of ``as_of``; may be empty."""
    alias = pandas_freq(freq, fiscal_year_starts=fiscal_year_starts)
    last = cutoff_of(as_of, freq, fiscal_year_starts=fiscal_year_starts)
    return pd.period_range(first.to_period(alias), last.to_period(alias), freq=alias).start_time


def future_periods(as_of: pd.Timestamp, h: int, freq: Freq, *, fiscal_year_starts: int = 1) -> pd.DatetimeIndex:
    """Starts of the ``h`` periods after the cutoff; the first is the running period that holds ``as_of``."""
    alias = pandas_freq(freq, fiscal_year_starts=fiscal_year_starts)
    return pd.period_range(as_of.to_period(alias), periods=h, freq=alias).start_time


def horizon_end(as_of: pd.Timestamp, horizon: int, time_unit: Literal["month", "day"]) -> pd.Timestamp:
    """The exclusive end of ``[as_of, as_of + horizon)``."""
    return as_of + (pd.DateOffset(months=horizon) if time_unit == "month" else pd.Timedelta(days=horizon))
