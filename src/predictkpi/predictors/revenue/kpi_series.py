"""The revenue model's engine for the monthly series of any KPI: amounts, shares between 0 and 1, and relative changes.

The engine is at home with positive series and relative errors. A share is therefore forecast as odds, whose logarithm is the logit, and a
change as the factor 1 + change; the sample paths are turned back. An amount goes in as it is.

A quarter is the mean of its months' paths, times what quarters were against the mean of their months before: exactly three for a sum, about
one for a rate, and for anything else whatever it has been.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core.periods import cutoff_of
from predictkpi.core.types import Status
from predictkpi.errors import DataError
from predictkpi.predictors.revenue.model import RevenueForecaster
from predictkpi.predictors.revenue.paths import Answer
from predictkpi.predictors.revenue.table import inputs_of
from predictkpi.protocol import worst

Floats = npt.NDArray[np.float64]
Scale = Literal["amount", "share", "change"]

_YEAR = 12
_QUARTER = 3
_MOST_QUARTERS = 12
# A share of nothing known in number is taken as one of so many.
_N_UNKNOWN = 100.0
_LEAST_FACTOR = 0.01


def forecast_series(
    y: pd.Series,
    *,
    as_of: pd.Timestamp,
    scale: Scale = "amount",
    n: pd.Series | None = None,
    name: str = "series",
    draws: int = 1000,
    origins: int = 24,
    random_state: int = 0,
) -> Answer:
    """Sample paths of the 12 months from the one that holds ``as_of``, in the unit of ``y``.

    ``y`` is indexed by the starts of its complete months, in order; ``n`` (same index) is how many cases each share is made of. Months
    without a value inside the series are filled in from their neighbours, which the reason says. Intervals are learnt from rolling
    origins inside ``y``. Raises `DataError` for a month at or after that of ``as_of``, or for a series that is not monthly.
    """
    as_of = pd.Timestamp(as_of)
    whole = _checked(y, as_of)
    filled = int(whole.isna().sum())
    whole = whole.interpolate(limit_direction="both")
    cases = _cases(whole, n)
    inside = _to_engine(whole.to_numpy(dtype=float), cases, scale)
    model = RevenueForecaster(draws=draws, origins=origins, random_state=random_state)
    known = {name: _versions(whole.index, inside, as_of, origins)} if len(whole) else {}
    answer = model.learn(known).answers(inputs_of(name, as_of, whole.index, inside))[0]
    status, reason = answer.status, answer.reason.replace(" of revenue", "")
    if filled:
        status = worst(status, Status.LIMITED)
        reason = "; ".join(part for part in (reason, f"{filled} months without a value were filled in") if part)
    paths = _from_engine(answer.paths, _usual(cases, _YEAR), scale)
    return replace(answer, history=whole.to_numpy(dtype=float), paths=paths, status=status, reason=reason)


def quarter_values(
    answer: Answer,
    quarters: pd.Series,
    *,
    scale: Scale = "amount",
    n: pd.Series | None = None,
    n_quarters: pd.Series | None = None,
    random_state: int = 0,
) -> Floats:
    """Sample values of the quarter that begins with the answer's first month, in the unit of ``quarters``; none where no quarter is known.

    ``answer`` is that of `forecast_series`, with the same ``scale`` and ``n``. ``quarters`` are the values of earlier quarters, by their
    first months, with their own cases ``n_quarters``; only the newest three years of them count.
    """
    months = pd.date_range(end=answer.months[0], periods=len(answer.history) + 1, freq="MS", unit="us")[:-1]
    cases, quarter_cases = _cases(pd.Series(answer.history, index=months), n), _cases(quarters, n_quarters)
    inside = pd.Series(_to_engine(answer.history, cases, scale), index=months)
    means = sum(inside.shift(-step) for step in range(_QUARTER)).reindex(quarters.index) / _QUARTER
    ratio = (pd.Series(_to_engine(quarters.to_numpy(dtype=float), quarter_cases, scale), index=quarters.index) / means)[means > 0]
    known = ratio[ratio > 0].tail(_MOST_QUARTERS).to_numpy(dtype=float)
    if not len(known):
        return np.array([])
    ahead = _to_engine(answer.paths[:, :_QUARTER], _usual(cases, _YEAR), scale).mean(axis=1)
    drawn = known[np.random.default_rng(random_state).integers(len(known), size=len(ahead))]
    return _from_engine(ahead * drawn, _usual(quarter_cases, _YEAR // _QUARTER), scale)


def _usual(cases: Floats, newest: int) -> float:
    return float(np.median(cases[-newest:])) if len(cases) else _N_UNKNOWN


def _checked(y: pd.Series, as_of: pd.Timestamp) -> pd.Series:
    """From the first month with a value to the cutoff, NaN where there is none."""
    found = y.dropna()
    if not len(found):
        return pd.Series([], index=pd.DatetimeIndex([]), dtype="float64")
    cutoff = cutoff_of(as_of, "M")
    if found.index[-1] > cutoff:
        raise DataError(f"the series reaches {found.index[-1]:%Y-%m}, but only months up to {cutoff:%Y-%m} are complete at {as_of}")
    months = pd.date_range(found.index[0], cutoff, freq="MS", unit="us")
    strange = found.index.difference(months)
    if len(strange):
        raise DataError(f"{strange[0]} is not the start of a month: only monthly series can be forecast")
    return found.astype("float64").reindex(months)


def _cases(whole: pd.Series, n: pd.Series | None) -> Floats:
    if n is None:
        return np.full(len(whole), _N_UNKNOWN)
    return np.maximum(n.reindex(whole.index).astype("float64").fillna(1.0).to_numpy(dtype=float), 1.0)


def _to_engine(y: Floats, cases: Floats | float, scale: Scale) -> Floats:
    """Odds count half a case more on either side, so that none and all are far away but not infinitely far."""
    if scale == "share":
        return (y * cases + 0.5) / ((1 - y) * cases + 0.5)
    return np.maximum(1 + y, _LEAST_FACTOR) if scale == "change" else y


def _from_engine(paths: Floats, cases: float, scale: Scale) -> Floats:
    if scale == "share":
        return np.clip((paths / (1 + paths) * (cases + 1) - 0.5) / cases, 0.0, 1.0)
    return paths - 1 if scale == "change" else paths


def _versions(months: pd.Index, y: Floats, as_of: pd.Timestamp, origins: int) -> dict[pd.Timestamp, pd.Series]:
    """The series as it was at ``as_of`` and at each of the ``origins`` before it."""
    known = range(min(origins, len(y) - 1), -1, -1)
    return {as_of - pd.DateOffset(months=back): pd.Series(y[: len(y) - back], index=months[: len(y) - back]) for back in known}
