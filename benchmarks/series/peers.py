"""The other forecasters: statsforecast's automatic models on the same series, seasonal naive, and Prophet where it is installed."""

from __future__ import annotations

import importlib.util
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

os.environ.setdefault("NIXTLA_NUMBA_CACHE", "1")

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Forecast = Callable[[Floats, int, int], Floats]

AUTO = ("AutoETS", "AutoCES", "DynamicOptimizedTheta")
PROPHET = "Prophet"


@dataclass(frozen=True)
class Timed:
    """Paths (n, h) of many series and the CPU seconds they took, without the first call, which compiles."""

    paths: Floats
    cpu_seconds: float


def seasonal_naive(y: Floats, horizon: int, season: int) -> Floats:
    return np.resize(y[-season:], horizon)


@lru_cache
def _model(name: str, season: int) -> Any:
    from statsforecast import models

    return getattr(models, name)(season_length=season)


def statsforecast_model(name: str) -> Forecast:
    """``(history, horizon, season) -> path`` of a model of statsforecast by its name, with its own settings."""

    def forecast(y: Floats, horizon: int, season: int) -> Floats:
        return np.asarray(_model(name, season).forecast(y.copy(), h=horizon)["mean"], dtype=float)

    return forecast


def own_interval(name: str, y: Floats, horizon: int, season: int, level: float) -> tuple[Floats, Floats]:
    """The model's own central interval, level a share."""
    shown = int(100 * level)
    found = _model(name, season).forecast(y.copy(), h=horizon, level=[shown])
    return np.asarray(found[f"lo-{shown}"], dtype=float), np.asarray(found[f"hi-{shown}"], dtype=float)


def prophet(y: Floats, horizon: int, season: int) -> Floats:
    """Prophet with its own settings, monthly."""
    import pandas as pd
    from prophet import Prophet

    ds = pd.date_range("2000-01-01", periods=len(y) + horizon, freq="MS")
    model = Prophet(weekly_seasonality=False, daily_seasonality=False).fit(pd.DataFrame({"ds": ds[: len(y)], "y": y}))
    return model.predict(pd.DataFrame({"ds": ds[len(y) :]}))["yhat"].to_numpy(float)


def has_prophet() -> bool:
    return importlib.util.find_spec("prophet") is not None


def timed(forecast: Forecast, histories: list[Floats], horizon: int, season: int, tell: Callable[[int], None] = lambda done: None) -> Timed:
    """One after the other. The longest history is forecast once before the clock starts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        forecast(max(histories, key=len), horizon, season)
        started, paths = time.process_time(), []
        for done, y in enumerate(histories):
            paths.append(forecast(y, horizon, season))
            tell(done)
    return Timed(np.array(paths), time.process_time() - started)
