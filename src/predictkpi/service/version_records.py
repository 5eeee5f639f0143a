"""What the registry knows of a predictor's versions: which there are, and what the training of each has left behind."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from predictkpi.backtest.gate import GateDecision
from predictkpi.backtest.run import CANDIDATE
from predictkpi.core import columns as c
from predictkpi.errors import NotFoundError
from predictkpi.pipelines.card import ModelCard
from predictkpi.pipelines.training_record import CARD_DATA, GATE
from predictkpi.registry import CHAMPION, Registry

BACKTEST = "backtest"
FOLDS = f"{BACKTEST}/fold_metrics.csv"
FOLD_COLUMNS = [CANDIDATE, c.AS_OF, "metric", c.VALUE]


@dataclass(frozen=True)
class Standing:
    """All versions of a predictor, newest first (rows of `Registry.versions`), and the one that a rollback would let serve, if any."""

    rows: tuple[Mapping[str, Any], ...]
    rollback_to: str

    @property
    def champion(self) -> str:
        """The version that carries the alias; empty for none."""
        return next((str(row["version"]) for row in self.rows if CHAMPION in row["aliases"]), "")

    def row(self, version: str) -> Mapping[str, Any] | None:
        """One version; None where there is none of that number."""
        return next((row for row in self.rows if row["version"] == version), None)


@dataclass(frozen=True)
class VersionRecord:
    """A training's model card, the gate's decision, the metrics of each cutoff (`FOLD_COLUMNS`) and the names of its pictures.

    What the training did not write, as it had no backtest, is None or empty.
    """

    card: ModelCard | None
    gate: GateDecision | None
    folds: pd.DataFrame
    pictures: tuple[str, ...]


def read_standing(registry: Registry, predictor: str) -> Standing:
    """Raises `RegistryError` where MLflow is away."""
    rows = tuple(registry.versions(predictor))
    try:
        return Standing(rows, registry.rollback_target(predictor) if rows else "")
    except NotFoundError:
        return Standing(rows, "")


def read_card(registry: Registry, run_id: str) -> ModelCard | None:
    """The model card that a run wrote; None where it wrote none."""
    written = registry.read_text(run_id, CARD_DATA) if run_id else None
    return ModelCard.model_validate_json(written) if written else None


def read_record(registry: Registry, run_id: str) -> VersionRecord:
    """Everything a run has left; raises `RegistryError` where MLflow is away."""
    gate, folds = (registry.read_text(run_id, path) for path in (GATE, FOLDS))
    pictures = [path.removeprefix(f"{BACKTEST}/") for path in registry.files(run_id, BACKTEST) if path.endswith(".png")]
    return VersionRecord(
        card=read_card(registry, run_id),
        gate=GateDecision.of(json.loads(gate)) if gate else None,
        folds=pd.read_csv(io.StringIO(folds), parse_dates=[c.AS_OF])[FOLD_COLUMNS] if folds else pd.DataFrame(columns=FOLD_COLUMNS),
        pictures=tuple(pictures),
    )
