"""From the long prediction table to the one envelope of every answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.digests import digest
from predictkpi.core.periods import horizon_end, shift
from predictkpi.core.types import Company, ModelRef, Spec, Status
from predictkpi.protocol import EntityAnswer
from predictkpi.service import wire
from predictkpi.service.schemas import Model

_RUNGS = tuple(Status)
_RANK = {str(status): place for place, status in enumerate(_RUNGS)}
_LIMITED, _BASELINE = _RANK[Status.LIMITED], _RANK[Status.BASELINE]
_FULL, _LAST = 0, len(_RUNGS) - 1
FULL = str(Status.FULL)


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
    curve: wire.Curve | None = None,
) -> wire.Envelope:
    """A predictor's answer for one entity as the service gives it.

    Parameters: ``inputs_digest`` stands for what the predictor was given; ``caveats`` about the question itself (an unknown stage) lower
    the status to ``limited``; ``horizons`` keeps only those.

    A horizon's status is that of the numbers it has. What is odd about one number alone (why it is missing, how it was counted) is a
    note on that number, and no reason of the whole answer.
    """
    as_of = _instant(answer.as_of)
    floor = max(_LIMITED if caveats else _FULL, _BASELINE if ref.kind == "baseline" else _FULL)
    ranks: dict[int, int] = {}
    values: dict[int, dict[str, float | None]] = {}
    notes: dict[int, dict[str, str]] = {}
    told: dict[str, None] = {}
    before = None
    for horizon, statistic, value, status, reason in answer.rows:
        if horizons is not None and horizon not in horizons:
            continue
        if horizon != before:
            before, numbers, odd = horizon, values.setdefault(horizon, {}), notes.setdefault(horizon, {})
        if -math.inf < value < math.inf:
            numbers[statistic] = value
            if ranks.get(horizon, -1) < _RANK[status]:
                ranks[horizon] = max(_RANK[status], floor)
            if reason and status != FULL:
                told[reason] = None
            elif reason:
                odd[statistic] = reason
        else:
            numbers[statistic] = None
            if reason:
                odd[statistic] = reason
    whole = [*caveats, ref.reason] if ref.kind == "baseline" and ref.reason else caveats
    reasons = dict.fromkeys(part for reason in told for part in reason.split("; ")) | dict.fromkeys(whole)
    for horizon in values.keys() - ranks.keys():
        ranks[horizon] = _LAST
        reasons |= dict.fromkeys(notes[horizon].values())
    units = {statistic.name: statistic.unit for statistic in spec.statistics}
    predictions = [
        wire.Prediction(
            horizon=horizon,
            until=_until(spec.entity == "series", spec.time_unit, answer.as_of, horizon),
            status=_RUNGS[ranks[horizon]],
            values=values[horizon],
            dates={name: _day(as_of, days) for name, days in values[horizon].items() if units[name] == "days"},
            notes=notes[horizon],
        )
        for horizon in sorted(values)
    ]
    present = {statistic for numbers in values.values() for statistic in numbers}
    return wire.Envelope(
        prediction_id=digest(spec.name, ref.version, as_of.isoformat(), entity_id, inputs_digest, " ".join(map(str, sorted(values)))),
        inputs_digest=inputs_digest,
        predictor=spec.name,
        entity_id=entity_id,
        entity=spec.entity,
        label=label,
        as_of=as_of.isoformat(),
        time_unit=spec.time_unit,
        currency=company.currency,
        headline=spec.headline,
        units={name: unit for name, unit in units.items() if name in present},
        model=wire.Model(ref.predictor, ref.version, ref.kind, ref.reason),
        status=_RUNGS[max(ranks.values(), default=_LAST)],
        reason="; ".join(reasons),
        predictions=predictions,
        curve=curve,
    )


def curve_of(rows: pd.DataFrame) -> wire.Curve:
    """One entity's rows at every horizon as a curve of the statistics that each of them has."""
    wide = rows.pivot(index=c.HORIZON, columns=c.STATISTIC, values=c.VALUE).sort_index()
    counts = rows.groupby(c.STATISTIC)[c.HORIZON].nunique()
    names = [name for name in dict.fromkeys(rows[c.STATISTIC]) if counts[name] == len(wide)]
    return wire.Curve(horizons=[int(h) for h in wide.index], values={name: [number(value) for value in wide[name]] for name in names})


@lru_cache(maxsize=64)
def _instant(as_of: pd.Timestamp) -> datetime:
    return as_of.to_pydatetime()


def _day(as_of: datetime, days: float | None) -> str | None:
    return None if days is None else (as_of + timedelta(days=days)).date().isoformat()


@lru_cache(maxsize=1024)
def _until(is_series: bool, time_unit: Literal["month", "day"], as_of: pd.Timestamp, horizon: int) -> str:
    """Exclusive end of what is predicted: a series speaks of calendar months, the first of which is the running one."""
    return (shift(as_of, horizon, "M") if is_series else horizon_end(as_of, horizon, time_unit)).isoformat()
