"""What is known of a KPI, for API and dashboard alike: series beside targets, how targets stand, forecast and alerts, each once a view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import Freq
from predictkpi.core.types import Status
from predictkpi.kpis import get_kpi
from predictkpi.kpis.attainment import Bands, attainments
from predictkpi.pipelines.alerts import PERIODS, AlertRule, watched
from predictkpi.pipelines.kpi_forecast import forecast_kpi
from predictkpi.service.envelopes import number
from predictkpi.service.kpi_schemas import KpiPoint, KpiSummary
from predictkpi.service.view import View
from predictkpi.tables.targets import TARGETS

TREND_PERIODS = 12
NEWEST = 1
"""Watched periods that tell of now: the newest closed month, and the fiscal quarter that ends with it. Webhooks tell of the same."""


@dataclass(frozen=True)
class Rules:
    """What the company holds its KPIs to: where the light of a target changes, and what is an alert."""

    bands: Bands = field(default_factory=Bands)
    alerts: AlertRule = field(default_factory=AlertRule)


def summarise(name: str, view: View) -> KpiSummary:
    """A KPI with its newest values, by month unless it knows only quarters."""
    freq = get_kpi(name).fixed_freq or "M"
    points = points_of(view.kpi_series(name, freq=freq), targets_of(view, name, freq), scope=c.TOTAL)
    latest, previous, change = newest_of(points)
    return KpiSummary(
        **definition_of(name),
        currency=view.company.currency,
        freq=freq,
        latest=latest,
        previous=previous,
        change=change,
        trend=points[-TREND_PERIODS:],
    )


def points_of(rows: pd.DataFrame, targets: pd.DataFrame, *, scope: str) -> list[KpiPoint]:
    """The rows of one member, oldest first, each beside its target."""
    promised = targets[targets[c.SCOPE] == scope].set_index(c.DS)[c.VALUE].to_dict()
    ordered = rows.sort_values(c.DS)
    return [
        KpiPoint(
            ds=row[c.DS],
            value=number(row[c.VALUE]),
            low=number(row[c.LOW]),
            high=number(row[c.HIGH]),
            n=number(row[c.N]),
            status=Status(row[c.STATUS]),
            target=number(promised.get(row[c.DS])),
        )
        for row in ordered.to_dict("records")
    ]


def newest_of(points: Sequence[KpiPoint]) -> tuple[KpiPoint | None, KpiPoint | None, float | None]:
    """The newest point that has a value, the one with a value before it, and the change between them."""
    valued = [point for point in points if point.value is not None]
    latest, previous = (valued[-1] if valued else None), (valued[-2] if len(valued) > 1 else None)
    if latest is None or previous is None or latest.value is None or previous.value is None:
        return latest, previous, None
    return latest, previous, latest.value - previous.value


def targets_of(view: View, kpi: str, freq: Freq) -> pd.DataFrame:
    """The targets promised for a KPI by periods of one length."""
    targets = view.snapshot.targets
    return targets[(targets[c.KPI] == kpi) & (targets[c.FREQ] == freq)]


def definition_of(name: str) -> dict[str, Any]:
    """What a KPI is: the fields of `KpiDefinition`."""
    kpi = get_kpi(name)
    return {
        "name": kpi.name,
        "title": dict(kpi.title),
        "family": kpi.family,
        "formula": kpi.formula,
        "grain": kpi.grain,
        "unit": kpi.unit,
        "better": kpi.better,
        "counts": kpi.counts,
        "needs": list(kpi.needs),
        "dimensions": list(kpi.dimensions),
    }


def standings(view: View, kpi: str | None, *, freq: Freq | None, bands: Bands) -> pd.DataFrame:
    """How the targets whose period has begun stand: `ATTAINMENT_COLUMNS`, of one KPI or all.

    As they were written down, or with ``freq`` all that follow from them for periods of that length.
    """
    chosen = None if kpi is None else [kpi]
    found = view.page(f"targets {kpi} {freq}", lambda view: attainments(view.snapshot, kpis=chosen, freq=freq, bands=bands))
    return cast(pd.DataFrame, found)


def forecast_of(view: View, kpi: str, scope: str) -> pd.DataFrame:
    """The months ahead of a KPI, `FORECAST_COLUMNS`; raises `UnknownNameError` for a dimension, `UnknownEntityError` for a member."""
    knows_targets = TARGETS.name in get_kpi(kpi).needs
    found = view.page(f"{kpi} forecast {scope}", lambda view: forecast_kpi(view.snapshot, kpi, scope=scope), knows_targets=knows_targets)
    return cast(pd.DataFrame, found)


def watched_periods(view: View, kpi: str, *, rule: AlertRule, periods: int = PERIODS) -> pd.DataFrame:
    """The newest closed periods of a KPI against what was forecast for them before they began: `ALERT_COLUMNS`."""
    return cast(pd.DataFrame, view.page(f"{kpi} watched {periods}", lambda view: watched(view.snapshot, [kpi], periods=periods, rule=rule)))
