"""The page at /forecast: what revenue will be, by any dimension, what was said before, and what if; as a page, as CSV and as PNG."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response

from predictkpi.core import columns as c
from predictkpi.core.access import Permission
from predictkpi.errors import PredictKpiError
from predictkpi.service.access.permissions import allow
from predictkpi.service.dashboard.forecast.context import forecast
from predictkpi.service.dashboard.forecast.courses import course
from predictkpi.service.dashboard.forecast.exports import Size, as_csv, as_png, courses_of
from predictkpi.service.dashboard.forecast.question import PATH, Question, asked
from predictkpi.service.dashboard.languages import marked, speaking
from predictkpi.service.dashboard.site import language_of, show
from predictkpi.service.dependencies import CurrentMemory, ServingState, ShownView
from predictkpi.service.scenarios import WhatIfs
from predictkpi.service.view import View

__all__ = ["forecast", "router", "warm"]

router = APIRouter(include_in_schema=False)

Asked = Annotated[Question, Depends(asked)]
_NUMBERS = [allow(Permission.NUMBERS)]
_HEADERS = {"Cache-Control": "no-cache", "Vary": "Accept-Language, Cookie"}


@router.get(PATH, dependencies=_NUMBERS)
def forecast_page(request: Request, serving: ServingState, memory: CurrentMemory, question: Asked) -> HTMLResponse:
    """The page; its whole state stands in the address."""
    build = partial(forecast, store=serving.store, memory=memory, question=question)
    return show(request, "forecast.html", build, title=marked("Forecast"))


@router.get(f"{PATH}.csv", dependencies=_NUMBERS)
def forecast_csv(view: ShownView, serving: ServingState, memory: CurrentMemory, question: Asked) -> Response:
    """The numbers of the charts."""
    text = as_csv(view, question, courses_of(view, serving.store, memory, question))
    return Response(text, media_type="text/csv; charset=utf-8", headers=_HEADERS | _named(view.as_of.strftime("%Y-%m-%d"), "csv"))


@router.get(f"{PATH}.png", dependencies=_NUMBERS)
def forecast_png(
    request: Request,
    view: ShownView,
    serving: ServingState,
    memory: CurrentMemory,
    question: Asked,
    width: Annotated[int, Query(ge=400, le=3200)] = 1600,
    height: Annotated[int, Query(ge=300, le=2400)] = 900,
) -> Response:
    """The charts as a picture, for slides and mail: light, in the reader's language."""
    with speaking(language_of(request.scope)):
        picture = as_png(view, question, courses_of(view, serving.store, memory, question), Size(width, height))
    return Response(picture, media_type="image/png", headers=_HEADERS | _named(view.as_of.strftime("%Y-%m-%d"), "png"))


def _named(day: str, ending: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="forecast-{day}.{ending}"'}


def warm(view: View) -> None:
    """Work out what the plain page needs of a new view."""
    try:
        what_ifs = WhatIfs.of(view)
    except PredictKpiError:  # no revenue is served: the page says why
        return
    what_ifs.prepare()
    course(view, Question(), c.TOTAL, changed=None, past=None)
