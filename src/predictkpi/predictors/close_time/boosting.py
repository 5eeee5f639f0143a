"""Gradient boosting as both learners use it: three classes (open, won, lost), small trees, as many as held-out deals bear."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from predictkpi.core.compiled import compiled
from predictkpi.errors import SettingsError
from predictkpi.features.deal_asof import Floats, Ints

if TYPE_CHECKING:
    from lightgbm import Booster, Dataset

PATIENCE = 30
"""Rounds without a gain on held-out deals after which no more are tried."""
MAX_BIN = 127


@dataclass(frozen=True)
class Boosting:
    """Settings of the learners; see models/close_time.yaml."""

    rounds: int
    learning_rate: float
    leaves: int
    min_rows: int
    feature_fraction: float
    bagging_fraction: float
    l2: float
    negatives: float
    seed: int

    def with_rounds(self, rounds: int) -> Boosting:
        """The same with another number of trees."""
        return replace(self, rounds=rounds)

    def lightgbm(self) -> dict[str, Any]:
        """As LightGBM's parameters: one thread, deterministic."""
        return {
            "objective": "multiclass",
            "num_class": 3,
            "learning_rate": self.learning_rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": self.min_rows,
            "feature_fraction": self.feature_fraction,
            "bagging_fraction": self.bagging_fraction,
            "bagging_freq": 1,
            "lambda_l2": self.l2,
            "cat_smooth": 50.0,
            "cat_l2": 20.0,
            "max_bin": MAX_BIN,
            "num_threads": 1,
            "deterministic": True,
            "force_row_wise": True,
            "seed": self.seed,
            "verbosity": -1,
        }


@dataclass(frozen=True)
class Rows:
    """``matrix`` ``(n, m)``, the class of each row (0 open, 1 won, 2 lost) and its weight; which columns hold codes."""

    matrix: Floats
    outcome: Ints
    weight: Floats
    categorical: list[int]


def train(rows: Rows, settings: Boosting, *, held_out: Rows | None = None) -> Booster:
    """All rounds; with ``held_out`` rows (of other deals), as many as were best there. Raises `SettingsError` where LightGBM refuses."""
    import lightgbm as lgb

    parameters = {"num_threads": 1, "verbosity": -1, "max_bin": MAX_BIN}
    data = lgb.Dataset(rows.matrix, rows.outcome, weight=rows.weight, categorical_feature=rows.categorical, params=parameters)
    if held_out is None or not len(held_out.outcome):
        return _train(settings, data)
    watched = lgb.Dataset(held_out.matrix, held_out.outcome, weight=held_out.weight, reference=data, params=parameters)
    stopping = lgb.early_stopping(PATIENCE, verbose=False)
    return _train(settings, data, valid_sets=[watched], callbacks=[stopping])


def _train(settings: Boosting, data: Dataset, **watching: Any) -> Booster:
    import lightgbm as lgb

    try:
        return lgb.train(settings.lightgbm(), data, num_boost_round=settings.rounds, **watching)
    except lgb.basic.LightGBMError as error:
        raise SettingsError(f"close_time: LightGBM refuses to learn with {settings}: {error}") from error


def rounds_of(booster: Booster) -> int:
    """Trees a class that the booster predicts with."""
    return booster.best_iteration if booster.best_iteration > 0 else booster.current_iteration()


@compiled
def softmax(scores: Floats, chances: Floats) -> None:
    """Fill in the probabilities that three scores stand for; both are ``(3,)``."""
    highest = max(scores[0], scores[1], scores[2])
    for cause in range(3):
        chances[cause] = np.exp(scores[cause] - highest)
    total = chances[0] + chances[1] + chances[2]
    for cause in range(3):
        chances[cause] /= total
