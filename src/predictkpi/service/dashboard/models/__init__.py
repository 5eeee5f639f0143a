"""The pages at /models: which versions there are, how each was tested, and which one serves."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from predictkpi.core.access import Permission
from predictkpi.core.types import ModelRef
from predictkpi.errors import ConflictError, NotFoundError, PredictKpiError, RegistryError, UnknownNameError
from predictkpi.pipelines.clock import local_now
from predictkpi.pipelines.monitor import Watch, kept_watches
from predictkpi.pipelines.notify import Notifier
from predictkpi.pipelines.promote import promote, rollback
from predictkpi.pipelines.webhooks import utc_now
from predictkpi.predictors import predictor_class
from predictkpi.registry import Registry
from predictkpi.service.access.permissions import CurrentCaller, allow
from predictkpi.service.api.account import NO_NUL
from predictkpi.service.dashboard.forms import Fields
from predictkpi.service.dashboard.languages import gettext, in_words, marked
from predictkpi.service.dashboard.models.context import Detail, Lines, detail, lines
from predictkpi.service.dashboard.models.history import SHOWN
from predictkpi.service.dashboard.models.moves import PROMOTE, ROLLBACK, Question, question
from predictkpi.service.dashboard.site import show
from predictkpi.service.dependencies import CurrentMemory, CurrentStoreMemory, ServingState
from predictkpi.service.problems import InvalidRequestError
from predictkpi.service.registry_memory import RegistryMemory
from predictkpi.service.store_memory import Read, StoreMemory
from predictkpi.service.version_records import BACKTEST, Standing
from predictkpi.service.view import View
from predictkpi.store import Store

__all__ = ["Detail", "Lines", "detail", "lines", "router"]

log = logging.getLogger(__name__)

router = APIRouter(prefix="/models", include_in_schema=False)

_NO_STORE = {"Cache-Control": "no-store"}
_NEVER_CHANGES = {"Cache-Control": "private, max-age=86400, immutable"}
Chosen = Annotated[str, Query(max_length=50, pattern=NO_NUL)]


@router.get("", dependencies=[allow(Permission.TRUST)])
def models_page(request: Request, serving: ServingState, memory: CurrentMemory, kept: CurrentStoreMemory) -> HTMLResponse:
    """All predictors."""

    def build(view: View) -> Lines:
        return lines(view, memory, _watches(kept, serving.store))

    return show(request, "models.html", build, title=marked("Models"), of_answers=True)


@router.get("/{predictor}", dependencies=[allow(Permission.TRUST)])
def model_page(
    request: Request,
    predictor: str,
    caller: CurrentCaller,
    serving: ServingState,
    memory: CurrentMemory,
    kept: CurrentStoreMemory,
    version: Chosen = "",
    with_: Annotated[str, Query(alias="with", max_length=50, pattern=NO_NUL)] = "",
    moved: Chosen = "",
    to: Chosen = "",
) -> HTMLResponse:
    """One predictor, with a version of it in full and another one beside it where named."""
    predictor_class(predictor)

    def build(view: View) -> Detail:
        return detail(
            view,
            memory,
            predictor,
            version=version,
            with_=with_,
            watches=_watches(kept, serving.store),
            entries=kept.read(f"the audit log of {predictor}", lambda: serving.store.audit(subject=predictor, limit=SHOWN)),
            may_promote=caller.may(Permission.PROMOTE),
            sees_actors=caller.may(Permission.AUDIT),
            moved=moved,
            to=to,
        )

    return show(request, "model.html", build, title=lambda page: page.title, of_answers=True)


@router.get("/{predictor}/pictures/{version}/{name}", dependencies=[allow(Permission.TRUST)])
def picture(predictor: str, version: str, name: str, memory: CurrentMemory) -> Response:
    """One picture of a version's backtest, as PNG."""
    predictor_class(predictor)
    row = _standing(memory, predictor).row(version)
    record = memory.record(row["run_id"]).value if row is not None and row["run_id"] else None
    if row is None or record is None or name not in record.pictures:
        there = record.pictures if record is not None else []
        raise UnknownNameError.among(f"picture of {predictor} {version}", name, known=there)
    found = memory.registry.read_file(row["run_id"], f"{BACKTEST}/{name}")
    return Response(found, media_type="image/png", headers=_NEVER_CHANGES)


@router.get("/{predictor}/promote", dependencies=[allow(Permission.PROMOTE)])
def ask_to_promote(request: Request, predictor: str, caller: CurrentCaller, memory: CurrentMemory, version: Chosen) -> HTMLResponse:
    """What will change if that version is let serve, and the form that lets it."""
    return _ask(request, PROMOTE, predictor, version, memory, f"{caller.name} ({caller.id})")


