"""How many trees the learners get, and how much to trust them beside the landmark curves: settled by deals held out.

Learners and curves are fitted on part of the deals and judged on the others' landmarks. The weight that minimises the integrated Brier
score of the blend there has a closed form and, with deals as the independent units, a standard error; it is drawn towards a prior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.arrays import Columns
from predictkpi.features.deal_asof import Floats
from predictkpi.predictors.close_time.boosting import Boosting, rounds_of
from predictkpi.predictors.close_time.curves import LandmarkCurves
from predictkpi.predictors.close_time.design import Design
from predictkpi.predictors.close_time.direct import Direct
from predictkpi.predictors.close_time.hazard import Hazard
from predictkpi.predictors.close_time.learner import by_parts, mean_daily
from predictkpi.predictors.close_time.spec import HORIZONS
from predictkpi.predictors.close_time.table import DURATION, EVENT, IS_SAMPLED, OBSERVED

HELD_OUT = 0.3
PRIOR_WEIGHT = 0.7
PRIOR_SPREAD = 0.15
"""Standard deviation of the weight before any evidence: a measured weight counts by how much surer it is."""
FEWEST_ROUNDS = 20


@dataclass(frozen=True)
class Stack:
    """``weight`` of the learners' mean beside the curves, in [0, 1], and the rounds each learner is given."""

    weight: float
    hazard_rounds: int
    direct_rounds: int


def settle(table: pd.DataFrame, settings: Boosting, design: Design) -> Stack:
    """Hold out a share of the deals and find the rounds and the weight that serve them best."""
    deals = np.sort(table[c.ENTITY_ID].unique())
    chosen = np.random.default_rng(settings.seed).random(len(deals)) < HELD_OUT
    is_held = table[c.ENTITY_ID].isin(deals[chosen]).to_numpy()
    kept = table[~is_held].reset_index(drop=True)
    held = table[is_held & table[IS_SAMPLED].to_numpy(bool)].reset_index(drop=True)
    hazard = Hazard.fit(kept, settings, design, held_out=held)
    direct = Direct.fit(kept, settings, design, held_out=held)
    inputs = Columns.of(held)
    learnt = by_parts(lambda part: mean_daily((hazard, direct), part), inputs)[:, 0]
    curves = LandmarkCurves.fit(kept, by_stage=True).daily(inputs)[:, 0]
    rounds = (max(rounds_of(booster), FEWEST_ROUNDS) for booster in (hazard.booster, direct.booster))
    return Stack(shrunk_weight(held, learnt, curves), *rounds)


def shrunk_weight(held: pd.DataFrame, learnt: Floats, curves: Floats) -> float:
    """Least-squares weight of ``learnt`` against ``curves`` (daily won incidences of the held-out landmarks), drawn to the prior.

    Only horizons that were watched to their end count, each by the days since the one before.
    """
    gain, size = np.zeros(len(held)), np.zeros(len(held))
    duration, observed = held[DURATION].to_numpy(float), held[OBSERVED].to_numpy(float)
    for horizon, width in zip(HORIZONS, np.diff([0, *HORIZONS]), strict=True):
        won = (held[EVENT].to_numpy() == 1) & (duration < horizon)
        mature = width * (observed >= horizon)
        apart = learnt[:, horizon] - curves[:, horizon]
        gain += mature * (won - curves[:, horizon]) * apart
        size += mature * apart**2
    by_deal = pd.DataFrame({"gain": gain, "size": size}).groupby(held[c.ENTITY_ID].to_numpy()).sum()
    total = float(by_deal["size"].sum())
    if total <= 0:
        return PRIOR_WEIGHT
    measured = float(by_deal["gain"].sum()) / total
    variance = float(((by_deal["gain"] - measured * by_deal["size"]) ** 2).sum()) / total**2
    trust = PRIOR_SPREAD**2 / (PRIOR_SPREAD**2 + variance)
    return float(np.clip(trust * measured + (1.0 - trust) * PRIOR_WEIGHT, 0.0, 1.0))
