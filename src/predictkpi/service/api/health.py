"""Whether the process lives, and whether it can answer."""

from __future__ import annotations

from fastapi import APIRouter, Request

from predictkpi.errors import InsufficientDataError
from predictkpi.service.dependencies import ServingState, problems
from predictkpi.service.envelopes import model_of
from predictkpi.service.problems import NotReadyError
from predictkpi.service.schemas import Live, Ready

router = APIRouter(prefix="/health", tags=["health"])

HIDDEN = "something is amiss: ask again with an API key to learn what"


@router.get("/live")
def live() -> Live:
    """The process answers: restart it if this does not."""
    return Live()


@router.get("/ready", responses=problems("not-ready", "no-data", "no-champion"))
def ready(request: Request, serving: ServingState) -> Ready:
    """Data is loaded and every predictor that this data can feed has a champion; until then a 503 problem lists what is missing.

    `impossible` names predictors that the data has too little history for, and why: they do not hold up the others. `company` and
    `warning` are told to those who say who they are; others learn that there is one.
    """
    view = serving.view
    impossible = {name: str(error) for name, error in view.missing.items() if isinstance(error, InsufficientDataError)}
    absent = {name: str(error) for name, error in view.missing.items() if name not in impossible}
    if absent or not view.champions:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in (absent or impossible).items())
        raise NotReadyError(f"not served: {reasons}", missing=[f"champion of {name}" for name in absent or impossible], slug="no-champion")
    champions = {name: model_of(champion.ref) for name, champion in view.champions.items()}
    warning, company = serving.trouble, view.company.name
    if request.scope["state"]["caller"] is None:
        warning, company = warning and HIDDEN, ""
    return Ready(as_of=view.as_of, company=company, champions=champions, impossible=impossible, warning=warning)
