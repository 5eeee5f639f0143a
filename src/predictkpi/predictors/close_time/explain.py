"""Why this deal, and not the usual one: signed reasons that add up to prediction minus baseline.

The learners' scores (logits) are sums over features (TreeSHAP; Lundberg et al., From local explanations to global understanding with
explainable AI for trees, 2020), but a chance to win within 90 days is no sum of scores. It is therefore followed along the straight way
from the usual deal to this one, and each step's change is shared out by how fast each reason alone moves it: the Aumann-Shapley value
(Aumann & Shapley, Values of Non-Atomic Games, 1974; integrated gradients). The usual deal has the mean scores of the training landmarks
in each period, and their mean Aalen-Johansen curve.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.arrays import Columns
from predictkpi.features.deal_asof import Floats
from predictkpi.predictors.close_time.curves import LandmarkCurves
from predictkpi.predictors.close_time.direct import Direct
from predictkpi.predictors.close_time.hazard import Hazard
from predictkpi.predictors.close_time.learner import Learner
from predictkpi.predictors.close_time.periods import ENDS, Seen
from predictkpi.predictors.close_time.reasons import DEAL_AGE, STAGE, TIME_IN_STAGE, reason_of
from predictkpi.predictors.close_time.spec import LAST_DAY
from predictkpi.protocol import BASELINE

EXPLAINED_HORIZON = 90
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
        return cls(_contributions(hazard, seen).mean(axis=0), _contributions(direct, seen).mean(axis=0), overall.mean(axis=0)[:, ENDS])

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
class Explainer:
    """The blend taken apart: ``weight`` of the learners' mean beside the curves."""

    hazard: Hazard
    direct: Direct
    curves: LandmarkCurves
    weight: float
    usual: UsualDeal

    def explain(self, inputs: Columns, *, won: Floats, median: Floats) -> pd.DataFrame:
        """`COLUMNS`: one row per deal, statistic (``cif_won`` by 90 days, ``close_q50``) and reason, and one each named ``baseline``.

        ``won`` and ``median`` ``(n,)`` are the predictions to be explained; all rows of a deal and statistic add up to them.
        """
        seen = Seen.of(inputs, self.hazard.design)
        ways = [_Way(self.hazard, seen, self.usual.hazard), _Way(self.direct, seen, self.usual.direct)]
        bends = self._bends(inputs)
        names = sorted({*ways[0].by_reason, *ways[1].by_reason, *bends})
        start = self._values(ways, bends, dict.fromkeys(names, 0.0))
        found = np.zeros((len(names), 2, len(inputs)))
        for step in range(STEPS):
            for number, name in enumerate(names):
                low, high = (dict.fromkeys(names, (step + 0.5) / STEPS) for _ in range(2))
                low[name], high[name] = step / STEPS, (step + 1) / STEPS
                found[number] += self._values(ways, bends, high) - self._values(ways, bends, low)
        total = np.stack([won, median]) - start
        found += _shared_out(total - found.sum(axis=0), found)
        return _long(inputs, [*names, BASELINE], np.concatenate([found, start[None]]))

    def _bends(self, inputs: Columns) -> dict[str, Floats]:
        """By reason, what it adds to the curve at the period ends ``(n, 2, n_periods)``: age first, then the stage, then the time in it."""
        overall, of_stage, of_cell = (part[:, :, ENDS] for part in self.curves.parts(inputs))
        return {DEAL_AGE: overall - self.usual.curve, STAGE: of_stage - overall, TIME_IN_STAGE: of_cell - of_stage}

    def _values(self, ways: list[_Way], bends: dict[str, Floats], share: dict[str, float]) -> Floats:
        """Chance to win by the explained horizon, and median day of a win, ``(2, n)``, with each reason present to its share."""
        learnt = sum(way.incidence(share)[:, 0] for way in ways) / 2
        curve = self.usual.curve[0] + sum(share[name] * bend[:, 0] for name, bend in bends.items())
        won = np.maximum.accumulate(np.maximum(self.weight * learnt + (1.0 - self.weight) * curve, 0.0), axis=1)
        return np.stack([won[:, AT_HORIZON], _median_day(won)])


class _Way:
    """The straight way of one learner's scores from the usual deal to each of these."""

    def __init__(self, learner: Learner, seen: Seen, usual: Floats) -> None:
        self._learner = learner
        self._start = usual.sum(axis=-1)
        difference = _contributions(learner, seen) - usual
        reasons = np.array([reason_of(name) for name in learner.feature_names])
        self.by_reason = {str(name): difference[..., :-1][..., reasons == name].sum(axis=-1) for name in np.unique(reasons)}

    def incidence(self, share: dict[str, float]) -> Floats:
        scores = self._start + sum(share[name] * part for name, part in self.by_reason.items())
        return self._learner.incidence(scores)


def _contributions(learner: Learner, seen: Seen) -> Floats:
    """TreeSHAP values ``(n, n_periods, 3, n_features + 1)``, the last of them the expected score."""
    values = np.asarray(learner.booster.predict(learner.matrix(seen), num_threads=1, pred_contrib=True))
    return values.reshape(len(seen.matrix), len(ENDS), 3, -1)


def _median_day(won: Floats) -> Floats:
    """Day by which half of all wins within `LAST_DAY` have come, from incidences at the period ends ``(n, n_periods)``."""
    days = np.concatenate([[0.0], ENDS.astype(float)])
    padded = np.concatenate([np.zeros((len(won), 1)), won], axis=1)
    wanted = padded[:, -1] / 2
    after = np.clip((padded < wanted[:, None]).sum(axis=1), 1, len(days) - 1)
    rows = np.arange(len(won))
    low, step = padded[rows, after - 1], padded[rows, after] - padded[rows, after - 1]
    within = np.divide(wanted - low, step, out=np.zeros(len(won)), where=step > 0)
    return days[after - 1] + within * (days[after] - days[after - 1])


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
        for number, (horizon, statistic) in enumerate(((EXPLAINED_HORIZON, "cif_won"), (LAST_DAY, "close_q50")))
    ]
    return pd.concat(parts, ignore_index=True)
