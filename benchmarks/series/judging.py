"""Scores of forecasts of many series, with series as the independent units.

Arrays are (series, steps); definitions are those of `predictkpi.metrics`, checked against them by the tests.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
LEVELS = (0.8, 0.95)
QUARTER, YEAR = 3, 12
RESAMPLES = 1000


def scales(histories: list[Floats], season: int) -> Floats:
    """Mean absolute change on the season before of each history; the denominators of MASE and MSIS."""
    return np.array([np.abs(y[season:] - y[:-season]).mean() for y in histories])


def smape_each(actual: Floats, path: Floats) -> Floats:
    """(n,), in percent as the competition states it."""
    return 100 * np.mean(2 * np.abs(actual - path) / (np.abs(actual) + np.abs(path)), axis=1)


def mase_each(actual: Floats, path: Floats, scale: Floats) -> Floats:
    """(n,)"""
    return np.abs(actual - path).mean(axis=1) / scale


def gain(ours: Floats, theirs: Floats, *, resamples: int = RESAMPLES, seed: int = 0) -> tuple[float, float, float]:
    """Ours minus theirs, mean over series both forecast, and the middle 95 % over ``resamples`` of the series: below 0 is better."""
    known = np.isfinite(ours) & np.isfinite(theirs)
    difference = (ours - theirs)[known]
    rng = np.random.default_rng(seed)
    drawn = [difference[rng.integers(len(difference), size=len(difference))].mean() for _ in range(resamples)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(difference.mean()), float(low), float(high)


def interval_targets(history: Floats, actual: Floats, paths: Floats) -> dict[str, tuple[Floats, Floats]]:
    """What intervals are asked about, as name to (actual (k,), sample values (draws, k)).

    ``actual`` (h,) and ``paths`` (draws, h) are months that follow ``history``, h >= 12. A growth needs a base above zero.
    """
    found = {"months": (actual, paths), "next quarter": (actual[None, :QUARTER].sum(axis=1), paths[:, :QUARTER].sum(axis=1)[:, None])}
    quarters = len(actual) // QUARTER
    sums = paths[:, : quarters * QUARTER].reshape(len(paths), quarters, QUARTER).sum(axis=2)
    found["quarters"] = (actual[: quarters * QUARTER].reshape(quarters, QUARTER).sum(axis=1), sums)
    base = history[-YEAR:]
    if (base > 0).all():
        found["year on year"] = (actual[:YEAR] / base - 1, paths[:, :YEAR] / base - 1)
    found["next 12 months"] = (actual[None, :YEAR].sum(axis=1), paths[:, :YEAR].sum(axis=1)[:, None])
    return found


def covered(actual: Floats, values: Floats, level: float) -> float:
    """Share of ``actual`` (k,) inside the central interval of ``values`` (draws, k)."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return float(np.mean((actual >= low) & (actual <= high)))


def interval_score(actual: Floats, low: Floats, high: Floats, scale: float, *, level: float = 0.95) -> float:
    """MSIS of one series: mean width and penalty 2 / (1 - level) for what lies outside, over ``scale``."""
    outside = np.maximum(low - actual, 0) + np.maximum(actual - high, 0)
    return float(np.mean(high - low + 2 / (1 - level) * outside) / scale)


def interval_rows(history: Floats, actual: Floats, paths: Floats, scale: float) -> dict[str, float]:
    """Coverage of each target at each of `LEVELS`, as ``months 80``, and ``msis`` of the months."""
    found = {}
    for name, (truth, values) in interval_targets(history, actual, paths).items():
        found |= {f"{name} {100 * level:.0f}": covered(truth, values, level) for level in LEVELS}
    low, high = np.quantile(paths, [0.025, 0.975], axis=0)
    return found | {"msis": interval_score(actual, low, high, scale)}
