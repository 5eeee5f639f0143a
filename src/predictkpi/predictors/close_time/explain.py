"""Why this deal, and not the usual one: signed reasons that add up to prediction minus baseline.

The learners' scores (logits) are sums over features (TreeSHAP; Lundberg et al., From local explanations to global understanding with
explainable AI for trees, 2020), but a chance to win within 90 days is no sum of scores. It is therefore followed along the straight way
from the usual deal to this one, and each step's change is shared out by how fast each reason alone moves it: the Aumann-Shapley value
(Aumann & Shapley, Values of Non-Atomic Games, 1974; integrated gradients). The usual deal has the mean scores of the training landmarks
in each period, and their mean Aalen-Johansen curve.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.arrays import Columns
from predictkpi.core.compiled import compiled
from predictkpi.features.deal_asof import Floats, Ints
from predictkpi.predictors.close_time.curves import LandmarkCurves
from predictkpi.predictors.close_time.direct import Direct, direct_incidence
from predictkpi.predictors.close_time.hazard import Hazard, hazard_incidence
from predictkpi.predictors.close_time.periods import ENDS, LENGTHS, Seen
from predictkpi.predictors.close_time.reasons import DEAL_AGE, STAGE, TIME_IN_STAGE
from predictkpi.predictors.close_time.spec import LAST_DAY
from predictkpi.protocol import BASELINE

EXPLAINED_HORIZON = 90
STATISTICS = ((EXPLAINED_HORIZON, "cif_won"), (LAST_DAY, "close_q50"))
"""Horizon and name of what is explained."""
STEPS = 8
REFERENCE_ROWS = 200
"""Training landmarks that the usual deal is the mean of, spread evenly over the table."""
AT_HORIZON = int(np.flatnonzero(ENDS == EXPLAINED_HORIZON)[0])
COLUMNS = [c.ENTITY_ID, c.AS_OF, c.HORIZON, c.STATISTIC, "feature", "contribution"]


@dataclass(frozen=True)
class UsualDeal:
    """Mean TreeSHAP values ``(n_periods, 3, n_features + 1)`` of each learner, and mean curve incidences ``(2, n_periods)``."""

    hazard: Floats
    direct: Floats
    curve: Floats

    @classmethod
    def of(cls, rows: pd.DataFrame, hazard: Hazard, direct: Direct, curves: LandmarkCurves) -> Self:
        """The mean over evenly spread rows of a training table."""
        chosen = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), REFERENCE_ROWS)).astype(int))].reset_index(drop=True)
        inputs = Columns.of(chosen)
        seen, overall = Seen.of(inputs, hazard.design), curves.parts(inputs)[0]
        of_hazard, of_direct = (learner.contributions_by_feature(seen).mean(axis=0) for learner in (hazard, direct))
        return cls(of_hazard, of_direct, overall.mean(axis=0)[:, ENDS])

    def frame(self) -> pd.DataFrame:
        """As one long table; `from_frame` reads it."""
        parts = [
            pd.DataFrame({"part": name, "value": getattr(self, name).ravel(), "width": getattr(self, name).shape[-1]})
            for name in ("hazard", "direct", "curve")
        ]
        return pd.concat(parts, ignore_index=True)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Self:
        """Inverse of `frame`."""
        by_part = {str(name): part for name, part in frame.groupby("part")}
        shapes = {"hazard": (len(ENDS), 3), "direct": (len(ENDS), 3), "curve": (2,)}
        return cls(**{name: by_part[name]["value"].to_numpy(float).reshape(*shape, -1) for name, shape in shapes.items()})


@dataclass(frozen=True)
class Explained:
    """``values`` ``(len(names) + 1, 2, n)``: by reason (the last is `BASELINE`) and statistic (`STATISTICS`); they add up over reasons."""

    names: list[str]
    values: Floats
    inputs: Columns

    def of_row(self, row: int) -> Iterator[tuple[str, int, str, float]]:
        """Statistic, horizon, reason and contribution of one deal."""
        for number, (horizon, statistic) in enumerate(STATISTICS):
            for name, value in zip(self.names, self.values[:, number, row].tolist(), strict=True):
                yield statistic, horizon, name, value

    def frame(self) -> pd.DataFrame:
        """`COLUMNS`: one row per deal, statistic and reason."""
        return _long(self.inputs, self.names, self.values)


@dataclass(frozen=True)
class Explainer:
    """The blend taken apart: ``weight`` of the learners' mean beside the curves."""

    hazard: Hazard
    direct: Direct
    curves: LandmarkCurves
    weight: float
    usual: UsualDeal

    @cached_property
    def usual_by_reason(self) -> list[Floats]:
        """The usual deal's TreeSHAP values by reason of each learner, ``(1, len(reasons), n_periods, 3)``."""
        pairs = ((self.hazard, self.usual.hazard), (self.direct, self.usual.direct))
        return [learner.by_reason(mean[..., :-1].transpose(2, 0, 1)[None]) for learner, mean in pairs]

    def explain(self, inputs: Columns, *, won: Floats, median: Floats) -> Explained:
        """Reasons for ``won`` and ``median`` ``(n,)``, the predictions to be explained."""
        way = _Way.of(self, inputs)
        start, found = way.at(0.0), way.shared_out()
        found += _shared_out(np.stack([won, median]) - start - found.sum(axis=0), found)
        return Explained([*way.names, BASELINE], np.concatenate([found, start[None]]), inputs)


