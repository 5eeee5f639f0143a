"""Answers about many deals or customers, page by page, and about what is known of one."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from predictkpi.core.types import Status
from predictkpi.service.schemas import Answer, Model

DealState = Literal["open", "won", "lost"]
_REASON = "why the status is not full, or what is odd about a number; empty where nothing is"


class PageOf(Answer):
    """What every page says beside its items."""

    as_of: datetime = Field(examples=["2026-01-01T00:00:00"])
    currency: str = Field(description="ISO 4217 code of every amount", examples=["EUR"])
    model: Model | None = Field(description="which version the predictions are of; null where none serves")
    reason: str = Field(description="why there are no predictions; empty where there are", examples=[""])
    total: int = Field(description="rows that fit the filters now", examples=[198])
    next: str | None = Field(
        description="cursor of the next page, also in the header `Link`; null on the last", examples=["WyJkZWFsX2lkIixudWxsLCJELTEiXQ"]
    )


class DealHeadline(Answer):
    """What is predicted of an open deal, in short; `/v1/deals/{deal_id}/close-time` has all of it."""

    chance_90: float | None = Field(description="won within 90 days of as_of", examples=[0.31])
    p_win: float | None = Field(description="won in the end: within 180 days", examples=[0.42])
    close_q10: date | None = Field(description="10 % quantile of the close date, given a win", examples=["2026-01-14"])
    close_q50: date | None = Field(description="its median", examples=["2026-02-11"])
    close_q90: date | None = Field(description="its 90 % quantile", examples=["2026-04-20"])
    p_slip: float | None = Field(description="not won by the end of the day that the rep expects", examples=[0.64])
    expected_value: float | None = Field(description="p_win x amount", examples=[17640.0])
    status: Status = Field(description="rung of the ladder of chance_90", examples=["full"])
    reason: str = Field(description=_REASON, examples=[""])


class DealRow(Answer):
    """A deal as it stands."""

    deal_id: str = Field(examples=["D-1042"])
    label: str = Field(description="its name for people", examples=["Brightline: Platform rollout"])
    state: DealState = Field(examples=["open"])
    stage: str | None = Field(examples=["Proposal"])
    stage_since: datetime | None = Field(description="when it came into this stage", examples=["2025-12-03T16:20:00"])
    amount: float | None = Field(examples=[42000.0])
    expected_close_on: datetime | None = Field(description="as the rep expects", examples=["2026-02-15T00:00:00"])
    owner: str | None = Field(examples=["Dana Fields"])
    team: str | None = Field(examples=["North"])
    region: str | None = Field(examples=["EMEA"])
    segment: str | None = Field(description="of its customer", examples=["Mid-market"])
    source: str | None = Field(examples=["inbound"])
    product: str | None = Field(examples=["Platform"])
    customer_id: str | None = Field(examples=["C-0001"])
    customer: str | None = Field(description="its customer's name", examples=["Brightline"])
    created_at: datetime | None = Field(examples=["2025-11-12T09:00:00"])
    closed_at: datetime | None = Field(description="of a deal that is won or lost", examples=[None])
    prediction: DealHeadline | None = Field(description="null for a closed deal, and where no model serves")


class DealPage(PageOf):
    """Deals, as many as were asked for."""

    items: list[DealRow]


class CustomerHeadline(Answer):
    """What a customer will be worth, in short; `/v1/customers/{customer_id}/clv` has all of it."""

    mean: float = Field(description="expected net revenue over 12 months", examples=[8200.0])
    q10: float | None = Field(description="exceeded with probability .9", examples=[1100.0])
    q50: float | None = Field(description="the median", examples=[6900.0])
    q90: float | None = Field(description="exceeded with probability .1; q10 to q90 is the 80 % interval", examples=[17300.0])
    p_alive: float | None = Field(description="still a customer; of an account without an order: becomes one", examples=[0.93])
    expected_purchases: float | None = Field(description="expected days with a positive net order in 12 months", examples=[4.1])
    rank: int = Field(description="by mean among all; 1 is worth most, equals share the better rank", examples=[17])
    decile: int = Field(description="1 is the best tenth", examples=[1])
    status: Status = Field(description="rung of the ladder of the mean", examples=["full"])
    reason: str = Field(description=_REASON, examples=[""])


class CustomerRow(Answer):
    """A customer, or an account that has not bought yet."""

    customer_id: str = Field(examples=["C-0001"])
    label: str = Field(description="its name for people", examples=["Brightline"])
    segment: str | None = Field(examples=["Mid-market"])
    region: str | None = Field(examples=["EMEA"])
    industry: str | None = Field(examples=["Retail"])
    channel: str | None = Field(description="that won it", examples=["search"])
    owner: str | None = Field(description="of its newest deal", examples=["Dana Fields"])
    created_at: datetime | None = Field(description="when the account was opened", examples=["2023-02-01T00:00:00"])
    orders: int = Field(description="refunds and credit notes among them", examples=[23])
    revenue: float = Field(description="net of all orders so far", examples=[48210.5])
    first_order_at: datetime | None = Field(examples=["2023-02-14T00:00:00"])
    last_order_at: datetime | None = Field(examples=["2025-12-11T00:00:00"])
    open_deals: int = Field(examples=[1])
    prediction: CustomerHeadline | None = Field(description="null where no model serves")


class CustomerPage(PageOf):
    """Customers, as many as were asked for."""

    items: list[CustomerRow]


class DealEvent(Answer):
    """The state of a deal after one change."""

    at: datetime = Field(examples=["2025-12-03T16:20:00"])
    stage: str = Field(examples=["Proposal"])
    amount: float | None = Field(examples=[42000.0])
    expected_close_on: datetime | None = Field(examples=["2026-02-15T00:00:00"])
    owner: str | None = Field(examples=["Dana Fields"])


OwnFields = dict[str, float | bool | datetime | str | None]


class DealFacts(DealRow):
    """A deal and its history."""

    as_of: datetime
    currency: str = Field(examples=["EUR"])
    model: Model | None = Field(description="which version the prediction is of; null where none serves")
    events: list[DealEvent] = Field(description="oldest first")
    activities: dict[str, int] = Field(description="what was done about it, counted by kind", examples=[{"call": 4, "email": 11}])
    attributes: OwnFields = Field(description="the company's own fields", examples=[{"lead_score": 71.0, "has_budget": True}])
    ordered: float = Field(description="net of the orders that come from it", examples=[0.0])


class CustomerYear(Answer):
    """Orders of one calendar year."""

    year: int = Field(examples=[2025])
    orders: int = Field(examples=[9])
    revenue: float = Field(description="net", examples=[18100.0])
    refunded: float = Field(description="sum of refunds and credit notes, as a positive number", examples=[240.0])


class CustomerFacts(CustomerRow):
    """A customer and its history."""

    as_of: datetime
    currency: str = Field(examples=["EUR"])
    model: Model | None = Field(description="which version the prediction is of; null where none serves")
    years: list[CustomerYear] = Field(description="oldest first; years without an order are left out")
    deals: list[DealRow] = Field(description="its deals that you may see, newest first, 100 at most")
    attributes: OwnFields = Field(description="the company's own fields", examples=[{"employees": 420.0}])
