"""What model and baseline have in common: daily cumulative incidences, from which every statistic follows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core.types import Readiness
from predictkpi.features.incidence import Floats
from predictkpi.predictors.close_time.histories import Histories
from predictkpi.predictors.close_time.level import DEFAULT_SPREAD
from predictkpi.predictors.close_time.outcomes import outcomes_of
from predictkpi.predictors.close_time.spec import SPEC
from predictkpi.predictors.close_time.statistics import predictions
from predictkpi.predictors.close_time.table import cohort_inputs, readiness_of
from predictkpi.protocol import Predictor
from predictkpi.snapshot import Snapshot


class IncidencePredictor(Predictor):
    """A close-time predictor: whoever says `daily` and `caveats` gives every statistic at every horizon."""

    spec = SPEC
    level_spread_: float = DEFAULT_SPREAD
    """Standard deviation of the common log-odds shock of all deals; see `level`."""

    def __init__(self) -> None:
        self._histories = Histories()

    @abstractmethod
    def daily(self, inputs: pd.DataFrame) -> Floats:
        """Cumulative incidences of won and lost before each day 0..180 after as_of, given open now: ``(n, 2, 181)``, never falling."""

    @abstractmethod
    def caveats(self, inputs: pd.DataFrame) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]]:
        """Status and reason of each deal, ``(n,)`` each."""

    def readiness(self, snapshot: Snapshot) -> Readiness:
        """See `Predictor.readiness`."""
        return readiness_of(snapshot)

    def inputs(self, snapshot: Snapshot, *, entity_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """See `Predictor.inputs`; what one snapshot's deals share is worked out once."""
        return cohort_inputs(self._histories.of(snapshot, entity_ids), entity_ids)

    def predict_inputs(self, inputs: pd.DataFrame) -> pd.DataFrame:
        """See `Predictor.predict_inputs`."""
        return self.predict_at(inputs, self.spec.horizons)

    def predict_at(self, inputs: pd.DataFrame, horizons: Sequence[int]) -> pd.DataFrame:
        """See `Predictor.predict_at`: any number of days up to 180; 180 also brings the statistics of the whole deal."""
        self.check_horizons(horizons)
        return predictions(inputs, self.daily(inputs), *self.caveats(inputs), horizons=horizons)

    def outcomes(self, later: Snapshot, *, as_of: pd.Timestamp) -> pd.DataFrame:
        """See `Predictor.outcomes`."""
        return outcomes_of(later, as_of)
