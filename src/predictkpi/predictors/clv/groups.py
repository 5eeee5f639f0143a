"""What groups of customers will bring: totals from joint draws, which share one factor on the level of all.

The draws of a customer's quantiles run through the same random numbers for everybody. Shuffled by the customer's id they are independent
of the others', with nothing lost: each customer keeps their own distribution, in whatever group they are, and groups add up draw by draw.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.features.purchase_days import Floats
from predictkpi.predictors.clv.level import Level
from predictkpi.predictors.clv.simulate import Draws


def joint(draws: Draws, ids: npt.NDArray[np.object_], level: Level | None) -> Floats:
    """Draws ``(n, n_horizons, n_draws)`` of customers ``ids``, made joint: every customer's shuffled, and all times the level's shock.

    The shuffle is ``position -> (a * position + b) mod n_draws`` with odd ``a``, both from the id's hash; ``n_draws`` is a power of two.
    The shock is lognormal with mean 1 and the level's spread: the same in a draw for everybody.
    """
    n_draws = draws.shape[-1]
    if n_draws & (n_draws - 1):
        raise ValueError(f"{n_draws} draws: must be a power of two, so that an odd step visits each of them once")
    key = pd.util.hash_array(ids).astype(np.uint64)
    step, start = (key >> np.uint64(1)) | np.uint64(1), key >> np.uint64(32)
    at = (step[:, None] * np.arange(n_draws, dtype=np.uint64) + start[:, None]) % np.uint64(n_draws)
    shuffled = np.take_along_axis(draws, at.astype(np.intp)[:, None, :], axis=-1)
    return shuffled * shocks(level.spread if level else 0.0, n_draws)


def shocks(spread: float, n: int) -> Floats:
    """Lognormal factors ``(n,)`` of mean 1 at evenly spaced probabilities, rising."""
    normal = np.array([NormalDist().inv_cdf((number + 0.5) / n) for number in range(n)])
    factors = np.exp(spread * normal)
    return factors / factors.mean()
