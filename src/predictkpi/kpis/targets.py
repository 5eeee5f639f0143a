"""What was promised: the target of a KPI, a scope and a period of any length, out of the dated rows of the targets table. Pure.

An exact row wins. A year's or quarter's target of a sum is spread over those of its months that have none of their own, by the
season of the last twelve months before that year, or evenly where there are none; months add up to quarters and years, and days share
their month evenly. A target of a rate or mean holds for every shorter period inside its own, and the months' mean stands for a longer
one. Nothing follows from a target of a KPI that counts something else in a longer period (revenue of customers new in it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import Freq, shift, start_of
from predictkpi.errors import UnknownNameError
from predictkpi.kpis import get_kpi
from predictkpi.kpis.base import Kpi
from predictkpi.snapshot import Snapshot

EXACT, BY_SEASON, EVENLY, HOLDS, ADDED, AVERAGED = "exact", "spread by season", "spread evenly", "holds", "added up", "averaged"
_COARSER: dict[Freq, tuple[Freq, ...]] = {"D": ("W", "M", "Q", "Y"), "W": ("M", "Q", "Y"), "M": ("Q", "Y"), "Q": ("Y",), "Y": ()}
_YEAR = 12


@dataclass(frozen=True)
class Target:
    """A target in the KPI's unit, and how it follows from the rows that were written down."""

    value: float
    basis: str


