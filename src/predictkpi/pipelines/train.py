"""Train: test on the past against the baselines, learn from everything, write it down, and let the better one serve."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from predictkpi.backtest.cutoffs import Cutoffs, FoldRule, choose_cutoffs
from predictkpi.backtest.gate import GateDecision, decide
from predictkpi.backtest.report import figures
from predictkpi.backtest.run import CANDIDATE, BacktestResult, run_backtest
from predictkpi.core import columns as c
from predictkpi.core.types import ModelRef, Readiness, Status
from predictkpi.errors import InsufficientDataError
from predictkpi.pipelines.candidates import fold_rule, hyperparameters, make_candidates, make_model
from predictkpi.protocol import Predictor
from predictkpi.registry import CHALLENGER, CHAMPION, Registry, TrainingRecord, code_version, data_digest
from predictkpi.snapshot import Snapshot

if TYPE_CHECKING:
    from predictkpi.store import Store

LEARNS = (Status.FULL, Status.LIMITED)
Progress = Callable[[str, str, int, int], None]


@dataclass(frozen=True)
class Trial:
    """The test on the past; ``result`` and ``decision`` are None where no past cutoff could be judged, and ``cutoffs.note`` says why."""

    cutoffs: Cutoffs
    result: BacktestResult | None = None
    decision: GateDecision | None = None

    @property
    def is_passed(self) -> bool:
        """Whether the model may serve."""
        return self.decision is not None and self.decision.promote


@dataclass(frozen=True)
class TrainReport:
    """What became of one predictor.

    ``status`` is the rung that is served and ``reason`` says why in one sentence. ``champion`` serves from now on; ``challenger`` is the
    model that was not good enough. Both are None, and ``run_id`` is empty, where not even the baseline has enough data.
    """

    predictor: str
    status: Status
    reason: str
    readiness: Readiness
    trial: Trial
    seconds: float
    run_id: str = ""
    champion: ModelRef | None = None
    challenger: ModelRef | None = None


def train(
    store: Store,
    registry: Registry,
    *,
    predictors: Sequence[str],
    as_of: pd.Timestamp | None,
    models_dir: Path,
    now: pd.Timestamp,
    on_progress: Progress | None = None,
) -> list[TrainReport]:
    """Train each named predictor on what the store knew before ``as_of`` (default: all of it); ``now`` only names the runs.

    A training as of a past day, asked for by ``as_of``, takes the alias only from a champion that knew no more than it does.

    ``on_progress(predictor, step, done, total)``. Settings of all predictors are read, and the registry is looked for, before the
    work begins. Raises `InsufficientDataError` where the store is empty.
    """
    models = {name: make_model(name, models_dir) for name in predictors}
    rules = {name: fold_rule(model.spec, models_dir) for name, model in models.items()}
    if store.is_empty:
        raise InsufficientDataError("the store is empty: load data with `predictkpi ingest`, or look around with `predictkpi demo`")
    registry.check()
    snapshot = store.snapshot(as_of)
    tell = on_progress or (lambda predictor, step, done, total: None)
    in_the_past = as_of is not None
    return [_Training(name, models_dir, rules[name], snapshot, registry, now, in_the_past, tell).run() for name in models]


@dataclass(frozen=True)
class _Training:
    """One predictor's way through `train`."""

    name: str
    models_dir: Path
    rule: FoldRule
    snapshot: Snapshot
    registry: Registry
    now: pd.Timestamp
    in_the_past: bool
    on_progress: Progress

    def model(self) -> Predictor:
        return make_model(self.name, self.models_dir)

    def baseline(self) -> Predictor:
        return self.model().baseline()

    def tell(self, step: str, done: int = 0, total: int = 0) -> None:
        self.on_progress(self.name, step, done, total)

    def run(self) -> TrainReport:
        started = time.monotonic()
        readiness = self.model().readiness(self.snapshot)
        ground = self.baseline().readiness(self.snapshot)
        trial = self.test(readiness)
        if ground.status is Status.INSUFFICIENT_DATA:
            self.tell("done", 1, 1)
            return TrainReport(self.name, ground.status, ground.reason, readiness, trial, time.monotonic() - started)
        status = readiness.status if trial.is_passed else Status.BASELINE
        reason = self.why(readiness, trial)
        self.tell("learn from all data")
        fitted = {"baseline": self.fit(self.baseline())}
        if readiness.status in LEARNS:
            fitted["model"] = self.fit(self.model())
        self.tell("write to the registry")
        run_name = f"{self.name} {self.now:%Y-%m-%d %H:%M}"
        run_id = self.registry.log_training(self.name, self.record(status, reason, trial), run_name=run_name)
        champion, challenger = self.register(fitted, trial, readiness, reason, run_id)
        self.tell("done", 1, 1)
        return TrainReport(self.name, status, reason, readiness, trial, time.monotonic() - started, run_id, champion, challenger)

    def test(self, readiness: Readiness) -> Trial:
        """Backtest and gate; nothing where the model cannot learn or no past cutoff can be judged."""
        self.tell("look at the history")
        if readiness.status not in LEARNS:
            return Trial(Cutoffs((), self.rule.gap, readiness.reason))
        model = self.model()
        cutoffs = choose_cutoffs(self.rule, model.spec, self.snapshot, is_usable=lambda past: model.readiness(past).status in LEARNS)
        if not cutoffs.dates:
            return Trial(cutoffs)
        candidates = make_candidates(self.name, self.models_dir)
        try:
            result = run_backtest(candidates, self.snapshot, cutoffs.dates, lambda done, total: self.tell("backtest", done, total))
        except InsufficientDataError as error:
            return Trial(Cutoffs((), cutoffs.gap, str(error)))
        return Trial(cutoffs, result, decide(result))

    def fit(self, predictor: Predictor) -> Predictor:
        return predictor.fit(predictor.training_table(self.snapshot))

    def why(self, readiness: Readiness, trial: Trial) -> str:
        """One sentence on why this candidate serves."""
        if trial.decision:
            return trial.decision.reason
        if readiness.status not in LEARNS:
            return readiness.reason
        return f"No past cutoff to test the model on ({trial.cutoffs.note.rstrip('.')}): the baseline serves until there is one."

    def register(
        self, fitted: dict[str, Predictor], trial: Trial, readiness: Readiness, reason: str, run_id: str
    ) -> tuple[ModelRef, ModelRef | None]:
        """Champion and challenger. A served baseline becomes a version of its own: serving always loads from the registry."""
        as_of = self.snapshot.as_of.isoformat()

        def put(kind: str, status: Status) -> ModelRef:
            inputs = fitted[kind].inputs(self.snapshot)
            return self.registry.register(fitted[kind], run_id=run_id, inputs=inputs, status=status.value, reason=reason, as_of=as_of)

        model = put("model", readiness.status) if "model" in fitted else None
        knows_more = self.newer_champion()
        if knows_more:
            if model:
                self.registry.promote(self.name, model.version, alias=CHALLENGER)
            return knows_more, model
        if model and trial.is_passed:
            return self.registry.promote(self.name, model.version), None
        baseline = put("baseline", Status.BASELINE)
        if model:
            self.registry.promote(self.name, model.version, alias=CHALLENGER)
        return self.registry.promote(self.name, baseline.version), model

    def newer_champion(self) -> ModelRef | None:
        """The champion that must stay, because this training looks at a past day and it has learnt from later ones."""
        if not self.in_the_past:
            return None
        for row in self.registry.versions(self.name):
            if CHAMPION in row["aliases"] and pd.Timestamp(row["as_of"] or 0) > self.snapshot.as_of:
                return ModelRef(predictor=self.name, version=row["version"], run_id=row["run_id"], kind=row["kind"], reason=row["reason"])
        return None

    def record(self, status: Status, reason: str, trial: Trial) -> TrainingRecord:
        """What is logged: settings, data and code it comes from, and how the test went."""
        digest, code = data_digest(self.snapshot), code_version()
        params = {
            **hyperparameters(self.model()),
            "as_of": self.snapshot.as_of.isoformat(),
            **{f"backtest.{key}": value for key, value in self.rule.model_dump().items()},
            "backtest.cutoffs": " ".join(f"{date:%Y-%m-%d}" for date in trial.cutoffs.dates),
        }
        tags = {
            "data.sha256": digest.sha256,
            **{f"data.rows.{table}": rows for table, rows in digest.rows.items()},
            **{f"code.{key}": value for key, value in asdict(code).items()},
            "status": status.value,
            "reason": reason,
            "note": trial.cutoffs.note,
        }
        if not trial.result or not trial.decision:
            return TrainingRecord(params=params, tags=tags)
        gate = {f"gate.{key}": float(getattr(trial.decision, key)) for key in ("promote", "improvement", "low", "high", "n_outcomes")}
        folds = trial.result.fold_metrics
        return TrainingRecord(
            params=params,
            metrics=flat_metrics(trial.result) | gate,
            fold_metrics=folds.assign(metric=folds[CANDIDATE] + "." + folds["metric"])[[c.AS_OF, "metric", c.VALUE]],
            tags=tags,
            tables={"fold_metrics.csv": folds, "unscored.csv": trial.result.unscored},
            figures=figures(trial.result),
        )


def flat_metrics(result: BacktestResult) -> dict[str, float]:
    """``model.crps_scaled``, ``baseline.crps_scaled``, ... and the number of pairs that could not be scored."""
    flat = {f"{candidate}.{name}": value for candidate, metrics in result.metrics.items() for name, value in metrics.items()}
    return flat | {"unscored": float(result.unscored[c.N].sum())}
