"""Tune: search for better settings on past days, then hold them against the current ones on newer days; nothing is promoted."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml

from predictkpi.backtest.paired import improvement_interval, loss_tables
from predictkpi.backtest.run import run_backtest
from predictkpi.errors import InsufficientDataError, SettingsError
from predictkpi.pipelines.candidates import fold_rule, gate_rule, hyperparameters, make_model
from predictkpi.pipelines.rules import read_yaml
from predictkpi.pipelines.search_days import Days, choose_days
from predictkpi.pipelines.search_space import Space, plain, read_space
from predictkpi.pipelines.study import PATIENCE, Bound, SavedSearch, open_search, optuna_module
from predictkpi.predictors import predictor_class
from predictkpi.protocol import MODEL, Predictor
from predictkpi.registry import Registry, SearchRuns, State, code_version, data_digest
from predictkpi.snapshot import Snapshot

if TYPE_CHECKING:
    from optuna import Trial

    from predictkpi.store import Store

TRIALS = 30
FOUND, CURRENT = "found", "current"
SPENT = "the budget was spent"
REFUSED = (SettingsError, InsufficientDataError, ArithmeticError, ValueError)
"""What a model raises at a corner of the space that it cannot take: a failed trial, not the end of the search."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """None is no limit. ``trials``: of the whole search, with those of earlier calls; ``seconds``: of this call, for the search itself."""

    trials: int | None = TRIALS
    seconds: float | None = None


@dataclass(frozen=True)
class Step:
    """Where a search is. ``number`` 0 are the current settings, ``fold`` 0 is the oldest; ``best``: lowest share of the current loss."""

    number: int
    fold: int
    folds: int
    best: float | None


Progress = Callable[[Step], None]


@dataclass(frozen=True)
class Comparison:
    """``improvement``: share of the current settings' loss that the found ones save on the held-out days, with its 95 % interval."""

    improvement: float
    low: float
    high: float
    n_outcomes: int
    is_enough: bool

    @property
    def verdict(self) -> str:
        """What to make of it, in one sentence."""
        figures = f"{self.improvement:+.1%} [{self.low:+.1%}, {self.high:+.1%}] of the loss saved, on {self.n_outcomes} outcomes"
        if not self.is_enough:
            return f"Too few outcomes on the held-out days to tell whether the found settings are better: {figures}."
        if self.low > 0:
            return f"The found settings are better than the current ones on the held-out days, by more than chance explains: {figures}."
        if self.improvement > 0:
            return f"On the held-out days the found settings are not clearly better than the current ones: {figures}."
        return f"On the held-out days the found settings are no better than the current ones, which should stay: {figures}."


@dataclass(frozen=True)
class TuneReport:
    """What a search has found.

    ``share``: loss of the best trial over that of the current settings, mean over the search's folds; None where no trial is complete.
    ``settings``: the predictor's whole YAML with the best settings in it; those in force where nothing better was found.
    ``comparison``: found against current on the held-out days; None where nothing was found to compare.
    """

    predictor: str
    note: str
    counts: Mapping[str, int]
    killed: int
    searched_on: tuple[pd.Timestamp, ...]
    held_out: tuple[pd.Timestamp, ...]
    share: float | None
    settings: Mapping[str, Any]
    comparison: Comparison | None
    verdict: str
    run_id: str

    @property
    def is_better(self) -> bool:
        """Whether a trial had a lower loss than the current settings on the days of the search."""
        return self.comparison is not None

    def as_yaml(self) -> str:
        """For ``models/<predictor>.yaml``."""
        return yaml.safe_dump(dict(self.settings), sort_keys=False, allow_unicode=True)


