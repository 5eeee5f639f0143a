"""What every predictor promises. Backtest, registry, API, CLI and dashboard know predictors only through this page.

The way of a prediction is the same in backtest, batch and serving::

    snapshot --inputs()--> one row per entity, features as known at as_of --predict_inputs()--> long predictions

`predict` is those two in a row. Learning goes ``snapshot --training_table()--> frame --fit()--> self``. A predictor reads no clock, no
file (but its own artifact folder), no database and no MLflow; it never grades itself: see `backtest`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import Readiness, Spec, Status
from predictkpi.errors import SettingsError
from predictkpi.parts import Parts
from predictkpi.snapshot import Snapshot

MODEL, BASELINE = "model", "baseline"
"""Names of the two candidates that the gate compares."""


class AnswerRow(NamedTuple):
    """One statistic of an `EntityAnswer`; ``value`` is NaN where there is none."""

    horizon: int
    statistic: str
    value: float
    status: str
    reason: str


@dataclass(frozen=True)
class EntityAnswer:
    """One entity's predictions in plain Python: what its rows of the long table say, column by column and in one order."""

    entity_id: str
    as_of: pd.Timestamp
    horizons: tuple[int, ...]
    statistics: tuple[str, ...]
    values: Sequence[float]
    statuses: Sequence[str]
    reasons: Sequence[str]

    @classmethod
    def of(cls, rows: pd.DataFrame) -> EntityAnswer:
        """From one entity's rows of the long table."""
        columns = [rows[name].tolist() for name in (c.HORIZON, c.STATISTIC, c.VALUE, c.STATUS)] + [rows[c.REASON].fillna("").tolist()]
        return cls(str(rows[c.ENTITY_ID].iloc[0]), rows[c.AS_OF].iloc[0], tuple(columns[0]), tuple(columns[1]), *columns[2:])

    @property
    def rows(self) -> tuple[AnswerRow, ...]:
        """Row by row."""
        return tuple(map(AnswerRow._make, zip(self.horizons, self.statistics, self.values, self.statuses, self.reasons, strict=True)))


