"""How it stands with what was promised: attainment, gap, pace and a light for every target whose period has begun. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from predictkpi.core import columns as c
from predictkpi.core.periods import Freq, shift, start_of
from predictkpi.core.types import Status
from predictkpi.errors import UnknownNameError
from predictkpi.kpis.base import Kpi, View
from predictkpi.kpis.targets import Actuals, Plan, Target, make_plan, promised, split_scope
from predictkpi.snapshot import Snapshot

Light = Literal["green", "amber", "red", "none"]

ATTAINMENT_COLUMNS = {
    c.KPI: "name of the KPI",
    c.SCOPE: "`total` or dimension=member",
    c.FREQ: "length of the period",
    c.DS: "first day of the period",
    "target": "in the KPI's unit",
    "basis": "how the target follows from the rows written down: exact, spread by season, spread evenly, holds, added up, averaged",
    "actual": "the KPI's value; in the running period, so far",
    "gap": "actual - target, in the KPI's unit",
    "attainment": "actual / target, or target / actual where less is better: 1 is met; empty where either is not positive",
    "is_running": "whether the period is not over",
    "usual": "share of a period's total reached by the same day of earlier periods, mean; sums of the running period only",
    "usual_low": "least of those shares",
    "usual_high": "greatest of those shares",
    "pace": "attainment the running period is heading for: with actual / usual for a sum, with the value so far for a rate",
    "light": "green, amber or red by the bands: of attainment, in the running period of pace; none where it cannot be told",
    c.STATUS: "full, limited (few cases) or insufficient_data (no actual)",
    c.REASON: "why not full",
}
# Earlier periods whose same day the running one is held against.
COMPARED: dict[Freq, int] = {"D": 0, "W": 12, "M": 12, "Q": 8, "Y": 4}


class Bands(BaseModel):
    """Where the light changes, as attainment: red below ``red``, green from ``green`` on, amber between."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    red: float = Field(0.90, gt=0, description="red below")
    green: float = Field(1.00, gt=0, description="green from here on")

    @model_validator(mode="after")
    def _in_order(self) -> Bands:
        if self.red > self.green:
            raise ValueError(f"red={self.red:g} must not be above green={self.green:g}")
        return self

    def light(self, kpi: Kpi, attainment: float, gap: float) -> Light:
        """Of an attainment; where a ratio says nothing (a target or value not above zero), only the gap's side tells."""
        if kpi.better == "none" or np.isnan(gap):
            return "none"
        if np.isnan(attainment):
            return "green" if (gap >= 0) == (kpi.better == "up") or gap == 0 else "red"
        return "green" if attainment >= self.green else "red" if attainment < self.red else "amber"


@dataclass(frozen=True)
class _Standing:
    """A KPI in one period: its value (so far), how far it may be trusted, and the usual shares by this day."""

    value: float = np.nan
    status: Status = Status.INSUFFICIENT_DATA
    reason: str = ""
    shares: tuple[float, ...] = ()


def attainments(
    snapshot: Snapshot,
    *,
    kpis: Sequence[str] | None = None,
    freq: Freq | None = None,
    bands: Bands | None = None,
) -> pd.DataFrame:
    """One row per target whose period has begun, oldest first within KPI and scope: `ATTAINMENT_COLUMNS`.

    Targets as they were written down, or with ``freq`` all that follow from them for periods of that length. A row of the targets
    table whose KPI or scope no catalogue knows stays, without an actual and with the reason.
    """
    bands, actuals = bands or Bands(), Actuals(snapshot)
    rows = []
    for name, scope in promised(snapshot, kpis):
        try:
            plan = make_plan(actuals, name, scope)
        except UnknownNameError as error:
            rows += _unknown(snapshot, name, scope, str(error)) if freq is None else []
            continue
        for length, start in _periods(plan, freq, before=snapshot.as_of):
            target = plan.target(length, start)
            if target is not None:
                rows.append(_row(actuals, plan, length, start, target, bands))
    frame = pd.DataFrame(rows, columns=list(ATTAINMENT_COLUMNS)).astype({c.DS: "datetime64[us]", "is_running": "bool"})
    return frame.sort_values([c.KPI, c.SCOPE, c.DS, c.FREQ], ignore_index=True)


def _periods(plan: Plan, freq: Freq | None, *, before: pd.Timestamp) -> list[tuple[Freq, pd.Timestamp]]:
    if freq is None:
        return [(length, start) for length, start in plan.rows if start < before]
    return [(freq, start) for start in plan.periods(freq, before=before)]


