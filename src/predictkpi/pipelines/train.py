"""Train: test on the past against the baselines, learn from everything, write it down, and let the better one serve."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from predictkpi.backtest.checks import GateRule
from predictkpi.backtest.cutoffs import Cutoffs, FoldRule, choose_cutoffs
from predictkpi.backtest.gate import decide
from predictkpi.backtest.run import run_backtest
from predictkpi.core.types import ModelRef, Readiness, Status
from predictkpi.errors import ArtifactError, InsufficientDataError, NoChampionError, PredictKpiError, RegistryError
from predictkpi.pipelines.candidates import fold_rule, gate_rule, make_model
from predictkpi.pipelines.registering import register
from predictkpi.pipelines.training_record import training_record
from predictkpi.pipelines.trial import Trial, candidates_beside, segments_of
from predictkpi.protocol import Predictor
from predictkpi.registry import CHAMPION, KeptTraining, Registry, keep
from predictkpi.snapshot import Snapshot

if TYPE_CHECKING:
    from predictkpi.store import Store

log = logging.getLogger(__name__)

LEARNS = (Status.FULL, Status.LIMITED)
Progress = Callable[[str, str, int, int], None]


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
    gate = gate_rule(models_dir)
    if store.is_empty:
        raise InsufficientDataError("the store is empty: load data with `predictkpi ingest`, or look around with `predictkpi demo`")
    registry.check()
    newest_load = store.newest_load
    snapshot = store.snapshot(as_of, loaded_by=newest_load)
    tell = on_progress or (lambda predictor, step, done, total: None)
    in_the_past = as_of is not None
    reports = []
    for name in models:
        training = _Training(name, models_dir, rules[name], gate, snapshot, newest_load, store, registry, now, in_the_past, tell)
        reports.append(training.run())
    return reports


@dataclass(frozen=True)
class _Training:
    """One predictor's way through `train`."""

    name: str
    models_dir: Path
    rule: FoldRule
    gate: GateRule
    snapshot: Snapshot
    newest_load: int
    store: Store
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
        serving = self.serving()
        trial = self.test(readiness)
        if ground.status is Status.INSUFFICIENT_DATA:
            self.tell("done", 1, 1)
            return TrainReport(self.name, ground.status, ground.reason, readiness, trial, time.monotonic() - started)
        kept = self.newer_champion() or (serving if serving and serving.kind == "model" and self.may_stay(trial) else None)
        status = Status.BASELINE if (kept and kept.kind != "model") or not (trial.is_passed or kept) else readiness.status
        reason = self.why(readiness, trial, kept)
        self.tell("learn from all data")
        fitted = {"baseline": self.fit(self.baseline())}
        if readiness.status in LEARNS:
            fitted["model"] = self.fit(self.model())
        self.tell("write to the registry")
        settings = fitted.get("model", self.model())
        training = KeptTraining(
            predictor=self.name,
            run_name=f"{self.name} {self.now:%Y-%m-%d %H:%M}",
            record=training_record(
                settings, self.snapshot, trial, rule=self.rule, status=status, reason=reason, newest_load=self.newest_load
            ),
            fitted=fitted,
            inputs={kind: predictor.inputs(self.snapshot) for kind, predictor in fitted.items()},
            status={"baseline": Status.BASELINE.value} | ({"model": readiness.status.value} if "model" in fitted else {}),
            reason=reason,
            as_of=self.snapshot.as_of.isoformat(),
            beside=serving.version if serving else "",
            is_passed=trial.is_passed,
        )
        try:
            written = register(self.store, self.registry, training, stays=kept, action="train", now=self.now)
        except (PredictKpiError, OSError) as error:
            folder = self.keep(training, error)
            raise RegistryError(f"{error}. Nothing is lost: `predictkpi train --upload {folder}` registers it later") from error
        self.tell("done", 1, 1)
        seconds = time.monotonic() - started
        return TrainReport(self.name, status, reason, readiness, trial, seconds, written.run_id, written.champion, written.challenger)

    def keep(self, training: KeptTraining, error: Exception) -> Path:
        """The folder the training was kept in: beside the registry's artifacts or, where nothing can be written there, a temporary one."""
        try:
            return keep(training, self.registry.kept_root)
        except OSError as refused:
            log.error("%s cannot be kept in %s: %s (after: %s)", self.name, self.registry.kept_root, refused, error)
            return keep(training, Path(tempfile.mkdtemp(prefix="predictkpi-kept-")))

    def test(self, readiness: Readiness) -> Trial:
        """Backtest and gate; nothing where the model cannot learn or no past cutoff can be judged."""
        self.tell("look at the history")
        if readiness.status not in LEARNS:
            return Trial(Cutoffs((), self.rule.gap, readiness.reason))
        model = self.model()
        cutoffs = choose_cutoffs(self.rule, model.spec, self.snapshot, is_usable=lambda past: model.readiness(past).status in LEARNS)
        if not cutoffs.dates:
            return Trial(cutoffs)
        candidates = candidates_beside(self.champion(), self.name, self.models_dir)
        try:
            result = run_backtest(candidates, self.snapshot, cutoffs.dates, lambda done, total: self.tell("backtest", done, total))
        except InsufficientDataError as error:
            return Trial(Cutoffs((), cutoffs.gap, str(error)))
        segments = segments_of(model.spec, result, self.snapshot)
        return Trial(cutoffs, result, decide(result, rule=self.gate, segments=segments))

    def champion(self) -> Predictor | None:
        """The model that serves; None where none does, or where what serves cannot be read any more."""
        try:
            return self.registry.champion(self.name)[0]
        except (NoChampionError, ArtifactError) as error:
            log.info("%s: no champion to compare with: %s", self.name, error)
            return None

    def fit(self, predictor: Predictor) -> Predictor:
        return predictor.fit(predictor.training_table(self.snapshot))

    def why(self, readiness: Readiness, trial: Trial, kept: ModelRef | None) -> str:
        """One sentence on why this candidate serves."""
        untested = f"No past cutoff to test the model on ({trial.cutoffs.note.rstrip('.')})"
        if trial.decision:
            found = trial.decision.reason
        elif readiness.status not in LEARNS:
            found = readiness.reason
        else:
            found = f"{untested}." if kept else f"{untested}: the baseline serves until there is one."
        return f"{found.rstrip('.')}. Version {kept.version} goes on serving." if kept else found

    def may_stay(self, trial: Trial) -> bool:
        """Whether a model that serves goes on, though stale: the new one did not pass, and the baseline is not clearly better either."""
        return not trial.is_passed and not (trial.decision is not None and trial.decision.is_champion_worse)

    def serving(self) -> ModelRef | None:
        """The version that holds the alias champion."""
        return next((self.ref(row) for row in self.registry.versions(self.name) if CHAMPION in row["aliases"]), None)

    def newer_champion(self) -> ModelRef | None:
        """The champion that must stay, because this training looks at a past day and it has learnt from later ones."""
        if not self.in_the_past:
            return None
        for row in self.registry.versions(self.name):
            if CHAMPION in row["aliases"] and pd.Timestamp(row["as_of"] or 0) > self.snapshot.as_of:
                return self.ref(row)
        return None

    def ref(self, row: Mapping[str, Any]) -> ModelRef:
        """A row of `Registry.versions` as it stands beside predictions."""
        return ModelRef(predictor=self.name, version=row["version"], run_id=row["run_id"], kind=row["kind"], reason=row["reason"])
