"""A customer in a request, and what came of many of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SkipValidation

from predictkpi.service.customer_schemas import CustomerEnvelope
from predictkpi.service.instants import IsoInstant
from predictkpi.service.schemas import MAX_BATCH, Answer, NotBlank, Problem

MAX_ORDERS = 10_000


class OrderIn(BaseModel):
    """An order, or a refund with an amount below 0."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    at: IsoInstant = Field(description="when it was booked; local time of the company, or with an offset", examples=["2025-11-20"])
    amount: float = Field(
        gt=-1e15, lt=1e15, strict=True, allow_inf_nan=False, description="net of tax, in the reporting currency", examples=[1250.0]
    )
    product: str | None = Field(None, max_length=200, description="product or product line")


class CustomerIn(BaseModel):
    """A customer as the CRM holds it now. What the CRM has no value for is left out or null."""

    model_config = ConfigDict(
        extra="forbid",
        str_strip_whitespace=True,
        json_schema_extra={
            "example": {
                "customer_id": "CRM-2207",
                "segment": "SMB",
                "region": "EMEA",
                "channel": "search",
                "created_at": "2025-02-03",
                "orders": [
                    {"at": "2025-02-20T10:00:00", "amount": 1250.0},
                    {"at": "2025-07-04T15:30:00", "amount": 980.0},
                    {"at": "2025-07-19T09:00:00", "amount": -120.0},
                ],
            }
        },
    )

    customer_id: NotBlank | None = Field(None, description="returned as entity_id; need not be known to the store")
    name: str | None = Field(None, max_length=400, description="returned as label")
    segment: str | None = Field(None, max_length=200, description="size or type of customer, spelled as in the store")
    region: str | None = Field(None, max_length=200, description="sales region")
    industry: str | None = Field(None, max_length=200, description="sector of the customer")
    channel: str | None = Field(None, max_length=200, description="acquisition channel")
    created_at: IsoInstant | None = Field(
        None, description="when the account was opened. Without it the account counts as opened with its first order, or just before as_of"
    )
    orders: list[OrderIn] | None = Field(
        None, max_length=MAX_ORDERS, description="all its orders so far, in any order; without any it is an account that has not bought yet"
    )


class CustomerBatchIn(BaseModel):
    """Customers to value in one call; each is checked on its own, so one bad customer spoils none."""

    model_config = ConfigDict(extra="forbid")

    customers: list[Annotated[CustomerIn, SkipValidation]] = Field(min_length=1, max_length=MAX_BATCH)


class CustomerBatchItem(Answer):
    """What came of one customer of the batch: a prediction or a problem, never both."""

    index: int = Field(description="position in the request", examples=[0])
    prediction: CustomerEnvelope | None = None
    problem: Problem | None = None


class CustomerBatchOut(Answer):
    """One item per customer, in the order of the request."""

    as_of: datetime = Field(examples=["2026-01-01T00:00:00"])
    succeeded: int = Field(examples=[2])
    failed: int = Field(examples=[0])
    items: list[CustomerBatchItem]
