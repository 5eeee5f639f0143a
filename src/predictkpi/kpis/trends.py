"""Is a KPI rising or falling, beyond what its own ups and downs explain? Pure.

The slope is the least-squares one beside twelve month effects. Months follow one another, so the noise of the slope is not that of
independent months: it is measured at the low frequencies where a trend lives, as the mean square of the series' projections on the
next few cosines, made orthogonal to trend and season. The ratio follows Student's t with as many degrees of freedom as cosines, and four
of them keep the test honest for the short, autocorrelated series of a company. Sources: Müller & Watson (2008), "Testing models of
low-frequency variability", Econometrica 76; Lazarus, Lewis, Stock & Watson (2018), "HAR inference", JBES 36.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import t as student

from predictkpi.core import columns as c
from predictkpi.core.periods import Freq, shift, start_of
from predictkpi.core.types import Status
from predictkpi.kpis import get_kpi, kpi_names
from predictkpi.kpis.base import Kpi
from predictkpi.snapshot import Snapshot

Floats = npt.NDArray[np.float64]

LEAST_MONTHS = 36
MOST_MONTHS = 60
COSINES = 4
SIGNIFICANT = 0.05
TREND_COLUMNS = [c.KPI, "from", "to", "months", "per_year", "low", "high", "p_value", "direction", "verdict", c.STATUS, c.REASON]
_YEAR = 12


@dataclass(frozen=True)
class Trend:
    """Change a year in the series' unit, its 95 % interval, and the two-sided p-value of no trend."""

    per_year: float
    low: float
    high: float
    p_value: float

    @property
    def direction(self) -> str:
        """``rising``, ``falling``, or ``none`` where the trend is not significant at 5 %."""
        if not self.p_value < SIGNIFICANT:
            return "none"
        return "rising" if self.per_year > 0 else "falling"


def trend_of(y: npt.ArrayLike) -> Trend | None:
    """The trend of consecutive months ``y`` (n,); NaN where a month has no value. None below `LEAST_MONTHS` values."""
    values = np.asarray(y, dtype=float)
    seen = np.isfinite(values)
    if seen.sum() < LEAST_MONTHS:
        return None
    n = len(values)
    month = np.arange(n)
    season = (month[:, None] % _YEAR == np.arange(_YEAR)).astype(float)
    line = month - month.mean()
    # The first cosine is all but the trend itself.
    waves = np.cos(np.pi * np.outer(month + 0.5, np.arange(2, COSINES + 2)) / n)
    design = np.column_stack([season[seen], line[seen], waves[seen]])
    orthogonal, triangle = np.linalg.qr(design)
    projected = values[seen] @ orthogonal
    length = triangle[_YEAR, _YEAR]
    slope = projected[_YEAR] / length
    error = float(np.sqrt(np.mean(projected[_YEAR + 1 :] ** 2))) / abs(length)
    # A series without any noise is rounding and nothing else: its slope is its trend.
    exact = error <= 1e-12 * max(float(np.abs(values[seen]).max()), 1e-300)
    p_value = float(abs(slope) * n <= 1e-9 * np.abs(values[seen]).max()) if exact else 2 * float(student.sf(abs(slope) / error, COSINES))
    reach = 0.0 if exact else float(student.ppf(0.975, COSINES)) * error
    return Trend(float(_YEAR * slope), float(_YEAR * (slope - reach)), float(_YEAR * (slope + reach)), p_value)


def trends(snapshot: Snapshot, kpis: Sequence[str] | None = None) -> pd.DataFrame:
    """The trend of each KPI's total over its newest `MOST_MONTHS` complete months that are `settled`, one row a KPI: `TREND_COLUMNS`.

    ``per_year``, ``low`` and ``high`` are in the KPI's unit; ``verdict`` says whether a significant trend is ``better`` or ``worse``, else
    ``none``. A KPI whose trend cannot be told has no figures, status `insufficient_data` and a reason.
    """
    rows = [_row(get_kpi(name), snapshot) for name in (kpis or kpi_names())]
    return pd.DataFrame(rows, columns=TREND_COLUMNS).astype({"from": "datetime64[us]", "to": "datetime64[us]", "months": "int64"})


def unwatchable(kpi: Kpi) -> str:
    """Why the months of this KPI cannot be compared with one another; empty where they can."""
    if kpi.over_time == "matures":
        return "later cohorts have had less time than earlier ones"
    return "" if kpi.fixed_freq in (None, "M") else "not a monthly figure"


def settled(kpi: Kpi, snapshot: Snapshot, *, freq: Freq = "M", by: str | None = None) -> pd.DataFrame:
    """The series of the KPI's total, or of each member, without the year in which it settles, see `Kpi.settles_with`; `KPI_COLUMNS`."""
    series = kpi.series(snapshot, freq=freq, by=by)
    if kpi.settles_with is None or series.empty:
        return series
    first = snapshot.table(kpi.settles_with)[c.DS].min()
    if pd.isna(first):
        return series.iloc[:0]
    return series[series[c.DS] >= shift(start_of(first, "M"), _YEAR, "M")]


def count_of(kpi: Kpi, months: int) -> str:
    """So many months, in words: with the year that `settled` leaves out."""
    return f"{months} months with a value" + (f" after the first year of {kpi.settles_with}" if kpi.settles_with else "")


def _row(kpi: Kpi, snapshot: Snapshot) -> tuple[object, ...]:
    nothing = (np.nan, np.nan, np.nan, np.nan, "none", "none", Status.INSUFFICIENT_DATA.value)
    if reason := unwatchable(kpi):
        return (kpi.name, pd.NaT, pd.NaT, 0, *nothing, reason)
    series = settled(kpi, snapshot).tail(MOST_MONTHS)
    first, last = (series[c.DS].min(), series[c.DS].max()) if len(series) else (pd.NaT, pd.NaT)
    months = int(series[c.VALUE].notna().sum())
    found = trend_of(series[c.VALUE])
    if found is None:
        return (kpi.name, first, last, months, *nothing, f"{count_of(kpi, months)}: a trend needs {LEAST_MONTHS}")
    thin = int((series[c.STATUS] == Status.LIMITED).sum())
    reason = f"{thin} months rest on few {kpi.counts} or on a part of the facts" if thin else ""
    good = {"up": "rising", "down": "falling"}.get(kpi.better)
    verdict = "none" if found.direction == "none" or good is None else "better" if found.direction == good else "worse"
    figures = (found.per_year, found.low, found.high, found.p_value, found.direction, verdict)
    return (kpi.name, first, last, months, *figures, (Status.LIMITED if thin else Status.FULL).value, reason)
