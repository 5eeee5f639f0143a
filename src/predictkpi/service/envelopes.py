"""From the long prediction table to the one envelope of every answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.digests import digest
from predictkpi.core.periods import horizon_end, shift
from predictkpi.core.types import Company, ModelRef, Spec, Status
from predictkpi.protocol import EntityAnswer, worst
from predictkpi.service.schemas import Curve, Model, Prediction, PredictionEnvelope


def number(value: float | None) -> float | None:
    """A number for JSON: NaN and infinities become null."""
    return None if value is None or not math.isfinite(value) else float(value)


def model_of(ref: ModelRef) -> Model:
    """How a model version stands in an answer."""
    return Model(name=ref.predictor, version=ref.version, kind=ref.kind, reason=ref.reason)


def envelope(
    answer: EntityAnswer,
    *,
    spec: Spec,
    ref: ModelRef,
    company: Company,
    entity_id: str,
    label: str,
    inputs_digest: str,
    caveats: Sequence[str] = (),
    horizons: Sequence[int] | None = None,
    curve: Curve | None = None,
) -> PredictionEnvelope:
    """A predictor's answer for one entity as the service gives it.

    Parameters: ``inputs_digest`` stands for what the predictor was given; ``caveats`` about the question itself (an unknown stage) lower
    the status to ``limited``; ``horizons`` keeps only those.

    A horizon's status is that of the numbers it has. What is odd about one number alone (why it is missing, how it was counted) is a
    note on that number, and no reason of the whole answer.
    """
    as_of = answer.as_of
    floor = (Status.LIMITED if caveats else Status.FULL, Status.BASELINE if ref.kind == "baseline" else Status.FULL)
    values: dict[int, dict[str, float | None]] = {}
    statuses: dict[int, Status] = {}
    reasons: dict[str, None] = {}
    notes: dict[int, dict[str, str]] = {}
    for horizon, statistic, value, status, reason in answer.rows:
        if horizons is not None and horizon not in horizons:
            continue
        found = number(value)
        values.setdefault(horizon, {})[statistic] = found
        if found is not None:
            statuses[horizon] = worst(statuses.get(horizon, Status.FULL), Status(status), *floor)
        if reason:
            if found is None or status == Status.FULL:
                notes.setdefault(horizon, {})[statistic] = reason
            else:
                reasons |= dict.fromkeys(reason.split("; "))
    reasons |= dict.fromkeys(caveats)
    if ref.kind == "baseline" and ref.reason:
        reasons[ref.reason] = None
    units = {statistic.name: statistic.unit for statistic in spec.statistics}
    for horizon in values.keys() - statuses.keys():
        statuses[horizon] = Status.INSUFFICIENT_DATA
        reasons |= dict.fromkeys(notes.get(horizon, {}).values())
    predictions = [
        Prediction(
            horizon=horizon,
            until=_until(spec, as_of, horizon),
            status=statuses[horizon],
            values=values[horizon],
            dates={name: _day(as_of, days) for name, days in values[horizon].items() if units[name] == "days"},
            notes=notes.get(horizon, {}),
        )
        for horizon in sorted(values)
    ]
    present = {statistic for numbers in values.values() for statistic in numbers}
    question = (spec.name, ref.version, as_of.isoformat(), entity_id, inputs_digest, " ".join(map(str, sorted(values))))
    return PredictionEnvelope(
        prediction_id=digest(*question),
        inputs_digest=inputs_digest,
        predictor=spec.name,
        entity_id=entity_id,
        entity=spec.entity,
        label=label,
        as_of=as_of,
        time_unit=spec.time_unit,
        currency=company.currency,
        headline=spec.headline,
        units={name: unit for name, unit in units.items() if name in present},
        model=model_of(ref),
        status=worst(*statuses.values()) if statuses else Status.INSUFFICIENT_DATA,
        reason="; ".join(reasons),
        predictions=predictions,
        curve=curve,
    )


def curve_of(rows: pd.DataFrame) -> Curve:
    """One entity's rows at every horizon as a curve of the statistics that each of them has."""
    wide = rows.pivot(index=c.HORIZON, columns=c.STATISTIC, values=c.VALUE).sort_index()
    counts = rows.groupby(c.STATISTIC)[c.HORIZON].nunique()
    names = [name for name in dict.fromkeys(rows[c.STATISTIC]) if counts[name] == len(wide)]
    return Curve(horizons=[int(h) for h in wide.index], values={name: [number(value) for value in wide[name]] for name in names})


def _day(as_of: pd.Timestamp, days: float | None) -> date | None:
    return None if days is None else (as_of + pd.Timedelta(days=days)).date()


def _until(spec: Spec, as_of: pd.Timestamp, horizon: int) -> pd.Timestamp:
    """Exclusive end of what is predicted: a series speaks of calendar months, the first of which is the running one."""
    return shift(as_of, horizon, "M") if spec.entity == "series" else horizon_end(as_of, horizon, spec.time_unit)
