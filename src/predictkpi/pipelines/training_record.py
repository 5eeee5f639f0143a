"""What a training leaves behind: settings, data, code and environment it came from, how the test went, and the model card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

import pandas as pd
from pydantic import BaseModel

from predictkpi.backtest.cutoffs import FoldRule
from predictkpi.backtest.paired import ratio_interval, sum_tables
from predictkpi.backtest.report import figures
from predictkpi.backtest.run import CANDIDATE, BacktestResult
from predictkpi.core import columns as c
from predictkpi.core.types import Status
from predictkpi.pipelines.candidates import hyperparameters
from predictkpi.pipelines.card import ModelCard
from predictkpi.pipelines.trial import Trial
from predictkpi.protocol import Predictor
from predictkpi.registry import ChildRecord, DatasetRecord, TrainingRecord, code_version, data_digest, environment
from predictkpi.snapshot import Snapshot

CARD, CARD_DATA, GATE = "model_card.md", "model_card.json", "gate.json"
SETTINGS, COMPANY = "settings", "company"
"""Tags that hold the constructor's arguments, and the company as it was stated, as JSON: for `reproduce`."""


def training_record(
    model: Predictor, snapshot: Snapshot, trial: Trial, *, rule: FoldRule, status: Status, reason: str, newest_load: int
) -> TrainingRecord:
    """The record of one training of ``model``, fitted where it could be; without a backtest, that of the data and settings alone."""
    digest, settings = data_digest(snapshot), hyperparameters(model)
    dataset = DatasetRecord(digest.sha256, snapshot.as_of.isoformat(), newest_load, digest.rows)
    card = ModelCard.of(model, snapshot, trial, status=status, reason=reason, rows=digest.rows)
    params = {
        **settings,
        "as_of": snapshot.as_of.isoformat(),
        **{f"backtest.{key}": value for key, value in rule.model_dump().items()},
        "backtest.cutoffs": " ".join(f"{date:%Y-%m-%d}" for date in trial.cutoffs.dates),
    }
    tags = {
        "data.sha256": digest.sha256,
        "data.newest_load": newest_load,
        **{f"data.rows.{table}": rows for table, rows in digest.rows.items()},
        **{f"code.{key}": value for key, value in asdict(code_version()).items()},
        SETTINGS: settings_json(settings),
        COMPANY: snapshot.company.model_dump_json(),
        "status": status.value,
        "reason": reason,
        "note": trial.cutoffs.note,
    }
    texts = {CARD: card.markdown(), CARD_DATA: card.model_dump_json(indent=1), "environment.json": json.dumps(environment(), indent=1)}
    if not trial.result or not trial.decision:
        return TrainingRecord(params=params, tags=tags, texts=texts, dataset=dataset)
    gate = {f"gate.{key}": float(getattr(trial.decision, key)) for key in ("promote", "improvement", "low", "high", "n_outcomes")}
    folds = trial.result.fold_metrics
    return TrainingRecord(
        params=params,
        metrics=flat_metrics(trial.result) | gate,
        fold_metrics=folds.assign(metric=folds[CANDIDATE] + "." + folds["metric"])[[c.AS_OF, "metric", c.VALUE]],
        tags=tags,
        tables={"fold_metrics.csv": folds, "unscored.csv": trial.result.unscored},
        figures=figures(trial.result),
        texts=texts | {GATE: json.dumps(trial.decision.as_dict(), indent=1)},
        children=children(trial.result, settings),
        dataset=dataset,
    )


def settings_json(settings: Mapping[str, object]) -> str:
    """Constructor's arguments as JSON that gives the constructor the same arguments back."""
    return json.dumps(settings, default=lambda value: value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value))


def flat_metrics(result: BacktestResult) -> dict[str, float]:
    """``model.crps_scaled``, ``baseline.crps_scaled``, ..., each candidate's mean ``loss`` with its 95 % interval, and unscored pairs."""
    flat = {f"{candidate}.{name}": value for candidate, metrics in result.metrics.items() for name, value in metrics.items()}
    for candidate in result.metrics:
        rows = result.scored[candidate].losses
        tables = sum_tables(pd.DataFrame({"loss": rows["loss"] * rows["weight"], "weight": rows["weight"]}), ("loss", "weight"))
        ends = zip(("loss", "loss.low", "loss.high"), ratio_interval(tables), strict=True)
        flat |= {f"{candidate}.{name}": value for name, value in ends}
    flat |= {f"{candidate}.milliseconds": value for candidate, value in result.milliseconds.items()}
    return flat | {"unscored": float(result.unscored[c.N].sum())}


def children(result: BacktestResult, settings: Mapping[str, object]) -> list[ChildRecord]:
    """One for every candidate at every cutoff."""
    found = []
    for key, rows in result.fold_metrics.groupby([CANDIDATE, c.AS_OF], sort=False):
        candidate, cutoff = str(key[0]), f"{pd.Timestamp(str(key[1])):%Y-%m-%d}"
        own = settings if candidate == "model" else {}
        params = {"candidate": candidate, "cutoff": cutoff, **own}
        found.append(ChildRecord(f"{candidate} {cutoff}", params, dict(zip(rows["metric"], rows[c.VALUE], strict=True))))
    return found
