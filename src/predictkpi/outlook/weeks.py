"""Weeks out of the same sample paths as months: each path's month is shared out over its days, so that weeks and months never disagree.

A day's expected share is what its weekday, or a public holiday, usually brings (`Workdays`). Shares scatter around it as a Dirichlet
distribution whose concentration is learnt, by moments, from how the weeks of past months shared the company's month. In each path every
scope has the same shares, so that weeks add up over scopes as months do; a scope of few orders scatters more from week to week than that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import shift, start_of
from predictkpi.features.workdays import Workdays
from predictkpi.outlook.items import Items, membership
from predictkpi.outlook.outlook import Outlook
from predictkpi.snapshot import Snapshot

Floats = npt.NDArray[np.float64]

WEEKS = 13
_LEARN_MONTHS = 24
_FEWEST_PARTS = 12
# Where the past does not say: weeks of about a fifth of a month that are off by about a third of themselves.
_USUAL_CONCENTRATION = 30.0
_CONCENTRATIONS = (2.0, 5000.0)


@dataclass(frozen=True)
class Weeks:
    """Revenue of a scope by week: ``starts`` (W,) are Mondays, the first of the running week, ``paths`` (draws, W) whole weeks.

    ``history`` are the complete weeks before, by their Mondays.
    """

    scope: str
    starts: pd.DatetimeIndex
    paths: Floats
    history: pd.Series


@dataclass(frozen=True)
class WeekShares:
    """How months ahead are shared out over weeks, the same way for every scope.

    ``shares`` (draws, H, W): of what each month still brings, by the week; ``starts`` (W,) are the weeks' Mondays. ``by_day`` is each
    scope's revenue by day up to as_of, from its first on, days without any as 0.
    """

    starts: pd.DatetimeIndex
    shares: Floats
    by_day: dict[str, pd.Series]

    @classmethod
    def of(
        cls, snapshot: Snapshot, scopes: Sequence[str], months: pd.DatetimeIndex, *, draws: int, weeks: int = WEEKS, seed: int = 0
    ) -> Self:
        """Of the next ``weeks`` weeks, fewer where the months end before."""
        orders, as_of = snapshot.orders, snapshot.as_of
        workdays = Workdays.learn(orders[c.DS], orders[c.AMOUNT], until=as_of, country=snapshot.company.country)
        starts = pd.date_range(start_of(as_of, "W"), periods=weeks, freq="7D", unit="us")
        starts = starts[starts + pd.Timedelta(days=7) <= shift(months[-1], 1, "M")]
        rows = Items.of(snapshot).frame
        rows = rows[rows[c.DS] < as_of]
        concentration = _concentration(_by_day(rows, as_of), workdays, as_of)
        by_day = {scope: _by_day(rows[mask], as_of) for scope, mask in zip(scopes, membership(rows, scopes), strict=True)}
        return cls(starts, _shares(months, starts, as_of, workdays, concentration, draws=draws, seed=seed), by_day)

    def weeks(self, outlook: Outlook, scope: str) -> Weeks:
        """The weeks of a scope of the outlook that this was made for: what its months still bring, and what is booked."""
        rest = outlook.revenue(scope).copy()
        rest[:, 0] -= outlook.answers[scope].to_date
        paths = np.einsum("dm,dmw->dw", rest, self.shares)
        days, monday = self.by_day[scope], start_of(outlook.as_of, "W")
        paths[:, :1] += float(days[days.index >= monday].sum())
        past = days[days.index < monday]
        by_week = past.groupby(past.index - pd.to_timedelta(past.index.day_of_week, unit="D")).sum()
        return Weeks(scope, self.starts, paths, by_week[by_week.index >= days.index[0]] if len(days) else by_week)


_Key = tuple[tuple[str, ...], tuple[pd.Timestamp, ...], int, int, int]
# The newest of each snapshot: scopes are asked for one after the other.
_MADE: WeakKeyDictionary[Snapshot, tuple[_Key, WeekShares]] = WeakKeyDictionary()


def weeks_of(outlook: Outlook, snapshot: Snapshot, scope: str, *, weeks: int = WEEKS, seed: int = 0) -> Weeks:
    """The next ``weeks`` weeks, fewer where the months of the outlook end before; weeks of members add up to those of the total."""
    scopes, months, draws = outlook.scopes, outlook.months, len(outlook.revenue(scope))
    key = (tuple(scopes), tuple(months), draws, weeks, seed)
    made = _MADE.get(snapshot)
    if made is None or made[0] != key:
        made = key, WeekShares.of(snapshot, scopes, months, draws=draws, weeks=weeks, seed=seed)
        _MADE[snapshot] = made
    return made[1].weeks(outlook, scope)


def _by_day(rows: pd.DataFrame, as_of: pd.Timestamp) -> pd.Series:
    """Revenue by day from the first on, days without any as 0."""
    by_day = rows.groupby(rows[c.DS].dt.normalize())[c.AMOUNT].sum()
    if not len(by_day):
        return by_day
    return by_day.reindex(pd.date_range(by_day.index[0], as_of.normalize(), unit="us"), fill_value=0.0)


def _shares(
    months: pd.DatetimeIndex,
    starts: pd.DatetimeIndex,
    as_of: pd.Timestamp,
    workdays: Workdays,
    concentration: float,
    *,
    draws: int,
    seed: int,
) -> Floats:
    """Shares (draws, H, W) of what each month still brings: drawn by day, summed by week."""
    rng, today = np.random.default_rng([seed, 7]), as_of.normalize()
    found = np.zeros((draws, len(months), len(starts)))
    for step, month in enumerate(months):
        days = pd.date_range(max(month, today), shift(month, 1, "M"), inclusive="left", unit="us")
        share = np.maximum(workdays.of_days(days), 1e-6)
        if step == 0:
            share[0] *= 1 - (as_of - today) / pd.Timedelta(days=1)
        share = share / share.sum()
        drawn = rng.standard_gamma(np.maximum(concentration * share, 1e-3), size=(draws, len(days)))
        drawn /= np.maximum(drawn.sum(axis=1, keepdims=True), 1e-300)
        found[:, step] = drawn @ _in_week(days, starts)
    return found


def _in_week(days: pd.DatetimeIndex, starts: pd.DatetimeIndex) -> Floats:
    """1 where a day lies in the week, else 0, (days, W)."""
    monday = days - pd.to_timedelta(days.day_of_week, unit="D")
    return (monday.to_numpy()[:, None] == starts.to_numpy()[None, :]).astype(float)


def _concentration(days: pd.Series, workdays: Workdays, as_of: pd.Timestamp) -> float:
    """A of the Dirichlet shares of a month's parts of seven days, over the newest two years: E(s - p)² = p (1 - p) / (A + 1)."""
    month = start_of(as_of, "M")
    known = days[(days.index < month) & (days.index >= shift(month, -_LEARN_MONTHS, "M"))]
    expected, missed, parts = 0.0, 0.0, 0
    for _, of_month in known.groupby(known.index.to_period("M")):
        total = float(of_month.sum())
        if len(of_month) < 28 or total <= 0:
            continue
        part = (of_month.index.day.to_numpy() - 1) // 7
        share = np.bincount(part, weights=workdays.of_days(of_month.index))
        share = share / share.sum()
        seen = np.bincount(part, weights=of_month.to_numpy(float)) / total
        expected += float((share * (1 - share)).sum())
        missed += float(((seen - share) ** 2).sum())
        parts += len(share)
    if parts < _FEWEST_PARTS or missed <= 0:
        return _USUAL_CONCENTRATION
    return float(np.clip(expected / missed - 1, *_CONCENTRATIONS))
