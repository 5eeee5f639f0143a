"""What a day does to the company: season, trend, weekday, price, and the pace of deals around the end of a quarter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.synthetic.world import DEMAND_TREND, PRICE_RISE, Floats, Ints

_MONTHS = np.array([0.88, 0.90, 1.02, 0.98, 1.00, 1.02, 0.88, 0.80, 1.04, 1.08, 1.20, 1.20])
_WEEK = np.array([1.32, 1.36, 1.34, 1.30, 1.16, 0.30, 0.22])
_DEAL_MONTHS = np.array([1.10, 1.05, 1.05, 1.00, 1.00, 0.95, 0.85, 0.75, 1.15, 1.15, 1.10, 0.85])
RUSH_DAYS = 10
RUSH = 2.5
LULL = 0.6


@dataclass(frozen=True)
class Calendar:
    """Days are counted from ``start``; day 0 is the first, and negative days lie before it. ``price_day`` is the first dearer day."""

    start: pd.Timestamp
    price_day: int

    def day_of(self, instant: pd.Timestamp) -> int:
        """The day that holds ``instant``."""
        return (instant - self.start).days

    def dates(self, days: npt.ArrayLike) -> pd.DatetimeIndex:
        """Midnights of those days."""
        return pd.DatetimeIndex(self.start.to_datetime64().astype("datetime64[s]") + np.asarray(days, dtype="timedelta64[D]"))

    def demand(self, days: Ints) -> Floats:
        """Factor on every customer's daily purchase rate."""
        dates = self.dates(days)
        trend = (1.0 + DEMAND_TREND) ** (np.asarray(days) / 365.25)
        return _MONTHS[dates.month - 1] * _WEEK[dates.day_of_week] * trend

    def weekday(self, days: Ints) -> Floats:
        """Factor by day of the week, 1 on average."""
        return _WEEK[self.dates(days).day_of_week]

    def price(self, days: Ints) -> Floats:
        """Factor on order values and on the amounts of deals opened that day."""
        return np.where(np.asarray(days) >= self.price_day, 1.0 + PRICE_RISE, 1.0)

    def deal_creation(self, days: Ints) -> Floats:
        """Factor on the rate at which active customers open deals; none on weekends."""
        dates = self.dates(days)
        return _DEAL_MONTHS[dates.month - 1] * np.where(dates.day_of_week < 5, 1.4, 0.0)

    def pace(self, days: Ints) -> Floats:
        """Factors on the deal hazards, shape ``(len(hazards.Kind), len(days))``: won, lost, then all others; 0 on weekends."""
        dates = self.dates(days)
        quarters = dates.to_period("Q")
        rush = (quarters.end_time.normalize() - dates).days < RUSH_DAYS
        lull = (dates - quarters.start_time).days < RUSH_DAYS
        workday = np.where(dates.day_of_week < 5, 1.0, 0.0)
        factors = np.tile(workday, (7, 1))
        factors[0] *= np.where(rush, RUSH, np.where(lull, LULL, 1.0))
        factors[1] *= np.where(rush, 1.4, 1.0)
        return factors
