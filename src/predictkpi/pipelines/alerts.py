"""Which closed months of a KPI came out as nobody could expect before they began.

Each month is forecast from ``Snapshot(as_of = its first instant)`` through the revenue predictor's engine. A month whose value lies
outside that interval is an alert. What is learnt later changes the value, never the interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from predictkpi.core import columns as c
from predictkpi.core.periods import cutoff_of, shift
from predictkpi.core.types import Status
from predictkpi.kpis import get_kpi, kpi_names
from predictkpi.kpis.base import Kpi
from predictkpi.kpis.trends import unwatchable
from predictkpi.predictors.revenue.kpi_series import Scale, forecast_series
from predictkpi.snapshot import Snapshot

ALERT_COLUMNS = [c.KPI, c.DS, c.VALUE, "expected", "low", "high", "direction", "verdict", "is_alert", c.N, c.STATUS, c.REASON]
PERIODS = 12


class AlertRule(BaseModel):
    """When a month is an alert. The defaults are measured in benchmarks/alerts.py."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: float = Field(0.98, ge=0.5, le=0.999, description="probability that a month without a surprise lies inside")
    least_months: int = Field(24, ge=12, description="months with a value before the one that is watched")
    draws: int = Field(4000, ge=1000, description="sample paths of each forecast")
    origins: int = Field(24, ge=6, description="months to look back for backtest errors")


@dataclass(frozen=True)
class Outlook:
    """What was expected of one month of a KPI before it began: sample values of it, none where nothing could be."""

    values: npt.NDArray[np.float64] = field(default_factory=lambda: np.array([np.nan]))
    status: Status = Status.INSUFFICIENT_DATA
    reason: str = ""

    def interval(self, level: float) -> tuple[float, float, float]:
        """Low, median and high of the central interval."""
        outside = (1 - level) / 2
        low, median, high = np.quantile(self.values, [outside, 0.5, 1 - outside])
        return float(low), float(median), float(high)


def alerts(snapshot: Snapshot, kpis: Sequence[str] | None = None, *, periods: int = PERIODS, rule: AlertRule | None = None) -> pd.DataFrame:
    """The rows of `watched` that are alerts, newest first."""
    found = watched(snapshot, kpis, periods=periods, rule=rule)
    return found[found["is_alert"]].sort_values([c.DS, c.KPI], ascending=[False, True], ignore_index=True)


def watched(
    snapshot: Snapshot, kpis: Sequence[str] | None = None, *, periods: int = PERIODS, rule: AlertRule | None = None
) -> pd.DataFrame:
    """The newest ``periods`` closed months of each KPI's total against what was expected of them: `ALERT_COLUMNS`.

    ``value`` as known at the snapshot, ``expected`` (the median), ``low`` and ``high`` as forecast before the month. ``direction`` is
    ``above``, ``below`` or ``inside`` (empty where it cannot be told), ``verdict`` whether that side is ``better`` or ``worse``. A month
    that cannot be judged (short history, too few cases in the month) is never an alert and says why.
    """
    rule = rule or AlertRule()
    names = list(kpis or kpi_names())
    actual = {name: get_kpi(name).series(snapshot, freq="M").set_index(c.DS) for name in names}
    newest = cutoff_of(snapshot.as_of, "M")
    rows = []
    for back in range(periods - 1, -1, -1):
        month = shift(newest, -back, "M")
        past = snapshot.at(month)
        rows += [_row(get_kpi(name), month, actual[name], outlook(past, get_kpi(name), rule), rule.level) for name in names]
    frame = pd.DataFrame(rows, columns=ALERT_COLUMNS).astype({c.DS: "datetime64[us]", "is_alert": "bool"})
    return frame.sort_values([c.KPI, c.DS], ignore_index=True)


def outlook(snapshot: Snapshot, kpi: Kpi, rule: AlertRule) -> Outlook:
    """What the snapshot lets expect of the month that begins with it."""
    if reason := unwatchable(kpi):
        return Outlook(reason=reason)
    series = kpi.series(snapshot, freq="M").set_index(c.DS)
    months = int(series[c.VALUE].notna().sum())
    if months < rule.least_months:
        return Outlook(reason=f"{months} months with a value before it: {rule.least_months} are needed")
    answer = forecast_series(
        series[c.VALUE],
        as_of=snapshot.as_of,
        scale=scale_of(kpi),
        n=series[c.N],
        name=kpi.name,
        draws=rule.draws,
        origins=rule.origins,
    )
    return Outlook(answer.paths[:, 0], answer.status, answer.reason)


def scale_of(kpi: Kpi) -> Scale:
    """How the values of a KPI may vary."""
    if kpi.is_change:
        return "change"
    return "share" if kpi.unit == "share" else "amount"


def _row(kpi: Kpi, month: pd.Timestamp, actual: pd.DataFrame, before: Outlook, level: float) -> tuple[object, ...]:
    value = float(actual.at[month, c.VALUE]) if month in actual.index else np.nan
    n = int(actual.at[month, c.N]) if month in actual.index else 0
    low, expected, high = before.interval(level)
    status, reason = before.status, before.reason
    if status is not Status.INSUFFICIENT_DATA and (np.isnan(value) or n < kpi.least_n):
        status, reason = Status.INSUFFICIENT_DATA, f"the month rests on {n} {kpi.counts}: too few to tell"
    is_told = status is not Status.INSUFFICIENT_DATA
    direction = "" if not is_told else "above" if value > high else "below" if value < low else "inside"
    is_alert = direction in ("above", "below")
    verdict = "none" if not is_alert or kpi.better == "none" else "better" if (direction == "above") == (kpi.better == "up") else "worse"
    return (kpi.name, month, value, expected, low, high, direction, verdict, is_alert, n, status.value, reason)
