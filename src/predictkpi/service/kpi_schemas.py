"""Answers about KPIs: definitions, series, trends, alerts."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from predictkpi.core.types import Status
from predictkpi.service.schemas import Answer, Unit


class KpiPoint(Answer):
    """One complete period."""

    ds: datetime = Field(description="first instant of the period")
    value: float | None = Field(description="in the KPI's unit; null where there is too little data")
    low: float | None = Field(None, description="lower end of the 95 % interval; null for a KPI without one, or where it has no bound")
    high: float | None = Field(None, description="upper end of the 95 % interval; null likewise")
    n: float | None = Field(description="customers, deals or orders behind the value")
    status: Status
    target: float | None = Field(None, description="what was promised for the period, where somebody did")


class KpiSeries(Answer):
    """One member of a dimension over time."""

    member: str = Field(description="'total' without a dimension", examples=["total"])
    points: list[KpiPoint]


class KpiDefinition(Answer):
    """What a KPI is."""

    name: str = Field(examples=["win_rate"])
    title: dict[str, str] = Field(description="by language", examples=[{"en": "Win rate", "de": "Abschlussquote"}])
    family: Literal["revenue", "customers", "sales_cycle", "pipeline"] = Field(description="KPIs that belong side by side")
    formula: str = Field(description="in words")
    grain: str = Field(description="what one value speaks of", examples=["one value a period of any length and member of a dimension"])
    unit: Unit = Field(examples=["share"])
    better: Literal["up", "down", "none"] = Field(description="the direction that is good", examples=["up"])
    counts: Literal["orders", "customers", "deals", "entries"] = Field(description="what `n` counts", examples=["deals"])
    needs: list[str] = Field(description="tables it is made of", examples=[["deals", "deal_events"]])
    dimensions: list[str] = Field(description="what `by` may be", examples=[["region", "owner"]])


class KpiSummary(KpiDefinition):
    """A KPI with where it stands."""

    currency: str
    freq: Literal["M", "Q"] = Field(description="length of a period below: a month, or a quarter where only that makes sense")
    latest: KpiPoint | None = Field(description="the newest complete period that has a value")
    previous: KpiPoint | None = Field(description="the one with a value before it")
    change: float | None = Field(description="latest - previous, in the KPI's unit")
    trend: list[KpiPoint] = Field(description="up to 12 complete periods, oldest first")


class KpiList(Answer):
    """The catalogue."""

    as_of: datetime
    items: list[KpiSummary]


class KpiDetail(KpiDefinition):
    """A KPI's series."""

    currency: str
    as_of: datetime
    freq: Literal["D", "W", "M", "Q", "Y"] = Field(description="length of a period; some KPIs have only one that makes sense")
    dimension: str = Field(examples=["total"])
    series: list[KpiSeries]


class KpiTrend(Answer):
    """Is a KPI rising or falling, beyond what its own ups and downs explain? No figures where it cannot be told; the reason says why."""

    kpi: str = Field(examples=["win_rate"])
    unit: Unit = Field(examples=["share"])
    currency: str
    as_of: datetime
    since: datetime | None = Field(description="first instant of the first month that counts")
    until: datetime | None = Field(description="first instant of the last one")
    months: int = Field(description="months with a value")
    per_year: float | None = Field(description="change a year, in the KPI's unit")
    low: float | None = Field(description="lower end of its 95 % interval")
    high: float | None = Field(description="upper end of its 95 % interval")
    p_value: float | None = Field(description="two-sided, of no trend")
    direction: Literal["rising", "falling", "none"] = Field(description="`none` where the trend is not significant at 5 %")
    verdict: Literal["better", "worse", "none"]
    status: Status
    reason: str


class KpiMonth(Answer):
    """One month ahead, as a whole; no figures where the KPI cannot be forecast."""

    ds: datetime = Field(description="first instant of the month")
    horizon: int = Field(description="months ahead; 1 is the running one", examples=[1])
    mean: float | None = Field(description="of the sample paths, in the KPI's unit", examples=[0.31])
    q025: float | None = Field(description="lower end of the 95 % interval")
    q10: float | None = Field(description="stays below this with probability .1")
    q50: float | None = Field(description="the median")
    q90: float | None = Field(description="stays below this with probability .9; q10 to q90 is the 80 % interval")
    q975: float | None = Field(description="upper end of the 95 % interval")


class KpiForecast(Answer):
    """Where a KPI will be in the months from the running one."""

    kpi: str = Field(examples=["win_rate"])
    unit: Unit = Field(examples=["share"])
    currency: str
    as_of: datetime = Field(description="only what was known before this instant is used")
    scope: str = Field(description="`total` or a member of a dimension of the KPI", examples=["region=EMEA"])
    status: Status = Field(description="rung of the ladder")
    reason: str = Field(description="why the status is not full; empty when it is")
    items: list[KpiMonth]


class WatchedPeriod(Answer):
    """A closed period against what was forecast for it before it began."""

    freq: Literal["M", "Q"] = Field(description="a month or a fiscal quarter")
    ds: datetime = Field(description="first instant of the period")
    value: float | None = Field(description="as known now, in the KPI's unit")
    expected: float | None = Field(description="median of the forecast")
    low: float | None = Field(description="lower end of the interval that was forecast")
    high: float | None = Field(description="upper end of it")
    direction: Literal["above", "below", "inside"] | None = Field(description="where the value lies; null where it cannot be judged")
    verdict: Literal["better", "worse", "none"]
    is_alert: bool
    n: float | None = Field(description="customers, deals or orders behind the value")
    status: Status
    reason: str


class KpiAlerts(Answer):
    """The alerts of a KPI, newest first."""

    kpi: str = Field(examples=["revenue"])
    unit: Unit = Field(examples=["currency"])
    currency: str
    as_of: datetime
    level: float = Field(description="probability that a month without a surprise lies inside its interval")
    quarter_level: float = Field(description="the same for a quarter")
    judged: int = Field(description="watched periods that could be judged")
    items: list[WatchedPeriod]
