"""Which closed months and fiscal quarters of a KPI came out as nobody could expect before they began.

Each period is forecast from ``Snapshot(as_of = its first instant)`` through the revenue predictor's engine. A period whose value lies
outside that interval is an alert. What is learnt later changes the value, never the interval. A month is the first to tell; a quarter has
three times the cases, and tells what a month of few cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from predictkpi.core import columns as c
from predictkpi.core.periods import Freq, cutoff_of, shift, start_of
from predictkpi.core.types import Status
from predictkpi.kpis import get_kpi, kpi_names
from predictkpi.kpis.base import Kpi
from predictkpi.kpis.trends import count_of, settled, unwatchable
from predictkpi.pipelines.kpi_forecast import answer_of, scale_of
from predictkpi.predictors.revenue.kpi_series import quarter_values
from predictkpi.predictors.revenue.paths import Answer
from predictkpi.snapshot import Snapshot

ALERT_COLUMNS = [c.KPI, c.FREQ, c.DS, c.VALUE, "expected", "low", "high", "direction", "verdict", "is_alert", c.N, c.STATUS, c.REASON]
PERIODS = 12
_LENGTHS: dict[Freq, str] = {"M": "month", "Q": "quarter"}


class AlertRule(BaseModel):
    """When a month or quarter is an alert. The defaults are measured in benchmarks/alerts.py."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: float = Field(0.95, ge=0.5, le=0.999, description="probability that a month without a surprise lies inside")
    quarter_level: float = Field(0.93, ge=0.5, le=0.999, description="the same for a quarter: fewer of them give fewer false alarms")
    least_months: int = Field(24, ge=12, description="months with a value before the period that is watched")
    draws: int = Field(4000, ge=1000, description="sample paths of each forecast")
    origins: int = Field(24, ge=6, description="months to look back for backtest errors")

    def level_of(self, freq: Freq) -> float:
        """The level for periods of that length."""
        return self.quarter_level if freq == "Q" else self.level


@dataclass(frozen=True)
class Outlook:
    """What was expected of one period of a KPI before it began: sample values of it, none where nothing could be.

    ``undecided`` is the KPI's own 95 % interval of the newest period, its ends NaN where it has none. Every interval holds it: what the
    cases of a period cannot tell from the value before is no surprise, however little that value has moved so far.
    """

    values: npt.NDArray[np.float64] = field(default_factory=lambda: np.array([np.nan]))
    undecided: tuple[float, float] = (np.nan, np.nan)
    status: Status = Status.INSUFFICIENT_DATA
    reason: str = ""

    def interval(self, level: float) -> tuple[float, float, float]:
        """Low, median and high of the central interval."""
        outside = (1 - level) / 2
        low, median, high = np.quantile(self.values, [outside, 0.5, 1 - outside])
        return float(np.fmin(low, self.undecided[0])), float(median), float(np.fmax(high, self.undecided[1]))


def alerts(snapshot: Snapshot, kpis: Sequence[str] | None = None, *, periods: int = PERIODS, rule: AlertRule | None = None) -> pd.DataFrame:
    """The rows of `watched` that are alerts, newest first."""
    found = watched(snapshot, kpis, periods=periods, rule=rule)
    return found[found["is_alert"]].sort_values([c.DS, c.KPI, c.FREQ], ascending=[False, True, True], ignore_index=True)


def watched(
    snapshot: Snapshot, kpis: Sequence[str] | None = None, *, periods: int = PERIODS, rule: AlertRule | None = None
) -> pd.DataFrame:
    """The newest ``periods`` closed months of each KPI's total, and the fiscal quarters that end with one of them: `ALERT_COLUMNS`.

    ``value`` as known at the snapshot, ``expected`` (the median), ``low`` and ``high`` as forecast before the period. ``direction`` is
    ``above``, ``below`` or ``inside`` (empty where it cannot be told), ``verdict`` whether that side is ``better`` or ``worse``. A period
    that cannot be judged (short history, too few cases in it) is never an alert and says why. A KPI that is told by month only, or that
    cannot be watched at all, has no quarters.
    """
    rule = rule or AlertRule()
    names = list(kpis or kpi_names())
    newest = cutoff_of(snapshot.as_of, "M")
    months = [shift(newest, -back, "M") for back in range(periods - 1, -1, -1)]
    quarters = [start for month in months if (start := _quarter_that_ends_with(month, snapshot)) is not None]
    actual: dict[tuple[str, Freq], pd.DataFrame] = {}
    for name in names:
        for freq in freqs_of(get_kpi(name)):
            actual[name, freq] = get_kpi(name).series(snapshot, freq=freq).set_index(c.DS)
    rows = []
    for start in sorted({*months, *quarters}):
        past = snapshot.at(start)
        lengths: dict[Freq, list[pd.Timestamp]] = {"M": months, "Q": quarters}
        wanted = [freq for freq, starts in lengths.items() if start in starts]
        for name in names:
            before = outlooks(past, get_kpi(name), rule, with_quarter="Q" in wanted)
            rows += [
                _row(get_kpi(name), freq, start, actual[name, freq], before[freq], rule.level_of(freq)) for freq in wanted if freq in before
            ]
    frame = pd.DataFrame(rows, columns=ALERT_COLUMNS).astype({c.DS: "datetime64[us]", "is_alert": "bool"})
    return frame.sort_values([c.KPI, c.DS, c.FREQ], ignore_index=True)