class Predictor(ABC):
    """A model or a baseline of one predictor. The constructor only stores settings; learned state ends in ``_``.

    Same data, same settings, same ``random_state``: same predictions.
    """

    spec: ClassVar[Spec]
    kind: ClassVar[Literal["model", "baseline"]] = "model"
    takes_model_table: ClassVar[bool] = False
    """A baseline that learns the same from its model's training table as from its own: a backtest then makes only one."""

    @abstractmethod
    def readiness(self, snapshot: Snapshot) -> Readiness:
        """Counts that are there and counts that are needed, and the rung of the ladder they give."""

    @abstractmethod
    def training_table(self, snapshot: Snapshot) -> pd.DataFrame:
        """Everything `fit` needs, point in time: each row uses only what was known at that row's own ``as_of``."""

    @abstractmethod
    def fit(self, table: pd.DataFrame) -> Self:
        """Learn from a training table; forgets what was learnt before. Returns self."""

    @abstractmethod
    def inputs(self, snapshot: Snapshot, *, entity_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """What `predict_inputs` needs about the cohort at ``snapshot.as_of`` (all of it, or the named entities).

        Columns ``entity_id`` and ``as_of`` first, then features; only strings, numbers, flags and instants, so that the frame can be
        logged, signed and sent. Raises `UnknownEntityError` or `DealClosedError` for a named entity outside the cohort.
        """

    @abstractmethod
    def predict_inputs(self, inputs: pd.DataFrame) -> pd.DataFrame:
        """Predictions for a frame made by `inputs`: ``entity_id, as_of, horizon, statistic, value, status, reason``."""

    def predict_at(self, inputs: pd.DataFrame, horizons: Sequence[int]) -> pd.DataFrame:
        """As `predict_inputs`, for these horizons only; raises `SettingsError` for one that is not in ``spec.askable``."""
        self.check_horizons(horizons)
        predictions = self.predict_inputs(inputs)
        return predictions[predictions[c.HORIZON].isin(list(horizons))].reset_index(drop=True)

    def check_horizons(self, horizons: Sequence[int]) -> None:
        """Raise `SettingsError` for the first horizon that cannot be asked for."""
        for horizon in horizons:
            if horizon not in self.spec.askable:
                raise SettingsError(f"{self.spec.name}: no horizon {horizon}: {self.spec.horizons_in_words}")

    @abstractmethod
    def outcomes(self, later: Snapshot, *, as_of: pd.Timestamp) -> pd.DataFrame:
        """What came true for the cohort of ``as_of``, as known in ``later``.

        Columns `columns.OUTCOME_COLUMNS`. ``is_mature`` is true once the whole span that the statistic speaks of lies before
        ``later.as_of``: ``[as_of, as_of + horizon)``, or up to a deadline within it that the statistic has of its own.
        """

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write learned state as LightGBM text, Parquet and JSON into an existing, empty folder. No pickle."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; raises `ArtifactError` for anything else."""

    def baseline(self) -> Predictor:
        """The unfitted baseline that the gate compares this model with, and that serves in its place; a baseline is its own."""
        return self

    def baselines(self) -> dict[str, Predictor]:
        """All unfitted baselines that reports show beside this model, by name; `baseline` is among them as `BASELINE`."""
        return {BASELINE: self.baseline()}

    def explain(self, inputs: pd.DataFrame) -> pd.DataFrame:
        """Signed contributions in a statistic's unit; with the row named ``baseline``, all rows of a statistic add up to the prediction.

        Columns ``entity_id, as_of, horizon, statistic, feature, contribution``. Empty where the model has none to give.
        """
        return pd.DataFrame(columns=[c.ENTITY_ID, c.AS_OF, c.HORIZON, c.STATISTIC, "feature", "contribution"])

    @property
    def parts(self) -> Parts[Any] | None:
        """How `inputs` and `training_table` are made of parts of the facts, as several machines do; None where all are needed at once."""
        return None

    @property
    def purpose(self) -> str:
        """What its predictions are for, in one sentence of the model card."""
        ahead = ", ".join(map(str, self.spec.horizons))
        return f"{self.spec.title['en']}: {self.spec.headline} of each {self.spec.entity}, {ahead} {self.spec.time_unit}s ahead."

    @property
    def limits(self) -> tuple[str, ...]:
        """What it must not be relied on for, a sentence each, for the model card."""
        return ()

    def fields_barred(self) -> dict[str, str]:
        """The company's own fields that a fitted model did not learn from, and why."""
        return {}

    def reason_title(self, feature: str, language: str = "en") -> str:
        """A ``feature`` of `explain` in plain words, in English or German."""
        return feature

    def predict(
        self, snapshot: Snapshot, *, entity_ids: Sequence[str] | None = None, horizons: Sequence[int] | None = None
    ) -> pd.DataFrame:
        """Predictions for the cohort at ``snapshot.as_of``; columns `columns.PREDICTION_COLUMNS`, version still empty.

        ``horizons``: see `predict_at`; by default those of the spec.
        """
        inputs = self.inputs(snapshot, entity_ids=entity_ids)
        predictions = self.predict_inputs(inputs) if horizons is None else self.predict_at(inputs, horizons)
        return predictions.assign(**{c.PREDICTOR: self.spec.name, c.MODEL_VERSION: ""})[c.PREDICTION_COLUMNS]

    def answer_for(self, snapshot: Snapshot, *, entity_ids: Sequence[str], horizons: Sequence[int] | None = None) -> list[EntityAnswer]:
        """`predict` for the named entities, in the order named and in plain Python: what a service asks of a few of them."""
        parts = dict(iter(self.predict(snapshot, entity_ids=entity_ids, horizons=horizons).groupby(c.ENTITY_ID, sort=False)))
        return [EntityAnswer.of(parts[entity_id]) for entity_id in entity_ids]


_RUNGS = {status: place for place, status in enumerate(Status)}


def worst(*statuses: Status) -> Status:
    """The lowest rung among several."""
    return max(statuses, key=_RUNGS.__getitem__)
