"""The page at /: will we make the number?"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import cast

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from predictkpi.core.access import Permission
from predictkpi.service.access.permissions import CurrentCaller, allow, demand
from predictkpi.service.dashboard.kpi_words import alerts_by_kpi
from predictkpi.service.dashboard.languages import LANGUAGES, current, marked, speaking
from predictkpi.service.dashboard.overview.context import Overview, overview
from predictkpi.service.dashboard.site import PLACES, show
from predictkpi.service.dependencies import CurrentLookout, CurrentRules
from predictkpi.service.kpi_answers import Rules
from predictkpi.service.lookout import Lookout
from predictkpi.service.view import View

__all__ = ["Overview", "overview", "router", "warm"]

router = APIRouter(include_in_schema=False)


@router.get("/", dependencies=[allow(None)])
def overview_page(request: Request, caller: CurrentCaller, rules: CurrentRules, lookout: CurrentLookout) -> Response:
    """The overview; whoever may not see the company's numbers is led to what they may see."""
    if not caller.may(Permission.NUMBERS):
        place = next((place for place in PLACES if caller.may(place.permission)), None)
        if place is None:
            demand(request.scope, Permission.NUMBERS)
        else:
            return RedirectResponse(place.path, status_code=303, headers={"Cache-Control": "no-store"})
    return show(request, "overview.html", partial(_page, rules=rules, lookout=lookout), title=marked("Overview"))


def warm(view: View, rules: Rules, lookout: Lookout) -> None:
    """Build the overview of a new view in every language before anybody asks for it."""
    for code in LANGUAGES:
        with speaking(code):
            _page(view, rules, lookout)


def _page(view: View, rules: Rules, lookout: Lookout) -> Overview:
    """All but the alerts is made once for each view and language: those are looked for meanwhile."""
    kept = cast(Overview, view.page(f"overview {current().code} {view.rows_key}", partial(overview, rules=rules)))
    return replace(kept, alerts=alerts_by_kpi(view, [card.name for card in kept.cards], rules.alerts, lookout))