def outlooks(snapshot: Snapshot, kpi: Kpi, rule: AlertRule, *, with_quarter: bool = False) -> dict[Freq, Outlook]:
    """What the snapshot lets expect of the month, and if asked of the fiscal quarter, that begins with it, by period length."""
    freqs = freqs_of(kpi) if with_quarter else ("M",)
    if reason := unwatchable(kpi):
        return dict.fromkeys(freqs, Outlook(reason=reason))
    series = settled(kpi, snapshot).set_index(c.DS)
    months = int(series[c.VALUE].notna().sum())
    if months < rule.least_months:
        return dict.fromkeys(freqs, Outlook(reason=f"{count_of(kpi, months)} before it: {rule.least_months} are needed"))
    answer = answer_of(kpi, snapshot, series, draws=rule.draws, origins=rule.origins)
    found: dict[Freq, Outlook] = {"M": _outlook(answer.paths[:, 0], series, answer)}
    if "Q" in freqs:
        quarters = settled(kpi, snapshot, freq="Q").set_index(c.DS)
        values = quarter_values(answer, quarters[c.VALUE], scale=scale_of(kpi), n=series[c.N], n_quarters=quarters[c.N])
        found["Q"] = _outlook(values, quarters, answer) if len(values) else Outlook(reason="no earlier quarter with a value")
    return found


def freqs_of(kpi: Kpi) -> tuple[Freq, ...]:
    """The period lengths that are watched."""
    return ("M", "Q") if kpi.fixed_freq is None and not unwatchable(kpi) else ("M",)


def _outlook(values: npt.NDArray[np.float64], series: pd.DataFrame, answer: Answer) -> Outlook:
    newest = series.iloc[-1]
    return Outlook(values, (float(newest[c.LOW]), float(newest[c.HIGH])), answer.status, answer.reason)


def _quarter_that_ends_with(month: pd.Timestamp, snapshot: Snapshot) -> pd.Timestamp | None:
    """Start of the fiscal quarter whose last month that is."""
    starts = snapshot.company.fiscal_year_starts
    quarter = start_of(month, "Q", fiscal_year_starts=starts)
    return quarter if shift(quarter, 1, "Q", fiscal_year_starts=starts) == shift(month, 1, "M") else None


def _row(kpi: Kpi, freq: Freq, start: pd.Timestamp, actual: pd.DataFrame, before: Outlook, level: float) -> tuple[object, ...]:
    value = float(actual.at[start, c.VALUE]) if start in actual.index else np.nan
    n = int(actual.at[start, c.N]) if start in actual.index else 0
    low, expected, high = before.interval(level)
    status, reason = before.status, before.reason
    if status is not Status.INSUFFICIENT_DATA and (np.isnan(value) or n < kpi.least_n):
        status, reason = Status.INSUFFICIENT_DATA, f"the {_LENGTHS[freq]} rests on {n} {kpi.counts}: too few to tell"
    is_told = status is not Status.INSUFFICIENT_DATA
    direction = "" if not is_told else "above" if value > high else "below" if value < low else "inside"
    is_alert = direction in ("above", "below")
    verdict = "none" if not is_alert or kpi.better == "none" else "better" if (direction == "above") == (kpi.better == "up") else "worse"
    return (kpi.name, freq, start, value, expected, low, high, direction, verdict, is_alert, n, status.value, reason)
