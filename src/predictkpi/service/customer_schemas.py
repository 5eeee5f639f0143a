"""Answers about customers beyond one prediction: where one stands, what groups will bring, and what channels return."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from predictkpi.core.types import Status
from predictkpi.service.deal_schemas import Spread
from predictkpi.service.schemas import Answer, Model, PredictionEnvelope


class CustomerEnvelope(PredictionEnvelope):
    """What one customer will be worth, and where that stands among all of the cohort, by the mean over 12 months."""

    rank: int | None = Field(description="1 is worth most; equals share the better rank; null where no cohort is ranked", examples=[17])
    of: int | None = Field(description="customers ranked, accounts without an order among them", examples=[240])
    decile: int | None = Field(description="1 is the best tenth, 10 the last", examples=[1])


class GroupValue(Answer):
    """What a group will bring up to one horizon. Mean, discounted and purchases are the sums of its customers' predictions."""

    horizon: int = Field(description="months after as_of", examples=[12])
    revenue: Spread = Field(
        description="net revenue, undiscounted; the quantiles are the total's, from joint draws",
        examples=[{"mean": 2000030.0, "q10": 1562701.0, "q50": 1970284.0, "q90": 2475121.0}],
    )
    discounted: float = Field(
        description="the mean at its present value, at the annual rate that the model is set to", examples=[1910758.0]
    )
    expected_purchases: float = Field(description="expected days with a positive net order", examples=[1011.3])


class CustomerGroup(Answer):
    """Customers that belong together."""

    group: str = Field(description="member of the dimension, '(none)' without one; 'total' for all", examples=["Mid-market"])
    customers: int = Field(description="in the cohort, accounts without an order among them", examples=[92])
    without_order: int = Field(description="of them without an order yet", examples=[11])
    values: list[GroupValue] = Field(description="ascending horizons")


class HorizonVerdict(Answer):
    """How far the predictions behind the totals of one horizon can be trusted."""

    horizon: int = Field(description="months after as_of", examples=[12])
    until: datetime = Field(description="exclusive end of the horizon", examples=["2027-01-01T00:00:00"])
    statuses: dict[Status, int] = Field(description="rung of the ladder -> customers on it", examples=[{"full": 207, "prior": 25}])
    reason: str = Field(description="what is most often said of a customer below full; empty where all are full", examples=[""])


class CustomersValue(Answer):
    """What the customers will bring."""

    as_of: datetime = Field(examples=["2026-01-01T00:00:00"])
    currency: str = Field(examples=["EUR"])
    by: str | None = Field(description="the dimension of the groups", examples=["segment"])
    model: Model
    horizons: list[HorizonVerdict] = Field(description="ascending")
    total: CustomerGroup
    groups: list[CustomerGroup] = Field(description="one per member, sorted; their draws add up to the total's; empty without `by`")


class Payback(Answer):
    """Months from the first order until net revenue per customer has reached the CAC; null: not within 24 months."""

    expected: float | None = Field(description="of the expected revenue", examples=[4.2])
    q10: float | None = Field(description="sooner than this with probability .1", examples=[3.1])
    q50: float | None = Field(description="the median", examples=[4.3])
    q90: float | None = Field(description="sooner than this with probability .9", examples=[6.8])


class ChannelValue(Answer):
    """A channel's customers, and what they return of their cost. Numbers per customer; null where `reason` says why there is none."""

    channel: str = Field(description="'unknown' without one; 'total' for all customers and all spend", examples=["search"])
    customers: int = Field(description="won in `[since, until)`: their first order falls into it", examples=[31])
    realised: float | None = Field(description="net revenue so far per customer", examples=[6623.56])
    value_12: Spread | None = Field(description="net revenue within 12 months of the first order per customer: come and expected")
    value_24: Spread | None = Field(description="the same within 24 months")
    cost: float | None = Field(description="spend that won them", examples=[36617.8])
    cac: float | None = Field(description="cost per customer won", examples=[1181.22])
    ltv_to_cac_12: Spread | None = Field(description="value_12 over the CAC")
    ltv_to_cac_24: Spread | None = Field(description="value_24 over the CAC")
    payback: Payback | None
    status: Status = Field(description="limited with fewer than 10 customers, insufficient_data without a CAC", examples=["full"])
    reason: str = Field(description="why a number is missing or thin; empty where nothing is", examples=[""])


class ChannelsValue(Answer):
    """LTV to CAC and payback by acquisition channel. Revenue, not margin; the CAC is taken as it is."""

    as_of: datetime = Field(examples=["2026-01-01T00:00:00"])
    since: datetime = Field(description="customers won from here on count", examples=["2025-01-01T00:00:00"])
    until: datetime = Field(description="exclusive", examples=["2026-01-01T00:00:00"])
    lag_days: int = Field(description="days that spend was moved forward to meet its customers, as in the KPI cac_lagged", examples=[10])
    currency: str = Field(examples=["EUR"])
    model: Model
    total: ChannelValue
    channels: list[ChannelValue] = Field(description="sorted; one for every channel that won somebody or was spent on")
