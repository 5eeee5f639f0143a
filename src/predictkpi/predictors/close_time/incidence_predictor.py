"""What model and baseline have in common: daily cumulative incidences, from which every statistic follows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.arrays import Columns, Records, Texts
from predictkpi.core.types import Readiness
from predictkpi.features.incidence import Floats
from predictkpi.features.new_deals import NewDeal
from predictkpi.predictors.close_time.histories import Histories
from predictkpi.predictors.close_time.level import DEFAULT_SPREAD
from predictkpi.predictors.close_time.outcomes import outcomes_of
from predictkpi.predictors.close_time.spec import SPEC
from predictkpi.predictors.close_time.statistics import Predicted
from predictkpi.predictors.close_time.table import FISCAL, cohort_inputs, readiness_of
from predictkpi.protocol import EntityAnswer, Predictor
from predictkpi.snapshot import Snapshot

if TYPE_CHECKING:
    from predictkpi.predictors.close_time.explain import Explained


class IncidencePredictor(Predictor):
    """A close-time predictor: whoever says `daily` and `caveats` gives every statistic at every horizon."""

    spec = SPEC
    level_spread_: float = DEFAULT_SPREAD
    """Standard deviation of the common log-odds shock of all deals; see `level`."""

    def __init__(self) -> None:
        self._histories = Histories()

    @abstractmethod
    def daily(self, inputs: Columns) -> Floats:
        """Cumulative incidences of won and lost before each day 0..180 after as_of, given open now: ``(n, 2, 181)``, never falling."""

    @abstractmethod
    def caveats(self, inputs: Columns) -> tuple[Texts, Texts]:
        """Status and reason of each deal, ``(n,)`` each."""

    def readiness(self, snapshot: Snapshot) -> Readiness:
        """See `Predictor.readiness`."""
        return readiness_of(snapshot)

    def features(self, snapshot: Snapshot, entity_ids: Sequence[str] | None = None) -> Columns:
        """`Predictor.inputs` as plain columns; what one snapshot's deals share is worked out once."""
        return cohort_inputs(self._histories.of(snapshot, entity_ids), entity_ids)

    def predicted(self, inputs: Columns, horizons: Sequence[int] | None = None, *, daily: Floats | None = None) -> Predicted:
        """Every statistic: any number of days up to 180 may be a horizon; 180 also brings the statistics of the whole deal.

        ``daily``: of these inputs, where it is known.
        """
        self.check_horizons(horizons or ())
        daily = self.daily(inputs) if daily is None else daily
        return Predicted.of(inputs, daily, *self.caveats(inputs), horizons=self.spec.horizons if horizons is None else horizons)

    def inputs(self, snapshot: Snapshot, *, entity_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """See `Predictor.inputs`."""
        return self.features(snapshot, entity_ids).frame()

    def predict_inputs(self, inputs: pd.DataFrame) -> pd.DataFrame:
        """See `Predictor.predict_inputs`."""
        return self.predicted(Columns.of(inputs)).frame()

    def predict_at(self, inputs: pd.DataFrame, horizons: Sequence[int]) -> pd.DataFrame:
        """See `Predictor.predict_at` and `predicted`."""
        return self.predicted(Columns.of(inputs), horizons).frame()

    def answer_for(self, snapshot: Snapshot, *, entity_ids: Sequence[str], horizons: Sequence[int] | None = None) -> list[EntityAnswer]:
        """See `Predictor.answer_for`: no frame on the way."""
        return self.predicted(self.features(snapshot, entity_ids), horizons).answers()

    def explained(self, inputs: Columns, *, daily: Floats | None = None) -> Explained | None:
        """`explain` without a frame on the way; None where there are no reasons to give. ``daily`` as in `predicted`."""
        return None

    def features_of_new(self, snapshot: Snapshot, deals: Sequence[NewDeal]) -> Records:
        """`features` of deals that the snapshot does not know, as if they were added to it; raises `DealClosedError` for a closed one."""
        new = self._histories.new_deals(snapshot)
        rows = [new.features(deal) | {c.ENTITY_ID: deal.deal_id} for deal in deals]
        return Records(rows, same={c.AS_OF: new.as_of, FISCAL: snapshot.company.fiscal_year_starts})

    def outcomes(self, later: Snapshot, *, as_of: pd.Timestamp) -> pd.DataFrame:
        """See `Predictor.outcomes`."""
        return outcomes_of(later, as_of)
