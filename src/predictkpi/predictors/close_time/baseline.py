"""The baseline every report shows: one Aalen-Johansen curve for all deals, given only how old a deal is."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
import pandas as pd

from predictkpi.core.arrays import Columns, Texts
from predictkpi.core.types import Status
from predictkpi.errors import ArtifactError
from predictkpi.features.deal_history import AGE
from predictkpi.features.incidence import Floats
from predictkpi.predictors.close_time import artifact
from predictkpi.predictors.close_time.curves import LandmarkCurves, age_daily, prior_daily
from predictkpi.predictors.close_time.incidence_predictor import IncidencePredictor
from predictkpi.predictors.close_time.table import EVENT, IS_ENTRY, entry_table, rung
from predictkpi.snapshot import Snapshot


class CloseTimeBaseline(IncidencePredictor):
    """What baselines of close time share: their rung and their files. A subclass learns a frame of numbers and draws daily curves.

    Each learns from the model's training table as well as from its own.
    """

    kind: ClassVar[Literal["model", "baseline"]] = "baseline"
    takes_model_table: ClassVar[bool] = True
    how: ClassVar[str]
    """What it goes by, as the reason of its predictions says it."""

    closed_: int

    @abstractmethod
    def learned_daily(self, inputs: Columns) -> Floats:
        """Cumulative incidences of won and lost before each day 0..180 after as_of, once a close was seen: ``(n, 2, 181)``."""

    @abstractmethod
    def learned_frame(self) -> pd.DataFrame:
        """Everything learnt but the count of closed deals, in one table."""

    @abstractmethod
    def restore(self, frame: pd.DataFrame) -> None:
        """Inverse of `learned_frame`."""

    def daily(self, inputs: Columns) -> Floats:
        """Cumulative incidences ``(n, 2, 181)``; a labelled assumption where no close was seen yet."""
        return self.learned_daily(inputs) if self.closed_ else prior_daily(len(inputs))

    def caveats(self, inputs: Columns) -> tuple[Texts, Texts]:
        """See `IncidencePredictor.caveats`."""
        status = Status.BASELINE if self.closed_ else Status.PRIOR
        reason = self.how if self.closed_ else rung(0, 0).reason
        return np.full(len(inputs), status.value, object), np.full(len(inputs), reason, object)

    def save(self, folder: Path) -> None:
        """Write what was learnt."""
        artifact.write(folder, kind=self.kind, state={"closed": self.closed_, "how": self.how}, curves=self.learned_frame())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what was learnt; raises `ArtifactError` for the files of another baseline."""
        state, curves = artifact.read(folder, kind=cls.kind)
        if state.get("how", cls.how) != cls.how:
            raise ArtifactError(f"{folder}: holds the baseline {state['how']!r}, expected {cls.how!r}")
        found = cls()
        found.closed_ = int(state["closed"])
        found.restore(curves)
        return found


def count_closed(table: pd.DataFrame) -> int:
    """Deals of a training table that were seen closing."""
    return int((table.loc[table[IS_ENTRY].to_numpy(bool), EVENT] > 0).sum())


class AalenJohansenBaseline(CloseTimeBaseline):
    """Cumulative incidences conditional on the age of the deal, with competing outcomes, censoring and delayed entry."""

    how = "one curve for all deals, given their age"

    def training_table(self, snapshot: Snapshot) -> pd.DataFrame:
        """One row per deal: its entry; see `table.training_table`."""
        return entry_table(snapshot)

    def fit(self, table: pd.DataFrame) -> Self:
        """Estimate the curve from the entries of a training table."""
        self.curves_, self.closed_ = LandmarkCurves.fit(table, by_stage=False), count_closed(table)
        return self

    def learned_daily(self, inputs: Columns) -> Floats:
        """See `CloseTimeBaseline.learned_daily`; uses the age only."""
        return age_daily(self.curves_.overall, inputs.floats(AGE))

    def learned_frame(self) -> pd.DataFrame:
        """The curve."""
        return self.curves_.frame()

    def restore(self, frame: pd.DataFrame) -> None:
        """Read the curve."""
        self.curves_ = LandmarkCurves.from_frame(frame)