def tune(
    store: Store,
    registry: Registry,
    predictor: str,
    *,
    models_dir: Path,
    folder: Path,
    limits: Limits,
    as_of: pd.Timestamp | None = None,
    seed: int = 0,
    fresh: bool = False,
    on_progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> TuneReport:
    """Search until a limit is reached, going on from where an earlier call stopped (``folder`` keeps it), and compare once at the end.

    Raises `SettingsError` for a wrong search space or without Optuna, `InsufficientDataError` where the history is too short to search and
    to compare on days of their own, `ConflictError` while another process searches, `RegistryError` before the work begins.
    """
    optuna_module()
    space = read_space(predictor, models_dir)
    model = make_model(predictor, models_dir)
    if store.is_empty:
        raise InsufficientDataError("the store is empty: load data with `predictkpi ingest`, or look around with `predictkpi demo`")
    registry.check()
    snapshot = store.snapshot(as_of)
    days = choose_days(fold_rule(model.spec, models_dir), model, snapshot)
    code = code_version()
    bound = Bound(
        data=data_digest(days.past).sha256,
        cutoffs=_dates(days.search),
        space=json.dumps(plain(space), sort_keys=True),
        settings=json.dumps(hyperparameters(model), sort_keys=True, default=str),
        code=f"{code.package} {code.commit}".strip(),
        seed=seed,
    )
    with open_search(folder, predictor, bound, space, fresh=fresh) as search:
        runs = registry.search_runs(predictor)
        params = {"seed": seed, "searched on": bound.cutoffs, "held out": _dates(days.held_out), "space": bound.space}
        runs.open(bound.digest, name=f"search {predictor}", params=params, fresh=search.is_new)
        tell = on_progress or (lambda step: None)
        return _Tuning(predictor, models_dir, snapshot, days, space, limits, search, runs, tell, clock, clock()).run()


@dataclass(frozen=True)
class _Tuning:
    """One call's way through `tune`."""

    name: str
    models_dir: Path
    snapshot: Snapshot
    days: Days
    space: Space
    limits: Limits
    search: SavedSearch
    runs: SearchRuns
    on_progress: Progress
    clock: Callable[[], float]
    started: float

    def model(self, **found: Any) -> Predictor:
        """The model with the settings in force but for these."""
        return predictor_class(self.name)(**self.settings(found))

    def settings(self, found: Mapping[str, Any]) -> dict[str, Any]:
        return {**read_yaml(self.models_dir / f"{self.name}.yaml"), **found}

    def tell(self, number: int, fold: int) -> None:
        best = self.search.best()
        self.on_progress(Step(number, fold, len(self.days.search), best[0] if best else None))

    def is_out_of_time(self) -> bool:
        return self.limits.seconds is not None and self.clock() - self.started >= self.limits.seconds

    def is_over(self) -> bool:
        done = len(self.search.trials())
        return self.is_out_of_time() or (self.limits.trials is not None and done >= self.limits.trials)

    def loss(self, fold: int, found: Mapping[str, Any]) -> float:
        """The mean weighted loss that the gate compares, in one of the search's folds; no baseline is fitted."""
        losses = run_backtest({MODEL: partial(self.model, **found)}, self.days.past, [self.days.search[fold]]).losses
        return float((losses["loss"] * losses["weight"]).mean())

    def run(self) -> TuneReport:
        if self.measure_current():
            while not self.is_over():
                self.one_trial()
                self.give_up_if_nothing_works()
        return self.report()

    def measure_current(self) -> bool:
        """What every trial is measured against; false where the time was over before all folds were done."""
        losses, folds = self.search.current_losses, len(self.days.search)
        settings = hyperparameters(self.model())
        if len(losses) == folds:
            self.search.learn_from_current(settings)
            return True
        run_id = self.runs.begin("current settings", {name: settings[name] for name in self.space})
        known = len(losses)
        for fold in range(folds):
            if fold > known and self.is_out_of_time():
                self.runs.end(run_id, "killed", reason=SPENT)
                return False
            self.tell(0, fold)
            if fold >= known:
                losses.append(self.loss(fold, {}))
                self.search.keep_current(losses)
            self.runs.log_fold(run_id, fold + 1, {"loss": losses[fold], "share": 1.0})
        self.search.learn_from_current(settings)
        self.runs.end(run_id, "complete")
        return True

    def one_trial(self) -> None:
        """The next trial, from its beginning or from where an earlier call was broken off, to its end."""
        number = len(self.search.trials()) + 1
        trial = self.search.ask()
        run_id = self.runs.begin(f"trial {number}", trial.params)
        shares: list[float] = []
        state, reason = self.through_folds(number, trial, run_id, shares)
        self.search.end(trial, state, share=sum(shares) / max(len(shares), 1), error=reason)
        self.runs.end(run_id, state, reason=reason)

    def through_folds(self, number: int, trial: Trial, run_id: str, shares: list[float]) -> tuple[State, str]:
        """Fold by fold, oldest first, each one's share of the current loss into ``shares``; how and why the trial ended."""
        losses = self.search.known_losses(trial.params)
        for fold, usual in enumerate(self.search.current_losses):
            if fold >= max(len(losses), 1) and self.is_out_of_time():
                return "killed", SPENT
            self.tell(number, fold)
            if fold and trial.should_prune():
                return "pruned", ""
            if fold >= len(losses):
                try:
                    losses.append(self.loss(fold, trial.params))
                except REFUSED as error:
                    log.warning("trial %d fails at %s", number, f"{self.days.search[fold]:%Y-%m-%d}", exc_info=error)
                    return "failed", f"{type(error).__name__}: {error}"
            if not math.isfinite(losses[fold]):
                return "failed", f"the loss at {self.days.search[fold]:%Y-%m-%d} is {losses[fold]}"
            shares.append(losses[fold] / usual if usual > 0 else 1.0 + losses[fold])
            mean = sum(shares) / len(shares)
            self.search.keep(trial, fold, losses[: fold + 1], mean)
            self.runs.log_fold(run_id, fold + 1, {"loss": losses[fold], "share": mean})
        return "complete", ""

    def give_up_if_nothing_works(self) -> None:
        errors = self.search.errors()
        if len(errors) >= PATIENCE and len(errors) == len(self.search.trials()):
            raise SettingsError(f"{self.name}: all {len(errors)} trials failed, the last with {errors[-1]}: narrow models/search.yaml")

    def report(self) -> TuneReport:
        """Compare on the held-out days, which the search has not seen, and write it down."""
        best = self.search.best()
        share, found = best if best else (None, {})
        comparison = self.compare(found) if share is not None and share < 1 else None
        report = TuneReport(
            predictor=self.name,
            note=self.search.note,
            counts=self.search.counts(),
            killed=self.search.killed,
            searched_on=self.days.search,
            held_out=self.days.held_out,
            share=share,
            settings=self.settings(found if comparison else {}),
            comparison=comparison,
            verdict=verdict(share, comparison),
            run_id=self.runs.run_id,
        )
        metrics = {f"trials.{state}": float(n) for state, n in report.counts.items()}
        if share is not None:
            metrics["best.share"] = share
        if comparison:
            metrics |= {f"held_out.{key}": float(getattr(comparison, key)) for key in ("improvement", "low", "high", "n_outcomes")}
        self.runs.close(metrics, reason=report.verdict, settings=report.as_yaml())
        return report

    def compare(self, found: Mapping[str, Any]) -> Comparison:
        """Both fitted on the same held-out days and compared by the gate's paired bootstrap."""
        both: dict[str, Callable[[], Predictor]] = {FOUND: partial(self.model, **found), CURRENT: self.model}
        result = run_backtest(both, self.snapshot, self.days.held_out)
        is_enough = result.n_outcomes >= gate_rule(self.models_dir).fewest_outcomes
        return Comparison(*improvement_interval(loss_tables(result.losses, (FOUND, CURRENT))), result.n_outcomes, is_enough)


def verdict(share: float | None, comparison: Comparison | None) -> str:
    """What to make of a search, in one sentence."""
    if comparison is not None:
        return comparison.verdict
    if share is None:
        return "No trial is complete yet: the same command goes on."
    return "No trial had a lower loss than the current settings: keep them, or search longer."


def _dates(dates: tuple[pd.Timestamp, ...]) -> str:
    return " ".join(f"{date:%Y-%m-%d}" for date in dates)
