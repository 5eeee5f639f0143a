"""Named sums of an outlook: months, fiscal quarters and years, with growth, target, chance to hit it, and what it takes."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core.periods import Freq, shift, start_of
from predictkpi.errors import UnknownNameError
from predictkpi.kpis.attainment import attainments
from predictkpi.kpis.targets import Actuals, Plan, Target, make_plan
from predictkpi.outlook.growth import GROWTH_LEVELS, growth, quantiles
from predictkpi.outlook.levels import levels
from predictkpi.outlook.outlook import Outlook
from predictkpi.snapshot import Snapshot

Floats = npt.NDArray[np.float64]

REVENUE = "revenue"
PERIODS: dict[str, tuple[Freq, int]] = {
    "this_month": ("M", 0),
    "next_month": ("M", 1),
    "this_quarter": ("Q", 0),
    "next_quarter": ("Q", 1),
    "this_year": ("Y", 0),
}
"""Named periods: length, and how many after the running one. Quarters and years are fiscal."""


@dataclass(frozen=True)
class Part:
    """One of the three parts of a period's revenue: mean and 80 % interval, in currency."""

    mean: float
    q10: float
    q90: float


@dataclass(frozen=True)
class PeriodOutlook:
    """A scope's revenue in one period ``[start, end)``.

    ``commit``, ``most_likely`` and ``best_case`` are q10, q50 and q90. ``growth`` maps "previous", "year_before" and "cagr" to their own
    quantiles, from the same paths. ``booked`` holds the closed months of the period too. ``chance``: share of paths that reach the
    target; ``needed``: what is not booked of it; ``pace``: attainment the period is heading for by its usual course, from what is booked
    alone; ``coverage``: amount of open deals over what is needed. The last five are None without a target.
    """

    scope: str
    name: str
    start: pd.Timestamp
    end: pd.Timestamp
    mean: float
    quantiles: dict[str, float]
    growth: dict[str, dict[str, float]]
    booked: float
    from_deals: Part
    new: Part
    weighted_pipeline: float
    target: Target | None = None
    chance: float | None = None
    needed: float | None = None
    pace: float | None = None
    coverage: float | None = None

    @property
    def commit(self) -> float:
        """Reached with 90 %."""
        return self.quantiles["q10"]

    @property
    def most_likely(self) -> float:
        """As likely to be passed as missed."""
        return self.quantiles["q50"]

    @property
    def best_case(self) -> float:
        """Reached with 10 %."""
        return self.quantiles["q90"]


