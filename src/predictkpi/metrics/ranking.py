"""How well predictions order entities, how near the totals come, and whether intervals with a mass at zero are honest.

Pure functions of arrays ``(n,)``; results are NaN where a measure is not defined rather than a convenient number.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]


def normalised_gini(actual: npt.ArrayLike, predicted: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> float:
    """Gini of ``actual`` ordered by ``predicted``, over the Gini of ``actual`` ordered by itself: 1 is the perfect order, 0 chance.

    Rows with equal predictions share their rank: the value is the mean over all orders of the ties. NaN when the weighted actual total is
    not positive, or all actual values are equal.
    """
    actual, predicted, weights = _as_floats(actual, predicted, weights)
    if not len(actual) or weights @ actual <= 0:
        return float("nan")
    perfect = _gini(actual, actual, weights)
    return float(_gini(actual, predicted, weights) / perfect) if perfect > 1e-12 else float("nan")


def total_bias(actual: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Predicted total over actual total, minus 1: .15 means 15 % too much. NaN when the actual total is 0."""
    total = float(np.sum(np.asarray(actual, dtype=float)))
    return float(np.sum(np.asarray(predicted, dtype=float))) / total - 1.0 if total else float("nan")


def calibration_slope(actual: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Slope of the least-squares line of actual on predicted: below 1 the predictions spread too far. NaN for a constant prediction."""
    actual, predicted, _ = _as_floats(actual, predicted, None)
    spread = predicted - predicted.mean() if len(predicted) else predicted
    square = float(spread @ spread)
    # of a constant the mean may be off by a rounding
    return float(spread @ actual) / square if square > 1e-24 * float(predicted @ predicted) else float("nan")


def tweedie_deviance(actual: npt.ArrayLike, predicted: npt.ArrayLike, power: float = 1.5, *, floor: float = 0.01) -> Floats:
    """Unit deviance of each row, ``(n,)``, for ``1 < power < 2``: 0 for a perfect mean, minimised in expectation by the mean.

    ``floor`` is the least mean a prediction is taken to state (a cent): a predicted 0 would otherwise cost infinitely much. Actual
    values below 0 (more refunded than bought) count as 0.
    """
    if not 1.0 < power < 2.0:
        raise ValueError(f"power={power}: the Tweedie deviance with a mass at zero needs 1 < power < 2")
    y = np.maximum(np.asarray(actual, dtype=float), 0.0)
    mu = np.maximum(np.asarray(predicted, dtype=float), floor)
    one, two = 1.0 - power, 2.0 - power
    deviance: Floats = 2.0 * (y**two / (one * two) - y * mu**one / one + mu**two / two)
    return np.maximum(deviance, 0.0)


def decile_table(actual: npt.ArrayLike, predicted: npt.ArrayLike, *, groups: int = 10) -> pd.DataFrame:
    """Entities cut into ``groups`` of equal size by prediction; decile 1 holds the highest.

    Columns: ``decile, n, predicted_mean, actual_mean, actual_share`` (share of the actual total). Fewer rows when there are fewer entities.
    """
    actual, predicted, _ = _as_floats(actual, predicted, None)
    position = np.argsort(np.argsort(-predicted, kind="stable"), kind="stable")
    decile = position * groups // max(len(actual), 1) + 1
    frame = pd.DataFrame({"decile": decile, "actual": actual, "predicted": predicted})
    table = frame.groupby("decile", as_index=False).agg(
        n=("actual", "size"), predicted_mean=("predicted", "mean"), actual_mean=("actual", "mean"), actual_share=("actual", "sum")
    )
    total = actual.sum()
    table["actual_share"] = table["actual_share"] / total if total else np.nan
    return table


def randomised_pit(actual: npt.ArrayLike, draws: npt.ArrayLike, uniform: npt.ArrayLike) -> Floats:
    """Where each actual value falls in its predictive draws, ``(n,)`` in [0, 1]: uniform if the predictive distribution is right.

    ``draws`` (n, n_draws); ``uniform`` (n,) random numbers that break ties, so that the mass at zero does not inflate coverage
    (Czado, Gneiting & Held 2009, Biometrics 65).
    """
    actual, draws = np.asarray(actual, dtype=float)[:, None], np.asarray(draws, dtype=float)
    below, equal = (draws < actual).mean(axis=1), (draws == actual).mean(axis=1)
    return below + np.asarray(uniform, dtype=float) * equal


def pit_coverage(pit: npt.ArrayLike, *, level: float = 80.0) -> float:
    """Share of PIT values inside the central interval of ``level`` %; equals ``level / 100`` for honest intervals."""
    pit = np.asarray(pit, dtype=float)
    tail = (1.0 - level / 100.0) / 2.0
    return float(np.mean((pit >= tail) & (pit <= 1.0 - tail))) if len(pit) else float("nan")


def _gini(actual: Floats, order_by: Floats, weights: Floats) -> float:
    """Area between the Lorenz curve, best first, and the diagonal, times 2; ties are one straight step."""
    _, rank = np.unique(-order_by, return_inverse=True)
    weight = np.bincount(rank, weights=weights)
    value = np.bincount(rank, weights=weights * actual)
    across = np.concatenate([[0.0], np.cumsum(weight)]) / weight.sum()
    up = np.concatenate([[0.0], np.cumsum(value)]) / value.sum()
    return float(np.sum((up[1:] + up[:-1]) * np.diff(across)) - 1.0)


def _as_floats(actual: npt.ArrayLike, predicted: npt.ArrayLike, weights: npt.ArrayLike | None) -> tuple[Floats, Floats, Floats]:
    actual, predicted = np.asarray(actual, dtype=float), np.asarray(predicted, dtype=float)
    if actual.shape != predicted.shape:
        raise ValueError(f"actual has shape {actual.shape}, predicted {predicted.shape}: they must be equal")
    return actual, predicted, np.ones_like(actual) if weights is None else np.asarray(weights, dtype=float)
