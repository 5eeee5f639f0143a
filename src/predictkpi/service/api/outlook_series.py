"""The outlook of one scope period by period: level and growth by week, month or quarter, and why a month is as it is."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from predictkpi.core import columns as c
from predictkpi.outlook.levels import GROWTHS, LEVELS
from predictkpi.predictors.revenue.scopes import label_of
from predictkpi.service.api.outlook import PROBLEMS, source_of
from predictkpi.service.dependencies import CurrentView
from predictkpi.service.envelopes import number
from predictkpi.service.outlook_schemas import (
    Growths,
    GrowthSpread,
    LevelPoint,
    LevelsAnswer,
    MonthReasons,
    ReasonsAnswer,
    ReasonStep,
)
from predictkpi.service.outlooks import forecasters_of, levels_of, periods_of, reasons_of_months
from predictkpi.service.reasons import Language
from predictkpi.service.view import View

router = APIRouter(prefix="/v1/outlook", tags=["outlook"])

Scope = Annotated[str, Query(description="`total` or a member, `region=EMEA`")]


@router.get("/levels", responses=PROBLEMS)
def outlook_levels(
    view: CurrentView,
    scope: Scope = c.TOTAL,
    freq: Annotated[Literal["W", "M", "Q"], Query(description="week, month or fiscal quarter")] = "M",
) -> LevelsAnswer:
    """Level and growth from the running week, month or quarter on: 13 weeks, 12 months, or the quarters that those hold as a whole.

    All three are read off the same sample paths, so that weeks share out months and months add up to quarters. Weeks grow on the week
    before and on that of 52 weeks before. Months and quarters stand beside their target, with the chance to reach it.
    """
    found = levels_of(view, scope, freq)
    return LevelsAnswer(**_told(view, scope), freq=freq, items=[_point(row, _promised(view, row)) for row in found.to_dict("records")])


@router.get("/reasons", responses=PROBLEMS)
def outlook_reasons(view: CurrentView, scope: Scope = c.TOTAL, language: Language = "en") -> ReasonsAnswer:
    """Why each month is expected as it is: level, trend, season, working days, known events, what is booked, agreement, open deals."""
    found, forecasters = reasons_of_months(view, scope), forecasters_of(view)
    if found.empty:
        return ReasonsAnswer(**_told(view, scope), months=[])
    steps = {name: forecasters.step_title(name, language) for name in found.columns.drop([c.DS, "forecast"])}
    months = [
        MonthReasons(
            ds=row[c.DS],
            expected=row["forecast"],
            steps=[ReasonStep(step=name, title=title, change=row[name]) for name, title in steps.items()],
        )
        for row in found.to_dict("records")
    ]
    return ReasonsAnswer(**_told(view, scope), months=months)


def _told(view: View, scope: str) -> dict[str, Any]:
    outlook = periods_of(view).outlook
    status, reason = forecasters_of(view).standing(outlook, scope)
    return {**source_of(view, outlook), "scope": scope, "label": label_of(scope), "status": status, "reason": reason}


def _promised(view: View, row: dict[Any, Any]) -> dict[str, Any]:
    """Target and chance of a month or quarter, where something was promised."""
    found = None if row[c.FREQ] == "W" else periods_of(view).promised(row[c.SCOPE], row[c.FREQ], row[c.DS])
    return {"target": found[0].value, "target_basis": found[0].basis, "chance": found[1]} if found else {}


def _point(row: dict[Any, Any], promised: dict[str, Any]) -> LevelPoint:
    growth = {base: _spread(row, base) for base in GROWTHS}
    levels = {name: row[name] for name in LEVELS}
    return LevelPoint(ds=row[c.DS], expected=row["mean"], growth=Growths(**growth), **levels, **promised)


def _spread(row: dict[Any, Any], base: str) -> GrowthSpread | None:
    levels = {name: number(row[f"growth_{base}_{name}"]) for name in GrowthSpread.model_fields}
    return None if None in levels.values() else GrowthSpread(**levels)
