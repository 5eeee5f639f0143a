"""Weeks out of the same sample paths as months: each path's month is shared out over its days, so that weeks and months never disagree.

A day's expected share is what its weekday, or a public holiday, usually brings (`Workdays`). Shares scatter around it as a Dirichlet
distribution whose concentration is learnt, by moments, from how the weeks of past months shared their month.
"""

from __future__ import annotations

from dataclasses import dataclass

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


def weeks_of(outlook: Outlook, snapshot: Snapshot, scope: str, *, weeks: int = WEEKS, seed: int = 0) -> Weeks:
    """The next ``weeks`` weeks, fewer where the months of the outlook end before."""
    days = _daily(outlook, snapshot, scope)
    workdays = Workdays.learn(snapshot.orders[c.DS], snapshot.orders[c.AMOUNT], until=snapshot.as_of, country=snapshot.company.country)
    monday = start_of(snapshot.as_of, "W")
    ends = shift(outlook.months[-1], 1, "M")
    starts = pd.date_range(monday, periods=weeks, freq="7D", unit="us")
    starts = starts[starts + pd.Timedelta(days=7) <= ends]
    drawn_days, drawn = _drawn(outlook, scope, workdays, _concentration(days, workdays, snapshot.as_of), seed)
    place = (drawn_days - monday).days.to_numpy() // 7
    inside = (place >= 0) & (place < len(starts))
    paths = np.zeros((len(drawn), len(starts)))
    np.add.at(paths.T, place[inside], drawn[:, inside].T)
    paths[:, :1] += float(days[(days.index >= monday) & (days.index < snapshot.as_of.normalize())].sum())
    today = snapshot.as_of.normalize()
    if len(starts) and today < snapshot.as_of:
        paths[:, 0] += float(days[days.index == today].sum())
    past = days[days.index < monday]
    by_week = past.groupby(past.index - pd.to_timedelta(past.index.day_of_week, unit="D")).sum()
    return Weeks(scope, starts, paths, by_week[by_week.index >= days.index[0]] if len(days) else by_week)


def _daily(outlook: Outlook, snapshot: Snapshot, scope: str) -> pd.Series:
    """Revenue by day, days without any as 0."""
    rows = Items.of(snapshot).frame
    rows = rows[membership(rows, outlook.scopes)[outlook.place(scope)]]
    by_day = rows.groupby(rows[c.DS].dt.normalize())[c.AMOUNT].sum()
    if not len(by_day):
        return by_day
    return by_day.reindex(pd.date_range(by_day.index[0], snapshot.as_of.normalize(), unit="us"), fill_value=0.0)


def _drawn(outlook: Outlook, scope: str, workdays: Workdays, concentration: float, seed: int) -> tuple[pd.DatetimeIndex, Floats]:
    """Days ahead and their revenue in every path ``(draws, days)``: what a month's path still brings, shared out over its days to come."""
    rng = np.random.default_rng([seed, 7])
    paths, so_far = outlook.revenue(scope), outlook.answers[scope].to_date
    all_days, parts = [], []
    for step, month in enumerate(outlook.months):
        days = pd.date_range(month, shift(month, 1, "M"), inclusive="left", unit="us")
        if step == 0:
            days = days[days >= outlook.as_of.normalize()]
        share = np.maximum(workdays.of_days(days), 1e-6)
        if step == 0:
            share[0] *= 1 - (outlook.as_of - outlook.as_of.normalize()) / pd.Timedelta(days=1)
        share = share / share.sum()
        drawn = rng.standard_gamma(np.maximum(concentration * share, 1e-3), size=(len(paths), len(days)))
        drawn /= np.maximum(drawn.sum(axis=1, keepdims=True), 1e-300)
        parts.append((paths[:, step] - (so_far if step == 0 else 0.0))[:, None] * drawn)
        all_days.append(days)
    return all_days[0].append(all_days[1:]), np.concatenate(parts, axis=1)


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
