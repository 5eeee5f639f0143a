"""What a `Spec.score` family means in numbers: a loss per pair for the gate, and a table of named metrics for people. Pure.

Inputs are wide: indexed by (as_of, entity_id, horizon), one column per statistic, the same index on both sides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import Spec
from predictkpi.metrics.calibration import calibration_noise_floor, expected_calibration_error
from predictkpi.metrics.point import mean_error, rmse, wape
from predictkpi.metrics.quantile import coverage, crps_from_quantiles, winkler
from predictkpi.metrics.ranking import normalised_gini, total_bias, tweedie_deviance
from predictkpi.metrics.survival import brier

Floats = npt.NDArray[np.float64]
QUANTILES = {"q025": 0.025, "q05": 0.05, "q10": 0.1, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q90": 0.9, "q95": 0.95, "q975": 0.975}
CALIBRATION_HORIZON = 30
FLOOR_SHARE = 0.01


@dataclass(frozen=True)
class Scored:
    """``losses``: indexed like the inputs, columns loss and weight. The gate compares weighted means of the loss."""

    losses: pd.DataFrame
    metrics: dict[str, float]


def score(spec: Spec, predicted: pd.DataFrame, actual: pd.DataFrame, scale: pd.Series) -> Scored:
    """Score one candidate by its family; ``scale`` (same index) makes series of different size comparable."""
    return FAMILIES[spec.score](spec, predicted, actual, scale)


def score_quantiles(spec: Spec, predicted: pd.DataFrame, actual: pd.DataFrame, scale: pd.Series) -> Scored:
    """Loss: CRPS from the quantiles over the series' scale. MASE and bias are over the same scale."""
    names = [name for name in QUANTILES if name in predicted]
    y, size = actual[spec.headline].to_numpy(float), scale.to_numpy(float)
    point = predicted[spec.headline].to_numpy(float)
    crps = crps_from_quantiles(y, predicted[names].to_numpy(float), [QUANTILES[name] for name in names])
    losses = crps / size
    metrics = {
        "crps_scaled": _mean(losses),
        "mase": _mean(np.abs(y - point) / size),
        "wape": wape(y, point),
        "bias_scaled": _mean((point - y) / size),
        **_interval(y, predicted, "80", "q10", "q90", size),
        **_interval(y, predicted, "95", "q025", "q975", size),
    }
    return Scored(_losses(actual.index, losses), metrics | _by_horizon("crps_scaled", losses, actual.index))


def score_mean(spec: Spec, predicted: pd.DataFrame, actual: pd.DataFrame, scale: pd.Series) -> Scored:
    """Loss: Tweedie deviance of power 1.5 for amounts with many zeros.

    Predictions below a hundredth of the mean outcome count as that hundredth: one buyer predicted at almost nothing would otherwise
    outweigh all others by how near to nothing the prediction was, which is no matter of money.
    """
    y, point = actual[spec.headline].to_numpy(float), predicted[spec.headline].to_numpy(float)
    losses = tweedie_deviance(y, point, floor=max(FLOOR_SHARE * _mean(np.maximum(y, 0.0)), 0.01) if len(y) else 0.01)
    metrics = {
        "tweedie_deviance": _mean(losses),
        "mae": _mean(np.abs(y - point)),
        "rmse": rmse(y, point),
        "mean_error": mean_error(y, point),
        "total_bias": total_bias(y, point),
        "gini": _mean_gini(actual.index, y, point),
        **_interval(y, predicted, "80", "q10", "q90", None),
    }
    return Scored(_losses(actual.index, losses), metrics | _by_horizon("tweedie_deviance", losses, actual.index))


def score_cumulative_incidence(spec: Spec, predicted: pd.DataFrame, actual: pd.DataFrame, scale: pd.Series) -> Scored:
    """Loss: squared error of the win probability at each horizon, weighted so that its mean is the integrated Brier score.

    ``ece_30_noise_floor`` is the calibration error that perfect probabilities would show on as many deals.
    ``portfolio_error``: predicted over actual number of wins within 30 days, minus 1. Close-date errors are in days, among won deals.
    """
    won, p_won = actual["cif_won"].to_numpy(float), predicted["cif_won"].to_numpy(float)
    losses = brier(p_won, won)
    weight = integration_weights(actual.index)
    metrics = {"brier_won": _mean(losses * weight)}
    if "cif_lost" in actual and "cif_lost" in predicted:
        metrics["brier_lost"] = _mean(brier(predicted["cif_lost"].to_numpy(float), actual["cif_lost"].to_numpy(float)) * weight)
    near = actual.index.get_level_values(c.HORIZON) == CALIBRATION_HORIZON
    if near.any():
        metrics["ece_30"] = expected_calibration_error(won[near], p_won[near])
        metrics["ece_30_noise_floor"] = calibration_noise_floor(p_won[near])
        metrics["portfolio_error_30"] = p_won[near].sum() / won[near].sum() - 1.0 if won[near].sum() else float("nan")
    metrics |= _close_date(predicted, actual)
    return Scored(_losses(actual.index, losses, weight), metrics | _by_horizon("brier_won", losses, actual.index))


