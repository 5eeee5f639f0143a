"""From the long prediction table to the one envelope of every answer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import horizon_end, shift
from predictkpi.core.types import Company, ModelRef, Spec, Status
from predictkpi.protocol import worst
from predictkpi.service.schemas import Model, Prediction, PredictionEnvelope


def number(value: float | None) -> float | None:
    """A number for JSON: NaN and infinities become null."""
    return None if value is None or not math.isfinite(value) else float(value)


def model_of(ref: ModelRef) -> Model:
    """How a model version stands in an answer."""
    return Model(name=ref.predictor, version=ref.version, kind=ref.kind, reason=ref.reason)


def envelope(
    rows: pd.DataFrame,
    *,
    spec: Spec,
    ref: ModelRef,
    company: Company,
    entity_id: str,
    label: str,
    caveats: Sequence[str] = (),
    horizons: Sequence[int] | None = None,
) -> PredictionEnvelope:
    """One entity's rows of the long table as an answer.

    Parameters: ``rows`` of one entity and one as_of (`columns.PREDICTION_COLUMNS`); ``caveats`` about the question itself (an unknown
    stage) lower the status to ``limited``; ``horizons`` keeps only those.
    """
    as_of = rows[c.AS_OF].iloc[0]
    floor = (Status.LIMITED if caveats else Status.FULL, Status.BASELINE if ref.kind == "baseline" else Status.FULL)
    values: dict[int, dict[str, float | None]] = {}
    statuses: dict[int, Status] = {}
    reasons: dict[str, None] = {}
    for horizon, statistic, value, status, reason in zip(
        rows[c.HORIZON], rows[c.STATISTIC], rows[c.VALUE], rows[c.STATUS], rows[c.REASON], strict=True
    ):
        if horizons is not None and horizon not in horizons:
            continue
        values.setdefault(int(horizon), {})[str(statistic)] = number(value)
        statuses[int(horizon)] = worst(statuses.get(int(horizon), Status.FULL), Status(status), *floor)
        if isinstance(reason, str) and reason:
            reasons[reason] = None
    reasons |= dict.fromkeys(caveats)
    if ref.kind == "baseline" and ref.reason:
        reasons[ref.reason] = None
    predictions = [
        Prediction(horizon=horizon, until=_until(spec, as_of, horizon), status=statuses[horizon], values=values[horizon])
        for horizon in sorted(values)
    ]
    present = {statistic for numbers in values.values() for statistic in numbers}
    return PredictionEnvelope(
        predictor=spec.name,
        entity_id=entity_id,
        entity=spec.entity,
        label=label,
        as_of=as_of,
        time_unit=spec.time_unit,
        currency=company.currency,
        headline=spec.headline,
        units={statistic.name: statistic.unit for statistic in spec.statistics if statistic.name in present},
        model=model_of(ref),
        status=worst(*statuses.values()) if statuses else Status.INSUFFICIENT_DATA,
        reason="; ".join(reasons),
        predictions=predictions,
    )


def _until(spec: Spec, as_of: pd.Timestamp, horizon: int) -> pd.Timestamp:
    """Exclusive end of what is predicted: a series speaks of calendar months, the first of which is the running one."""
    return shift(as_of, horizon, "M") if spec.entity == "series" else horizon_end(as_of, horizon, spec.time_unit)
