"""A training as MLflow runs: the run, its input, its files, and a child run for every candidate at every cutoff."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.registry.records import ChildRecord, DatasetRecord, TrainingRecord

if TYPE_CHECKING:
    from mlflow import MlflowClient

TAG = "predictkpi."
PARENT = "mlflow.parentRunId"
BACKTEST_FOLDER = "backtest"
"""The folder of a run's tables and figures."""
_AT_ONCE = 500
_DIGEST_LENGTH = 32
"""MLflow keeps no more than 36 characters of a dataset's digest."""


def write_run(client: MlflowClient, experiment_id: str, record: TrainingRecord, *, run_name: str) -> str:
    """Log everything of ``record``; returns the id of the run."""
    from mlflow.entities import Metric, Param, RunTag

    run = client.create_run(experiment_id, run_name=run_name)
    run_id, now = run.info.run_id, run.info.start_time
    metrics = [Metric(name, float(value), now, 0) for name, value in record.metrics.items() if pd.notna(value)]
    if record.fold_metrics is not None and len(record.fold_metrics):
        fold = record.fold_metrics[c.AS_OF].rank(method="dense").astype(int)
        rows = zip(record.fold_metrics["metric"], record.fold_metrics[c.VALUE], fold, strict=True)
        metrics += [Metric(f"fold.{name}", float(value), now, step) for name, value, step in rows if pd.notna(value)]
    params = [Param(name, str(value)) for name, value in record.params.items()]
    tags = [RunTag(f"{TAG}{name}", str(value)) for name, value in record.tags.items()]
    for start in range(0, max(len(metrics), 1), _AT_ONCE):
        part = metrics[start : start + _AT_ONCE]
        client.log_batch(run_id, metrics=part, params=params if not start else [], tags=tags if not start else [])
    if record.dataset is not None:
        _log_dataset(client, run_id, record.dataset)
    _log_files(client, run_id, record)
    for child in record.children:
        _write_child(client, experiment_id, run_id, child)
    client.set_terminated(run_id)
    return run_id


def _write_child(client: MlflowClient, experiment_id: str, parent: str, child: ChildRecord) -> None:
    from mlflow.entities import Metric, Param

    run = client.create_run(experiment_id, run_name=child.name, tags={PARENT: parent})
    metrics = [Metric(name, float(value), run.info.start_time, 0) for name, value in child.metrics.items() if pd.notna(value)]
    client.log_batch(run.info.run_id, metrics=metrics, params=[Param(name, str(value)) for name, value in child.params.items()])
    client.set_terminated(run.info.run_id)


def _log_dataset(client: MlflowClient, run_id: str, dataset: DatasetRecord) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = json.dumps({"as_of": dataset.as_of, "newest_load": dataset.newest_load, "sha256": dataset.digest})
    rows = json.dumps({"rows": dict(dataset.rows)})
    found = Dataset("store", dataset.digest[:_DIGEST_LENGTH], "predictkpi store", source, profile=rows)
    client.log_inputs(run_id, datasets=[DatasetInput(found, [InputTag("mlflow.data.context", "training")])])


def _log_files(client: MlflowClient, run_id: str, record: TrainingRecord) -> None:
    with tempfile.TemporaryDirectory(prefix="predictkpi-") as folder:
        root = Path(folder)
        files: Mapping[str, str | bytes] = {
            **{f"{BACKTEST_FOLDER}/{name}": table.to_csv(index=False) for name, table in record.tables.items()},
            **{f"{BACKTEST_FOLDER}/{name}": png for name, png in record.figures.items()},
            **record.texts,
        }
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        if files:
            client.log_artifacts(run_id, folder)