FAMILIES: dict[str, Callable[[Spec, pd.DataFrame, pd.DataFrame, pd.Series], Scored]] = {
    "quantiles": score_quantiles,
    "mean": score_mean,
    "cumulative_incidence": score_cumulative_incidence,
}


def integration_weights(index: pd.Index) -> Floats:
    """Weight of each row such that the mean of weighted losses is the integrated Brier score: the mean over deals, and over days ahead.

    Within a fold: trapezoids over days from 0 (where nothing can be wrong) to the longest horizon known there, as in
    `survival.integrated_brier_score`. So an old fold, of which more came true, counts for no more than a recent one with as many deals.
    """
    rows = index.to_frame(index=False)
    weight = np.zeros(len(rows))
    for positions in rows.groupby(c.AS_OF).indices.values():
        horizons = rows[c.HORIZON].to_numpy(float)[positions]
        grid, which, counts = np.unique(horizons, return_inverse=True, return_counts=True)
        width = np.diff(grid, prepend=0.0)
        trapezoid = (width + np.append(width[1:], 0.0)) / 2
        deals = rows[c.ENTITY_ID].iloc[positions].nunique()
        weight[positions] = (trapezoid / grid[-1] * deals / counts)[which]
    return weight * len(rows) / max(len(rows[[c.AS_OF, c.ENTITY_ID]].drop_duplicates()), 1)


def _losses(index: pd.Index, losses: Floats, weight: Floats | None = None) -> pd.DataFrame:
    return pd.DataFrame({"loss": losses, "weight": np.ones(len(losses)) if weight is None else weight}, index=index)


def _interval(y: Floats, predicted: pd.DataFrame, level: str, low: str, high: str, size: Floats | None) -> dict[str, float]:
    """Coverage of a central interval and, for scaled series, its Winkler score."""
    if low not in predicted or high not in predicted:
        return {}
    lo, hi = predicted[low].to_numpy(float), predicted[high].to_numpy(float)
    covered = {f"coverage{level}": coverage(y, lo, hi)}
    return covered if size is None else covered | {f"winkler{level}_scaled": _mean(winkler(y, lo, hi, int(level) / 100) / size)}


def _mean_gini(index: pd.Index, y: Floats, point: Floats) -> float:
    """Mean over folds and horizons: only amounts of the same span can be ranked."""
    frame = pd.DataFrame({"y": y, "point": point}, index=index)
    found = [
        normalised_gini(part["y"].to_numpy(), part["point"].to_numpy())
        for _, part in frame.groupby(level=[c.AS_OF, c.HORIZON])
        if part["y"].nunique() > 1
    ]
    return _mean(np.asarray(found, dtype=float))


def _close_date(predicted: pd.DataFrame, actual: pd.DataFrame) -> dict[str, float]:
    if "close_q50" not in actual or "close_q50" not in predicted:
        return {}
    rows = actual["close_q50"].notna() & predicted["close_q50"].notna()
    days = actual.loc[rows, "close_q50"].to_numpy(float)
    if not len(days):
        return {}
    found = predicted.loc[rows]
    error = np.abs(days - found["close_q50"].to_numpy(float))
    metrics = {"close_days_median_error": float(np.median(error)), "close_days_n": float(len(days))}
    if "close_q10" in found and "close_q90" in found:
        metrics["close_days_coverage80"] = coverage(days, found["close_q10"].to_numpy(float), found["close_q90"].to_numpy(float))
    return metrics


def _by_horizon(name: str, losses: Floats, index: pd.Index) -> dict[str, float]:
    means = pd.Series(losses, index=index.get_level_values(c.HORIZON)).groupby(level=0).mean()
    return {f"{name}_h{horizon}": float(value) for horizon, value in means.items()}


def _mean(values: Floats) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
