"""Register a finished training: its run, its versions, and which of them serves; now, or later from the folder it was kept in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from predictkpi.core.types import ModelRef
from predictkpi.pipelines.promote import alone
from predictkpi.pipelines.training_record import GATE
from predictkpi.protocol import BASELINE, MODEL
from predictkpi.registry import CHALLENGER, CHAMPION, KeptTraining, Registry, mark_registered, read_kept

if TYPE_CHECKING:
    from predictkpi.store import Store


@dataclass(frozen=True)
class Registered:
    """``champion`` serves from now on; ``challenger`` is the model that was not good enough, None where it serves itself."""

    run_id: str
    champion: ModelRef
    challenger: ModelRef | None


def register(
    store: Store, registry: Registry, training: KeptTraining, *, stays: ModelRef | None, action: str, now: pd.Timestamp
) -> Registered:
    """Log the run and its versions, the decision to the audit log, and only then move aliases; alone, as for every move of an alias.

    Where a version ``stays`` champion, where the gate said no, or where another version has come to serve since the comparison, a model
    becomes the challenger. A served baseline becomes a version of its own: serving always loads from the registry.
    """
    with alone(store, training.predictor, action):
        return _register(store, registry, training, stays=stays, action=action, now=now)


def _register(
    store: Store, registry: Registry, training: KeptTraining, *, stays: ModelRef | None, action: str, now: pd.Timestamp
) -> Registered:
    serving = _serving(registry, training.predictor)
    if (serving.version if serving else "") != training.beside:
        stays = stays or serving
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
    is_champion = model is not None and training.is_passed and stays is None
    champion = model if is_champion and model else stays or put(BASELINE)
    found = Registered(run_id, champion, None if is_champion else model)
    store.write_audit(now, action, training.predictor, _detail(training, found))
    if champion != stays:
        registry.promote(training.predictor, champion.version)
    if found.challenger:
        registry.promote(training.predictor, found.challenger.version, alias=CHALLENGER)
    return found


def _detail(training: KeptTraining, found: Registered) -> dict[str, Any]:
    gate = training.record.texts.get(GATE)
    return {
        "reason": training.reason,
        "run_id": found.run_id,
        "from": training.beside,
        "champion": found.champion.version,
        "challenger": found.challenger.version if found.challenger else "",
        "gate": json.loads(gate) if gate else None,
    }


def upload(store: Store, registry: Registry, folder: Path, *, now: pd.Timestamp) -> Registered:
    """Register a training that was kept. It serves if the gate let it pass and the champion is still the one it was compared with.

    Otherwise it becomes the challenger. Raises `ArtifactError` for a folder that holds none, or one that was registered already,
    `RegistryError` while MLflow is away.
    """
    training = read_kept(folder)
    stays = None if training.is_passed else _serving(registry, training.predictor)
    found = register(store, registry, training, stays=stays, action="upload", now=now)
    mark_registered(folder, found.run_id)
    return found


def _serving(registry: Registry, predictor: str) -> ModelRef | None:
    row = next((row for row in registry.versions(predictor) if CHAMPION in row["aliases"]), None)
    return (
        None if row is None else ModelRef.model_validate({name: row[name] for name in ("predictor", "version", "run_id", "kind", "reason")})
    )
