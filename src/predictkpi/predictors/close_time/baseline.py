"""The baseline every report shows: one Aalen-Johansen curve for all deals, given only how old a deal is."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core.types import Status
from predictkpi.features.deal_history import AGE
from predictkpi.features.incidence import Floats
from predictkpi.predictors.close_time import artifact
from predictkpi.predictors.close_time.curves import LandmarkCurves, age_daily, prior_daily
from predictkpi.predictors.close_time.incidence_predictor import IncidencePredictor
from predictkpi.predictors.close_time.table import EVENT, entry_table, rung
from predictkpi.snapshot import Snapshot


class AalenJohansenBaseline(IncidencePredictor):
    """Cumulative incidences conditional on the age of the deal, with competing outcomes, censoring and delayed entry."""

    kind = "baseline"

    def training_table(self, snapshot: Snapshot) -> pd.DataFrame:
        """One row per deal: its entry; see `table.training_table`."""
        return entry_table(snapshot)

    def fit(self, table: pd.DataFrame) -> Self:
        """Estimate the curve from the entries of a training table (the model's tables serve as well)."""
        self.curves_ = LandmarkCurves.fit(table, by_stage=False)
        self.closed_ = int((table.loc[table["is_entry"].astype(bool), EVENT] > 0).sum())
        return self

    def daily(self, inputs: pd.DataFrame) -> Floats:
        """See `IncidencePredictor.daily`; uses the age only."""
        return age_daily(self.curves_.overall, inputs[AGE].to_numpy(float)) if self.closed_ else prior_daily(len(inputs))

    def caveats(self, inputs: pd.DataFrame) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]]:
        """See `IncidencePredictor.caveats`."""
        status = Status.BASELINE if self.closed_ else Status.PRIOR
        reason = "one curve for all deals, given their age" if self.closed_ else rung(0, 0).reason
        return np.full(len(inputs), status.value, object), np.full(len(inputs), reason, object)

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
