"""The other rules a deal's close is forecast by: stage and time in stage, what a CRM computes, and what the rep wrote down.

All are shown beside the model. A probability that a company configured for its stages is used where its deals bring it along, as the
own field `CONFIGURED`; otherwise a stage's win rate is the one its own closed deals had.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.arrays import Columns, is_text
from predictkpi.features.attributes import OF_DEALS
from predictkpi.features.deal_history import AGE, TO_EXPECTED
from predictkpi.features.deal_outcomes import WINS
from predictkpi.features.incidence import Floats
from predictkpi.predictors.close_time.baseline import CloseTimeBaseline, count_closed
from predictkpi.predictors.close_time.curves import DAYS, NO_STAGE, LandmarkCurves
from predictkpi.predictors.close_time.table import DURATION, EVENT, IS_ENTRY, training_table
from predictkpi.protocol import Predictor
from predictkpi.snapshot import Snapshot

ALL_STAGES = "(all)"
CONFIGURED = "probability"
"""Own field of deals with the chance of a win that the CRM shows, in percent or as a share: what its stage is configured to mean."""


class _OnLandmarks(CloseTimeBaseline):
    """Learns from landmarks; the settings are the model's, so that its table serves."""

    def __init__(self, *, landmark_budget: int = 20_000, landmark_rate: float = 0.3, random_state: int = 0) -> None:
        super().__init__()
        self.landmark_budget = landmark_budget
        self.landmark_rate = landmark_rate
        self.random_state = random_state

    def training_table(self, snapshot: Snapshot) -> pd.DataFrame:
        """One row per landmark of a deal; see `table.training_table`."""
        return training_table(snapshot, budget=self.landmark_budget, max_rate=self.landmark_rate, seed=self.random_state)


class StageCurvesBaseline(_OnLandmarks):
    """Landmark Aalen-Johansen by stage and days in stage: see `LandmarkCurves`."""

    how = "curves by stage and days in stage"

    def fit(self, table: pd.DataFrame) -> Self:
        """Estimate the curves from sampled landmarks."""
        self.curves_, self.closed_ = LandmarkCurves.fit(table, by_stage=True), count_closed(table)
        return self

    def learned_daily(self, inputs: Columns) -> Floats:
        """See `CloseTimeBaseline.learned_daily`."""
        return self.curves_.daily(inputs)

    def learned_frame(self) -> pd.DataFrame:
        """The curves."""
        return self.curves_.frame()

    def restore(self, frame: pd.DataFrame) -> None:
        """Read the curves."""
        self.curves_ = LandmarkCurves.from_frame(frame)


class StageWinRateBaseline(_OnLandmarks):
    """What a CRM does: a deal closes when it is as old as won deals were on average, and is won with its stage's win rate.

    The win rate of a stage is the share of won among the closed deals that have a landmark in it; all stages' for a stage that no closed
    deal was in. The mean cycle is the mean age of won deals at their close. A deal that is older closes on the day of as_of: no rule
    names a day in the past. On that day it is won or lost: the rule gives no other.
    """

    how = "win rate of the stage, at the mean age of won deals"

    def fit(self, table: pd.DataFrame) -> Self:
        """Count closed deals by stage, and average the cycle of won ones."""
        self.closed_ = count_closed(table)
        first = table[table[IS_ENTRY].to_numpy(bool)]
        cycle = (first[AGE] + first[DURATION])[(first[EVENT] == WINS).to_numpy()]
        self.cycle_days_ = float(cycle.mean()) if len(cycle) else 0.0
        rows = table.loc[(table[EVENT] > 0).to_numpy(), [c.ENTITY_ID, c.STAGE, EVENT]].fillna({c.STAGE: NO_STAGE})
        by_stage = rows.drop_duplicates([c.ENTITY_ID, c.STAGE], keep="last").groupby(c.STAGE)[EVENT]
        self.win_rates_ = {str(stage): float((events == WINS).mean()) for stage, events in by_stage}
        self.win_rates_[ALL_STAGES] = len(cycle) / max(self.closed_, 1)
        return self

    def days_to_close(self, inputs: Columns) -> Floats:
        """Days from as_of to the one day the rule names: ``(n,)``, never negative."""
        return np.maximum(self.cycle_days_ - inputs.floats(AGE), 0.0)

    def p_win(self, inputs: Columns) -> Floats:
        """The win rate of each deal's stage: ``(n,)``."""
        others = self.win_rates_[ALL_STAGES]
        return np.array([self.win_rates_.get(stage or NO_STAGE, others) for stage in inputs[c.STAGE]], dtype=float)

    def learned_daily(self, inputs: Columns) -> Floats:
        """See `CloseTimeBaseline.learned_daily`: nothing before the day named, everything from its end on."""
        p_win, is_over = self.p_win(inputs), DAYS[None, :] > self.days_to_close(inputs)[:, None]
        return np.stack([p_win[:, None] * is_over, (1.0 - p_win)[:, None] * is_over], axis=1)

    def learned_frame(self) -> pd.DataFrame:
        """Win rate by stage, and the mean cycle in every row."""
        return pd.DataFrame({"stage": list(self.win_rates_), "win_rate": list(self.win_rates_.values()), "cycle_days": self.cycle_days_})

    def restore(self, frame: pd.DataFrame) -> None:
        """Read rates and cycle."""
        self.win_rates_ = dict(zip(frame["stage"].astype(str), frame["win_rate"].astype(float), strict=True))
        self.cycle_days_ = float(frame["cycle_days"].iloc[0])


