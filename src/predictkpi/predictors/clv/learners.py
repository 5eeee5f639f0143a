"""What the purchase model cannot see, learnt from what past cohorts did next: two boosters over a customer's whole rhythm of buying.

One learns net spend (Tweedie deviance of power 1.5: many zeros, a long tail), the other purchases (Poisson), which a few giant orders
cannot mislead. Both learn the shape only: which customer more and which less. The level of a total is a matter of its own (`level`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from predictkpi.errors import SettingsError
from predictkpi.features import rfm
from predictkpi.features.purchase_days import Floats
from predictkpi.features.purchase_rhythm import RHYTHM_COLUMNS
from predictkpi.predictors.clv.table import ACCOUNT_DAYS, CATEGORIES

if TYPE_CHECKING:
    from lightgbm import Booster

NUMBERS = (rfm.FREQUENCY, rfm.RECENCY, rfm.T, ACCOUNT_DAYS, *RHYTHM_COLUMNS)
FEWEST_OF_A_VALUE = 50
"""Rows that a category must have to be told apart."""
ROWS_FOR_THREADS = 2000
"""Customers from which more than one thread answers; learning always takes one, so that it is the same anywhere."""
Target = Literal["spend", "purchases"]
_OBJECTIVES: Mapping[Target, dict[str, Any]] = {
    "spend": {"objective": "tweedie", "tweedie_variance_power": 1.5},
    "purchases": {"objective": "poisson"},
}


@dataclass(frozen=True)
class Boosting:
    """Settings of the learners; see models/clv.yaml."""

    rounds: int
    learning_rate: float
    leaves: int
    min_rows: int
    l2: float
    seed: int

    def parameters(self, target: Target) -> dict[str, Any]:
        """As LightGBM's: one thread, deterministic."""
        return _OBJECTIVES[target] | {
            "learning_rate": self.learning_rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": self.min_rows,
            "lambda_l2": self.l2,
            "feature_fraction": 0.7,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "cat_smooth": 50.0,
            "num_threads": 1,
            "deterministic": True,
            "force_row_wise": True,
            "seed": self.seed,
            "verbosity": -1,
        }


def known_values(rows: pd.DataFrame) -> dict[str, list[str]]:
    """Values of each of `CATEGORIES` that have support, by code."""
    counts = {name: rows[name].value_counts() for name in CATEGORIES}
    return {name: sorted(found.index[(found >= FEWEST_OF_A_VALUE) & (found.index != "")]) for name, found in counts.items()}


def matrix(rows: pd.DataFrame, categories: Mapping[str, Sequence[str]]) -> Floats:
    """``(n, n_features)``: `NUMBERS`, then a code per category, NaN where it is unknown."""
    codes = [pd.Index(values).get_indexer(pd.Index(rows[name])) for name, values in categories.items()]
    return np.column_stack([rows[list(NUMBERS)].to_numpy(float), *(np.where(code >= 0, code, np.nan) for code in codes)])


def learn(features: Floats, y: Floats, target: Target, settings: Boosting) -> Booster:
    """A booster of ``y`` (not negative), scaled to mean 1 so that no currency matters."""
    import lightgbm as lgb

    places = list(range(len(NUMBERS), features.shape[1]))
    data = lgb.Dataset(features, y / max(float(y.mean()), 1e-12), categorical_feature=places, params={"verbosity": -1, "num_threads": 1})
    try:
        return lgb.train(settings.parameters(target), data, num_boost_round=settings.rounds)
    except lgb.basic.LightGBMError as error:
        raise SettingsError(f"clv: LightGBM refuses to learn with {settings}: {error}") from error


def answer(booster: Booster, features: Floats) -> Floats:
    """Predictions ``(n,)`` in units of the mean that was learnt from."""
    threads = 1 if len(features) < ROWS_FOR_THREADS else os.cpu_count() or 1
    return np.asarray(booster.predict(features, num_threads=threads)) if len(features) else np.zeros(0)
