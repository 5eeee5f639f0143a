"""Are probabilities what they say? Pure functions of what happened (0 or 1) and what was predicted.

Bins hold about equally many predictions; equal predictions are never torn apart, so the result does not depend on the order of rows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def calibration_table(happened: npt.ArrayLike, predicted: npt.ArrayLike, *, bins: int = 10) -> pd.DataFrame:
    """One row per bin that holds any: ``bin, n, predicted`` (mean), ``observed`` (share that happened)."""
    actual, probability = _pair(happened, predicted)
    frame = pd.DataFrame({"bin": _bin(probability, bins), "predicted": probability, "observed": actual})
    table = frame.groupby("bin").agg(n=("predicted", "size"), predicted=("predicted", "mean"), observed=("observed", "mean"))
    return table.reset_index()


def expected_calibration_error(happened: npt.ArrayLike, predicted: npt.ArrayLike, *, bins: int = 10) -> float:
    """Mean over predictions of their bin's ``|observed - predicted|``; NaN without predictions.

    Perfect probabilities do not score 0 either: see `calibration_noise_floor`.
    """
    actual, probability = _pair(happened, predicted)
    if not len(actual):
        return float("nan")
    return float(_errors(actual[None, :], probability, _bin(probability, bins))[0])


def calibration_noise_floor(predicted: npt.ArrayLike, *, bins: int = 10, simulations: int = 200, random_state: int = 0) -> float:
    """The calibration error that perfect probabilities would show on this many outcomes: mean over outcomes drawn from them."""
    probability = np.asarray(predicted, dtype=float)
    if not len(probability):
        return float("nan")
    draws = np.random.default_rng(random_state).random((simulations, len(probability))) < probability
    return float(_errors(draws.astype(float), probability, _bin(probability, bins)).mean())


def observed_expected(happened: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Number that happened over number expected: 1 is right in total, 2 means twice as many as said; NaN if none was expected."""
    actual, probability = _pair(happened, predicted)
    expected = probability.sum()
    return float(actual.sum() / expected) if expected > 0 else float("nan")


def _pair(happened: npt.ArrayLike, predicted: npt.ArrayLike) -> tuple[Floats, Floats]:
    actual, probability = np.asarray(happened, dtype=float), np.asarray(predicted, dtype=float)
    if actual.shape != probability.shape or actual.ndim != 1:
        raise ValueError(f"outcomes have shape {actual.shape}, probabilities {probability.shape}; both must be flat and alike")
    if np.isnan(actual).any() or np.isnan(probability).any():
        raise ValueError("outcomes and probabilities must not be missing")
    return actual, probability


def _bin(probability: Floats, bins: int) -> Ints:
    if not len(probability):
        return np.zeros(0, np.int64)
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(edges, probability, side="right").astype(np.int64)


def _errors(happened: Floats, probability: Floats, bin_of: Ints) -> Floats:
    """Calibration errors of many sets of outcomes ``(m, n)`` of the same predictions: ``(m,)``."""
    order = np.argsort(bin_of, kind="stable")
    starts = np.flatnonzero(np.diff(bin_of[order], prepend=-1))
    gaps = np.add.reduceat((happened - probability)[:, order], starts, axis=1)
    return np.abs(gaps).sum(axis=1) / len(probability)
