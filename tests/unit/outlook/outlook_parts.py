"""Replays and trust made by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from predictkpi.outlook.trust import MonthTrust


def replayed(*, with_deals: Callable[[np.ndarray, np.random.Generator], np.ndarray], origins: int = 12, seed: int = 1) -> pd.DataFrame:
    """Three months ahead from each origin: revenue around 1000, a time series that is off by about 60."""
    rng = np.random.default_rng(seed)
    starts = pd.date_range("2024-01-01", periods=origins, freq="MS")
    frame = pd.DataFrame([(start, step) for start in starts for step in (1, 2, 3)], columns=["as_of", "horizon"])
    actual = 1000 + rng.normal(0, 100, len(frame))
    return frame.assign(
        actual=actual,
        time_series=actual + rng.normal(0, 60, len(frame)),
        with_deals=with_deals(actual, rng),
        weighted_pipeline=500.0,
        deals_expected=0.0,
        deals_actual=0.0,
    )


def month_trust(horizon: int, **more: float) -> MonthTrust:
    """A month ahead that the replay trusts by half."""
    usual = {"weight": 0.5, "deal_yield": 0.9, "spread": 0.9}
    errors = {"mae_time_series": 100.0, "mae_blend": 90.0, "mae_weighted_pipeline": 200.0}
    return MonthTrust(horizon=horizon, n=12, **usual | errors | more)
