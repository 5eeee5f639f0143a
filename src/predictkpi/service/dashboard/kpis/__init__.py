"""The pages of KPIs: all of them at /kpis, each at /kpis/{name}, its series as CSV, and the form that sets its targets."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Any, cast
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from predictkpi.core import columns as c
from predictkpi.core.access import Caller, Permission
from predictkpi.core.periods import Freq
from predictkpi.errors import ConflictError, NotFoundError
from predictkpi.kpis import get_kpi, kpi_names
from predictkpi.pipelines.targets import Promise, remove_target, set_target
from predictkpi.service.access.permissions import CurrentCaller, allow
from predictkpi.service.dashboard.forms import Fields
from predictkpi.service.dashboard.kpi_words import alerts_by_kpi
from predictkpi.service.dashboard.kpis.asked import Asked, asked_of
from predictkpi.service.dashboard.kpis.catalogue import Catalogue, catalogue
from predictkpi.service.dashboard.kpis.export import csv_of, file_name
from predictkpi.service.dashboard.kpis.page import KpiPage, kpi_page, with_alerts
from predictkpi.service.dashboard.kpis.series import is_ahead_of
from predictkpi.service.dashboard.kpis.targets import Entered, period_key, read_period, read_value
from predictkpi.service.dashboard.languages import LANGUAGES, current, marked, speaking
from predictkpi.service.dashboard.site import language_of, show
from predictkpi.service.dependencies import CurrentLookout, CurrentRules, ShownView
from predictkpi.service.kpi_answers import Rules
from predictkpi.service.lookout import Lookout, State
from predictkpi.service.problems import InvalidRequestError
from predictkpi.service.view import View
from predictkpi.store import Store

__all__ = ["router", "warm"]

router = APIRouter(include_in_schema=False)

SHOWN_SECONDS = 2.0
"""So long whoever has set a target waits until pages show it; with a long history it may take some seconds more."""

_SEES = [allow(Permission.NUMBERS)]
_SETS = [allow(Permission.NUMBERS), allow(Permission.TARGETS)]

Length = Annotated[Freq, Query(description="length of a period")]
By = Annotated[str, Query(description="dimension to break it down by")]
Of = Annotated[str, Query(description="`total`, or a member of that dimension")]


@router.get("/kpis", dependencies=_SEES)
def kpis_page(request: Request, rules: CurrentRules, lookout: CurrentLookout) -> Response:
    """Every KPI of the catalogue."""

    def build(view: View) -> Catalogue:
        return replace(_kept(view, rules), alerts=alerts_by_kpi(view, kpi_names(), rules.alerts, lookout))

    return show(request, "kpis.html", build, title=marked("KPIs"))


@router.get("/kpis/{name}.csv", dependencies=_SEES)
def kpi_csv(name: str, view: ShownView, rules: CurrentRules, freq: Length = "M", by: By = "", scope: Of = "") -> Response:
    """The series shown, as a file."""
    asked = asked_of(view, name, freq=freq, by=by, scope=scope)
    headers = {"Content-Disposition": f'attachment; filename="{file_name(asked)}"', "Cache-Control": "no-cache"}
    return Response(csv_of(view, asked, rules.bands), media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/kpis/{name}", dependencies=_SEES)
def one_kpi_page(
    name: str,
    request: Request,
    caller: CurrentCaller,
    rules: CurrentRules,
    lookout: CurrentLookout,
    freq: Length = "M",
    by: By = "",
    scope: Of = "",
    done: Annotated[str, Query(max_length=500)] = "",
) -> Response:
    """One KPI."""

    def build(view: View) -> KpiPage:
        asked = asked_of(view, name, freq=freq, by=by, scope=scope)
        ahead = _ahead(lookout, view, asked)
        make = partial(kpi_page, asked=asked, rules=rules, may_set=caller.may(Permission.TARGETS), done=done, ahead=ahead)
        # what most ask for is made once; every breakdown of every KPI would be too much to keep
        is_kept = asked.by is None and not done and ahead == "known"
        kept = f"kpi {name} {asked.freq} {caller.may(Permission.TARGETS)} {current().code} {view.rows_key}"
        page = cast(KpiPage, view.page(kept, make)) if is_kept else make(view)
        return with_alerts(page, view, rules, lookout)

    return show(request, "kpi.html", build, title=lambda page: page.title)


@router.post("/kpis/{name}/targets", dependencies=_SETS)
def change_target(
    name: str, request: Request, caller: CurrentCaller, view: ShownView, rules: CurrentRules, lookout: CurrentLookout, form: Fields
) -> Response:
    """Set a target, or remove one that is confirmed; the page again, with the reason and what was entered, where it cannot be."""
    kpi = get_kpi(name)

    def again(status: int, **told: Any) -> Response:
        def build(view: View) -> KpiPage:
            asked = Asked(kpi, kpi.fixed_freq or "M")
            page = kpi_page(view, asked, rules, may_set=True, ahead=_ahead(lookout, view, asked), **told)
            return with_alerts(page, view, rules, lookout)

        answer = show(request, "kpi.html", build, title=lambda page: page.title, address=f"/kpis/{kpi.name}")
        answer.status_code = status
        return answer

    entered = Entered(form.get("scope", c.TOTAL), form.get("period", ""), form.get("value", ""))
    is_removal = form.get("action") == "remove"
    try:
        with speaking(language_of(request.scope)):
            promise = Promise(name, entered.scope, *read_period(entered.period))
            if is_removal and form.get("confirmed") != "yes":
                return again(200, removal=promise)
            promise = _change(request.app.state.door, promise, entered, view, caller, is_removal=is_removal)
    except (ConflictError, InvalidRequestError, NotFoundError) as error:
        return again(422, entered=entered, error=str(error))
    request.app.state.serving.show_targets(seconds=SHOWN_SECONDS)
    done = f"{'removed' if is_removal else 'set'}|{period_key(promise.freq, promise.ds)}|{promise.scope}"
    address = f"/kpis/{name}?{urlencode({'done': done})}#targets"
    return RedirectResponse(address, status_code=303, headers={"Cache-Control": "no-store"})


def _ahead(lookout: Lookout, view: View, asked: Asked) -> State:
    return lookout.forecast(view, asked.kpi.name, asked.scope) if is_ahead_of(asked) else "known"


def _change(store: Store, promise: Promise, entered: Entered, view: View, caller: Caller, *, is_removal: bool) -> Promise:
    if not is_removal:
        value = read_value(entered.value, get_kpi(promise.kpi))
        return set_target(store, view.snapshot, promise, value, now=view.now(), actor=caller.id)
    remove_target(store, view.snapshot, promise, now=view.now(), actor=caller.id)
    return promise


def warm(view: View, rules: Rules) -> None:
    """Build the catalogue of a new view in every language before anybody asks for it."""
    for code in LANGUAGES:
        with speaking(code):
            _kept(view, rules)


def _kept(view: View, rules: Rules) -> Catalogue:
    return cast(Catalogue, view.page(f"kpis {current().code} {view.rows_key}", partial(catalogue, rules=rules)))
