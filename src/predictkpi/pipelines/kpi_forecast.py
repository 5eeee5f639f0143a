"""Forecast any KPI of the catalogue, through the revenue predictor's engine."""

from __future__ import annotations

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import future_periods
from predictkpi.core.types import Status
from predictkpi.errors import UnknownEntityError
from predictkpi.kpis import get_kpi
from predictkpi.kpis.base import Kpi
from predictkpi.kpis.targets import split_scope
from predictkpi.kpis.trends import settled, unwatchable
from predictkpi.outlook.growth import LEVELS
from predictkpi.predictors.revenue.forecaster import HORIZON
from predictkpi.predictors.revenue.kpi_series import Scale, forecast_series
from predictkpi.predictors.revenue.paths import Answer
from predictkpi.snapshot import Snapshot

FORECAST_COLUMNS = [c.KPI, c.SCOPE, c.AS_OF, c.DS, c.HORIZON, "mean", *LEVELS, c.STATUS, c.REASON]


def forecast_kpi(snapshot: Snapshot, name: str, *, scope: str = c.TOTAL, draws: int = 1000, origins: int = 24) -> pd.DataFrame:
    """The months from the running one, each as a whole: `FORECAST_COLUMNS`, in the KPI's unit.

    A KPI that cannot be forecast (cohorts that still mature, quarters only) or has no month with a value has rows without figures and
    the reason. Raises `UnknownNameError` for a KPI or dimension, `UnknownEntityError` for a member that is not there.
    """
    kpi = get_kpi(name)
    months = future_periods(snapshot.as_of, HORIZON, "M")
    frame = pd.DataFrame({c.KPI: name, c.SCOPE: scope, c.AS_OF: snapshot.as_of, c.DS: months, c.HORIZON: range(1, HORIZON + 1)})
    series = _series(kpi, snapshot, scope)
    reason = unwatchable(kpi) or ("" if len(series) and series[c.VALUE].notna().any() else "no month with a value yet")
    if reason:
        nothing = dict.fromkeys(("mean", *LEVELS), np.nan)
        return frame.assign(**nothing, **{c.STATUS: Status.INSUFFICIENT_DATA.value, c.REASON: reason})[FORECAST_COLUMNS]
    answer = answer_of(kpi, snapshot, series, draws=draws, origins=origins)
    quantiles = dict(zip(LEVELS, np.quantile(answer.paths, list(LEVELS.values()), axis=0), strict=True))
    figures = {"mean": answer.paths.mean(axis=0), **quantiles}
    return frame.assign(**figures, **{c.STATUS: answer.status.value, c.REASON: answer.reason})[FORECAST_COLUMNS]


def answer_of(kpi: Kpi, snapshot: Snapshot, series: pd.DataFrame, *, draws: int, origins: int) -> Answer:
    """Sample paths of a KPI from the monthly ``series`` (``value, n`` by ``ds``) that the snapshot knows."""
    return forecast_series(
        series[c.VALUE], as_of=snapshot.as_of, scale=scale_of(kpi), n=series[c.N], name=kpi.name, draws=draws, origins=origins
    )


def scale_of(kpi: Kpi) -> Scale:
    """How the values of a KPI may vary."""
    if kpi.is_change:
        return "change"
    return "share" if kpi.unit == "share" else "amount"


def _series(kpi: Kpi, snapshot: Snapshot, scope: str) -> pd.DataFrame:
    by, member = split_scope(scope)
    series = settled(kpi, snapshot, by=by)
    if len(series) and member not in set(series[c.MEMBER]):
        known = ", ".join(sorted(set(series[c.MEMBER])))
        raise UnknownEntityError(f"{kpi.name} has no {by} {member!r}; there are: {known}")
    return series[series[c.MEMBER] == member].set_index(c.DS)
