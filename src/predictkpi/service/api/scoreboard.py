"""How predictions have held up."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from predictkpi.predictors import predictor_class
from predictkpi.service.dependencies import CurrentView, problems
from predictkpi.service.scoreboard_schemas import Scoreboard, ScoreboardList

router = APIRouter(prefix="/v1/scoreboard", tags=["models"])


@router.get("", responses=problems("unknown-name", "invalid-request", "not-ready", "no-data"))
def read_scoreboard(
    view: CurrentView,
    predictor: Annotated[str | None, Query(description="only this one: revenue, clv or close_time", examples=["close_time"])] = None,
) -> ScoreboardList:
    """What was predicted against what came true: by version, role and horizon, beside those who could have spoken instead.

    As `predictkpi scoreboard` last found it; see `made_at`. What cannot be judged yet is counted, with the day when it will be.
    """
    if predictor is not None:
        predictor_class(predictor)
    items = []
    for name, board in view.boards.items():
        if predictor in (None, name):
            spec = predictor_class(name).spec
            items.append(Scoreboard.model_validate(board.as_dict() | {"title": spec.title, "time_unit": spec.time_unit}))
    return ScoreboardList(items=items)