@dataclass(frozen=True)
class _Way:
    """The straight way from the usual deal to each of these: where it starts, and each reason's part of it.

    ``scores`` ``(2, n_periods, 3)`` of the usual deal by learner and its ``curve`` ``(n_periods,)``; ``parts`` ``(2, n, n_names, n_periods,
    3)`` and ``bends`` ``(n, n_names, n_periods)`` lead from there to the deals.
    """

    names: list[str]
    scores: Floats
    curve: Floats
    parts: Floats
    bends: Floats
    weight: float
    last_period: int

    @classmethod
    def of(cls, explainer: Explainer, inputs: Columns) -> Self:
        learners, usual = (explainer.hazard, explainer.direct), (explainer.usual.hazard, explainer.usual.direct)
        seen, curve = Seen.of(inputs, explainer.hazard.design), explainer.usual.curve
        # the curve's part, at the period ends: age first, then the stage, then the time in it
        overall, of_stage, of_cell = (part[:, 0, ENDS] for part in explainer.curves.parts(inputs))
        curve_parts = {DEAL_AGE: overall - curve[0], STAGE: of_stage - overall, TIME_IN_STAGE: of_cell - of_stage}
        names = sorted({*learners[0].reasons, *learners[1].reasons, *curve_parts})
        parts, bends = np.zeros((2, len(inputs), len(names), len(ENDS), 3)), np.zeros((len(inputs), len(names), len(ENDS)))
        for number, (learner, mean) in enumerate(zip(learners, explainer.usual_by_reason, strict=True)):
            at = [names.index(name) for name in learner.reasons]
            parts[number][:, at] = learner.contributions(seen) - mean
        for name, part in curve_parts.items():
            bends[:, names.index(name)] = part
        scores = np.stack([mean.sum(axis=-1) for mean in usual])
        return cls(names, scores, curve[0], parts, bends, explainer.weight, explainer.hazard.last_period)

    def at(self, share: float) -> Floats:
        """Chance to win by the explained horizon, and median day of a win, ``(2, n)``, so far along the way: 1 is the prediction."""
        return _at(share, self.scores, self.curve, self.parts, self.bends, self.weight, self.last_period, LENGTHS)

    def shared_out(self) -> Floats:
        """What each reason alone moves, step by step along the way: ``(n_names, 2, n)``."""
        return _shared_by_steps(self.scores, self.curve, self.parts, self.bends, self.weight, self.last_period, LENGTHS)


@compiled
def _at(
    share: float, scores: Floats, curve: Floats, parts: Floats, bends: Floats, weight: float, last_period: int, lengths: Ints
) -> Floats:
    n, names = bends.shape[:2]
    found = np.empty((2, n))
    for deal in range(n):
        point, bent = scores.copy(), curve.copy()
        for name in range(names):
            for learner in range(2):
                point[learner] += share * parts[learner, deal, name]
            bent += share * bends[deal, name]
        found[0, deal], found[1, deal] = _values(point, bent, weight, last_period, lengths)
    return found


@compiled
def _shared_by_steps(scores: Floats, curve: Floats, parts: Floats, bends: Floats, weight: float, last_period: int, lengths: Ints) -> Floats:
    n, names = bends.shape[:2]
    found, half = np.zeros((names, 2, n)), 0.5 / STEPS
    for deal in range(n):
        for step in range(STEPS):
            share = (step + 0.5) / STEPS
            point, bent = scores.copy(), curve.copy()
            for name in range(names):
                for learner in range(2):
                    point[learner] += share * parts[learner, deal, name]
                bent += share * bends[deal, name]
            for name in range(names):
                move, bend = half * parts[:, deal, name], half * bends[deal, name]
                high = _values(point + move, bent + bend, weight, last_period, lengths)
                low = _values(point - move, bent - bend, weight, last_period, lengths)
                found[name, 0, deal] += high[0] - low[0]
                found[name, 1, deal] += high[1] - low[1]
    return found


@compiled
def _values(scores: Floats, curve: Floats, weight: float, last_period: int, lengths: Ints) -> tuple[float, float]:
    """Chance to win by the explained horizon, and the day by which half of all wins have come, from scores ``(2, n_periods, 3)``."""
    hazard, direct = hazard_incidence(scores[0:1], last_period, lengths), direct_incidence(scores[1:2])
    won = np.empty(len(curve))
    before = 0.0
    for period in range(len(curve)):
        learnt = (hazard[0, 0, period] + direct[0, 0, period]) / 2
        before = max(weight * learnt + (1.0 - weight) * curve[period], before)
        won[period] = before
    wanted, after = won[-1] / 2, 0
    while after < len(won) - 1 and won[after] < wanted:
        after += 1
    low, start = (won[after - 1], lengths[:after].sum()) if after else (0.0, 0)
    step = won[after] - low
    return won[AT_HORIZON], start + ((wanted - low) / step if step > 0 else 0.0) * lengths[after]


def _shared_out(rest: Floats, found: Floats) -> Floats:
    """What the steps left over (and interpolation inside a period), by the size of each contribution."""
    size = np.abs(found) + 1e-12
    return rest * size / size.sum(axis=0)


def _long(inputs: Columns, names: list[str], values: Floats) -> pd.DataFrame:
    n, width = len(inputs), len(names)
    parts = [
        pd.DataFrame(
            {
                c.ENTITY_ID: np.repeat(inputs[c.ENTITY_ID], width),
                c.AS_OF: np.repeat(inputs[c.AS_OF], width),
                c.HORIZON: horizon,
                c.STATISTIC: statistic,
                "feature": np.tile(np.asarray(names, object), n),
                "contribution": values[:, number].T.ravel(),
            },
            columns=COLUMNS,
        )
        for number, (horizon, statistic) in enumerate(STATISTICS)
    ]
    return pd.concat(parts, ignore_index=True)
