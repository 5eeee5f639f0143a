"""The learnt shape of one span: how much more or less than the purchase model says each customer will bring.

Spend learner, purchase learner (times the expected value of a purchase) and purchase model are averaged with weights that serve
customers held out best (stacking: Wolpert, 1992, Neural Networks 5), drawn halfway to equal ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import nnls

from predictkpi.core import columns as c
from predictkpi.features.purchase_days import Floats
from predictkpi.predictors.clv.learners import Boosting, answer, known_values, learn, matrix
from predictkpi.predictors.clv.purchase_model import PurchaseModel
from predictkpi.predictors.clv.table import BOUGHT, SPENT

if TYPE_CHECKING:
    from lightgbm import Booster

FOLDS = 3
MOST_COHORTS = 5
"""Past cohorts that are learnt from: older ones bought in another time."""


@dataclass(frozen=True)
class Cohort:
    """Customers with a purchase at a past cutoff: their ``rows``, what the purchase model of that day ``expected`` within the span, what
    it held a purchase to be worth, and what came (``spent``, ``purchases``); all ``(n,)``."""

    rows: pd.DataFrame
    expected: Floats
    value: Floats
    spent: Floats
    purchases: Floats
    expected_purchases: Floats

    @classmethod
    def of(cls, rows: pd.DataFrame, model: PurchaseModel, span: int) -> Cohort:
        """From training rows of one cutoff whose span is over."""
        counts, value = model.counts(rows, np.array([float(span)]))[:, 0], model.value(rows)
        spent, purchases = (rows[f"{name}{span}"].to_numpy(float) for name in (SPENT, BOUGHT))
        return cls(rows, counts * value, value, spent, purchases, counts)

    @property
    def ratio(self) -> float:
        """Actual over expected total; 1 where either is nothing."""
        return _over(self.spent.sum(), self.expected.sum())

    @property
    def ratio_error(self) -> float:
        """Standard error of the log of `ratio`, by leaving out each customer in turn (jackknife); infinite where one decides it alone.

        Efron & Tibshirani, An Introduction to the Bootstrap, 1993, (11.5).
        """
        n, spent, expected = len(self.rows), self.spent.sum() - self.spent, self.expected.sum() - self.expected
        if n < 2 or (spent <= 0).any() or (expected <= 0).any():
            return float("inf")
        return float(np.sqrt((n - 1) * np.log(spent / expected).var()))


@dataclass(frozen=True)
class Blend:
    """``weights`` of spend learner, purchase learner and purchase model, summing to 1; ``scales`` bring either learner's total to the
    purchase model's, on the cohort that was learnt for. Customers of whom more than ``largest`` is expected are left to the purchase
    model: fewer of them than a leaf needs were seen, so no tree can tell them apart."""

    span: int
    spend: Booster
    purchases: Booster
    categories: dict[str, list[str]]
    weights: tuple[float, float, float]
    scales: tuple[float, float]
    largest: float

    @classmethod
    def fit(cls, span: int, cohorts: Sequence[Cohort], now: pd.DataFrame, model: PurchaseModel, settings: Boosting) -> Blend:
        """Learn from past cohorts (newest first) for the customers of ``now``, whose purchase model is ``model``."""
        cohorts = cohorts[:MOST_COHORTS]
        rows = pd.concat([cohort.rows for cohort in cohorts], ignore_index=True)
        categories = known_values(rows)
        features = matrix(rows, categories)
        spent = np.concatenate([np.maximum(cohort.spent, 0.0) / cohort.ratio for cohort in cohorts])
        ratios = [_over(cohort.purchases.sum(), cohort.expected_purchases.sum()) for cohort in cohorts]
        purchases = np.concatenate([cohort.purchases / ratio for cohort, ratio in zip(cohorts, ratios, strict=True)])
        value, expected = (np.concatenate([getattr(cohort, name) for cohort in cohorts]) for name in ("value", "expected"))
        held = np.zeros((len(rows), 2))
        fold = _folds(rows[c.ENTITY_ID], settings.seed)
        for number in range(FOLDS):
            inside = fold == number
            held[inside, 0] = answer(learn(features[~inside], spent[~inside], "spend", settings), features[inside])
            held[inside, 1] = answer(learn(features[~inside], purchases[~inside], "purchases", settings), features[inside])
        held[:, 1] *= value
        held *= expected.sum() / np.maximum(held.sum(axis=0), 1e-12)
        weights = stacked(np.column_stack([held, expected]), spent)
        boosters = learn(features, spent, "spend", settings), learn(features, purchases, "purchases", settings)
        largest = float(np.sort(expected)[-min(settings.min_rows, len(expected))])
        due = model.counts(now, np.array([float(span)]))[:, 0] * model.value(now)
        seen = due <= largest
        today, worth = matrix(now[seen], categories), model.value(now[seen])
        raw = answer(boosters[0], today).sum(), (answer(boosters[1], today) * worth).sum()
        scales = _over(due[seen].sum(), raw[0]), _over(due[seen].sum(), raw[1])
        return cls(span, *boosters, categories, weights, scales, largest)

    def ratio(self, bought: pd.DataFrame, expected: Floats, value: Floats) -> Floats:
        """What each customer brings over what the purchase model ``expected`` of the span: ``(n,)``."""
        features = matrix(bought, self.categories)
        spend, purchases = answer(self.spend, features) * self.scales[0], answer(self.purchases, features) * value * self.scales[1]
        whole = self.weights[0] * spend + self.weights[1] * purchases + self.weights[2] * expected
        return np.divide(whole, expected, out=np.ones(len(whole)), where=(expected > 0) & (expected <= self.largest))


def stacked(held: Floats, y: Floats) -> tuple[float, float, float]:
    """Weights of the columns of ``held`` (n, 3), not negative and summing to 1, halfway between the least squares' and equal ones."""
    found, _ = nnls(held, y)
    best = found / found.sum() if found.sum() > 0 else np.full(3, 1 / 3)
    spend, purchases, model = (float(weight) for weight in (best + 1 / 3) / 2)
    return spend, purchases, model


def _folds(ids: pd.Series, seed: int) -> npt.NDArray[np.int64]:
    """A customer's rows are all in one fold."""
    code = pd.factorize(ids)[0]
    return np.random.default_rng(seed).permutation(int(code.max(initial=-1)) + 1)[code] % FOLDS


def _over(part: float, whole: float) -> float:
    return float(part / whole) if part > 0 and whole > 0 else 1.0
