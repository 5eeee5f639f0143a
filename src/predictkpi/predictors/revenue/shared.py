"""What the series of a company have in common: one boosted model over all of them, heard as far as their own past allows.

A series of a few years says little about how seasons swell or trends end; forty of one company say more. Each row is one series at one
past month and asks for one month ahead: the answer is the change on the newest same month known, in units of the series' own yearly change,
in logarithms. Positive series only. Global models of this kind: Montero-Manso & Hyndman (2021), Principles and algorithms for forecasting
groups of time series.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from predictkpi.predictors.revenue.point import Prepared, point_path

if TYPE_CHECKING:
    import lightgbm as lgb

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Years of history told month by month, and the fewest of a series that is learnt from or judged on.
_YEARS_TOLD = 2
_FEWEST_YEARS = 3
_FEWEST_SERIES = 8
_ROWS = 250_000
_SMALLEST_UNIT = 1e-3
_WEIGHTS = np.arange(1, 9) / 10
# The weight is 0 unless what it saves on held-out months is this many standard errors over series above 0: they are not independent.
_CERTAIN = 2.0
_ROUNDS = 250
_PARAMETERS: dict[str, Any] = {
    "objective": "l1",
    "num_leaves": 31,
    "learning_rate": 0.05,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "num_threads": 1,
    "deterministic": True,
    "verbosity": -1,
}


@dataclass(frozen=True)
class SharedMember:
    """``weight`` of the boosted model beside the point path of each series, 0 where it is not heard; ``reason`` says why it is what it is.

    ``trees`` is the model as LightGBM text, empty if the weight is 0; ``saved`` the share of the point paths' error that it saved.
    """

    weight: float
    reason: str
    trees: str = ""
    saved: float = 0.0

    @classmethod
    def learn(cls, series: Sequence[Prepared], *, horizon: int, seed: int = 0) -> Self:
        """From all ``series``. The weight is settled on their last ``horizon`` periods, forecast from what was known before those."""
        period = series[0].period if series else 12
        usable = [each for each in series if each.log and len(each.y) >= _FEWEST_YEARS * period + horizon]
        if len(usable) < _FEWEST_SERIES:
            return cls(0.0, f"{len(usable)} series of {_FEWEST_YEARS} years and {horizon} periods; {_FEWEST_SERIES} are needed")
        earlier = [each.until(len(each.y) - horizon) for each in usable]
        trees = _boosted([np.log(each.y) for each in earlier], period, horizon, seed)
        errors = _errors(usable, earlier, _booster(trees), horizon)
        saved = errors[:1] - errors[1:]
        best = int(np.argmax(saved.mean(axis=1)))
        mean, error = float(saved[best].mean()), float(saved[best].std(ddof=1) / np.sqrt(len(usable)))
        share = mean / float(errors[0].mean()) if mean > 0 else 0.0
        told = f"saves {share:+.1%} of the error of {len(usable)} series in the last {horizon} periods"
        if mean < _CERTAIN * error:
            return cls(0.0, f"{told}: not clear enough")
        return cls(float(_WEIGHTS[best]), told, _boosted([np.log(each.y) for each in usable], period, horizon, seed), share)

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`; raises KeyError for other content."""
        return cls(float(saved["weight"]), str(saved["reason"]), str(saved["trees"]), float(saved["saved"]))

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"weight": self.weight, "reason": self.reason, "trees": self.trees, "saved": self.saved}

    def hears(self, series: Prepared) -> bool:
        """Whether the forecast of that series is changed."""
        return self.weight > 0 and series.log and len(series.y) >= _YEARS_TOLD * series.period

    def blended(self, series: Prepared, path: Floats) -> Floats:
        """``path`` (horizon,), of `point_path`, with the boosted model heard; unchanged where it is not or cannot be."""
        if not self.hears(series):
            return path
        own = _path(np.log(series.y), _booster(self.trees), series.period, len(path))
        return (1 - self.weight) * path + self.weight * own