class RepDateBaseline(StageWinRateBaseline):
    """What the CRM itself shows: the rep's own expected close date, and the configured chance of a win where deals hold one.

    A date that has passed counts as the day of as_of. What a deal lacks of the two is as `StageWinRateBaseline` has it.
    """

    how = "the day the rep expects, with the CRM's probability or else the win rate of the stage"

    def fit(self, table: pd.DataFrame) -> Self:
        """As `StageWinRateBaseline`, and see whether the CRM's probabilities are percentages: whether any is above 1."""
        super().fit(table)
        self.full_chance_ = (
            100.0
            if np.nan_to_num(_configured(Columns.of(table, [name for name in table if name == OF_DEALS + CONFIGURED]))).max(initial=0.0)
            > 1.0
            else 1.0
        )
        return self

    def p_win(self, inputs: Columns) -> Floats:
        """The CRM's probability, else the stage's win rate: ``(n,)``."""
        shown = np.clip(_configured(inputs) / self.full_chance_, 0.0, 1.0)
        return np.where(np.isnan(shown), super().p_win(inputs), shown)

    def days_to_close(self, inputs: Columns) -> Floats:
        """Days to the expected close date, never negative."""
        expected = np.maximum(inputs.floats(TO_EXPECTED), 0.0)
        return np.where(np.isnan(expected), super().days_to_close(inputs), expected)

    def learned_frame(self) -> pd.DataFrame:
        """See `StageWinRateBaseline.learned_frame`; what stands for certainty in every row."""
        return super().learned_frame().assign(full_chance=self.full_chance_)

    def restore(self, frame: pd.DataFrame) -> None:
        """Read rates, cycle and scale."""
        super().restore(frame)
        self.full_chance_ = float(frame["full_chance"].iloc[0])


def _configured(columns: Columns) -> Floats:
    """The own field `CONFIGURED` as it was known then; NaN where the company or the deal has none, or it is no number."""
    name = OF_DEALS + CONFIGURED
    return columns.floats(name) if name in columns and not is_text(columns[name]) else np.full(len(columns), np.nan)


def further_baselines(*, landmark_budget: int, landmark_rate: float, random_state: int) -> dict[str, Predictor]:
    """Unfitted baselines beside the overall curve, by the name reports show."""
    kinds: dict[str, type[_OnLandmarks]] = {
        "stage_curves": StageCurvesBaseline,
        "stage_win_rate": StageWinRateBaseline,
        "rep_date": RepDateBaseline,
    }
    return {
        name: kind(landmark_budget=landmark_budget, landmark_rate=landmark_rate, random_state=random_state) for name, kind in kinds.items()
    }
