"""The baseline every report shows: one Aalen-Johansen curve for all deals, given only how old a deal is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from predictkpi.core.types import Readiness, Status
from predictkpi.features.deal_history import AGE
from predictkpi.predictors.close_time import artifact
from predictkpi.predictors.close_time.curves import LandmarkCurves, age_daily, prior_daily
from predictkpi.predictors.close_time.histories import Histories
from predictkpi.predictors.close_time.spec import SPEC
from predictkpi.predictors.close_time.statistics import predictions
from predictkpi.predictors.close_time.table import EVENT, cohort_inputs, entry_table, outcomes_of, readiness_of, rung
from predictkpi.protocol import Predictor
from predictkpi.snapshot import Snapshot


class AalenJohansenBaseline(Predictor):
    """Cumulative incidences conditional on the age of the deal, with competing outcomes, censoring and delayed entry."""

    spec = SPEC
    kind = "baseline"

    def __init__(self) -> None:
        self._histories = Histories()

    def readiness(self, snapshot: Snapshot) -> Readiness:
        """See `Predictor.readiness`."""
        return readiness_of(snapshot)

    def training_table(self, snapshot: Snapshot) -> pd.DataFrame:
        """One row per deal: its entry; see `table.training_table`."""
        return entry_table(snapshot)

    def fit(self, table: pd.DataFrame) -> Self:
        """Estimate the curve from the entries of a training table (the model's tables serve as well)."""
        self.curves_ = LandmarkCurves.fit(table, by_stage=False)
        self.closed_ = int((table.loc[table["is_entry"].astype(bool), EVENT] > 0).sum())
        return self

    def inputs(self, snapshot: Snapshot, *, entity_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """See `Predictor.inputs`; the same columns as the model's."""
        return cohort_inputs(self._histories.of(snapshot, entity_ids), entity_ids)

    def predict_inputs(self, inputs: pd.DataFrame) -> pd.DataFrame:
        """See `Predictor.predict_inputs`; uses the age only."""
        n = len(inputs)
        daily = age_daily(self.curves_.overall, inputs[AGE].to_numpy(float)) if self.closed_ else prior_daily(n)
        status = Status.BASELINE if self.closed_ else Status.PRIOR
        reason = "one curve for all deals, given their age" if self.closed_ else rung(0, 0).reason
        return predictions(inputs, daily, np.full(n, status.value, object), np.full(n, reason, object))

    def outcomes(self, later: Snapshot, *, as_of: pd.Timestamp) -> pd.DataFrame:
        """See `Predictor.outcomes`."""
        return outcomes_of(later, as_of)

    def save(self, folder: Path) -> None:
        """Write the curve."""
        artifact.write(folder, kind=self.kind, state={"closed": self.closed_}, curves=self.curves_.frame())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the curve."""
        state, curves = artifact.read(folder, kind=cls.kind)
        found = cls()
        found.curves_, found.closed_ = LandmarkCurves.from_frame(curves), int(state["closed"])
        return found
