"""What revenue will be."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from predictkpi.core import columns as c
from predictkpi.predictors.revenue.scopes import dimensions_of, series_by
from predictkpi.service import wire
from predictkpi.service.dependencies import CurrentView, Record, problems
from predictkpi.service.problems import InvalidRequestError
from predictkpi.service.schemas import PredictionList

router = APIRouter(prefix="/v1/forecasts", tags=["forecasts"])


@router.get(
    "/revenue",
    response_model=PredictionList,
    responses=problems("insufficient-data", "invalid-request", "no-champion", "not-ready", "no-data"),
)
def forecast_revenue(
    view: CurrentView,
    record: Record,
    horizon: Annotated[int | None, Query(ge=1, description="only the first so many months; all by default")] = None,
    by: Annotated[
        str | None,
        Query(
            description="one forecast per member of a dimension or of crossed ones, `segment` or `region,segment`; the total by default",
            examples=["segment"],
        ),
    ] = None,
) -> Response:
    """Monthly revenue with 50, 80, 90 and 95 % intervals, and its growth. Horizon 1 is the month that holds as_of."""
    champion = view.champion("revenue")
    longest = max(champion.predictor.spec.horizons)
    if horizon is not None and horizon > longest:
        raise InvalidRequestError.parameter("horizon", f"must be at most {longest}, got {horizon}")
    wanted = None if horizon is None else range(1, horizon + 1)
    items = [view.envelope(champion, champion.table.answer(series), horizons=wanted) for series in _series(champion.table.entity_ids, by)]
    record(items)
    return wire.sent(wire.PredictionList(as_of=view.as_of.isoformat(), items=items))


def _series(entity_ids: list[str], by: str | None) -> list[str]:
    if by is None or by == c.TOTAL:
        return [series for series in entity_ids if series == c.TOTAL]
    chosen = series_by(entity_ids, by)
    if not chosen:
        known = sorted({dimensions_of(series) or c.TOTAL for series in entity_ids})
        raise InvalidRequestError.parameter("by", f"no forecasts by {by!r}; there are: {'; '.join(known)}")
    return chosen
