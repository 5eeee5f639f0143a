"""Where the company stands: KPI catalogue and series."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from predictkpi.core import columns as c
from predictkpi.core.periods import Freq
from predictkpi.kpis import get_kpi, kpi_names
from predictkpi.service.dependencies import CurrentView, problems
from predictkpi.service.instants import IsoInstant
from predictkpi.service.kpi_answers import definition_of, points_of, summarise, targets_of
from predictkpi.service.kpi_schemas import KpiDetail, KpiList, KpiSeries
from predictkpi.service.problems import InvalidRequestError

router = APIRouter(prefix="/v1/kpis", tags=["kpis"])


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
        **definition_of(kpi),
        currency=view.company.currency,
        as_of=instant or view.as_of,
        freq=freq,
        dimension=by or c.TOTAL,
        series=series,
    )
