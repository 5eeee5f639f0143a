"""Where a KPI is going, where it will be, and which of its closed periods came out as nobody could expect."""

from __future__ import annotations

from typing import Annotated, cast

import pandas as pd
from fastapi import APIRouter, Path, Query

from predictkpi.core import columns as c
from predictkpi.core.types import Status
from predictkpi.kpis import get_kpi
from predictkpi.kpis.trends import trends
from predictkpi.outlook.growth import LEVELS
from predictkpi.pipelines.alerts import PERIODS
from predictkpi.service.dependencies import CurrentAlertRule, CurrentView, problems
from predictkpi.service.envelopes import number
from predictkpi.service.kpi_answers import forecast_of, watched_periods
from predictkpi.service.kpi_schemas import KpiAlerts, KpiForecast, KpiMonth, KpiTrend, WatchedPeriod

router = APIRouter(prefix="/v1/kpis", tags=["kpis"])

MOST_PERIODS = 36

KpiName = Annotated[str, Path(description="name of the KPI", examples=["revenue"])]


@router.get("/{kpi}/trend", responses=problems("unknown-name", "not-ready", "no-data"))
def kpi_trend(kpi: KpiName, view: CurrentView) -> KpiTrend:
    """The change a year of one KPI's months, with a test that fits months which follow one another."""
    row = trends(view.snapshot, [get_kpi(kpi).name]).iloc[0]
    return KpiTrend(
        kpi=kpi,
        unit=get_kpi(kpi).unit,
        currency=view.company.currency,
        as_of=view.as_of,
        since=None if pd.isna(row["from"]) else row["from"],
        until=None if pd.isna(row["to"]) else row["to"],
        months=int(row["months"]),
        per_year=number(row["per_year"]),
        low=number(row["low"]),
        high=number(row["high"]),
        p_value=number(row["p_value"]),
        direction=row["direction"],
        verdict=row["verdict"],
        status=Status(row[c.STATUS]),
        reason=row[c.REASON],
    )


@router.get("/{kpi}/forecast", responses=problems("unknown-name", "unknown-entity", "not-ready", "no-data"))
def kpi_forecast(
    kpi: KpiName,
    view: CurrentView,
    scope: Annotated[str, Query(description="`total` or a member of one of the KPI's dimensions, `region=EMEA`")] = c.TOTAL,
) -> KpiForecast:
    """The twelve months of one KPI from the running one, each as a whole, by the engine of the revenue forecast.

    The series is forecast alone: for revenue, `/v1/forecasts/revenue` and `/v1/outlook` also make the members add up to the total.
    """
    found = forecast_of(view, get_kpi(kpi).name, scope)
    months = [
        KpiMonth(ds=row[c.DS], horizon=row[c.HORIZON], **{level: number(row[level]) for level in ("mean", *LEVELS)})
        for row in found.to_dict("records")
    ]
    return KpiForecast(
        kpi=kpi,
        unit=get_kpi(kpi).unit,
        currency=view.company.currency,
        as_of=view.as_of,
        scope=scope,
        status=Status(found[c.STATUS].iloc[0]),
        reason=found[c.REASON].iloc[0],
        items=months,
    )


@router.get("/{kpi}/alerts", responses=problems("unknown-name", "invalid-request", "not-ready", "no-data"))
def kpi_alerts(
    kpi: KpiName,
    view: CurrentView,
    rule: CurrentAlertRule,
    periods: Annotated[
        int, Query(ge=1, le=MOST_PERIODS, description="newest closed months to watch, and the fiscal quarters that end with one of them")
    ] = PERIODS,
    everything: Annotated[bool, Query(alias="all", description="every watched period, not the alerts alone")] = False,
) -> KpiAlerts:
    """The closed months and quarters of one KPI that lie outside the interval that was forecast for them before they began."""
    found = watched_periods(view, get_kpi(kpi).name, rule=rule, periods=periods)
    shown = found if everything else found[found["is_alert"]]
    return KpiAlerts(
        kpi=kpi,
        unit=get_kpi(kpi).unit,
        currency=view.company.currency,
        as_of=view.as_of,
        level=rule.level,
        quarter_level=rule.quarter_level,
        judged=int((found["direction"] != "").sum()),
        items=[_period(row) for row in shown.iloc[::-1].to_dict("records")],
    )


def _period(row: dict[str, object]) -> WatchedPeriod:
    numbers = {name: number(cast(float, row[name])) for name in (c.VALUE, "expected", "low", "high", c.N)}
    words = {name: row[name] for name in (c.FREQ, c.DS, "verdict", "is_alert", c.STATUS, c.REASON)}
    return WatchedPeriod(**numbers, **words, direction=row["direction"] or None)  # type: ignore[arg-type]
