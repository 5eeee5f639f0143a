"""What all pages share: where one can go, who reads in which language, what is served, and how a page is answered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pandas as pd
from fastapi import Request
from fastapi.responses import HTMLResponse
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import Scope

from predictkpi.core.access import ANYBODY_HERE, Caller, Permission
from predictkpi.errors import InsufficientDataError
from predictkpi.predictors import predictor_class, predictor_names
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.languages import LANGUAGES, ask_for, gettext, in_words, marked, speaking
from predictkpi.service.dashboard.render import render
from predictkpi.service.dashboard.vega_locale import vega_locale
from predictkpi.service.dependencies import shown_for, view_for
from predictkpi.service.problems import NotReadyError
from predictkpi.service.schemas import Problem
from predictkpi.service.state import Shown
from predictkpi.service.view import View

log = logging.getLogger(__name__)

LANGUAGE_COOKIE = "predictkpi_language"
A_YEAR = 365 * 24 * 3600
_HEADERS = {"Cache-Control": "no-cache", "Vary": "Accept-Language, Cookie"}


@dataclass(frozen=True)
class Place:
    """One entry of the navigation, for who has the permission."""

    path: str
    title: str
    permission: Permission


PLACES = (
    Place("/", marked("Overview"), Permission.NUMBERS),
    Place("/forecast", marked("Forecast"), Permission.NUMBERS),
    Place("/pipeline", marked("Pipeline"), Permission.ROWS),
    Place("/customers", marked("Customers"), Permission.ROWS),
    Place("/kpis", marked("KPIs"), Permission.NUMBERS),
    Place("/trust", marked("Trust"), Permission.TRUST),
    Place("/models", marked("Models"), Permission.TRUST),
)
_BELOW = {"/deals": "/pipeline"}
"""Pages of single things stand below the list of all of them."""


@dataclass(frozen=True)
class Link:
    """One entry as it is shown."""

    href: str
    title: str
    is_current: bool
    code: str = ""


@dataclass(frozen=True)
class ModelChip:
    """Which version of a predictor is served. ``kind``: model, baseline, missing (not trained) or impossible (too little data)."""

    predictor: str
    title: str
    version: str
    kind: str
    reason: str

    @property
    def told(self) -> str:
        """The kind in words."""
        words = {
            "model": gettext("model"),
            "baseline": gettext("baseline"),
            "missing": gettext("not trained"),
            "impossible": gettext("too little data"),
        }
        return words[self.kind]


@dataclass(frozen=True)
class Frame:
    """What stands around a page. Without a view there is no company, no date and no model.

    ``address`` is where the page is to be had, if not where it was answered: it answers a form.
    """

    places: list[Link]
    languages: list[Link]
    reader: str
    chart_locale: Mapping[str, Any]
    company: str = ""
    currency: str = ""
    as_of: str = ""
    last_day: str = ""
    models: list[ModelChip] = field(default_factory=list)
    trouble: str = ""
    rows: str = ""
    is_former: bool = False
    address: str = ""

    @property
    def notices(self) -> list[ModelChip]:
        """Models whose state the reader must know of."""
        return [chip for chip in self.models if chip.kind != "model"]

    def chip(self, predictor: str) -> ModelChip:
        """The chip of one predictor."""
        return next(chip for chip in self.models if chip.predictor == predictor)


def show(
    request: Request,
    template: str,
    build: Callable[[View], object],
    *,
    title: str | Callable[[Any], str],
    of_answers: bool = False,
    address: str = "",
) -> HTMLResponse:
    """A page of the view that pages are shown from: ``build`` makes its context, ``template`` writes it out.

    Parameters: ``title`` is a text of the catalogues, or made of the context; ``of_answers``: the page tells what answers come from, and
    needs no heavy part; ``address``: see `Frame`. While there is no view, the page says what to do; while its parts are being worked out,
    it says so.
    """
    with speaking(language_of(request.scope)):
        try:
            shown = Shown(view_for(request.scope)) if of_answers else shown_for(request.scope)
        except NotReadyError as waiting:
            return _waiting(request, waiting)
        view, frame = shown.view, replace(frame_of(request.scope, shown.view, address=address), is_former=shown.is_former)
        if not shown.is_ready(_place_of(request.scope["path"])):
            heading = gettext(next(place.title for place in PLACES if place.path == _place_of(request.scope["path"])))
            text = render("working.html", request.app.state.assets, frame=frame, title=heading)
            return keep_language(request.scope, HTMLResponse(text, headers=_HEADERS | {"Cache-Control": "no-store"}))
        page = build(view)
        heading = gettext(title) if isinstance(title, str) else title(page)
        text = render(template, request.app.state.assets, frame=frame, title=heading, page=page)
    return keep_language(request.scope, HTMLResponse(text, headers=_HEADERS))


def show_plain(
    request: Request,
    template: str,
    *,
    title: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    address: str = "",
    **context: Any,
) -> HTMLResponse:
    """A page that needs no view; ``context`` by name, ``address``: see `Frame`."""
    with speaking(language_of(request.scope)):
        frame = frame_of(request.scope, address=address)
        text = render(template, request.app.state.assets, frame=frame, title=gettext(title), **context)
    return keep_language(request.scope, HTMLResponse(text, status_code=status, headers=dict(headers or _HEADERS)))


def problem_page(problem: Problem, scope: Scope) -> str:
    """An error as a page, for people."""
    with speaking(language_of(scope)):
        return render("error.html", scope["app"].state.assets, frame=frame_of(scope), title=gettext(problem.title), problem=problem)


def language_of(scope: Scope) -> str:
    """The language that the reader asked for, has chosen before, or whose browser prefers it."""
    headers = Headers(scope=scope)
    asked = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("lang", "")
    kept = cookie_parser(headers.get("cookie", "")).get(LANGUAGE_COOKIE, "")
    return ask_for(wanted=asked, kept=kept, accepted=headers.get("accept-language", ""))


def keep_language(scope: Scope, answer: HTMLResponse) -> HTMLResponse:
    """Remember the language of an address that asks for one."""
    asked = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("lang", "")
    if asked in LANGUAGES:
        answer.set_cookie(LANGUAGE_COOKIE, asked, max_age=A_YEAR, samesite="lax", httponly=True, secure=scope["scheme"] == "https")
    return answer


def frame_of(scope: Scope, view: View | None = None, *, address: str = "") -> Frame:
    """What stands around a page for this caller; ``address``: see `Frame`."""
    caller: Caller | None = scope["state"].get("caller")
    at = _place_of(scope["path"])
    current = language_of(scope)
    places = [
        Link(place.path, gettext(place.title), at == place.path or (place.path != "/" and at.startswith(place.path + "/")))
        for place in PLACES
        if caller is not None and caller.may(place.permission)
    ]
    languages = [Link(_in_language(scope, code, address), name, code == current, code) for code, name in LANGUAGES.items()]
    reader = caller.name if caller is not None and caller is not ANYBODY_HERE else ""
    if view is None:
        return Frame(places, languages, reader, vega_locale(), address=address)
    return Frame(
        places=places,
        languages=languages,
        reader=reader,
        chart_locale=vega_locale(),
        company=view.company.name,
        currency=view.company.currency,
        as_of=f.date(view.as_of),
        last_day=f.date(view.as_of - pd.Timedelta(days=1)),
        models=[model_chip(view, name) for name in predictor_names()],
        trouble=scope["app"].state.serving.trouble or "",
        rows=str(view.rows) if view.rows is not None else "",
        address=address,
    )


def _place_of(path: str) -> str:
    """The path of the page that another one stands below, where that is not in the path itself."""
    return next((above for below, above in _BELOW.items() if path.startswith(below)), path)


def model_chip(view: View, name: str) -> ModelChip:
    """How one predictor is served."""
    title = in_words(predictor_class(name).spec.title)
    champion = view.champions.get(name)
    if champion is None:
        error = view.missing[name]
        return ModelChip(name, title, "", "impossible" if isinstance(error, InsufficientDataError) else "missing", str(error))
    return ModelChip(name, title, champion.ref.version, champion.ref.kind, champion.ref.reason)


def _in_language(scope: Scope, code: str, address: str) -> str:
    """The same address in another language; an error that answers a form leads back to the overview."""
    if address or scope["method"] != "GET":
        return f"{address or '/'}{'&' if '?' in address else '?'}lang={code}"
    asked = [(name, value) for name, value in parse_qsl(scope["query_string"].decode("latin-1")) if name != "lang"]
    return f"?{urlencode([*asked, ('lang', code)])}"


def _waiting(request: Request, waiting: NotReadyError) -> HTMLResponse:
    is_warming = waiting.slug == "not-ready"
    title = marked("Getting ready") if is_warming else marked("Welcome")
    no_store = {"Cache-Control": "no-store"}
    return show_plain(request, "waiting.html", title=title, headers=no_store, waiting=waiting, is_warming=is_warming)
