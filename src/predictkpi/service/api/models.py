"""Which model versions there are and which are served."""

from __future__ import annotations

from fastapi import APIRouter

from predictkpi.predictors import predictor_class, predictor_names
from predictkpi.registry import CHAMPION
from predictkpi.service.dependencies import ServingState, problems
from predictkpi.service.envelopes import model_of
from predictkpi.service.problems import NotReadyError
from predictkpi.service.schemas import ModelList, ModelVersion, PredictorModels
from predictkpi.service.view import View

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get("", responses=problems("registry-unavailable"))
def list_models(serving: ServingState) -> ModelList:
    """Every predictor with its registered versions and the champion in service. Answers before the first training, too."""
    view = _view_if_any(serving)
    items = []
    for name in predictor_names():
        champion = view.champions.get(name) if view else None
        spec = predictor_class(name).spec
        versions = [_version(row) for row in serving.registry.versions(name)]
        served = model_of(champion.ref) if champion else None
        items.append(PredictorModels(predictor=name, title=spec.title, entity=spec.entity, champion=served, versions=versions))
    return ModelList(items=items)


def _version(row: dict[str, object]) -> ModelVersion:
    aliases = row.get("aliases")
    is_champion = isinstance(aliases, list) and CHAMPION in aliases
    return ModelVersion.model_validate(row | {"is_champion": is_champion})


def _view_if_any(serving: ServingState) -> View | None:
    try:
        return serving.view
    except NotReadyError:
        return None
