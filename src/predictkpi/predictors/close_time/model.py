"""The close-time predictor: two boosted learners blended with landmark Aalen-Johansen curves, as far as the data carries.

The ladder by closed deals: none, a labelled assumption; below 40, one Aalen-Johansen curve; below 300, curves by stage and days in stage;
from 300 on the mean of a hazard and a direct classifier joins, with a weight learnt on deals held out (see `stacking`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.arrays import Columns, Texts
from predictkpi.core.types import Status
from predictkpi.errors import ArtifactError, SettingsError
from predictkpi.features.incidence import Floats
from predictkpi.predictors.close_time import artifact
from predictkpi.predictors.close_time.baseline import AalenJohansenBaseline
from predictkpi.predictors.close_time.baselines import further_baselines
from predictkpi.predictors.close_time.boosting import Boosting
from predictkpi.predictors.close_time.curves import LandmarkCurves, prior_daily
from predictkpi.predictors.close_time.design import Design
from predictkpi.predictors.close_time.direct import Direct
from predictkpi.predictors.close_time.explain import EXPLAINED_HORIZON, Explained, Explainer, UsualDeal
from predictkpi.predictors.close_time.hazard import Hazard
from predictkpi.predictors.close_time.incidence_predictor import IncidencePredictor
from predictkpi.predictors.close_time.learner import by_parts, mean_daily
from predictkpi.predictors.close_time.level import DEFAULT_SPREAD, level_spread
from predictkpi.predictors.close_time.notes import Notes
from predictkpi.predictors.close_time.parts import DealParts
from predictkpi.predictors.close_time.reasons import title_of
from predictkpi.predictors.close_time.spec import FULL_FROM, LIMITED_FROM
from predictkpi.predictors.close_time.stacking import settle
from predictkpi.predictors.close_time.statistics import close_quantile
from predictkpi.predictors.close_time.table import EVENT, IS_ENTRY, rung, training_table
from predictkpi.protocol import Predictor, worst
from predictkpi.snapshot import Snapshot

EXPECTED_FIELDS = (c.STAGE, c.AMOUNT, c.OWNER)
FEW_CLOSED = 10.0
"""Closed deals that the general assumption is worth against the curve of very few."""


class CloseTimePredictor(IncidencePredictor):
    """When each open deal will close, and whether it will be won. Settings are explained in models/close_time.yaml."""

    def __init__(
        self,
        *,
        random_state: int = 0,
        landmark_budget: int = 20_000,
        landmark_rate: float = 0.3,
        rounds: int = 300,
        learning_rate: float = 0.05,
        leaves: int = 7,
        min_rows: int = 100,
        feature_fraction: float = 0.5,
        bagging_fraction: float = 0.8,
        l2: float = 5.0,
        negatives: float = 0.25,
        attributes: int = 30,
    ) -> None:
        super().__init__()
        self._explainer: Explainer | None = None
        self._noted: Notes | None = None
        self.random_state = random_state
        self.landmark_budget = landmark_budget
        self.landmark_rate = landmark_rate
        self.rounds = rounds
        self.learning_rate = learning_rate
        self.leaves = leaves
        self.min_rows = min_rows
        self.feature_fraction = feature_fraction
        self.bagging_fraction = bagging_fraction
        self.l2 = l2
        self.negatives = negatives
        self.attributes = attributes
        if attributes < 0:
            raise SettingsError(
                f"close_time: attributes={attributes}: must not be below 0, which learns from none of the company's own fields"
            )

    def training_table(self, snapshot: Snapshot) -> pd.DataFrame:
        """One row per landmark of a deal; see `table.training_table`."""
        return training_table(snapshot, budget=self.landmark_budget, max_rate=self.landmark_rate, seed=self.random_state)

    @property
    def parts(self) -> DealParts:
        """See `Predictor.parts`."""
        return DealParts(budget=self.landmark_budget, max_rate=self.landmark_rate, seed=self.random_state)

    def fit(self, table: pd.DataFrame) -> Self:
        """Learn the rung of the ladder that the number of closed deals allows."""
        first = table[table[IS_ENTRY].to_numpy(bool)]
        self.closed_ = int((first[EVENT] > 0).sum())
        self.deals_ = len(first)
        self.curves_ = LandmarkCurves.fit(table, by_stage=self.closed_ >= LIMITED_FROM)
        self.hazard_, self.direct_, self.weight_ = None, None, 0.0
        if self.closed_ >= FULL_FROM:
            design, settings = Design.choose(table, most_attributes=self.attributes), self._boosting()
            stack = settle(table, settings, design)
            self.hazard_ = Hazard.fit(table, settings.with_rounds(stack.hazard_rounds), design)
            self.direct_ = Direct.fit(table, settings.with_rounds(stack.direct_rounds), design)
            self.weight_ = stack.weight
            self.usual_ = UsualDeal.of(table, self.hazard_, self.direct_, self.curves_)
        self.level_spread_ = level_spread(table, self.daily) if self.closed_ >= LIMITED_FROM else DEFAULT_SPREAD
        self.expected_fields_ = [name for name in EXPECTED_FIELDS if len(table) and table[name].notna().mean() > 0.5]
        return self

    def daily(self, inputs: Columns) -> Floats:
        """Cumulative incidences of won and lost before each day 0..180 after as_of: ``(n, 2, 181)``."""
        return by_parts(self._daily, inputs)

    def _daily(self, inputs: Columns) -> Floats:
        if not self.closed_:
            return prior_daily(len(inputs))
        curves = self.curves_.daily(inputs)
        if self.closed_ < LIMITED_FROM:
            own = self.closed_ / (self.closed_ + FEW_CLOSED)
            return own * curves + (1.0 - own) * prior_daily(len(inputs))
        if self.hazard_ is None or self.direct_ is None:
            return curves
        return self.weight_ * mean_daily((self.hazard_, self.direct_), inputs) + (1.0 - self.weight_) * curves

    @property
    def purpose(self) -> str:
        """See `Predictor.purpose`."""
        return "When each open deal will close and whether it will be won, for planning, for ranking and for writing back to the CRM."

    @property
    def limits(self) -> tuple[str, ...]:
        """See `Predictor.limits`."""
        return (
            "Chances hold for many deals together: one deal of 70 % is lost three times in ten.",
            "Nothing is promised beyond 180 days.",
            "It judges deals, not people: do not use it to rate sales representatives.",
        )

    def fields_barred(self) -> dict[str, str]:
        """See `Predictor.fields_barred`."""
        return dict(self.hazard_.design.attributes.refused) if self.hazard_ else {}

    def explain(self, inputs: pd.DataFrame) -> pd.DataFrame:
        """Why a deal's chance to be won within 90 days, and the median day of its win, differ from the usual deal's; see `Explainer`.

        Empty below the rung of the learners: curves by stage and age are their own reason.
        """
        found = self.explained(Columns.of(inputs))
        return super().explain(inputs) if found is None else found.frame()

    def explained(self, inputs: Columns, *, daily: Floats | None = None) -> Explained | None:
        """`explain` without a frame; None where that is empty. ``daily`` as in `predicted`."""
        if self.hazard_ is None or self.direct_ is None or not len(inputs):
            return None
        won = (self.daily(inputs) if daily is None else daily)[:, 0]
        explainer = self._explainer
        if explainer is None or explainer.usual is not self.usual_:
            explainer = self._explainer = Explainer(self.hazard_, self.direct_, self.curves_, self.weight_, self.usual_)
        median = np.nan_to_num(close_quantile(won, np.array([0.5]))[:, 0])
        return explainer.explain(inputs, won=won[:, EXPLAINED_HORIZON], median=median)

    def reason_title(self, feature: str, language: str = "en") -> str:
        """See `Predictor.reason_title`."""
        return title_of(feature, language)

    def baseline(self) -> Predictor:
        """One Aalen-Johansen curve for all deals."""
        return AalenJohansenBaseline()

    def baselines(self) -> dict[str, Predictor]:
        """See `Predictor.baselines`: also curves by stage, what a CRM computes, and the rep's own date."""
        return super().baselines() | further_baselines(
            landmark_budget=self.landmark_budget, landmark_rate=self.landmark_rate, random_state=self.random_state
        )

    def save(self, folder: Path) -> None:
        """Write settings, curves and booster."""
        state: dict[str, Any] = {"settings": self._settings()}
        state |= {"closed": self.closed_, "deals": self.deals_, "weight": self.weight_, "expected_fields": self.expected_fields_}
        state["level_spread"] = self.level_spread_
        boosters = {}
        if self.hazard_ and self.direct_:
            state |= {"design": self.hazard_.design.to_state()}
            state |= {"last_period": {"hazard": self.hazard_.last_period, "direct": self.direct_.last_period}}
            boosters = {name: learner.booster.model_to_string() for name, learner in (("hazard", self.hazard_), ("direct", self.direct_))}
            self.usual_.frame().to_parquet(folder / artifact.USUAL, index=False)
        artifact.write(folder, kind=self.kind, state=state, curves=self.curves_.frame(), boosters=boosters)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read settings, curves and booster."""
        state, curves = artifact.read(folder, kind=cls.kind)
        try:
            found = cls(**state["settings"])
            found.closed_, found.deals_, found.weight_ = state["closed"], state["deals"], state["weight"]
            found.expected_fields_ = state["expected_fields"]
            found.level_spread_ = state.get("level_spread", DEFAULT_SPREAD)
            found.curves_ = LandmarkCurves.from_frame(curves)
            found.hazard_, found.direct_ = _read_learners(folder, state) if "design" in state else (None, None)
            if found.hazard_:
                found.usual_ = UsualDeal.from_frame(artifact.read_usual(folder))
        except (KeyError, TypeError) as error:
            raise ArtifactError(f"{folder}: the saved state is incomplete: {error}") from error
        return found

    def _settings(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.endswith("_") and not name.startswith("_")}

    def _boosting(self) -> Boosting:
        return Boosting(
            rounds=self.rounds,
            learning_rate=self.learning_rate,
            leaves=self.leaves,
            min_rows=self.min_rows,
            feature_fraction=self.feature_fraction,
            bagging_fraction=self.bagging_fraction,
            l2=self.l2,
            negatives=self.negatives,
            seed=self.random_state,
        )

    def caveats(self, inputs: Columns) -> tuple[Texts, Texts]:
        """Status and reason of each deal: the rung of the ladder, lowered by what is missing or unheard of."""
        ladder = rung(self.closed_, self.deals_)
        statuses, reasons = np.empty((2, len(inputs)), object)
        lowered = worst(ladder.status, Status.LIMITED).value
        for deal, notes in enumerate(self._notes(inputs)):
            statuses[deal] = lowered if notes else ladder.status.value
            reasons[deal] = "; ".join([ladder.reason, *notes] if ladder.reason else notes)
        return statuses, reasons

    def _notes(self, inputs: Columns) -> Iterator[list[str]]:
        notes = self._noted
        if notes is None or notes.hazard is not self.hazard_ or notes.expected is not self.expected_fields_:
            notes = self._noted = Notes(self.expected_fields_, self.hazard_)
        return notes.of(inputs)


def _read_learners(folder: Path, state: dict[str, Any]) -> tuple[Hazard, Direct]:
    design, last = Design.from_state(state["design"]), state["last_period"]
    hazard, direct = (artifact.read_booster(folder, name) for name in ("hazard", "direct"))
    return Hazard(hazard, design, last["hazard"]), Direct(direct, design, last["direct"])