def _errors(series: Sequence[Prepared], earlier: Sequence[Prepared], booster: lgb.Booster, horizon: int) -> Floats:
    """Mean absolute scaled errors of the held-out periods ``(1 + weights, series)``: of the point path, then of each blend."""
    found = np.empty((1 + len(_WEIGHTS), len(series)))
    for place, (whole, known) in enumerate(zip(series, earlier, strict=True)):
        actual, path = whole.y[-horizon:], point_path(known, horizon)
        own = _path(np.log(known.y), booster, known.period, horizon)
        scale = max(float(np.abs(known.y[known.period :] - known.y[: -known.period]).mean()), 1e-9)
        for row, weight in enumerate([0.0, *_WEIGHTS]):
            found[row, place] = np.abs(actual - (1 - weight) * path - weight * own).mean() / scale
    return found


def _boosted(logs: Sequence[Floats], period: int, horizon: int, seed: int) -> str:
    """LightGBM text of a model of all past months of the logarithmic series, each series weighing the same."""
    import lightgbm as lgb

    rng = np.random.default_rng(seed)
    parts = [_training_rows(x, period, horizon, _ROWS // len(logs), rng) for x in logs]
    features, answers = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    weight = np.concatenate([np.full(len(part[1]), 1 / len(part[1])) for part in parts])
    data = lgb.Dataset(features, answers, weight=weight * len(answers) / len(parts))
    return str(lgb.train(_PARAMETERS | {"seed": seed}, data, _ROUNDS).model_to_string())


@lru_cache(maxsize=8)
def _booster(trees: str) -> lgb.Booster:
    import lightgbm as lgb

    return lgb.Booster(model_str=trees)


def _training_rows(x: Floats, period: int, horizon: int, most: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Features and answers of some past months ``t`` and steps ahead of one series, at random if there are more than ``most``."""
    t, step = np.meshgrid(np.arange(_YEARS_TOLD * period - 1, len(x) - 1), np.arange(1, horizon + 1), indexing="ij")
    known = t + step < len(x)
    t, step = t[known], step[known]
    if len(t) > most:
        chosen = rng.choice(len(t), most, replace=False)
        t, step = t[chosen], step[chosen]
    features, base, unit = _asked(x, t, step, period)
    return features, (x[t + step] - base) / unit


def _path(x: Floats, booster: lgb.Booster, period: int, horizon: int) -> Floats:
    """Path (horizon,) in currency after the logarithmic series."""
    step = np.arange(1, horizon + 1)
    features, base, unit = _asked(x, np.full(horizon, len(x) - 1), step, period)
    return np.exp(base + unit * np.asarray(booster.predict(features, num_threads=1), dtype=float))


def _asked(x: Floats, t: Ints, step: Ints, period: int) -> tuple[Floats, Floats, Floats]:
    """Features (m, k), base (m,) and unit (m,) of the questions "``step`` periods after ``t``"; nothing after ``t`` is looked at."""
    told = _YEARS_TOLD * period
    change = np.abs(x[period:] - x[:-period])
    unit = np.maximum(np.cumsum(change)[t - period] / (t - period + 1), _SMALLEST_UNIT)
    level = _mean_of_last(x, t, period)
    recent = x[t[:, None] - np.arange(told - 1, -1, -1)]
    same = t + step - period * -(-step // period)
    base = x[same]
    older = np.stack([np.where(same - back * period >= 0, x[np.maximum(same - back * period, 0)], np.nan) for back in (1, 2)], axis=1)
    rough = _mean_of_last(np.abs(np.diff(x, prepend=x[0])), t, period)
    slopes = [
        level - _mean_of_last(x, t - period, period),
        _mean_of_last(x, t, period // 4) - _mean_of_last(x, t - period // 4, period // 4),
    ]
    relative = np.column_stack([recent, base, older]) - level[:, None]
    in_units = np.column_stack([relative, *slopes, rough]) / unit[:, None]
    return np.column_stack([in_units, step, unit, t + 1]), base, unit


def _mean_of_last(x: Floats, t: Ints, count: int) -> Floats:
    """Mean of the ``count`` values up to each ``t``, ``t`` >= count - 1."""
    total = np.concatenate([[0.0], np.cumsum(x)])
    return (total[t + 1] - total[t + 1 - count]) / count