class Periods:
    """Named sums of one outlook, each worked out once; targets and pace are those the snapshot knows."""

    def __init__(self, outlook: Outlook, snapshot: Snapshot) -> None:
        self.outlook, self.snapshot = outlook, snapshot
        self._sums: dict[tuple[str, str], PeriodOutlook | None] = {}
        self._levels: dict[tuple[str, Freq], pd.DataFrame] = {}
        self._actuals = Actuals(snapshot)
        self._plans: dict[str, Plan | None] = {}
        self._paces: dict[Freq, dict[tuple[str, pd.Timestamp], float]] = {}

    def of(self, scope: str, names: Sequence[str] | None = None) -> list[PeriodOutlook]:
        """The named periods (`PERIODS`, all by default) of a scope; those its months ahead do not reach to the end of are left out.

        Raises `UnknownNameError` for a name, `UnknownEntityError` for a scope that is not there.
        """
        self.outlook.place(scope)
        found = [self.one(scope, name) for name in names or PERIODS]
        return [period for period in found if period is not None]

    def under(self, outlook: Outlook) -> Periods:
        """The same of another outlook of the same company, whose targets and pace are these."""
        other = copy(self)
        other.outlook, other._sums, other._levels = outlook, {}, {}
        return other

    def levels(self, scope: str, freq: Freq) -> pd.DataFrame:
        """Level and growth period by period, see `outlook.levels`. Do not modify."""
        if (scope, freq) not in self._levels:
            self._levels[scope, freq] = levels(self.outlook, self.snapshot, scope, freq)
        return self._levels[scope, freq]

    def one(self, scope: str, name: str) -> PeriodOutlook | None:
        """One named period; None where it cannot be summed."""
        if name not in PERIODS:
            raise UnknownNameError.among("period", name, known=PERIODS)
        if (scope, name) not in self._sums:
            self._sums[scope, name] = self._one(scope, name)
        return self._sums[scope, name]

    def _one(self, scope: str, name: str) -> PeriodOutlook | None:
        freq, ahead = PERIODS[name]
        start = self._shift(start_of(self.outlook.as_of, freq, fiscal_year_starts=self._fiscal), ahead, freq)
        end = self._shift(start, 1, freq)
        sums = self.outlook.sums(scope, start, end)
        if sums is None:
            return None
        place = self.outlook.place(scope)
        inside = (self.outlook.months >= start) & (self.outlook.months < end)
        deals, new = (part[place][:, inside].sum(axis=1) for part in (self.outlook.from_deals, self.outlook.new))
        booked = round(float(np.mean(sums - deals - new)), 6)  # a difference of sums of paths: without their rounding
        plain = PeriodOutlook(
            scope=scope,
            name=name,
            start=start,
            end=end,
            mean=float(sums.mean()),
            quantiles=quantiles(sums),
            growth=self._growth(scope, freq, start, sums),
            booked=booked,
            from_deals=_part(deals),
            new=_part(new),
            weighted_pipeline=float(self.outlook.weighted[place, inside].sum()),
        )
        target = self._target(scope, freq, start)
        return plain if target is None else self._against(plain, freq, target, sums)

    def promised(self, scope: str, freq: Freq, start: pd.Timestamp) -> tuple[Target, float] | None:
        """Revenue's target for a period of months, and the share of paths that reach it; None without one, or where it cannot be summed."""
        target, sums = self._target(scope, freq, start), self.outlook.sums(scope, start, self._shift(start, 1, freq))
        return None if target is None or sums is None else (target, float(np.mean(sums >= target.value)))

    def _against(self, plain: PeriodOutlook, freq: Freq, target: Target, sums: Floats) -> PeriodOutlook:
        needed = max(target.value - plain.booked, 0.0)
        book = self.outlook.book
        amount = float(book.belongs[self.outlook.place(plain.scope)] @ book.amount) if book is not None else 0.0
        return PeriodOutlook(
            **{
                **vars(plain),
                "target": target,
                "chance": float(np.mean(sums >= target.value)),
                "needed": needed,
                "pace": self._pace(plain.scope, freq, plain.start),
                "coverage": amount / needed if needed > 0 and book is not None else None,
            }
        )

    def _growth(self, scope: str, freq: Freq, start: pd.Timestamp, sums: Floats) -> dict[str, dict[str, float]]:
        year = {"M": 12, "Q": 4, "Y": 1}[freq]
        bases = {"previous": 1, "year_before": year}
        found = {}
        for name, back in bases.items():
            begin = self._shift(start, -back, freq)
            grown = growth(sums, self.outlook.sums(scope, begin, self._shift(begin, 1, freq)))
            if grown is not None:
                found[name] = grown
        if freq == "Y":
            found |= self._cagr(scope, start, sums)
        return found

    def _cagr(self, scope: str, start: pd.Timestamp, sums: Floats) -> dict[str, dict[str, float]]:
        """Growth per year since the first whole fiscal year of the series, at least two years ago."""
        years, first = 0, None
        while (base := self.outlook.sums(scope, self._shift(start, -years - 1, "Y"), self._shift(start, -years, "Y"))) is not None:
            years, first = years + 1, base
        if years < 2 or first is None or not (first > 0).all():
            return {}
        return {"cagr": quantiles(np.maximum(sums / first, 0.0) ** (1 / years) - 1, GROWTH_LEVELS)}

    def _target(self, scope: str, freq: Freq, start: pd.Timestamp) -> Target | None:
        if scope not in self._plans:
            try:
                self._plans[scope] = make_plan(self._actuals, REVENUE, scope)
            except UnknownNameError:  # a scope that targets cannot name
                self._plans[scope] = None
        plan = self._plans[scope]
        return plan.target(freq, start) if plan is not None and plan.rows else None

    def _pace(self, scope: str, freq: Freq, start: pd.Timestamp) -> float | None:
        if freq not in self._paces:
            rows = attainments(self.snapshot, kpis=[REVENUE], freq=freq)
            rows = rows[rows["is_running"]]
            self._paces[freq] = dict(zip(zip(rows["scope"], rows["ds"], strict=True), rows["pace"].astype(float), strict=True))
        pace = self._paces[freq].get((scope, start), np.nan)
        return None if np.isnan(pace) else pace

    @property
    def _fiscal(self) -> int:
        return self.outlook.company.fiscal_year_starts

    def _shift(self, start: pd.Timestamp, count: int, freq: Freq) -> pd.Timestamp:
        return shift(start, count, freq, fiscal_year_starts=self._fiscal)


def _part(values: Floats) -> Part:
    low, high = np.quantile(values, [0.1, 0.9])
    return Part(float(values.mean()), float(low), float(high))
