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


@dataclass(frozen=True)
class MonthTrust:
    """What the replay says of one month ahead.

    ``weight`` of the forecast with deals against the time series alone; ``deal_yield``: revenue that open deals brought, over what was
    expected of them; ``spread``: standard error of the blend over that of the time series alone. Mean absolute errors in currency of the
    time series, the blend, and the plain weighted pipeline, over ``n`` replayed months.
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

        The weight is the least-squares one, pooled with the neighbouring months ahead and drawn to one half. It is 0 where the replay's
        blend was no better than the time series alone.
        """
        if replayed[c.AS_OF].nunique() < _FEWEST_ORIGINS:
            return cls.none(
                f"{replayed[c.AS_OF].nunique()} past months could be replayed; {_FEWEST_ORIGINS} are needed to judge the open deals"
            )
        by_month = {int(str(step)): rows for step, rows in replayed.groupby(c.HORIZON)}
        yields = {step: _yield(rows) for step, rows in by_month.items()}
        corrected = {
            step: rows.assign(**{WITH_DEALS: rows[WITH_DEALS] + (yields[step] - 1) * rows[DEALS_EXPECTED]})
            for step, rows in by_month.items()
        }
        months = tuple(_of_month(step, corrected, yields[step]) for step in sorted(by_month))
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
        helps = [month for month in self.months if month.weight > 0]
        if not self.months:
            return f"Open deals do not change the forecast: {self.reason}."
        if not helps:
            return f"Open deals do not change the forecast: they did not make it better in the past ({self.reason})."
        gains = ", ".join(f"{month.gain:+.0%} in month {month.horizon}" for month in helps[:3])
        return f"Open deals make the forecast better ({gains} of the error saved; {self.reason})."

    def _values(self, name: str, otherwise: float, horizon: int) -> Floats:
        known = {month.horizon: getattr(month, name) for month in self.months}
        return np.array([known.get(step, otherwise) for step in range(1, horizon + 1)], dtype=float)


def _yield(rows: pd.DataFrame) -> float:
    expected, came = rows[DEALS_EXPECTED].to_numpy(float), rows[DEALS_ACTUAL].to_numpy(float)
    belief = _YIELD_PRIOR * expected.mean()
    return float((came.sum() + belief) / (expected.sum() + belief)) if expected.sum() > 0 else 1.0


def _of_month(step: int, by_month: Mapping[int, pd.DataFrame], deal_yield: float) -> MonthTrust:
    rows = by_month[step]
    near = pd.concat([by_month[other] for other in (step - 1, step, step + 1) if other in by_month])
    weight = _weight(near, origins=len(rows))
    if _mae(near, weight) >= _mae(near, 0.0):
        weight = 0.0
    missed, alone = (rows[ACTUAL] - _blend(rows, weight)) ** 2, (rows[ACTUAL] - rows[SERIES]) ** 2
    belief = _SPREAD_PRIOR * float(alone.mean())
    spread = np.sqrt((float(missed.sum()) + belief) / max(float(alone.sum()) + belief, 1e-300))
    return MonthTrust(
        horizon=step,
        n=len(rows),
        weight=weight,
        deal_yield=deal_yield,
        spread=float(spread),
        mae_time_series=_mae(rows, 0.0),
        mae_blend=_mae(rows, weight),
        mae_weighted_pipeline=float((rows[ACTUAL] - rows[WEIGHTED]).abs().mean()),
    )


def _blend(rows: pd.DataFrame, weight: float) -> pd.Series:
    return weight * rows[WITH_DEALS] + (1 - weight) * rows[SERIES]


def _mae(rows: pd.DataFrame, weight: float) -> float:
    return float((rows[ACTUAL] - _blend(rows, weight)).abs().mean())


def _weight(rows: pd.DataFrame, *, origins: int) -> float:
    apart = (rows[WITH_DEALS] - rows[SERIES]).to_numpy(float)
    missed = (rows[ACTUAL] - rows[SERIES]).to_numpy(float)
    squares = float((apart**2).sum())
    if squares <= 0:
        return 0.0
    prior = squares * _WEIGHT_PRIOR / origins
    return float(np.clip(((missed * apart).sum() + 0.5 * prior) / (squares + prior), 0.0, 1.0))
