"""Whether the process lives, and whether it can answer."""

from __future__ import annotations

from fastapi import APIRouter

from predictkpi.predictors import predictor_names
from predictkpi.service.dependencies import ServingState, problems
from predictkpi.service.envelopes import model_of
from predictkpi.service.problems import NotReadyError
from predictkpi.service.schemas import Live, Ready

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live")
def live() -> Live:
    """The process answers: restart it if this does not."""
    return Live()


@router.get("/ready", responses=problems("not-ready", "no-data", "no-champion"))
def ready(serving: ServingState) -> Ready:
    """Data is loaded and every predictor has a champion; until then a 503 problem lists what is missing."""
    view = serving.view
    absent = [name for name in predictor_names() if name not in view.champions]
    if absent:
        reasons = "; ".join(f"{name}: {error}" for name, error in view.missing.items())
        raise NotReadyError(f"not served: {reasons}", missing=[f"champion of {name}" for name in absent], slug="no-champion")
    champions = {name: model_of(champion.ref) for name, champion in view.champions.items()}
    return Ready(as_of=view.as_of, company=view.company.name, champions=champions, warning=serving.trouble)
