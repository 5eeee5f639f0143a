"""Errors of point forecasts: pure functions on arrays. Names and definitions as in the field (Hyndman & Koehler, 2006)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def _pair(y: npt.ArrayLike, yhat: npt.ArrayLike) -> tuple[Floats, Floats]:
    actual, forecast = np.asarray(y, dtype=float), np.asarray(yhat, dtype=float)
    if actual.shape != forecast.shape:
        raise ValueError(f"actuals have shape {actual.shape}, forecasts {forecast.shape}")
    return actual, forecast


def _mean(values: Floats) -> float:
    return float(values.mean()) if values.size else float("nan")


def seasonal_naive_scale(history: npt.ArrayLike, season: int = 12) -> float:
    """Mean absolute change on the season before, in the unit of the series: the denominator of `mase`.

    A history no longer than one season is scaled by its change from step to step. NaN where there is no change to measure
    (fewer than two values, or a constant series), so that a score divided by it is undefined rather than infinite.
    """
    values = np.asarray(history, dtype=float)
    lag = season if len(values) > season else 1
    scale = _mean(np.abs(values[lag:] - values[:-lag]))
    return scale if scale > 0 else float("nan")


def mase(y: npt.ArrayLike, yhat: npt.ArrayLike, scale: float) -> float:
    """Mean absolute error over ``scale`` (see `seasonal_naive_scale`); below 1 is better than the seasonal naive was in-sample."""
    actual, forecast = _pair(y, yhat)
    return _mean(np.abs(actual - forecast)) / scale


def wape(y: npt.ArrayLike, yhat: npt.ArrayLike) -> float:
    """Sum of absolute errors over the sum of absolute actuals, a share; NaN where all actuals are zero."""
    actual, forecast = _pair(y, yhat)
    total = float(np.abs(actual).sum())
    return float(np.abs(actual - forecast).sum()) / total if total > 0 else float("nan")


def mean_error(y: npt.ArrayLike, yhat: npt.ArrayLike) -> float:
    """Bias, ``mean(forecast - actual)``: positive where forecasts were too high."""
    actual, forecast = _pair(y, yhat)
    return _mean(forecast - actual)


def smape(y: npt.ArrayLike, yhat: npt.ArrayLike) -> float:
    """Symmetric mean absolute percentage error as a share between 0 and 2; a pair of zeros counts as no error."""
    actual, forecast = _pair(y, yhat)
    size = np.abs(actual) + np.abs(forecast)
    return _mean(np.divide(2 * np.abs(actual - forecast), size, out=np.zeros_like(size), where=size > 0))


def rmse(y: npt.ArrayLike, yhat: npt.ArrayLike) -> float:
    """Root mean squared error, in the unit of the series."""
    actual, forecast = _pair(y, yhat)
    return float(np.sqrt(_mean((actual - forecast) ** 2)))
