"""How series of one company move together where backtests are too few to say: as parts of the same revenue do.

If revenue were many independent small amounts, two series would correlate by what they share: a part with its whole by the square root of
its share, members of one dimension not at all, members of different dimensions as if these were independent. Draws that correlate like
that nearly add up by themselves, so that making them add up takes nothing from the spread of the total.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from predictkpi.core import columns as c
from predictkpi.predictors.revenue.scopes import scope_of

Floats = npt.NDArray[np.float64]

_LEAST_EIGENVALUE = 1e-3


def shared_revenue(entity_ids: Sequence[str], level: Mapping[str, float]) -> Floats:
    """Correlation (n, n) of series that are sums of independent small amounts; ``level`` is the size of each, that of the total included.

    A series that is no part of the total shares nothing.
    """
    total = level.get(c.TOTAL, 0.0)
    scopes = [scope_of(name) if name == c.TOTAL or "=" in name else None for name in entity_ids]
    share = [min(level[name] / total, 1.0) if total > 0 else 0.0 for name in entity_ids]
    found = np.eye(len(scopes))
    for i, one in enumerate(scopes):
        for j, other in enumerate(scopes[:i]):
            if one is None or other is None or share[i] * share[j] == 0:
                continue
            found[i, j] = found[j, i] = min(_in_both(one, other, share[i], share[j]) / np.sqrt(share[i] * share[j]), 1.0)
    return found


def _in_both(one: Mapping[str, str], other: Mapping[str, str], share: float, other_share: float) -> float:
    """Share of the total that belongs to both scopes."""
    if any(one[dimension] != other[dimension] for dimension in one.keys() & other.keys()):
        return 0.0
    if one.items() <= other.items():
        return other_share
    return share if other.items() <= one.items() else share * other_share


def pulled(correlation: Floats, towards: Floats, weight: float) -> Floats:
    """A positive definite correlation: the off-diagonal as given, and ``weight`` of ``towards``."""
    mixed = correlation + weight * towards
    np.fill_diagonal(mixed, 1.0)
    values, vectors = np.linalg.eigh(mixed)
    positive = (vectors * np.maximum(values, _LEAST_EIGENVALUE)) @ vectors.T
    size = np.sqrt(np.diag(positive))
    return positive / np.outer(size, size)


def normals(entity_id: str, names: Sequence[str], correlation: Sequence[Sequence[float]], *, draws: int, seed: int) -> Floats:
    """Standard normal (draws,), correlated with those of the other ``names``; independent of them for a series that is none of them."""
    if entity_id not in names:
        return _own(entity_id, draws, seed)
    row = np.linalg.cholesky(np.array(correlation))[list(names).index(entity_id)]
    return sum((weight * _own(name, draws, seed) for name, weight in zip(names, row, strict=True) if weight), np.zeros(draws))


def _own(entity_id: str, draws: int, seed: int) -> Floats:
    return np.random.default_rng([seed, 2, zlib.crc32(entity_id.encode())]).standard_normal(draws)
