"""Which model versions there are and which are served."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from predictkpi.errors import NotFoundError
from predictkpi.predictors import predictor_class, predictor_names
from predictkpi.registry import CHAMPION
from predictkpi.service.dependencies import ServingState, problems
from predictkpi.service.envelopes import model_of
from predictkpi.service.problems import NotReadyError
from predictkpi.service.schemas import ModelCardOut, ModelList, ModelVersion, PredictorModels
from predictkpi.service.version_records import read_card
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


@router.get("/{predictor}", responses=problems("unknown-entity", "unknown-name", "no-champion", "registry-unavailable"))
def model_card(
    predictor: Annotated[str, Path(description="revenue, clv or close_time", examples=["close_time"])],
    serving: ServingState,
    version: Annotated[str | None, Query(description="a registered version; by default the one that serves", examples=["3"])] = None,
) -> ModelCardOut:
    """The model card of a version: purpose, data, how good it was and for whom, limits, fields that were not learnt from."""
    predictor_class(predictor)
    registry = serving.registry
    wanted = version or registry.champion_version(predictor)
    rows = {row["version"]: row for row in registry.versions(predictor)}
    if wanted not in rows:
        raise NotFoundError(f"{predictor} has no version {wanted!r}; there are: {', '.join(rows) or 'none'}")
    return ModelCardOut(predictor=predictor, version=_version(rows[wanted]), card=read_card(registry, rows[wanted]["run_id"]))


def _version(row: dict[str, object]) -> ModelVersion:
    aliases = row.get("aliases")
    is_champion = isinstance(aliases, list) and CHAMPION in aliases
    return ModelVersion.model_validate(row | {"is_champion": is_champion})


def _view_if_any(serving: ServingState) -> View | None:
    try:
        return serving.view
    except NotReadyError:
        return None
