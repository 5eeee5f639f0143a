"""How far to listen to the open deals, by month ahead: learnt from a replay of the company's own past, and kept as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c

Floats = npt.NDArray[np.float64]

ACTUAL, SERIES, WITH_DEALS, WEIGHTED = "actual", "time_series", "with_deals", "weighted_pipeline"
DEALS_EXPECTED, DEALS_ACTUAL = "deals_expected", "deals_actual"
REPLAY_COLUMNS = [c.AS_OF, c.HORIZON, ACTUAL, SERIES, WITH_DEALS, WEIGHTED, DEALS_EXPECTED, DEALS_ACTUAL]

# Origins' worth of belief that both forecasts deserve the same, and that open deals bring what they are expected to.
_WEIGHT_PRIOR = 4.0
_YIELD_PRIOR = 4.0
_SPREAD_PRIOR = 8.0
_FEWEST_ORIGINS = 4
_BLEND = "blend"


@dataclass(frozen=True)
class MonthTrust:
    """What the replay says of one month ahead.

    ``weight`` of the forecast with deals against the time series alone; ``deal_yield``: revenue that open deals brought, over what was
    expected of them; ``spread``: standard error of the blend over that of the time series alone. Mean absolute errors in currency of the
    time series, the blend, and the plain weighted pipeline, over ``n`` replayed months, each blended as the other origins teach.
    """

    horizon: int
    n: int
    weight: float
    deal_yield: float
    spread: float
    mae_time_series: float
    mae_blend: float
    mae_weighted_pipeline: float

    @property
    def gain(self) -> float:
        """Share of the time series' error that the blend saves; below 0 it is worse."""
        return 1 - self.mae_blend / self.mae_time_series if self.mae_time_series > 0 else 0.0


