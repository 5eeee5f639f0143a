"""The other forecasters: statsforecast's automatic models on the same series, seasonal naive; Prophet and AutoGluon where installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

os.environ.setdefault("NIXTLA_NUMBA_CACHE", "1")

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Forecast = Callable[[Floats, int, int], Floats]

AUTO = ("AutoETS", "AutoCES", "DynamicOptimizedTheta")
PROPHET = "Prophet"
AUTOGLUON = "AutoGluon, statistical models"
_AUTOGLUON_ENVIRONMENT = Path(__file__).parents[2] / ".venv-autogluon" / "bin" / "python"


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


def autogluon(histories: list[Floats], horizon: int) -> dict[str, Floats]:
    """Mean, 10 % and 90 % quantile ``(n, h)`` of AutoGluon-TimeSeries and its CPU seconds; see `autogluon_peer`.

    Raises `FileNotFoundError` where it has no environment.
    """
    if not _AUTOGLUON_ENVIRONMENT.exists():
        raise FileNotFoundError("AutoGluon has no environment; benchmarks/README.md says how to make .venv-autogluon")
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder, "asked.npz"), Path(folder, "answered.npz")
        np.savez(asked, allow_pickle=False, horizon=horizon, **{f"s{k:04d}": y for k, y in enumerate(histories)})
        script = Path(__file__).with_name("autogluon_peer.py")
        subprocess.run([_AUTOGLUON_ENVIRONMENT, script, asked, answered], check=True, stderr=subprocess.DEVNULL)
        with np.load(answered) as found:
            return dict(found)


def timed_together(
    forecast: Callable[[list[Floats], int, int, Callable[[int], None]], Floats],
    histories: list[Floats],
    horizon: int,
    season: int,
    tell: Callable[[int], None] = lambda done: None,
) -> Timed:
    """Of a forecaster that takes all series at once; compiled on the longest before the clock starts."""
    forecast([max(histories, key=len)], horizon, season, lambda done: None)
    started = time.process_time()
    paths = forecast(histories, horizon, season, tell)
    return Timed(paths, time.process_time() - started)


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
