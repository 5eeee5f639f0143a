"""Register a finished training: its run, its versions, and which of them serves; now, or later from the folder it was kept in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from predictkpi.core.types import ModelRef
from predictkpi.errors import NoChampionError
from predictkpi.protocol import BASELINE, MODEL
from predictkpi.registry import CHALLENGER, KeptTraining, Registry, read_kept

if TYPE_CHECKING:
    from predictkpi.store import Store


@dataclass(frozen=True)
class Registered:
    """``champion`` serves from now on; ``challenger`` is the model that was not good enough, None where it serves itself."""

    run_id: str
    champion: ModelRef
    challenger: ModelRef | None


def register(registry: Registry, training: KeptTraining, *, stays: ModelRef | None) -> Registered:
    """Log the run and its versions. Where a version ``stays`` champion, or the gate said no, a model becomes the challenger.

    A served baseline becomes a version of its own: serving always loads from the registry.
    """
    run_id = registry.log_training(training.predictor, training.record, run_name=training.run_name)

    def put(kind: str) -> ModelRef:
        return registry.register(
            training.fitted[kind],
            run_id=run_id,
            inputs=training.inputs[kind],
            status=training.status[kind],
            reason=training.reason,
            as_of=training.as_of,
        )

    model = put(MODEL) if MODEL in training.fitted else None
    if model and training.is_passed and stays is None:
        return Registered(run_id, registry.promote(training.predictor, model.version), None)
    champion = stays or registry.promote(training.predictor, put(BASELINE).version)
    if model:
        registry.promote(training.predictor, model.version, alias=CHALLENGER)
    return Registered(run_id, champion, model)


def upload(store: Store, registry: Registry, folder: Path, *, now: pd.Timestamp) -> Registered:
    """Register a training that was kept. It serves if the gate let it pass and the champion is still the one it was compared with.

    Otherwise it becomes the challenger. Raises `ArtifactError` for a folder that holds none, `RegistryError` while MLflow is away.
    """
    training = read_kept(folder)
    serving = _serving(registry, training.predictor)
    as_compared = (serving.version if serving else "") == training.beside
    stays = None if as_compared and training.is_passed else serving
    found = register(registry, training, stays=stays)
    detail = {"run_id": found.run_id, "reason": training.reason, "champion": found.champion.version, "folder": folder.name}
    store.write_audit(now, "upload", training.predictor, detail)
    return found


def _serving(registry: Registry, predictor: str) -> ModelRef | None:
    try:
        return registry.champion(predictor)[1]
    except NoChampionError:
        return None
