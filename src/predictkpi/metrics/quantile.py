"""Scores of quantiles and intervals: pure functions on arrays (Gneiting & Raftery, 2007)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def pinball(y: npt.ArrayLike, q: npt.ArrayLike, level: float) -> Floats:
    """Pinball loss of the quantile forecast ``q`` at ``level`` in (0, 1), one per observation, in the unit of ``y``."""
    if not 0 < level < 1:
        raise ValueError(f"level={level}: must lie between 0 and 1")
    missed = np.asarray(y, dtype=float) - np.asarray(q, dtype=float)
    return np.maximum(level * missed, (level - 1) * missed)


def crps_from_quantiles(y: npt.ArrayLike, quantiles: npt.ArrayLike, levels: npt.ArrayLike) -> Floats:
    """Continuous ranked probability score from finitely many quantiles, one per observation, in the unit of ``y``.

    Parameters: ``y`` (n,), ``quantiles`` (n, k), ``levels`` (k,) increasing in (0, 1). CRPS is twice the integral of the pinball
    loss over the level; here each level stands for the levels nearer to it than to its neighbours, so they may be unevenly spaced.
    """
    actual, values, at = np.asarray(y, dtype=float), np.asarray(quantiles, dtype=float), np.asarray(levels, dtype=float)
    if values.shape != (len(actual), len(at)):
        raise ValueError(
            f"quantiles have shape {values.shape}; {len(actual)} observations and {len(at)} levels need {(len(actual), len(at))}"
        )
    if not len(at) or np.any(np.diff(at) <= 0) or at[0] <= 0 or at[-1] >= 1:
        raise ValueError(f"levels={at.tolist()}: must increase and lie between 0 and 1")
    edges = np.concatenate([[0.0], (at[1:] + at[:-1]) / 2, [1.0]])
    missed = actual[:, None] - values
    return 2 * np.maximum(at * missed, (at - 1) * missed) @ np.diff(edges)


def coverage(y: npt.ArrayLike, lo: npt.ArrayLike, hi: npt.ArrayLike) -> float:
    """Share of observations inside ``[lo, hi]``, bounds included; NaN for none."""
    actual = np.asarray(y, dtype=float)
    inside = (np.asarray(lo, dtype=float) <= actual) & (actual <= np.asarray(hi, dtype=float))
    return float(inside.mean()) if inside.size else float("nan")


def winkler(y: npt.ArrayLike, lo: npt.ArrayLike, hi: npt.ArrayLike, level: float) -> Floats:
    """Interval score of the central interval holding ``level`` in (0, 1), one per observation, in the unit of ``y``.

    Its width, plus ``2 / (1 - level)`` times the distance by which an observation lies outside. Divided by
    `point.seasonal_naive_scale` and averaged it is the MSIS.
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level}: must lie between 0 and 1")
    actual, low, high = np.asarray(y, dtype=float), np.asarray(lo, dtype=float), np.asarray(hi, dtype=float)
    outside = np.maximum(low - actual, 0) + np.maximum(actual - high, 0)
    return high - low + 2 / (1 - level) * outside
