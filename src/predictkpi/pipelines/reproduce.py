"""Reproduce: a training made again from the store as it was then, compared with the versions that it registered."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import Company
from predictkpi.errors import NotFoundError, SettingsError
from predictkpi.pipelines.training_record import COMPANY, SETTINGS
from predictkpi.predictors import predictor_class
from predictkpi.protocol import MODEL, Predictor
from predictkpi.registry import Registry, code_version, data_digest

if TYPE_CHECKING:
    from predictkpi.store import Store

TOLERANCE = 1e-6
_KEY = [c.ENTITY_ID, c.HORIZON, c.STATISTIC]


@dataclass(frozen=True)
class Reproduction:
    """One registered version beside its training made again.

    ``difference`` is the largest one among the ``predictions``, relative where a value is above 1; ``is_same_data`` whether the store as of
    then has the digest that was logged; ``notes`` name what is different about the code.
    """

    predictor: str
    version: str
    kind: str
    predictions: int
    difference: float
    is_same_data: bool
    notes: tuple[str, ...]

    @property
    def is_equal(self) -> bool:
        """Whether every prediction is the same to a millionth."""
        return self.difference <= TOLERANCE


def reproduce(store: Store, registry: Registry, run_id: str) -> list[Reproduction]:
    """One for each version that the run registered.

    The training data are rebuilt from what was known before the run's as_of and had been loaded by then: later corrections do not count.
    Raises `NotFoundError` where there is no such run or nothing registered from it, `SettingsError` for a run that keeps no settings.
    """
    run = registry.run(run_id)
    if not {SETTINGS, COMPANY} <= set(run.tags) or "as_of" not in run.params:
        raise SettingsError(f"run {run_id} keeps no settings to train with again: it is no training of this version of predictkpi")
    versions = [row for row in registry.versions(run.predictor) if row["run_id"] == run_id]
    if not versions:
        raise NotFoundError(f"run {run_id} of {run.predictor} registered no version that is still there")
    company = Company.model_validate_json(run.tags[COMPANY])
    snapshot = store.snapshot(pd.Timestamp(run.params["as_of"]), loaded_by=int(run.tags["data.newest_load"]), company=company)
    is_same_data = data_digest(snapshot).sha256 == run.tags["data.sha256"]
    model = predictor_class(run.predictor)(**json.loads(run.tags[SETTINGS]))
    found = []
    for row in versions:
        saved, _ = registry.version(run.predictor, row["version"])
        again = model if row["kind"] == MODEL else model.baseline()
        again.fit(again.training_table(snapshot))
        ours, theirs = (_values(predictor, snapshot) for predictor in (again, saved))
        difference = _largest(ours, theirs)
        found.append(Reproduction(run.predictor, row["version"], row["kind"], len(theirs), difference, is_same_data, _notes(run.tags)))
    return found


def _values(predictor: Predictor, snapshot: object) -> pd.Series:
    return predictor.predict(snapshot).set_index(_KEY)[c.VALUE]  # type: ignore[arg-type]


def _largest(ours: pd.Series, theirs: pd.Series) -> float:
    """Infinite where one has a prediction that the other has not."""
    both = pd.concat([ours, theirs], axis=1, keys=["ours", "theirs"])
    if len(both) != len(ours) or len(both) != len(theirs) or (both["ours"].isna() != both["theirs"].isna()).any():
        return float("inf")
    known = both.dropna()
    apart = (known["ours"] - known["theirs"]).abs() / np.maximum(known["theirs"].abs(), 1.0)
    return float(apart.max()) if len(known) else 0.0


def _notes(tags: object) -> tuple[str, ...]:
    logged, now = dict(tags), code_version()  # type: ignore[call-overload]
    pairs = (("package", now.package), ("commit", now.commit), ("python", now.python))
    return tuple(
        f"{name}: {logged[f'code.{name}']} then, {value} now"
        for name, value in pairs
        if value and logged.get(f"code.{name}") not in (value, "", None)
    )
