"""Answers as they are sent: the members of their schemas in `schemas`, without a check on the way out. A test holds the two in step.

Instants and dates are ISO 8601 text already. A number that is NaN or infinite must not come here: see `envelopes.number`.
"""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Response

from predictkpi.core.types import Status
from predictkpi.service.schemas import Problem


class Model(msgspec.Struct):
    """`schemas.Model`."""

    name: str
    version: str
    kind: str
    reason: str


class Prediction(msgspec.Struct):
    """`schemas.Prediction`."""

    horizon: int
    until: str
    status: Status
    values: dict[str, float | None]
    dates: dict[str, str | None]
    notes: dict[str, str]


class Curve(msgspec.Struct):
    """`schemas.Curve`."""

    horizons: list[int]
    values: dict[str, list[float | None]]


class Reason(msgspec.Struct):
    """`schemas.Reason`."""

    statistic: str
    horizon: int
    name: str
    title: str
    contribution: float


class Envelope(msgspec.Struct):
    """`schemas.PredictionEnvelope`."""

    prediction_id: str
    inputs_digest: str
    predictor: str
    entity_id: str
    entity: str
    label: str
    as_of: str
    time_unit: str
    currency: str
    headline: str
    units: dict[str, str]
    model: Model
    status: Status
    reason: str
    predictions: list[Prediction]
    curve: Curve | None = None
    reasons: list[Reason] | None = None


class CustomerEnvelope(Envelope):
    """`customer_schemas.CustomerEnvelope`."""

    rank: int | None = None
    of: int | None = None
    decile: int | None = None


class PredictionList(msgspec.Struct):
    """`schemas.PredictionList`."""

    as_of: str
    items: list[Envelope]


class BatchItem(msgspec.Struct):
    """`schemas.BatchItem`; the problem as plain members."""

    index: int
    prediction: Envelope | None = None
    problem: dict[str, Any] | None = None


class BatchOut(msgspec.Struct):
    """`schemas.BatchOut`."""

    as_of: str
    succeeded: int
    failed: int
    items: list[BatchItem]


_ENCODER = msgspec.json.Encoder()
encoded = _ENCODER.encode
"""Any of these as JSON."""


def sent(answer: msgspec.Struct) -> Response:
    """Any of these as a response."""
    return Response(encoded(answer), media_type="application/json")


def plain_problem(problem: Problem) -> dict[str, Any]:
    """A problem as a member of another answer."""
    return problem.model_dump(mode="json")