def _row(actuals: Actuals, plan: Plan, freq: Freq, start: pd.Timestamp, target: Target, bands: Bands) -> dict[str, object]:
    kpi, as_of = plan.kpi, actuals.snapshot.as_of
    running = shift(start, 1, freq, fiscal_year_starts=plan.fiscal_year_starts) > as_of
    standing = _running(actuals, plan, freq, start) if running else _closed(actuals, plan, freq, start)
    gap = standing.value - target.value
    attainment = _attainment(kpi, standing.value, target.value)
    usual = float(np.mean(standing.shares)) if standing.shares else np.nan
    heading = _heading(kpi, standing.value, usual)
    pace = _attainment(kpi, heading, target.value) if running else np.nan
    light = bands.light(kpi, pace, heading - target.value) if running else bands.light(kpi, attainment, gap)
    return {
        c.KPI: kpi.name,
        c.SCOPE: plan.scope,
        c.FREQ: freq,
        c.DS: start,
        "target": target.value,
        "basis": target.basis,
        "actual": standing.value,
        "gap": gap,
        "attainment": attainment,
        "is_running": running,
        "usual": usual,
        "usual_low": min(standing.shares, default=np.nan),
        "usual_high": max(standing.shares, default=np.nan),
        "pace": pace,
        "light": light,
        c.STATUS: standing.status.value,
        c.REASON: standing.reason,
    }


def _heading(kpi: Kpi, so_far: float, usual: float) -> float:
    """The value at which the running period will end if it goes on as usual."""
    if kpi.over_time == "sums":
        return so_far / usual if usual > 0 else np.nan
    return np.nan if kpi.over_time == "apart" else so_far


def _attainment(kpi: Kpi, actual: float, target: float) -> float:
    if not (actual > 0 and target > 0):
        return 0.0 if actual == 0 and target > 0 and kpi.better != "down" else np.nan
    return target / actual if kpi.better == "down" else actual / target


def _closed(actuals: Actuals, plan: Plan, freq: Freq, start: pd.Timestamp) -> _Standing:
    kpi = plan.kpi
    if kpi.fixed_freq not in (None, freq):
        return _Standing(reason=f"{kpi.name} is only told by {kpi.fixed_freq}")
    series = actuals.of(kpi, plan.scope, freq)
    if start not in series.index or np.isnan(series.at[start, c.VALUE]):
        return _Standing(reason="the KPI has no value for this period")
    status = Status(series.at[start, c.STATUS])
    return _Standing(float(series.at[start, c.VALUE]), status, _few(kpi, series.at[start, c.N]) if status is Status.LIMITED else "")


def _running(actuals: Actuals, plan: Plan, freq: Freq, start: pd.Timestamp) -> _Standing:
    kpi = plan.kpi
    if kpi.fixed_freq not in (None, freq):
        return _Standing(reason=f"{kpi.name} is only told by {kpi.fixed_freq}")
    if kpi.over_time == "sums":
        return _sum_so_far(actuals, plan, freq, start)
    by, member = split_scope(plan.scope)
    cells = kpi.compute(View(actuals.snapshot, freq, by))
    if (member, start) not in cells.index or np.isnan(cells.at[(member, start), c.VALUE]):
        return _Standing(reason="the KPI has no value for the running period yet")
    n = float(cells.at[(member, start), c.N])
    value = float(cells.at[(member, start), c.VALUE])
    return _Standing(value, Status.LIMITED, _few(kpi, n)) if n < kpi.least_n else _Standing(value, Status.FULL)


def _sum_so_far(actuals: Actuals, plan: Plan, freq: Freq, start: pd.Timestamp) -> _Standing:
    """Whole days up to ``as_of``, and how much of earlier periods had come by the same day."""
    days = actuals.of(plan.kpi, plan.scope, "D")[c.VALUE]
    if days.empty:
        return _Standing(reason="the KPI has no value for the running period yet")
    known_from = start_of(days.index[0], "M")
    elapsed = actuals.snapshot.as_of.normalize() - start
    shares = []
    for back in range(1, COMPARED[freq] + 1):
        begin, end = (shift(start, count, freq, fiscal_year_starts=plan.fiscal_year_starts) for count in (-back, 1 - back))
        total = float(days[(days.index >= begin) & (days.index < end)].sum())
        if begin >= known_from and total > 0:
            shares.append(float(days[(days.index >= begin) & (days.index < min(begin + elapsed, end))].sum()) / total)
    return _Standing(float(days[days.index >= start].sum()), Status.FULL, shares=tuple(shares))


def _few(kpi: Kpi, n: float) -> str:
    return f"rests on {n:g} {kpi.counts}" if n < kpi.least_n else "the loaded facts cover only a part of the period"


def _unknown(snapshot: Snapshot, kpi: str, scope: str, reason: str) -> list[dict[str, object]]:
    targets = snapshot.targets
    own = targets[(targets[c.KPI] == kpi) & (targets[c.SCOPE] == scope) & (targets[c.DS] < snapshot.as_of)]
    fixed: dict[str, object] = {c.KPI: kpi, c.SCOPE: scope, "basis": "exact", "light": "none", "is_running": False}
    fixed |= {c.STATUS: Status.INSUFFICIENT_DATA.value, c.REASON: reason}
    return [
        {**fixed, c.FREQ: freq, c.DS: ds, "target": float(value)}
        for freq, ds, value in zip(own[c.FREQ], own[c.DS], own[c.VALUE], strict=True)
    ]