class Actuals:
    """The KPI series of one snapshot, each computed once. Scopes are `total` or dimension=member."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._series: dict[tuple[str, str | None, Freq], pd.DataFrame] = {}
        self._members: dict[tuple[str, str, Freq], pd.DataFrame] = {}

    def of(self, kpi: Kpi, scope: str, freq: Freq) -> pd.DataFrame:
        """``value, n, status`` by ``ds``; no rows for a member without any. Raises `UnknownNameError` for a dimension not of this KPI."""
        if (kpi.name, scope, freq) not in self._members:
            by, member = split_scope(scope)
            if (kpi.name, by, freq) not in self._series:
                self._series[kpi.name, by, freq] = kpi.series(self.snapshot, freq=freq, by=by)
            series = self._series[kpi.name, by, freq]
            self._members[kpi.name, scope, freq] = series[series[c.MEMBER] == member].set_index(c.DS)[[c.VALUE, c.N, c.STATUS]]
        return self._members[kpi.name, scope, freq]


@dataclass(frozen=True)
class Plan:
    """All targets of one KPI and scope.

    ``rows`` maps length and start of a period to the target written down for it; ``months`` is the KPI's monthly series, for the season.
    """

    kpi: Kpi
    scope: str
    rows: dict[tuple[Freq, pd.Timestamp], float]
    months: pd.Series
    fiscal_year_starts: int = 1
    _years: dict[pd.Timestamp, dict[pd.Timestamp, Target]] = field(default_factory=dict)

    def target(self, freq: Freq, ds: pd.Timestamp) -> Target | None:
        """The target of the period of that length that holds ``ds``; None where no row speaks for all of it."""
        start = self._start(ds, freq)
        if (freq, start) in self.rows:
            return Target(self.rows[freq, start], EXACT)
        if self.kpi.over_time == "apart":
            return None
        return self._of_sum(freq, start) if self.kpi.over_time == "sums" else self._of_rate(freq, start)

    def periods(self, freq: Freq, *, before: pd.Timestamp) -> list[pd.Timestamp]:
        """Starts of the periods of that length that touch any row and begin before ``before``."""
        found: set[pd.Timestamp] = set()
        for row_freq, row_start in self.rows:
            end = min(self._shift(row_start, 1, row_freq), before)
            start = self._start(row_start, freq)
            while start < end:
                found.add(start)
                start = self._shift(start, 1, freq)
        return sorted(found)

    def _of_rate(self, freq: Freq, start: pd.Timestamp) -> Target | None:
        for coarser in _COARSER[freq]:
            if (coarser, self._start(start, coarser)) in self.rows:
                return Target(self.rows[coarser, self._start(start, coarser)], HOLDS)
        if freq not in ("Q", "Y"):
            return None
        months = [self.target("M", month) for month in self._inside(start, freq, "M")]
        known = [month.value for month in months if month is not None]
        return Target(sum(known) / len(known), AVERAGED) if len(known) == len(months) else None

    def _of_sum(self, freq: Freq, start: pd.Timestamp) -> Target | None:
        if freq == "M":
            return self._year(self._start(start, "Y")).get(start)
        if freq in ("D", "W"):
            shares = [self._of_day(day) for day in self._inside(start, freq, "D")]
            known = [share for share in shares if share is not None]
            return Target(sum(known), EVENLY) if len(known) == len(shares) else None
        months = [self._year(self._start(month, "Y")).get(month) for month in self._inside(start, freq, "M")]
        there = [month for month in months if month is not None]
        if len(there) < len(months):
            return None
        bases = {month.basis for month in there}
        return Target(sum(month.value for month in there), bases.pop() if len(bases) == 1 and EXACT not in bases else ADDED)

    def _of_day(self, day: pd.Timestamp) -> float | None:
        if ("D", day) in self.rows:
            return self.rows["D", day]
        month = self.target("M", day)
        return None if month is None else month.value / day.days_in_month

    def _year(self, year: pd.Timestamp) -> dict[pd.Timestamp, Target]:
        """The months of a fiscal year that a row speaks for: their own, else a share in what the quarter, else the year, leaves over."""
        if year not in self._years:
            months = self._inside(year, "Y", "M")
            found = {month: Target(self.rows["M", month], EXACT) for month in months if ("M", month) in self.rows}
            quarters: list[tuple[Freq, pd.Timestamp]] = [("Q", month) for month in months[::3]]
            for freq, start in [*quarters, ("Y", year)]:
                if (freq, start) in self.rows:
                    found |= self._spread(self.rows[freq, start], self._inside(start, freq, "M"), found, self._season(year))
            self._years[year] = found
        return self._years[year]

    @staticmethod
    def _spread(
        total: float, months: list[pd.Timestamp], found: dict[pd.Timestamp, Target], season: dict[int, float]
    ) -> dict[pd.Timestamp, Target]:
        """What ``found`` leaves of ``total``, shared out over the other months; nothing is taken back where the months promise more."""
        open_months = [month for month in months if month not in found]
        left = max(total - sum(found[month].value for month in months if month in found), min(total, 0.0))
        weights = [season.get(month.month, 0.0) for month in open_months]
        whole = sum(weights)
        if whole <= 0:
            return {month: Target(left / len(open_months), EVENLY) for month in open_months}
        return {month: Target(left * weight / whole, BY_SEASON) for month, weight in zip(open_months, weights, strict=True)}

    def _season(self, year: pd.Timestamp) -> dict[int, float]:
        """Values of the last 12 months known before the year, by calendar month; empty where there are fewer."""
        last = self.months[self.months.index < year].tail(_YEAR)
        if len(last) < _YEAR or last.isna().any():
            return {}
        return {month.month: max(float(value), 0.0) for month, value in last.items()}

    def _start(self, instant: pd.Timestamp, freq: Freq) -> pd.Timestamp:
        return start_of(instant, freq, fiscal_year_starts=self.fiscal_year_starts)

    def _shift(self, start: pd.Timestamp, count: int, freq: Freq) -> pd.Timestamp:
        return shift(start, count, freq, fiscal_year_starts=self.fiscal_year_starts)

    def _inside(self, start: pd.Timestamp, freq: Freq, finer: Freq) -> list[pd.Timestamp]:
        """Starts of the finer periods of a period; it begins with one of them."""
        end = self._shift(start, 1, freq)
        found = [start]
        while (following := self._shift(found[-1], 1, finer)) < end:
            found.append(following)
        return found


def split_scope(scope: str) -> tuple[str | None, str]:
    """``region=EMEA`` as dimension and member; `total` as no dimension. Raises `UnknownNameError` for anything else."""
    if scope == c.TOTAL:
        return None, c.TOTAL
    dimension, equals, member = scope.partition("=")
    if not (dimension and equals and member):
        raise UnknownNameError(f"no scope {scope!r}; a scope is {c.TOTAL!r} or dimension=member, e.g. region=EMEA")
    return dimension, member


def make_plan(actuals: Actuals, kpi: str, scope: str = c.TOTAL) -> Plan:
    """The plan of that KPI and scope as the snapshot knows it; without rows where nothing was promised.

    Raises `UnknownNameError` for a KPI that the catalogue does not list, or a scope that this KPI does not know.
    """
    snapshot, found = actuals.snapshot, get_kpi(kpi)
    starts = snapshot.company.fiscal_year_starts
    targets = snapshot.targets
    own = targets[(targets[c.KPI] == kpi) & (targets[c.SCOPE] == scope)].sort_values(c.KNOWN_AT, kind="stable")
    rows = {
        (freq, start_of(ds, freq, fiscal_year_starts=starts)): float(value)
        for freq, ds, value in zip(own[c.FREQ], own[c.DS], own[c.VALUE], strict=True)
    }
    return Plan(found, scope, rows, actuals.of(found, scope, "M")[c.VALUE], starts)


def target_of(snapshot: Snapshot, kpi: str, *, freq: Freq, ds: pd.Timestamp, scope: str = c.TOTAL) -> Target | None:
    """The target of one period, see the module; None where nothing was promised for all of it."""
    return make_plan(Actuals(snapshot), kpi, scope).target(freq, pd.Timestamp(ds))


def promised(snapshot: Snapshot, kpis: Sequence[str] | None = None) -> list[tuple[str, str]]:
    """KPI and scope of every plan in the targets table, sorted, as written there: either may be unknown to the catalogue."""
    rows = snapshot.targets[[c.KPI, c.SCOPE]].drop_duplicates()
    return sorted((kpi, scope) for kpi, scope in rows.itertuples(index=False) if kpis is None or kpi in kpis)
