"""Answers about who asks, and who saw and changed what."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from predictkpi.core.access import AccessRole, Permission
from predictkpi.service.schemas import Answer


class RowsHeldTo(Answer):
    """The deals of these teams or owners, and the customers whose newest deal is one of them."""

    kind: Literal["team", "owner"] = Field(examples=["team"])
    members: list[str] = Field(examples=[["North"]])


class Me(Answer):
    """Who asks, as the service sees it."""

    id: str = Field(description="of the key, or `oidc:` and the subject of a token; `open` where everybody on this machine may ask")
    name: str = Field(description="for people", examples=["salesforce"])
    role: AccessRole = Field(examples=["crm"])
    permissions: list[Permission] = Field(description="what may be asked for; see `x-permission` of each operation", examples=[["rows"]])
    rows: RowsHeldTo | None = Field(description="what the caller is held to; null for everybody's rows")
    per_minute: int | None = Field(description="requests a minute; null for as many as there are", examples=[3000])


class Change(Answer):
    """Something that was changed: a training, a promotion, a key. Instants of this log are UTC."""

    at: datetime = Field(examples=["2026-01-02T03:04:05"])
    actor: str = Field(description="a user of the system, or a key", examples=["dana"])
    action: str = Field(examples=["promote"])
    subject: str = Field(description="a predictor, a key, ...", examples=["close_time"])
    detail: dict[str, Any] = Field(examples=[{"from": "2", "to": "3"}])


class ChangePage(Answer):
    """Changes, newest first."""

    next: str | None = Field(description="cursor of the next page, also in the header `Link`; null on the last")
    items: list[Change]


class AccessCount(Answer):
    """Requests of one day by one caller for one thing with one outcome. Instants are UTC."""

    day: datetime = Field(examples=["2026-01-02T00:00:00"])
    actor: str = Field(description="id of the key or token", examples=["pkpi_0a1b2c3d4e"])
    action: str = Field(description="method and route", examples=["GET /v1/deals/{deal_id}/close-time"])
    subject: str = Field(description="which deal, customer, KPI ...; empty where the route names none", examples=["D-1042"])
    status: int = Field(examples=[200])
    first_at: datetime
    last_at: datetime
    times: int = Field(examples=[14])


class AccessList(Answer):
    """Requests, the newest first."""

    items: list[AccessCount]
