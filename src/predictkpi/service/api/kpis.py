"""Where the company stands: KPI catalogue and series."""

from __future__ import annotations

from typing import Annotated, Any

import pandas as pd
from fastapi import APIRouter, Path, Query

from predictkpi.core import columns as c
from predictkpi.core.periods import Freq
from predictkpi.core.types import Status
from predictkpi.kpis import get_kpi, kpi_names
from predictkpi.service.dependencies import CurrentView, problems
from predictkpi.service.envelopes import number
from predictkpi.service.instants import IsoInstant
from predictkpi.service.kpi_schemas import KpiDetail, KpiList, KpiPoint, KpiSeries, KpiSummary
from predictkpi.service.problems import InvalidRequestError
from predictkpi.service.view import View

router = APIRouter(prefix="/v1/kpis", tags=["kpis"])

TREND_PERIODS = 12


@router.get("", responses=problems("not-ready", "no-data"))
def list_kpis(view: CurrentView) -> KpiList:
    """Every KPI with its definition, newest complete month, change and trend."""
    return KpiList(as_of=view.as_of, items=[summarise(name, view) for name in kpi_names()])


@router.get("/{kpi}", responses=problems("unknown-name", "future-access", "insufficient-data", "invalid-request", "not-ready", "no-data"))
def kpi_series(
    kpi: Annotated[str, Path(description="name of the KPI", examples=["revenue"])],
    view: CurrentView,
    freq: Annotated[Freq, Query(description="length of a period; quarters and years are fiscal")] = "M",
    by: Annotated[str | None, Query(description="a dimension of the KPI: one series per member", examples=["segment"])] = None,
    as_of: Annotated[IsoInstant | None, Query(description="the series as it was known before this instant; now by default")] = None,
) -> KpiDetail:
    """One KPI over all complete periods, also as it was known on any past day."""
    definition = get_kpi(kpi)
    if by is not None and by not in definition.dimensions:
        raise InvalidRequestError.parameter("by", f"{kpi} has no dimension {by!r}; there are: {', '.join(definition.dimensions) or 'none'}")
    instant = None if as_of is None else view.local(as_of)
    freq = definition.fixed_freq or freq
    frame = view.kpi_series(kpi, freq=freq, by=by, as_of=instant)
    targets = targets_of(view, kpi, freq)
    series = [
        KpiSeries(member=str(member), points=points_of(rows, targets, scope=c.TOTAL if by is None else f"{by}={member}"))
        for member, rows in frame.groupby(c.MEMBER, sort=True)
    ]
    return KpiDetail(
        **_definition(kpi),
        currency=view.company.currency,
        as_of=instant or view.as_of,
        freq=freq,
        dimension=by or c.TOTAL,
        series=series,
    )


def summarise(name: str, view: View) -> KpiSummary:
    """A KPI with its newest values, by month unless it knows only quarters."""
    freq = get_kpi(name).fixed_freq or "M"
    points = points_of(view.kpi_series(name, freq=freq), targets_of(view, name, freq), scope=c.TOTAL)
    valued = [point for point in points if point.value is not None]
    latest, previous = (valued[-1] if valued else None), (valued[-2] if len(valued) > 1 else None)
    change = latest.value - previous.value if latest and previous and latest.value is not None and previous.value is not None else None
    return KpiSummary(
        **_definition(name),
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


def targets_of(view: View, kpi: str, freq: Freq) -> pd.DataFrame:
    """The targets promised for a KPI by periods of one length."""
    targets = view.snapshot.targets
    return targets[(targets[c.KPI] == kpi) & (targets[c.FREQ] == freq)]


def _definition(name: str) -> dict[str, Any]:
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
