"""Quantiles of sample values, and growth path by path: what every sum of an outlook is told in."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LEVELS = {"q025": 0.025, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q975": 0.975}
GROWTH_LEVELS = {"q10": 0.10, "q50": 0.50, "q90": 0.90}
# Growth needs a base above zero: where fewer paths have one it is not stated.
_LEAST_BASES = 0.95


def quantiles(values: Floats, levels: Mapping[str, float] = LEVELS) -> dict[str, float]:
    """The named quantiles of sample values ``(draws,)``."""
    return dict(zip(levels, map(float, np.quantile(values, list(levels.values()))), strict=True))


def growth(now: Floats, base: Floats | None) -> dict[str, float] | None:
    """Quantiles of ``now / base - 1``, both ``(draws,)``; None without a base, or where it is not above zero in nearly every path."""
    if base is None or (base > 0).mean() < _LEAST_BASES:
        return None
    above = base > 0
    return quantiles(now[above] / base[above] - 1, GROWTH_LEVELS)
