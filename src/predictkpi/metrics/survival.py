"""Scores of cumulative incidences: pure functions on arrays of shape ``(n_entities, n_horizons)``.

Horizons at which an outcome is not mature must be left out by the caller, or be NaN in
``happened``: a deal still open there has no outcome yet.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def brier(cif: npt.ArrayLike, happened: npt.ArrayLike) -> Floats:
    """Squared error of a probability, elementwise: ``(cif - happened)²``; NaN where ``happened`` is NaN."""
    predicted, actual = np.asarray(cif, dtype=float), np.asarray(happened, dtype=float)
    if predicted.shape != actual.shape:
        raise ValueError(f"probabilities have shape {predicted.shape}, outcomes {actual.shape}")
    return (predicted - actual) ** 2


def integrated_losses(losses: npt.ArrayLike, horizons: npt.ArrayLike) -> Floats:
    """Mean over time of each entity's losses: trapezoids over days from 0 (where nothing can be wrong) to the last horizon.

    ``losses`` is ``(n, n_horizons)`` with ``horizons`` increasing and positive; returns ``(n,)``, NaN where any loss is.
    """
    values, days = np.asarray(losses, dtype=float), np.asarray(horizons, dtype=float)
    if values.ndim != 2 or values.shape[1] != len(days):
        raise ValueError(f"losses have shape {values.shape}, there are {len(days)} horizons")
    if not len(days) or np.any(np.diff(days, prepend=0.0) <= 0):
        raise ValueError(f"horizons must be positive and increasing, got {days.tolist()}")
    from_zero = np.concatenate([np.zeros((len(values), 1)), values], axis=1)
    return np.asarray(np.trapezoid(from_zero, np.concatenate([[0.0], days]), axis=1) / days[-1])


def integrated_brier_score(cif: npt.ArrayLike, happened: npt.ArrayLike, horizons: npt.ArrayLike) -> float:
    """Mean of `integrated_losses` of `brier` over entities (Graf et al., 1999, without censoring).

    Lower is better; NaN if there are no entities.
    """
    losses = integrated_losses(brier(cif, happened), horizons)
    return float(losses.mean()) if len(losses) else float("nan")
