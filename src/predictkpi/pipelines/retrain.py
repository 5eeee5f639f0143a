"""Retrain if needed: which predictors are due, and why; one process at a time, and safe to kill at any moment.

A training that has ended is marked in the store with what it knew. One that was killed has left no mark, so the next run trains again; the
champion is moved by the last step of a training alone, so until then the former one serves.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from predictkpi.core.types import Status
from predictkpi.pipelines.candidates import make_model
from predictkpi.pipelines.findings import MONITOR, Finding, MonitorRule
from predictkpi.pipelines.monitor import concerning, of_sources, watched_champion
from predictkpi.pipelines.rules import read_rule
from predictkpi.pipelines.train import LEARNS, Progress, TrainReport, train
from predictkpi.pipelines.watch_fields import watch_fields
from predictkpi.pipelines.watch_sources import watch_sources
from predictkpi.registry import CHAMPION, Registry
from predictkpi.snapshot import Snapshot

if TYPE_CHECKING:
    from predictkpi.store import Store

WORK = "retrain"
_MARKS = "predictkpi retrain"
_DAY = pd.Timedelta(days=1)


@dataclass(frozen=True)
class Decision:
    """Whether a predictor is trained now, and why (not)."""

    predictor: str
    is_due: bool
    reason: str


@dataclass(frozen=True)
class RetrainReport:
    """What was decided of each predictor, and what became of those that were due."""

    decisions: tuple[Decision, ...]
    trained: tuple[TrainReport, ...]


def retrain(
    store: Store,
    registry: Registry,
    *,
    predictors: Sequence[str],
    models_dir: Path,
    now: pd.Timestamp,
    if_needed: bool = True,
    max_age_days: int | None = None,
    on_decision: Callable[[Decision], None] | None = None,
    on_progress: Progress | None = None,
) -> RetrainReport:
    """Train those of the named predictors that are due (without ``if_needed`` all of them), on all that is known.

    ``max_age_days`` in place of the rule's ``retrain_after_days``. Raises `LockedError` where another process is at it, on whatever
    machine; what that one does is then done.
    """
    rule = read_rule(MonitorRule, models_dir / MONITOR)
    if max_age_days is not None:
        rule = rule.model_copy(update={"retrain_after_days": max_age_days})
    with store.lock(WORK, holder=f"{socket.gethostname()}, process {os.getpid()}, since {now:%Y-%m-%d %H:%M}"):
        snapshot = store.snapshot()
        decide = _Deciding(store, registry, snapshot, models_dir, rule) if if_needed else None
        decisions, reports = [], []
        for name in predictors:
            decision = decide.on(name) if decide else Decision(name, True, "asked for")
            decisions.append(decision)
            if on_decision:
                on_decision(decision)
            if decision.is_due:
                reports += train(store, registry, predictors=[name], as_of=None, models_dir=models_dir, now=now, on_progress=on_progress)
                store.write_marks(_MARKS, {name: snapshot.as_of.isoformat()})
    return RetrainReport(tuple(decisions), tuple(reports))


class _Deciding:
    """The reasons for and against a training, the cheapest first."""

    def __init__(self, store: Store, registry: Registry, snapshot: Snapshot, models_dir: Path, rule: MonitorRule) -> None:
        self.registry, self.snapshot, self.models_dir, self.rule = registry, snapshot, models_dir, rule
        self.marks = store.marks(_MARKS)
        self._broken: list[Finding] | None = None

    def on(self, name: str) -> Decision:
        model, now = make_model(name, self.models_dir), self.snapshot.as_of
        champion = next((row for row in self.registry.versions(name) if CHAMPION in row["aliases"]), None)
        if champion is None:
            ground = model.baseline().readiness(self.snapshot)
            if ground.status is Status.INSUFFICIENT_DATA:
                return Decision(name, False, f"no champion, and too little to learn from: {ground.reason}")
            return Decision(name, True, "no champion yet")
        # A training whose model was not found better leaves an old champion: it is not tried again on the same data every night.
        learnt = max(pd.Timestamp(champion["as_of"] or 0), pd.Timestamp(self.marks.get(name, 0)))
        days = (now - learnt) / _DAY
        if days <= 0:
            return Decision(name, False, f"trained on all that is known, up to {learnt:%Y-%m-%d}")
        since = f"since the last training's data, up to {learnt:%Y-%m-%d}"
        due = self._due(name, days, learnt, pd.Timestamp(champion["as_of"] or 0))
        if due is None:
            return Decision(name, False, f"{days:.0f} days {since}: not old enough, too little new, no alarm")
        if self.broken:
            tables = ", ".join(sorted({finding.subject for finding in self.broken}))
            reason = f"{due} {since}, but something is wrong with {tables} (`predictkpi monitor`): nothing is learnt from that"
            return Decision(name, False, reason)
        return Decision(name, True, f"{due} {since}")

    def _due(self, name: str, days: float, learnt: pd.Timestamp, trained: pd.Timestamp) -> str | None:
        if days >= self.rule.retrain_after_days:
            return f"{days:.0f} days, {self.rule.retrain_after_days} are allowed,"
        if days < self.rule.retrain_least_days:
            return None
        grown = self._grown(name, learnt)
        if grown:
            return grown
        found = watched_champion(
            self.registry,
            name,
            self.snapshot,
            now=self.snapshot.as_of,
            rule=self.rule,
            drift_level=self.rule.drift_level / 2,
        )
        wrong = concerning(found, name)
        return f"an alarm of the monitor ({wrong[0].check}: {wrong[0].reason})" if wrong else None

    def _grown(self, name: str, learnt: pd.Timestamp) -> str | None:
        """What the predictor counts as its ground, if there is enough more of it, or enough for a model at last."""
        model = make_model(name, self.models_dir)
        before, today = model.readiness(self.snapshot.at(learnt)), model.readiness(self.snapshot)
        if today.status in LEARNS and before.status not in LEARNS:
            return f"enough for a model now ({today.status.value} instead of {before.status.value})"
        for counted, count in today.have.items():
            old = before.have.get(counted, 0)
            if count >= old * (1 + self.rule.retrain_new_share) and count > old:
                return f"{counted.replace('_', ' ')} grew from {old:,} to {count:,}"
        return None

    @property
    def broken(self) -> list[Finding]:
        """What is wrong with the sources, looked for once."""
        if self._broken is None:
            found = [*watch_sources(self.snapshot, now=self.snapshot.as_of, rule=self.rule), *watch_fields(self.snapshot, rule=self.rule)]
            self._broken = of_sources(found)
        return self._broken
