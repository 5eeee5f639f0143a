"""The learnt member of the point forecast: one small network for all positive series, whose weights ship with the package.

It has seen generated series only (`benchmarks/series/learn_network.py` makes it and says how). It is told the adjusted series of the last
years in units of its own yearly change, the season ahead and how noisy all that is, and answers with all steps at once: where the path will
leave the last level with its season, in the same units. NumPy alone evaluates it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import as_file, files

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

PATH, ERRORS = "path", "errors"
LOG_VARIANCES = (-9.0, 6.0)
# Years told period by period, and older ones of which the mean alone is told.
_NEAR_YEARS = 3
_FAR_YEARS = 5
_FEWEST_YEARS = 2
_LARGEST = 8.0
_SMALLEST_UNIT = 1e-4


@dataclass(frozen=True)
class Question:
    """Series of one length as the network sees them: ``features`` (m, k), ``base`` (m, horizon) and ``unit`` (m, 1), in logarithms.

    An answer ``z`` (m, horizon) stands for the path exp(base + unit z).
    """

    features: Floats
    base: Floats
    unit: Floats


def ask(x: Floats, indices: Floats, kept: Floats, horizon: int) -> Question:
    """The question of logarithmic series ``x`` (m, n), n >= 2 years, with seasonal ``indices`` (m, season), ``kept`` (m,) of them.

    ``indices`` are those of `shrunk_seasonal_indices`: index k belongs to the positions k % season.
    """
    n, season = x.shape[1], indices.shape[1]
    near, position = _NEAR_YEARS * season, np.arange(n)
    adjusted = x - indices[:, position % season]
    level = adjusted[:, -max(season // 4, 1) :].mean(axis=1, keepdims=True)
    unit = np.maximum(np.abs(x[:, season:] - x[:, :-season]).mean(axis=1, keepdims=True), _SMALLEST_UNIT)
    noise = np.maximum(np.abs(np.diff(adjusted, axis=1)).mean(axis=1, keepdims=True), _SMALLEST_UNIT)
    ahead = indices[:, (n + np.arange(season)) % season]
    relative = (adjusted - level) / unit
    recent = np.zeros((len(x), near))
    recent[:, -min(n, near) :] = relative[:, -near:]
    far = np.zeros((len(x), _FAR_YEARS))
    for year in range(_FAR_YEARS):
        end = n - near - year * season
        if end >= season // 2:
            far[:, year] = relative[:, max(end - season, 0) : end].mean(axis=1)
    lengths = [min(n / season, _NEAR_YEARS), np.log(n / season)] + [float(n - near - y * season >= season // 2) for y in range(_FAR_YEARS)]
    told = [np.log(unit), np.log(noise / unit), kept[:, None], np.tile(lengths, (len(x), 1))]
    features = np.concatenate([recent, far, ahead / unit, *told], axis=1)
    base = level + indices[:, (n + np.arange(horizon)) % season]
    return Question(np.clip(features, -_LARGEST, _LARGEST), base, unit)


@dataclass(frozen=True)
class Network:
    """Layers of weights (in, out) and biases (out,), rectified but for the last."""

    layers: list[tuple[Floats, Floats]]

    def answer(self, features: Floats) -> Floats:
        """(m, k) to (m, outputs)."""
        z = features
        for weights, bias in self.layers[:-1]:
            z = np.maximum(z @ weights + bias, 0.0)
        weights, bias = self.layers[-1]
        return z @ weights + bias


@lru_cache
def networks(season: int) -> dict[str, Network]:
    """What ships for ``season`` periods a year, read once: `PATH`, steps in units of the question, and `ERRORS`, see `learnt_errors`."""
    resource = files(__package__) / f"network_{season}.npz"
    if not resource.is_file():
        return {}
    with as_file(resource) as path, np.load(path, allow_pickle=False) as saved:
        return from_arrays({name: saved[name] for name in saved.files})


def to_arrays(found: dict[str, Network]) -> dict[str, npt.NDArray[np.float16]]:
    """``path0w``, ``path0b``, ``path1w`` and so on, in half precision."""
    parts = {f"{name}{k}": layer for name, each in found.items() for k, layer in enumerate(each.layers)}
    return {name + kind: part.astype(np.float16) for name, layer in parts.items() for kind, part in zip("wb", layer, strict=True)}


def from_arrays(arrays: Mapping[str, npt.NDArray[np.float16]]) -> dict[str, Network]:
    """The inverse of `to_arrays`."""
    found: dict[str, Network] = {}
    for name in (PATH, ERRORS):
        depth = sum(key.startswith(name) for key in arrays) // 2
        if depth:
            found[name] = Network([(arrays[f"{name}{k}w"].astype(float), arrays[f"{name}{k}b"].astype(float)) for k in range(depth)])
    return found


def learnt_path(y: Floats, season: Floats, kept: float, horizon: int) -> Floats | None:
    """Path (horizon,) after the positive series ``y`` with seasonal factors ``season``; None where the network does not speak for it.

    That is so for seasons without a network, below two years, and where no month differs from that of the year before. Beyond the
    network's horizon its last step stands, with the season.
    """
    question = _question(y, season, kept, horizon)
    if question is None:
        return None
    z = networks(len(season))[PATH].answer(question.features)[0]
    z = z[np.minimum(np.arange(horizon), len(z) - 1)]
    return np.exp(question.base[0] + question.unit[0] * z)


def learnt_errors(y: Floats, season: Floats, kept: float) -> Floats | None:
    """Variances (3,) to expect of the logarithmic errors: of each period alone, of a mistake that stays, of one that grows by the period.

    The errors of the periods 1..H after ``y`` have about the covariance ``v0 I + v1 1 + v2 min(h, k)``. None as in `learnt_path`.
    """
    question = _question(y, season, kept, 1)
    if question is None:
        return None
    z = networks(len(season))[ERRORS].answer(question.features)[0]
    return np.exp(np.clip(z, *LOG_VARIANCES)) * question.unit[0] ** 2


def _question(y: Floats, season: Floats, kept: float, horizon: int) -> Question | None:
    if len(y) < _FEWEST_YEARS * len(season) or not networks(len(season)):
        return None
    question = ask(np.log(y)[None], np.log(season)[None], np.array([kept]), horizon)
    return question if question.unit[0, 0] > _SMALLEST_UNIT else None