@router.get("/{predictor}/rollback", dependencies=[allow(Permission.PROMOTE)])
def ask_to_roll_back(request: Request, predictor: str, caller: CurrentCaller, memory: CurrentMemory) -> HTMLResponse:
    """What will change if the version before serves again, and the form that lets it."""
    return _ask(request, ROLLBACK, predictor, "", memory, f"{caller.name} ({caller.id})")


@router.post("/{predictor}/promote", dependencies=[allow(Permission.PROMOTE)])
def let_serve(request: Request, predictor: str, caller: CurrentCaller, memory: CurrentMemory, form: Fields) -> Response:
    """Let a version serve; one that has not been confirmed is asked about first."""
    version, beside = _field(form, "version"), _field(form, "beside", may_be_empty=True)
    if form.get("confirmed") != "yes":
        return _to(f"/models/{predictor}/promote?{urlencode({'version': version})}")
    try:
        door = request.app.state.door
        found = promote(door, memory.registry, predictor, version, now=local_now(door), actor=caller.id, beside=beside)
    except NotFoundError as error:
        raise UnknownNameError(str(error)) from error
    return _moved(request, PROMOTE, found, memory)


@router.post("/{predictor}/rollback", dependencies=[allow(Permission.PROMOTE)])
def let_serve_again(request: Request, predictor: str, caller: CurrentCaller, memory: CurrentMemory, form: Fields) -> Response:
    """Let the version before serve again, where it is the one that was confirmed."""
    version, beside = _field(form, "version"), _field(form, "beside", may_be_empty=True)
    if form.get("confirmed") != "yes":
        return _to(f"/models/{predictor}/rollback")
    predictor_class(predictor)
    try:
        door = request.app.state.door
        found = rollback(door, memory.registry, predictor, now=local_now(door), actor=caller.id, beside=beside, expected=version)
    except NotFoundError as error:
        raise ConflictError(str(error)) from error
    return _moved(request, ROLLBACK, found, memory)


def _watches(kept: StoreMemory, store: Store) -> Read[Mapping[str, Watch]]:
    return kept.read("the newest watch", lambda: kept_watches(store))


def _ask(request: Request, action: str, predictor: str, version: str, memory: RegistryMemory, by: str) -> HTMLResponse:
    spec = predictor_class(predictor).spec
    standing = _standing(memory, predictor)
    if action == ROLLBACK:
        version = standing.rollback_to
        if not version:
            raise ConflictError(f"{predictor} has no champion before this one: promote any other version instead")
    row = standing.row(version)
    record = memory.record(row["run_id"]) if row is not None and row["run_id"] else None

    def build(_: View) -> Question:
        title = in_words(spec.title)
        return question(action, predictor=predictor, title=title, standing=standing, version=version, record=record, by=by)

    titles = {PROMOTE: marked("Let another version serve"), ROLLBACK: marked("Roll back")}
    return show(request, "move.html", build, title=titles[action], of_answers=True)


def _standing(memory: RegistryMemory, predictor: str) -> Standing:
    """The predictor's versions, for what must not be done without them; raises `RegistryError` where the registry is away."""
    known = memory.standing(predictor, is_patient=True)
    if known.value is None or known.trouble:
        raise RegistryError(known.trouble)
    return known.value


def _moved(request: Request, action: str, served: ModelRef, memory: RegistryMemory) -> RedirectResponse:
    memory.forget(served.predictor)
    _tell(request, request.app.state.door, memory.registry)
    return _to(f"/models/{served.predictor}?{urlencode({'moved': action, 'to': served.version})}")


def _tell(request: Request, store: Store, registry: Registry) -> None:
    """Queue the news for the webhook, if there is one. The alias has moved by now, so trouble is no error: the next move tells it."""
    if not request.app.state.deliverer.is_on:
        return
    try:
        Notifier(store, registry, models_dir=request.app.state.models_dir, now=utc_now()).after_promotion()
    except PredictKpiError:
        log.warning("the webhook will be told with the next news", exc_info=True)


def _to(address: str) -> RedirectResponse:
    return RedirectResponse(address, status_code=303, headers=_NO_STORE)


def _field(form: dict[str, str], name: str, *, may_be_empty: bool = False) -> str:
    """A field of the form; an empty one is not sent at all."""
    value = form.get(name, "")
    if not value and not may_be_empty:
        raise InvalidRequestError.parameter(name, gettext("the form did not say which version"))
    return value
