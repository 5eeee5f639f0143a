"""Answers about the data itself: is there enough, what was kept aside, and how it stands with what was promised."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from predictkpi.core.types import Status
from predictkpi.service.schemas import Answer


class ReadinessCount(Answer):
    """One thing a predictor needs."""

    count: str = Field(examples=["closed_deals"])
    have: int = Field(examples=[212])
    need: int = Field(description="for status full", examples=[300])
    is_enough: bool = Field(examples=[False])
    lift: str = Field(description="what is lacking for status full; empty where nothing is", examples=["88 more closed deals for full"])


class PredictorReadiness(Answer):
    """How far the data carries one predictor."""

    predictor: str = Field(examples=["close_time"])
    status: Status = Field(description="rung of the ladder", examples=["limited"])
    reason: str = Field(examples=["212 closed deals: below 300 the landmark curves stand alone"])
    counts: list[ReadinessCount]


class ReadinessAnswer(Answer):
    """Readiness of every predictor."""

    as_of: datetime = Field(examples=["2026-01-01T00:00:00"])
    items: list[PredictorReadiness]


class Reject(Answer):
    """A row that was kept aside, as the source gave it."""

    load_id: int = Field(description="the load that met it", examples=[7])
    file: str = Field(examples=["orders.csv"])
    row: int = Field(description="number of the row in its file", examples=[1043])
    table: str = Field(examples=["orders"])
    field: str = Field(examples=["amount"])
    value: str = Field(description="what the field held", examples=["12,50 EUR"])
    reason: str = Field(examples=["is no number"])
    record: dict[str, Any] | None = Field(description="the whole row; null for a line that was no row", examples=[{"id": "O-17"}])


class RejectPage(Answer):
    """Rejects that no replay has settled: the newest load first, the rows of one load in file order."""

    total: int = Field(description="of all loads and tables", examples=[12])
    next: str | None = Field(description="cursor of the next page, also in the header `Link`; null on the last")
    items: list[Reject]


class TargetStanding(Answer):
    """A target whose period has begun, and how it stands. Numbers in the KPI's unit; null where there is none."""

    kpi: str = Field(examples=["revenue"])
    scope: str = Field(description="`total` or a member, `region=EMEA`", examples=["total"])
    freq: Literal["D", "W", "M", "Q", "Y"] = Field(description="length of the period; quarters and years are fiscal", examples=["Q"])
    ds: datetime = Field(description="first instant of the period", examples=["2025-10-01T00:00:00"])
    target: float | None = Field(examples=[1500000.0])
    basis: str = Field(description="how the target follows from the rows that were written down", examples=["exact"])
    actual: float | None = Field(description="in the running period, so far", examples=[1418000.0])
    gap: float | None = Field(description="actual - target", examples=[-82000.0])
    attainment: float | None = Field(description="actual / target, or target / actual where less is better: 1 is met", examples=[0.945])
    is_running: bool = Field(description="whether the period is not over", examples=[False])
    pace: float | None = Field(description="attainment that a running period is heading for by its usual course", examples=[None])
    light: Literal["green", "amber", "red", "none"] = Field(description="by the bands of models/targets.yaml", examples=["amber"])
    status: Status = Field(description="how far the actual can be trusted", examples=["full"])
    reason: str = Field(description="why the status is not full", examples=[""])


class TargetList(Answer):
    """Targets with their attainment, oldest first within KPI and scope."""

    as_of: datetime = Field(examples=["2026-01-01T00:00:00"])
    currency: str = Field(examples=["EUR"])
    items: list[TargetStanding]
