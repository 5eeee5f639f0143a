"""Have the inputs of a predictor changed more than they do anyway? Pure.

Rows of a cohort are not independent (the same customers are in it a month later), and some inputs change by their nature: accounts age, a
season ends. No table gives the distribution of a distance between two such cohorts, and a fixed limit fits no sample size. So the yardstick
is the company's own past: the same distance between cohorts as far apart as these two, at many pairs of dates before the model learnt. What
is tested is the largest of all inputs' standardised distances, so however many inputs a predictor has, it is one test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

FEWEST_PAIRS = 12
_EULER = 0.5772156649
# A tail learnt from few pairs is taken to be so much longer: simulated, inputs of even and of skewed distances keep their level then.
_FOR_FEW = 4.0
# Standard deviation of the limit of the two-sample Kolmogorov-Smirnov statistic, times sqrt(1/n + 1/m): no distance is surer than that.
_SD_OF_SAMPLING = 0.26


@dataclass(frozen=True)
class Change:
    """How far an input has moved beside how far it usually does; ``score`` in standard deviations of its past distances."""

    name: str
    distance: float
    usual: float
    score: float


@dataclass(frozen=True)
class DriftTest:
    """``p_value`` of the largest change under "as ever"; ``threshold`` is the score at which it falls below ``level``; largest first."""

    p_value: float
    threshold: float
    changes: tuple[Change, ...]

    @property
    def is_changed(self) -> bool:
        """Whether the largest change lies beyond the threshold."""
        return bool(self.changes) and self.changes[0].score > self.threshold


def distance(reference: pd.Series, current: pd.Series) -> float:
    """Between two samples of one input, from 0 (same distribution) to 1 (nothing in common); NaN where one is empty.

    Numbers, flags and instants: the largest gap between the two distribution functions (Kolmogorov-Smirnov), a missing value standing
    below every other. Text: half the summed differences of the shares (total variation), missing being a value of its own.
    """
    if not len(reference) or not len(current):
        return float("nan")
    if reference.dtype.kind in "fiubmM" and current.dtype.kind in "fiubmM":
        return _largest_gap(_ordered(reference), _ordered(current))
    values, n = np.concatenate([reference.to_numpy(dtype=object), current.to_numpy(dtype=object)]), len(reference)
    codes, _ = pd.factorize(values, use_na_sentinel=False)
    counts = [np.bincount(part, minlength=int(codes.max()) + 1) for part in (codes[:n], codes[n:])]
    return float(np.abs(counts[0] / n - counts[1] / len(current)).sum() / 2)


def largest_change(names: Sequence[str], now: npt.ArrayLike, past: npt.ArrayLike, *, level: float, noise: float, signed: bool) -> DriftTest:
    """Is the largest of today's distances one that the past would show with a probability of at most ``level``?

    ``now`` (n_inputs,), ``past`` (n_pairs, n_inputs), at least `FEWEST_PAIRS` of them; ``signed`` values are scored by their size. Each
    pair, today's included, is standardised by all the others, so that all are scored alike; the largest scores of the past give the tail
    (Gumbel, by moments). ``noise`` is the least that any distance varies: see `sampling_noise`.
    """
    values = np.vstack([np.asarray(now, dtype=float), np.asarray(past, dtype=float)])
    usable = np.isfinite(values).all(axis=0)
    if not usable.any():
        return DriftTest(1.0, float("inf"), ())
    values = values[:, usable]
    means, sd = _of_the_others(values)
    scores = (np.abs(values - means) if signed else values - means) / np.sqrt(sd**2 + noise**2)
    largest = scores.max(axis=1)
    scale = max(float(largest[1:].std(ddof=1)) * np.sqrt(6) / np.pi, 1e-9)
    place = float(largest[1:].mean()) - _EULER * scale
    scale *= 1 + _FOR_FEW / (len(values) - 1)
    p_value = -np.expm1(-np.exp(-(largest[0] - place) / scale))
    threshold = place - scale * np.log(-np.log1p(-level))
    kept = [name for name, is_usable in zip(names, usable, strict=True) if is_usable]
    found = zip(kept, values[0], means[0], scores[0], strict=True)
    changes = sorted((Change(name, *map(float, figures)) for name, *figures in found), key=lambda change: (-change.score, change.name))
    return DriftTest(float(p_value), float(threshold), tuple(changes))


def sampling_noise(n: int, m: int) -> float:
    """Standard deviation of the distance between two samples of so many rows that chance alone brings about."""
    return _SD_OF_SAMPLING * float(np.sqrt(1 / n + 1 / m)) if n and m else 1.0


def _of_the_others(values: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of all rows but that one, each (n_rows, n_inputs)."""
    n = len(values)
    means = (values.sum(axis=0) - values) / (n - 1)
    squares = ((values**2).sum(axis=0) - values**2) / (n - 1) - means**2
    return means, np.sqrt(np.maximum(squares, 0.0) * (n - 1) / (n - 2))


def _ordered(values: pd.Series) -> Floats:
    numbers = values.astype("int64").where(values.notna()) if values.dtype.kind in "mM" else values
    return np.sort(np.nan_to_num(numbers.to_numpy(dtype=float), nan=-np.inf, posinf=np.inf, neginf=-np.inf))


def _largest_gap(one: Floats, other: Floats) -> float:
    grid = np.concatenate([one, other])
    gaps = np.searchsorted(one, grid, side="right") / len(one) - np.searchsorted(other, grid, side="right") / len(other)
    return float(np.abs(gaps).max())