@dataclass(frozen=True)
class Trust:
    """What a replay taught, by month ahead; ``reason`` says where it came from, or why the deals are not listened to."""

    months: tuple[MonthTrust, ...]
    reason: str

    @classmethod
    def none(cls, reason: str) -> Self:
        """The time series alone."""
        return cls((), reason)

    @classmethod
    def learn(cls, replayed: pd.DataFrame) -> Self:
        """From rows of `REPLAY_COLUMNS`, one per origin and month ahead that is over.

        The weight is the least-squares one, pooled with the neighbouring months ahead and drawn to one half. Every error told is of an
        origin whose blend the other origins taught: a weight judged on what it was fitted to always looks good. The weight is 0 where
        such blends were not better than the time series alone by at least their standard error, over the month and its neighbours, or
        were worse in the month itself.
        """
        if replayed[c.AS_OF].nunique() < _FEWEST_ORIGINS:
            return cls.none(
                f"{replayed[c.AS_OF].nunique()} past months could be replayed; {_FEWEST_ORIGINS} are needed to judge the open deals"
            )
        months = tuple(_of_month(int(step), replayed) for step in sorted(replayed[c.HORIZON].unique()))
        origins = replayed[c.AS_OF]
        return cls(months, f"replayed from {origins.nunique()} past months, {origins.min():%Y-%m} to {origins.max():%Y-%m}")

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`; raises KeyError or TypeError for other content."""
        return cls(tuple(MonthTrust(**month) for month in saved["months"]), str(saved["reason"]))

    def to_json(self) -> dict[str, Any]:
        """Plain numbers."""
        return asdict(self)

    def weights(self, horizon: int) -> Floats:
        """Weight of the forecast with deals ``(horizon,)``; 0 beyond what was replayed."""
        return self._values("weight", 0.0, horizon)

    def yields(self, horizon: int) -> Floats:
        """Factor on what open deals are expected to bring ``(horizon,)``."""
        return self._values("deal_yield", 1.0, horizon)

    def spreads(self, horizon: int) -> Floats:
        """Factor on the time series' standard error ``(horizon,)``."""
        return self._values("spread", 1.0, horizon)

    @property
    def verdict(self) -> str:
        """In one sentence, whether the open deals help, and how far ahead."""
        helps = [month for month in self.months if month.weight > 0 and month.gain > 0]
        if not self.months:
            return f"Open deals do not change the forecast: {self.reason}."
        if not helps:
            return f"Open deals do not change the forecast: they did not make it better in the past ({self.reason})."
        gains = ", ".join(f"{month.gain:+.0%} in month {month.horizon}" for month in helps[:3])
        return f"Open deals make the forecast better ({gains} of the error saved; {self.reason})."

    def _values(self, name: str, otherwise: float, horizon: int) -> Floats:
        known = {month.horizon: getattr(month, name) for month in self.months}
        return np.array([known.get(step, otherwise) for step in range(1, horizon + 1)], dtype=float)


def _of_month(step: int, replayed: pd.DataFrame) -> MonthTrust:
    near = replayed[replayed[c.HORIZON].between(step - 1, step + 1)]
    left_out = _left_out(step, near)
    own = left_out[left_out[c.HORIZON] == step]
    alone = (own[ACTUAL] - own[SERIES]).abs()
    missed = (own[ACTUAL] - own[_BLEND]).abs() if _is_better(left_out) and _mae(own, _BLEND) < alone.mean() else alone
    rows, deal_yield = replayed[replayed[c.HORIZON] == step], _yields(near).get(step, 1.0)
    belief = _SPREAD_PRIOR * float((alone**2).mean())
    spread = np.sqrt((float((missed**2).sum()) + belief) / max(float((alone**2).sum()) + belief, 1e-300))
    return MonthTrust(
        horizon=step,
        n=len(rows),
        weight=0.0 if missed is alone else _weight(_corrected(near, _yields(near)), step),
        deal_yield=deal_yield,
        spread=float(spread),
        mae_time_series=float(alone.mean()),
        mae_blend=float(missed.mean()),
        mae_weighted_pipeline=_mae(rows, WEIGHTED),
    )


def _left_out(step: int, near: pd.DataFrame) -> pd.DataFrame:
    """``near`` with the blend of each origin by the weight and the yields that the other origins teach."""
    parts = []
    for origin, rows in near.groupby(c.AS_OF):
        others = near[near[c.AS_OF] != origin]
        yields = _yields(others)
        weight = _weight(_corrected(others, yields), step)
        parts.append(rows.assign(**{_BLEND: weight * _corrected(rows, yields)[WITH_DEALS] + (1 - weight) * rows[SERIES]}))
    return pd.concat(parts)


def _is_better(left_out: pd.DataFrame) -> bool:
    """Whether the blend saves at least one standard error over origins of what it saves, each origin's months taken together."""
    saved = (left_out[ACTUAL] - left_out[SERIES]).abs() - (left_out[ACTUAL] - left_out[_BLEND]).abs()
    of_origins = saved.groupby(left_out[c.AS_OF]).mean()
    error = of_origins.std(ddof=1) / np.sqrt(len(of_origins)) if len(of_origins) > 1 else np.inf
    return bool(of_origins.mean() > 0 and of_origins.mean() >= error)


def _yields(rows: pd.DataFrame) -> dict[int, float]:
    """By month ahead: what open deals brought over what was expected of them, drawn to 1."""
    found = {}
    for step, of_step in rows.groupby(c.HORIZON):
        expected, came = float(of_step[DEALS_EXPECTED].sum()), float(of_step[DEALS_ACTUAL].sum())
        belief = _YIELD_PRIOR * expected / len(of_step)
        found[int(str(step))] = (came + belief) / (expected + belief) if expected > 0 else 1.0
    return found


def _corrected(rows: pd.DataFrame, yields: Mapping[int, float]) -> pd.DataFrame:
    factor = rows[c.HORIZON].map(lambda step: yields.get(int(step), 1.0))
    return rows.assign(**{WITH_DEALS: rows[WITH_DEALS] + (factor - 1) * rows[DEALS_EXPECTED]})


def _mae(rows: pd.DataFrame, forecast: str) -> float:
    return float((rows[ACTUAL] - rows[forecast]).abs().mean())


def _weight(rows: pd.DataFrame, step: int) -> float:
    """Least squares over ``rows``, drawn to one half as by so many origins of the month ``step`` ahead."""
    apart = (rows[WITH_DEALS] - rows[SERIES]).to_numpy(float)
    missed = (rows[ACTUAL] - rows[SERIES]).to_numpy(float)
    squares = float((apart**2).sum())
    if squares <= 0:
        return 0.0
    prior = squares * _WEIGHT_PRIOR / max(int((rows[c.HORIZON] == step).sum()), 1)
    return float(np.clip(((missed * apart).sum() + 0.5 * prior) / (squares + prior), 0.0, 1.0))
