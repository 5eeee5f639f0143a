"""From the long prediction table to the one envelope of every answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.digests import digest
from predictkpi.core.periods import horizon_end, shift
from predictkpi.core.types import Company, ModelRef, Spec, Status
from predictkpi.protocol import EntityAnswer
from predictkpi.service import wire
from predictkpi.service.schemas import Model

_RUNGS = tuple(Status)
_RANK: dict[str, int] = {status: place for place, status in enumerate(_RUNGS)}
_FULL, _LIMITED, _BASELINE, _INSUFFICIENT = (
    _RANK[rung] for rung in (Status.FULL, Status.LIMITED, Status.BASELINE, Status.INSUFFICIENT_DATA)
)
MOST_LAYOUTS = 512
_LAYOUTS: dict[tuple[str, tuple[int, ...], tuple[str, ...], tuple[int, ...] | None], _Layout] = {}


def number(value: float | None) -> float | None:
    """A number for JSON: NaN and infinities become null."""
    return float(value) if value is not None and math.isfinite(value) else None


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
    as_of, day = _instant(answer.as_of)
    layout = _layout(spec, answer.horizons, answer.statistics, None if horizons is None else tuple(horizons))
    floor = max(_LIMITED if caveats else _FULL, _BASELINE if ref.kind == "baseline" else _FULL)
    predictions = []
    told: dict[str, None] = {}
    untold: dict[str, None] = {}
    numbers, reasons = [number(value) for value in answer.values], answer.reasons
    ranks = [_RANK[status] for status in answer.statuses]
    untils = _untils(spec.entity == "series", spec.time_unit, answer.as_of, layout.horizons)
    for part, until in zip(layout.parts, untils, strict=True):
        held = [ranks[place] for _, place in part.places if numbers[place] is not None]
        notes: dict[str, str] = {}
        for name, place in part.odd_among(reasons):
            if numbers[place] is not None and ranks[place] != _FULL:
                told[reasons[place]] = None
            else:
                notes[name] = reasons[place]
        if not held:
            untold |= dict.fromkeys(notes.values())
        predictions.append(
            wire.Prediction(
                horizon=part.horizon,
                until=until,
                status=_RUNGS[max(floor, *held)] if held else Status.INSUFFICIENT_DATA,
                values={name: numbers[place] for name, place in part.places},
                dates={name: _day(day, numbers[place]) for name, place in part.in_days},
                notes=notes,
            )
        )
    whole = dict.fromkeys(part for reason in told for part in reason.split("; ")) | dict.fromkeys(caveats)
    if ref.kind == "baseline" and ref.reason:
        whole[ref.reason] = None
    whole |= untold
    return wire.Envelope(
        prediction_id=digest(spec.name, ref.version, as_of, entity_id, inputs_digest, layout.asked),
        inputs_digest=inputs_digest,
        predictor=spec.name,
        entity_id=entity_id,
        entity=spec.entity,
        label=label,
        as_of=as_of,
        time_unit=spec.time_unit,
        currency=company.currency,
        headline=spec.headline,
        units=layout.units,
        model=wire.Model(ref.predictor, ref.version, ref.kind, ref.reason),
        status=_RUNGS[max([_RANK[each.status] for each in predictions], default=_INSUFFICIENT)],
        reason="; ".join(whole),
        predictions=predictions,
        curve=curve,
    )


class _Part(NamedTuple):
    """One horizon of an answer: where each of its statistics stands, and which of them are days."""

    horizon: int
    places: list[tuple[str, int]]
    in_days: list[tuple[str, int]]

    def odd_among(self, reasons: Sequence[str]) -> list[tuple[str, int]]:
        """Those of which there is something to say."""
        return [(name, place) for name, place in self.places if reasons[place]]


class _Layout(NamedTuple):
    """What all answers with the same columns share: ascending horizons, the units of what they hold, and the horizons as text (`asked`)."""

    parts: list[_Part]
    horizons: tuple[int, ...]
    units: dict[str, str]
    asked: str


def _layout(spec: Spec, horizons: tuple[int, ...], statistics: tuple[str, ...], wanted: tuple[int, ...] | None) -> _Layout:
    key = spec.name, horizons, statistics, wanted
    if key not in _LAYOUTS:
        units = {statistic.name: statistic.unit for statistic in spec.statistics}
        places: dict[int, list[tuple[str, int]]] = {}
        for place, (horizon, name) in enumerate(zip(horizons, statistics, strict=True)):
            if wanted is None or horizon in wanted:
                places.setdefault(horizon, []).append((name, place))
        parts = [
            _Part(horizon, places[horizon], [place for place in places[horizon] if units[place[0]] == "days"]) for horizon in sorted(places)
        ]
        present = {name for part in parts for name, _ in part.places}
        if len(_LAYOUTS) >= MOST_LAYOUTS:
            _LAYOUTS.clear()
        held: dict[str, str] = {name: unit for name, unit in units.items() if name in present}
        _LAYOUTS[key] = _Layout(parts, tuple(sorted(places)), held, " ".join(map(str, sorted(places))))
    return _LAYOUTS[key]


def curve_of(rows: pd.DataFrame) -> wire.Curve:
    """One entity's rows at every horizon as a curve of the statistics that each of them has."""
    wide = rows.pivot(index=c.HORIZON, columns=c.STATISTIC, values=c.VALUE).sort_index()
    counts = rows.groupby(c.STATISTIC)[c.HORIZON].nunique()
    names = [name for name in dict.fromkeys(rows[c.STATISTIC]) if counts[name] == len(wide)]
    return wire.Curve(horizons=[int(h) for h in wide.index], values={name: [number(value) for value in wide[name]] for name in names})


@lru_cache(maxsize=64)
def _instant(as_of: pd.Timestamp) -> tuple[str, datetime]:
    return as_of.isoformat(), as_of.to_pydatetime()


def _day(as_of: datetime, days: float | None) -> str | None:
    return None if days is None else (as_of + timedelta(days=days)).date().isoformat()


@lru_cache(maxsize=256)
def _untils(is_series: bool, time_unit: Literal["month", "day"], as_of: pd.Timestamp, horizons: tuple[int, ...]) -> list[str]:
    """Exclusive ends of what is predicted: a series speaks of calendar months, the first of which is the running one."""
    return [(shift(as_of, each, "M") if is_series else horizon_end(as_of, each, time_unit)).isoformat() for each in horizons]
