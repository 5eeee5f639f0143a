"""The page at /: will we make the number?"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from predictkpi.core.access import Permission
from predictkpi.service.access.permissions import CurrentCaller, allow, demand
from predictkpi.service.dashboard.languages import LANGUAGES, marked, speaking
from predictkpi.service.dashboard.overview.context import Overview, overview
from predictkpi.service.dashboard.site import PLACES, show
from predictkpi.service.view import View

__all__ = ["Overview", "overview", "router", "warm"]

router = APIRouter(include_in_schema=False)

_KEPT = "overview"


@router.get("/", dependencies=[allow(None)])
def overview_page(request: Request, caller: CurrentCaller) -> Response:
    """The overview; whoever may not see the company's numbers is led to what they may see."""
    if not caller.may(Permission.NUMBERS):
        place = next((place for place in PLACES if caller.may(place.permission)), None)
        if place is None:
            demand(request.scope, Permission.NUMBERS)
        else:
            return RedirectResponse(place.path, status_code=303, headers={"Cache-Control": "no-store"})
    return show(request, "overview.html", overview, title=marked("Overview"), kept=_KEPT)


def warm(view: View) -> None:
    """Build the overview of a new view in every language before anybody asks for it."""
    for code in LANGUAGES:
        with speaking(code):
            view.page(f"{_KEPT} {code} {view.rows}", overview)
