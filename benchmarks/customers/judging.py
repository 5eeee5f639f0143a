"""Scores of predicted customer value against what came true, with customers as the independent units.

Every measure is a function of sums over customers, so a resample of customers is a vector of weights: `Resampled` sorts once by each
prediction and weighs. Definitions are those of `predictkpi.metrics.ranking`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from predictkpi.metrics.ranking import calibration_slope, normalised_gini, randomised_pit, total_bias

Floats = npt.NDArray[np.float64]
DRAWS = 1000
_AT_ONCE = 40
GROUP_SIZES = (100, 500)
LEVEL = 0.8
_GROUPS = 200


@dataclass
class Answer:
    """A model's answer for the cohort of a split, row by row as in `datasets.Split.actual`.

    ``mean`` (n,) expected net spend; ``purchases`` (n,) expected purchase days, where the model knows; ``draws`` (n, n_draws) of net spend,
    where it has any: a column is one joint future of all customers, so that a group's total is the sum down a column. ``note`` says what
    was chosen, or why there is no answer (``mean`` is then empty).
    """

    mean: Floats
    purchases: Floats | None = None
    draws: npt.NDArray[np.floating] | None = None
    note: str = ""
    cpu_seconds: float = 0.0

    @property
    def missing(self) -> bool:
        """No answer, for the reason in ``note``."""
        return not len(self.mean)


def point_scores(actual: Floats, predicted: Floats) -> dict[str, float]:
    """Order, errors, total and slope of actual on predicted."""
    error = predicted - actual
    return {
        "gini": normalised_gini(actual, predicted),
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "bias": total_bias(actual, predicted),
        "slope": calibration_slope(actual, predicted),
    }


def interval_scores(actual: Floats, draws: npt.NDArray[np.floating], *, seed: int = 0) -> dict[str, float]:
    """Coverage of the 80 % interval by randomised PIT: per customer, and of the totals of random groups of each of `GROUP_SIZES`."""
    found = {"coverage80": central_coverage(actual, draws)}
    rng = np.random.default_rng(seed)
    for size in GROUP_SIZES:
        if size < len(actual):
            members = np.stack([rng.choice(len(actual), size, replace=False) for _ in range(_GROUPS)])
            totals = np.stack([draws[group].sum(axis=0, dtype=float) for group in members])
            found[f"groups{size}"] = central_coverage(actual[members].sum(axis=1), totals)
    inside = central_coverage(actual.sum(keepdims=True), draws.sum(axis=0, keepdims=True, dtype=float))
    return found | {"whole_base": inside}


def central_coverage(actual: Floats, draws: npt.NDArray[np.floating], *, level: float = LEVEL) -> float:
    """Expected share of randomised PIT values in the central interval of ``level``, over all random numbers that could break the ties."""
    low, high = (randomised_pit(actual, draws, np.full(len(actual), edge)) for edge in (0.0, 1.0))
    tail = (1.0 - level) / 2.0
    inside = np.clip(np.minimum(high, 1.0 - tail) - np.maximum(low, tail), 0.0, None)
    point = ((low >= tail) & (low <= 1.0 - tail)).astype(float)
    return float(np.divide(inside, high - low, out=point, where=high > low).mean())


def resamples(n: int, *, draws: int = DRAWS, seed: int = 0) -> Iterator[Floats]:
    """How often each customer is drawn: all once in the first row, then ``draws`` resamples with replacement, some rows at a time."""
    yield np.ones((1, n))
    rng = np.random.default_rng(seed)
    for start in range(0, draws, _AT_ONCE):
        rows = min(_AT_ONCE, draws - start)
        yield np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(rows)]).astype(float)


class _SortedGini:
    """Gini of ``actual`` in a fixed order, for many weights at once; equal predictions are one straight step."""

    def __init__(self, actual: Floats, order_by: Floats) -> None:
        self._order = np.argsort(-order_by, kind="stable")
        ordered = order_by[self._order]
        self._starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        self._value = actual[self._order]

    def __call__(self, weights: Floats) -> Floats:
        """(m,) for weights (m, n)."""
        sorted_weights = weights[:, self._order]
        weight = np.add.reduceat(sorted_weights, self._starts, axis=1)
        value = np.add.reduceat(sorted_weights * self._value, self._starts, axis=1)
        up = np.cumsum(value, axis=1)
        area = ((2.0 * up - value) * weight).sum(axis=1)
        return area / (weight.sum(axis=1) * up[:, -1]) - 1.0


@dataclass
class Resampled:
    """Measures of several models on the same resamples of customers; index 0 of each array is the cohort itself."""

    gini: dict[str, Floats] = field(default_factory=dict)
    mae: dict[str, Floats] = field(default_factory=dict)
    rmse: dict[str, Floats] = field(default_factory=dict)
    bias: dict[str, Floats] = field(default_factory=dict)

    @classmethod
    def of(cls, actual: Floats, predicted: dict[str, Floats], *, draws: int = DRAWS, seed: int = 0) -> Resampled:
        """All models of ``predicted``, each (n,)."""
        perfect, orders = _SortedGini(actual, actual), {name: _SortedGini(actual, values) for name, values in predicted.items()}
        columns = {name: np.column_stack([np.abs(p - actual), (p - actual) ** 2, p]) for name, p in predicted.items()}
        parts: dict[str, list[tuple[Floats, ...]]] = {name: [] for name in predicted}
        for weights in resamples(len(actual), draws=draws, seed=seed):
            best, total, count = perfect(weights), weights @ actual, weights.sum(axis=1)
            for name in predicted:
                absolute, square, expected = (weights @ columns[name]).T
                ratios = (orders[name](weights) / best, absolute / count, np.sqrt(square / count), expected / total - 1.0)
                parts[name].append(ratios)
        found = cls()
        for name, chunks in parts.items():
            found.gini[name], found.mae[name], found.rmse[name], found.bias[name] = (
                np.concatenate(part) for part in zip(*chunks, strict=True)
            )
        return found

    def differences(self, ours: str, reference: str) -> dict[str, Floats]:
        """Ours minus the reference: Gini in points, errors as a share of the reference's, size of the total's error; on every resample."""
        return {
            "gini_gain": self.gini[ours] - self.gini[reference],
            "mae_change": self.mae[ours] / self.mae[reference] - 1.0,
            "rmse_change": self.rmse[ours] / self.rmse[reference] - 1.0,
            "bias_change": np.abs(self.bias[ours]) - np.abs(self.bias[reference]),
        }

    def against(self, ours: str, reference: str) -> dict[str, float]:
        """`differences` with 95 % limits."""
        found = {}
        for name, values in self.differences(ours, reference).items():
            found |= with_limits(name, values)
        return found


def with_limits(name: str, values: Floats) -> dict[str, float]:
    """Value on the cohort, the first one, and the middle 95 % of the resamples, as ``name``, ``name_low`` and ``name_high``."""
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return {name: float(values[0]), f"{name}_low": float(low), f"{name}_high": float(high)}
