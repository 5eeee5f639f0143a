"""Trees evaluated by our own loops say what LightGBM says, bit for bit."""

from __future__ import annotations

import lightgbm as lgb
import numpy as np
import pytest

from predictkpi.errors import ArtifactError
from predictkpi.predictors.close_time import forest
from predictkpi.predictors.close_time.forest import Forest

SHARED, OWN, PERIODS = 5, 3, 19


def table(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """``(shared (n, 5), own (n, 3, 19))``: missing values in three columns, codes (some never trained on) in one."""
    rng = np.random.default_rng(seed)
    shared, own = rng.normal(size=(n, SHARED)), rng.normal(size=(n, OWN, PERIODS))
    shared[:, 1] = rng.integers(0, 70 if seed else 40, n)
    shared[rng.random(n) < 0.2, 1] = np.nan
    shared[rng.random(n) < 0.3, 2] = np.nan
    own[rng.random(own.shape) < 0.1] = np.nan
    return shared, own


def rows(shared: np.ndarray, own: np.ndarray) -> np.ndarray:
    return np.concatenate([np.repeat(shared, PERIODS, axis=0), own.transpose(0, 2, 1).reshape(-1, OWN)], axis=1)


def fitted(**settings) -> lgb.Booster:
    shared, own = table(300, seed=0)
    matrix = rows(shared, own)
    code = np.nan_to_num(matrix[:, 1], nan=3.0).astype(int)
    score = np.nan_to_num(matrix[:, 0] + matrix[:, 5], nan=-1.0) + (code % 3 == 0)
    outcome = np.digitize(score + np.random.default_rng(1).normal(size=len(score)), [0.0, 1.0])
    parameters = {"objective": "multiclass", "num_class": 3, "num_threads": 1, "verbosity": -1, "max_cat_to_onehot": 2} | settings
    return lgb.train(parameters, lgb.Dataset(matrix, outcome, categorical_feature=[1]), num_boost_round=15)


@pytest.mark.parametrize("leaves", [2, 7, 31])
def test_scores__are_lightgbm_s_to_the_last_bit(leaves):
    booster = fitted(num_leaves=leaves)
    shared, own = table(80, seed=2)
    expected = np.asarray(booster.predict(rows(shared, own), raw_score=True)).reshape(-1, PERIODS, 3)
    trees = Forest.of(booster, shared=SHARED)
    assert trees.coded.size
    assert (trees.scores(shared, own) == expected).all()
    assert (np.concatenate([trees.scores(shared[at : at + 1], own[at : at + 1]) for at in range(80)]) == expected).all()


def test_short__holds_the_largest_number():
    assert (forest._short(65_535), forest._short(65_536)) == (np.uint16, np.uint32)


def test_scores__are_the_same_in_a_forest_too_large_for_short_numbers(monkeypatch):
    booster = fitted(num_leaves=31)
    shared, own = table(20, seed=2)
    small = Forest.of(booster, shared=SHARED)
    monkeypatch.setattr(forest, "_short", lambda most: np.uint32)
    large = Forest.of(booster, shared=SHARED)
    assert (small.children.dtype, large.children.dtype) == (np.uint16, np.uint32)
    assert (large.scores(shared, own) == small.scores(shared, own)).all()


def test_scores__of_trees_without_a_split_and_of_no_deal():
    booster = fitted(min_data_in_leaf=10_000)
    shared, own = table(3, seed=2)
    expected = np.asarray(booster.predict(rows(shared, own), raw_score=True)).reshape(-1, PERIODS, 3)
    trees = Forest.of(booster, shared=SHARED)
    assert not trees.children.size
    assert (trees.scores(shared, own) == expected).all()
    assert trees.scores(shared[:0], own[:0]).shape == (0, PERIODS, 3)


def test_scores__use_the_rounds_that_were_best():
    booster = fitted()
    booster.best_iteration = 4
    shared, own = table(5, seed=2)
    expected = np.asarray(booster.predict(rows(shared, own), raw_score=True, num_iteration=4)).reshape(-1, PERIODS, 3)
    assert (Forest.of(booster, shared=SHARED).scores(shared, own) == expected).all()


def test_of__refuses_trees_that_take_zero_for_missing():
    with pytest.raises(ArtifactError, match="zero"):
        Forest.of(fitted(zero_as_missing=True), shared=SHARED)
