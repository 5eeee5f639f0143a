"""A search that outlives its process: an Optuna study in a SQLite file, bound to everything that its losses depend on."""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from predictkpi.errors import ConflictError, SettingsError
from predictkpi.pipelines.search_space import Choice, FloatRange, IntRange, Space
from predictkpi.registry import State

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

BOUND, LOSSES, CURRENT, ERROR = "bound", "losses", "current", "error"
PATIENCE = 5
"""Trials that run through before any is stopped early."""


@dataclass(frozen=True)
class Bound:
    """What the losses of a search depend on: where one of these differs, an earlier search says nothing about this one."""

    data: str
    cutoffs: str
    space: str
    settings: str
    code: str
    seed: int

    @property
    def digest(self) -> str:
        """Names the search."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def why_new(self, last: Mapping[str, object] | None) -> str:
        """One sentence on what differs from the last search."""
        if last is None:
            return "the first search"
        words = {
            "data": "the data",
            "cutoffs": "the past days it is judged on",
            "space": "the search space",
            "settings": "the current settings",
            "code": "the program",
            "seed": "the seed",
        }
        changed = [word for name, word in words.items() if last.get(name) != getattr(self, name)]
        return f"a new search, because of changes since the last one: {', '.join(changed)}"


def optuna_module() -> ModuleType:
    """Optuna, imported now and quiet; `SettingsError` with the command that installs it."""
    try:
        import optuna
    except ImportError:
        raise SettingsError("a search needs Optuna, which is not installed: pip install 'predictkpi[tune]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


@contextmanager
def open_search(folder: Path, predictor: str, bound: Bound, space: Space, *, fresh: bool = False) -> Iterator[SavedSearch]:
    """The search of that name in ``<folder>/<predictor>.db``, begun if it is not there or if ``fresh``; earlier ones stay in the file.

    Raises `ConflictError` while another process searches for this predictor.
    """
    optuna = optuna_module()
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / f"{predictor}.lock", predictor):
        storage = optuna.storages.RDBStorage(f"sqlite:///{folder.resolve()}/{predictor}.db")
        try:
            studies = {study.study_name: study for study in optuna.get_all_study_summaries(storage, include_best_trial=False)}
            if fresh and bound.digest in studies:
                optuna.delete_study(study_name=bound.digest, storage=storage)
            is_new = fresh or bound.digest not in studies
            study = optuna.create_study(
                storage=storage,
                study_name=bound.digest,
                load_if_exists=True,
                # a rank test over folds (Wilcoxon) has nothing to say before the fourth, and there are three to six; the median needs one
                pruner=optuna.pruners.MedianPruner(n_startup_trials=PATIENCE, n_warmup_steps=0),
            )
            last = max(studies.values(), default=None)  # in the order they were begun
            note = "asked to begin afresh" if fresh else bound.why_new(last.user_attrs.get(BOUND) if last else None)
            if is_new:
                study.set_user_attr(BOUND, asdict(bound))
            yield SavedSearch(study, space, bound.seed, is_new=is_new, note=note if is_new else "the search goes on")
        finally:
            storage.remove_session()
            storage.engine.dispose()


class SavedSearch:
    """Trials of one search. A trial depends on the seed and on the trials before it alone.

    So a search that was killed and resumed goes through the same trials as one that was not. Values are shares of the loss of the current
    settings, averaged over folds: every fold counts the same, however hard it was, and trials stopped at different folds compare.
    """

    def __init__(self, study: Study, space: Space, seed: int, *, is_new: bool, note: str) -> None:
        self._study = study
        self._space = space
        self._seed = seed
        self.is_new = is_new
        self.note = note
        self.killed = self._bury()

    @property
    def current_losses(self) -> list[float]:
        """Loss of the current settings in each fold measured so far, oldest first."""
        return list(self._study.user_attrs.get(LOSSES, []))

    def keep_current(self, losses: Sequence[float]) -> None:
        """Keep the losses of the current settings."""
        self._study.set_user_attr(LOSSES, list(losses))

    def learn_from_current(self, settings: Mapping[str, Any]) -> None:
        """Let the search learn from the current settings as from a trial, where they lie inside the space."""
        from optuna.trial import create_trial

        is_known = any(CURRENT in trial.user_attrs for trial in self._study.get_trials(deepcopy=False))
        if not is_known and all(values.holds(settings[name]) for name, values in self._space.items()):
            known = create_trial(
                params={name: settings[name] for name in self._space},
                distributions={name: _distribution(values) for name, values in self._space.items()},
                value=1.0,
                intermediate_values=dict.fromkeys(range(len(self.current_losses)), 1.0),
                user_attrs={CURRENT: True},
            )
            self._study.add_trial(known)

    def ask(self) -> Trial:
        """Begin the next trial; its settings are in ``params``."""
        from optuna.samplers import TPESampler

        state = np.random.SeedSequence([self._seed, len(self.trials())]).generate_state(1)
        self._study.sampler = TPESampler(seed=int(state[0]))
        return self._study.ask({name: _distribution(values) for name, values in self._space.items()})

    def known_losses(self, settings: Mapping[str, Any]) -> list[float]:
        """Losses by fold that a trial with these settings had measured when it was broken off; maybe none."""
        left = [trial for trial in self._finished() if trial.params == settings and not _counts(trial)]
        return list(left[-1].user_attrs.get(LOSSES, [])) if left else []

    def keep(self, trial: Trial, fold: int, losses: Sequence[float], share: float) -> None:
        """Keep the losses up to this fold, and the mean share for the pruner."""
        trial.set_user_attr(LOSSES, list(losses))
        trial.report(share, fold)

    def end(self, trial: Trial, state: State, *, share: float, error: str = "") -> None:
        """A killed trial, broken off from outside, does not count: the next one goes on with its settings."""
        from optuna.trial import TrialState

        if state == "failed":
            trial.set_user_attr(ERROR, error)
        if state == "complete":
            self._study.tell(trial, share)
        else:
            self._study.tell(trial, state=TrialState.PRUNED if state == "pruned" else TrialState.FAIL)

    def trials(self) -> list[FrozenTrial]:
        """Trials that count, oldest first: complete, pruned, or failed by an error of the model."""
        return [trial for trial in self._finished() if _counts(trial)]

    def counts(self) -> dict[str, int]:
        """Trials that count by how they ended: complete, pruned, failed."""
        names = [trial.state.name for trial in self.trials()]
        return {word: names.count(state) for word, state in (("complete", "COMPLETE"), ("pruned", "PRUNED"), ("failed", "FAIL"))}

    def errors(self) -> list[str]:
        """What the failed trials said, oldest first."""
        return [trial.user_attrs[ERROR] for trial in self.trials() if ERROR in trial.user_attrs]

    def best(self) -> tuple[float, dict[str, Any]] | None:
        """Lowest share and its settings; None before a trial is complete."""
        complete = [(trial.value, trial.number, trial.params) for trial in self.trials() if trial.value is not None]
        value, _, settings = min(complete, default=(None, 0, {}))
        return None if value is None else (value, dict(settings))

    def _finished(self) -> list[FrozenTrial]:
        finished = [trial for trial in self._study.get_trials(deepcopy=False) if trial.state.is_finished()]
        return [trial for trial in finished if CURRENT not in trial.user_attrs]

    def _bury(self) -> int:
        """Trials that a killed process left running are failed, and do not count; returns how many."""
        from optuna.trial import TrialState

        left = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        for trial in left:
            self._study.tell(trial.number, state=TrialState.FAIL)
        return len(left)


def _counts(trial: FrozenTrial) -> bool:
    """Whether it ended by itself: one that was broken off has failed without an error of its own."""
    return trial.state.name != "FAIL" or ERROR in trial.user_attrs


def _distribution(values: IntRange | FloatRange | Choice) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(values, Choice):
        return CategoricalDistribution(values.options)
    if isinstance(values, IntRange):
        return IntDistribution(values.low, values.high, log=values.log)
    return FloatDistribution(values.low, values.high, log=values.log)


@contextmanager
def _locked(path: Path, predictor: str) -> Iterator[None]:
    """One search a predictor at a time; the system gives the lock back however the process ends."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError(f"another process searches for settings of {predictor}: wait for it, or stop it") from None
        yield
