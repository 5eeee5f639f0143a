"""A finished training kept in a folder because MLflow could not take it, to be registered later. Data only, like every artifact."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.errors import ArtifactError
from predictkpi.protocol import Predictor
from predictkpi.registry.artifact import read_artifact, write_artifact
from predictkpi.registry.records import ChildRecord, DatasetRecord, TrainingRecord

_RECORD, _FOLDS, _INPUTS, _DONE = "record.json", "fold_metrics.parquet", "inputs.parquet", "registered_as.txt"


@dataclass(frozen=True)
class KeptTraining:
    """``record`` and ``run_name`` for the run; ``fitted`` predictors with sample inputs by kind; ``tags`` of the versions.

    ``beside`` is the champion the gate compared with (empty for none), ``is_passed`` what the gate said.
    """

    predictor: str
    run_name: str
    record: TrainingRecord
    fitted: Mapping[str, Predictor]
    inputs: Mapping[str, pd.DataFrame]
    status: Mapping[str, str]
    reason: str
    as_of: str
    beside: str
    is_passed: bool


def keep(training: KeptTraining, root: Path) -> Path:
    """Write it into a new folder below ``root``; returns the folder."""
    stem, number = "".join(letter if letter.isalnum() else "-" for letter in training.run_name), 0
    while (folder := root / (f"{stem}-{number}" if number else stem)).exists():
        number += 1
    (folder / "tables").mkdir(parents=True)
    (folder / "figures").mkdir()
    record = training.record
    for name, table in record.tables.items():
        table.to_parquet(folder / "tables" / f"{name}.parquet")
    for name, png in record.figures.items():
        (folder / "figures" / name).write_bytes(png)
    if record.fold_metrics is not None:
        record.fold_metrics.to_parquet(folder / _FOLDS)
    for kind, predictor in training.fitted.items():
        write_artifact(predictor, folder / kind)
        training.inputs[kind].to_parquet(folder / f"{kind}.{_INPUTS}")
    told = {
        **{name: getattr(training, name) for name in ("predictor", "run_name", "reason", "as_of", "beside", "is_passed")},
        "status": dict(training.status),
        "params": {name: str(value) for name, value in record.params.items()},
        "tags": {name: str(value) for name, value in record.tags.items()},
        "metrics": {name: float(value) for name, value in record.metrics.items() if pd.notna(value)},
        "texts": dict(record.texts),
        "children": [asdict(child) for child in record.children],
        "dataset": None if record.dataset is None else asdict(record.dataset),
    }
    (folder / _RECORD).write_text(json.dumps(told, indent=1, default=str), encoding="utf-8")
    return folder


def read_kept(folder: Path) -> KeptTraining:
    """The inverse of `keep`; raises `ArtifactError` for a folder that holds no kept training, a damaged one, or one that is done."""
    if (folder / _DONE).is_file():
        raise ArtifactError(f"{folder}: was registered already, as run {(folder / _DONE).read_text(encoding='utf-8').strip()}")
    try:
        told = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        record = TrainingRecord(
            params=told["params"],
            metrics=told["metrics"],
            fold_metrics=pd.read_parquet(folder / _FOLDS) if (folder / _FOLDS).is_file() else None,
            tags=told["tags"],
            tables={path.name.removesuffix(".parquet"): pd.read_parquet(path) for path in sorted((folder / "tables").iterdir())},
            figures={path.name: path.read_bytes() for path in sorted((folder / "figures").iterdir())},
            texts=told["texts"],
            children=[ChildRecord(**child) for child in told["children"]],
            dataset=DatasetRecord(**told["dataset"]) if told["dataset"] else None,
        )
        inputs = {kind: _read_inputs(folder / f"{kind}.{_INPUTS}") for kind in told["status"]}
        plain = {name: told[name] for name in ("predictor", "run_name", "status", "reason", "as_of", "beside", "is_passed")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{folder}: holds no training that was kept: {error}") from error
    return KeptTraining(record=record, fitted={kind: read_artifact(folder / kind) for kind in told["status"]}, inputs=inputs, **plain)


def mark_registered(folder: Path, run_id: str) -> None:
    """So that it is not registered again."""
    (folder / _DONE).write_text(run_id + "\n", encoding="utf-8")


def _read_inputs(path: Path) -> pd.DataFrame:
    frame = pd.read_parquet(path)
    return frame.assign(**{c.AS_OF: frame[c.AS_OF].astype("datetime64[us]")})
