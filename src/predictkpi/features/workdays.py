"""How much business a month can hold: its days, each counted by what its weekday usually brings, public holidays as days off.

The weekdays' weights are learnt from the company's own days. They are drawn to what all days have in common as far as they could be
chance, by James-Stein shrinkage (Efron & Morris 1973), so that a company with a few orders a month gets plain calendar days.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

WEEK = 7
_FEWEST_WEEKS = 26
# A month is held against the same month of so many years around it: 28 years hold every weekday on every date equally often.
_CYCLE_YEARS = 28


@dataclass(frozen=True)
class Workdays:
    """Weights of Monday to Sunday, mean 1; days off in the country (``DE``, ``DE-BY``; none if empty) count as the least of the seven."""

    weights: tuple[float, ...] = (1.0,) * WEEK
    country: str | None = None

    @classmethod
    def learn(cls, ds: pd.Series, amount: pd.Series, *, until: pd.Timestamp, country: str | None = None) -> Workdays:
        """From bookings ``ds, amount`` before ``until``; plain days where they span less than half a year."""
        plain = cls(country=country)
        end = until.normalize()
        days = amount.astype("float64").groupby(ds.dt.normalize()).sum()
        days = days[days.index < end]
        if not len(days):
            return plain
        days = days.reindex(pd.date_range(days.index[0], end, inclusive="left", unit="us"), fill_value=0.0)
        days = days[~is_off(days.index, country)]
        if len(days) < _FEWEST_WEEKS * WEEK or days.mean() <= 0:
            return plain
        of_week = days.groupby(days.index.day_of_week)
        apart = (of_week.mean() / days.mean()).to_numpy(float) - 1
        apart = apart - apart.mean()
        variance = float((of_week.var() / of_week.size()).mean()) / float(days.mean()) ** 2
        spread = float((apart**2).sum())
        kept = max(0.0, 1 - (WEEK - 3) * variance / spread) if spread > 0 else 0.0
        weights = np.maximum(1 + kept * apart, 0.0)
        return cls(tuple(float(weight) for weight in weights * WEEK / weights.sum()), country)

    def factors(self, months: pd.DatetimeIndex) -> Floats:
        """Each month's weight of days over the usual one of its calendar month ``(len(months),)``: about 1, a day more or less apart."""
        found = {month: self._weight(month.year, month.month) / self._usual(month.year, month.month) for month in months.unique()}
        return np.array([found[month] for month in months], dtype=float)

    def of_days(self, days: pd.DatetimeIndex) -> Floats:
        """Weight of each day ``(len(days),)``, mean about 1."""
        return np.where(is_off(days, self.country), min(self.weights), np.asarray(self.weights)[days.day_of_week])

    def _weight(self, year: int, month: int) -> float:
        return float(_day_counts(year, month, self.country) @ np.array([*self.weights, min(self.weights)]))

    def _usual(self, year: int, month: int) -> float:
        return float(_usual_counts(year, month, self.country) @ np.array([*self.weights, min(self.weights)]))


def is_off(days: pd.DatetimeIndex, country: str | None) -> npt.NDArray[np.bool_]:
    """Which of the days are public holidays of the country ``(len(days),)``."""
    if country is None or not len(days):
        return np.zeros(len(days), bool)
    off = frozenset[date]().union(*(_holidays(int(year), country) for year in days.year.unique()))
    return np.array([day.date() in off for day in days], bool)


@lru_cache(maxsize=4096)
def _day_counts(year: int, month: int, country: str | None) -> Floats:
    """How many Mondays to Sundays that are no days off a month has, and how many days off ``(8,)``."""
    start = pd.Timestamp(year=year, month=month, day=1)
    days = pd.date_range(start, periods=start.days_in_month)
    off = is_off(days, country)
    return np.append(np.bincount(days.day_of_week[~off], minlength=WEEK), off.sum()).astype(float)


@lru_cache(maxsize=4096)
def _usual_counts(year: int, month: int, country: str | None) -> Floats:
    years = range(year - _CYCLE_YEARS // 2, year + _CYCLE_YEARS // 2)
    return np.mean([_day_counts(other, month, country) for other in years], axis=0)


@lru_cache(maxsize=512)
def _holidays(year: int, country: str) -> frozenset[date]:
    from holidays import country_holidays

    name, _, region = country.partition("-")
    return frozenset(country_holidays(name, subdiv=region or None, years=[year]))
