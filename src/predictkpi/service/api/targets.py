"""What was promised, and how it stands."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Query

from predictkpi.core import columns as c
from predictkpi.core.periods import Freq
from predictkpi.kpis import get_kpi
from predictkpi.service.data_schemas import TargetList, TargetStanding
from predictkpi.service.dependencies import CurrentBands, CurrentView, problems
from predictkpi.service.envelopes import number
from predictkpi.service.kpi_answers import standings

router = APIRouter(prefix="/v1/targets", tags=["kpis"])

_NUMBERS = ("target", "actual", "gap", "attainment", "pace")


@router.get("", responses=problems("unknown-name", "invalid-request", "not-ready", "no-data"))
def list_targets(
    view: CurrentView,
    bands: CurrentBands,
    kpi: Annotated[str | None, Query(description="only of this KPI; all that have targets by default", examples=["revenue"])] = None,
    scope: Annotated[str | None, Query(description="only of `total` or a member, `region=EMEA`", examples=["total"])] = None,
    freq: Annotated[
        Freq | None, Query(description="by periods of this length, other targets spread or added up; as written down by default")
    ] = None,
) -> TargetList:
    """Every target whose period has begun: actual, gap, attainment, the pace of the running period, and a light.

    The series behind it is `/v1/kpis/{kpi}`, what of it was a surprise `/v1/kpis/{kpi}/alerts`, the chance to hit a revenue target
    `/v1/outlook`.
    """
    found = standings(view, None if kpi is None else get_kpi(kpi).name, freq=freq, bands=bands)
    shown = found if scope is None else found[found[c.SCOPE] == scope]
    return TargetList(as_of=view.as_of, currency=view.company.currency, items=[_standing(row) for row in shown.to_dict("records")])


def _standing(row: dict[object, object]) -> TargetStanding:
    plain = {name: row[name] for name in TargetStanding.model_fields if name not in _NUMBERS}
    return TargetStanding(**plain, **{name: number(cast(float, row[name])) for name in _NUMBERS})  # type: ignore[arg-type]
