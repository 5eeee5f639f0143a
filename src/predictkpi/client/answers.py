"""What the client sends and gets, as typed dictionaries: the schemas of docs/openapi.json of the same names, which a test holds them to.

Instants are ISO 8601 text in local time of the company; a missing number is None.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

Json = dict[str, Any]
"""An answer without a type of its own here; /docs describes it."""


class ProblemItem(TypedDict):
    """One wrong value."""

    detail: str
    pointer: NotRequired[str | None]
    parameter: NotRequired[str | None]


class Problem(TypedDict):
    """RFC 9457 problem details; ``retry_after`` is the header of that name, in seconds."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: NotRequired[list[ProblemItem] | None]
    missing: NotRequired[list[str] | None]
    retry_after: NotRequired[float]


class Model(TypedDict):
    """Which model version gave the answer."""

    name: str
    version: str
    kind: str
    reason: str


class Prediction(TypedDict):
    """All numbers for one horizon."""

    horizon: int
    until: str
    status: str
    values: dict[str, float | None]
    dates: NotRequired[dict[str, str | None]]
    notes: NotRequired[dict[str, str]]


class Curve(TypedDict):
    """The statistics that every horizon has, at each of them."""

    horizons: list[int]
    values: dict[str, list[float | None]]


class Reason(TypedDict):
    """What speaks for or against an entity."""

    statistic: str
    horizon: int
    name: str
    title: str
    contribution: float


class PredictionEnvelope(TypedDict):
    """The one shape of every prediction."""

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
    status: str
    reason: str
    predictions: list[Prediction]
    curve: NotRequired[Curve | None]
    reasons: NotRequired[list[Reason] | None]


class CustomerEnvelope(PredictionEnvelope):
    """What a customer will be worth, and where that stands among all."""

    rank: int | None
    of: int | None
    decile: int | None


class PredictionList(TypedDict):
    """Several predictions as of the same instant."""

    as_of: str
    items: list[PredictionEnvelope]


class DealEventIn(TypedDict):
    """One change of a deal."""

    at: str
    stage: str
    amount: NotRequired[float | None]
    expected_close_on: NotRequired[str | None]
    owner: NotRequired[str | None]


class ActivityIn(TypedDict):
    """A call, email, meeting or the like about a deal."""

    at: str
    kind: str


class DealIn(TypedDict, total=False):
    """A deal as the CRM holds it now."""

    deal_id: str | None
    name: str | None
    created_at: str | None
    stage: str | None
    amount: float | None
    owner: str | None
    source: str | None
    product: str | None
    region: str | None
    team: str | None
    customer_id: str | None
    expected_close_on: str | None
    attributes: dict[str, float | bool | str | None]
    events: list[DealEventIn]
    activities: list[ActivityIn]


class BatchItem(TypedDict):
    """What came of one deal: a prediction or a problem."""

    index: int
    prediction: NotRequired[PredictionEnvelope | None]
    problem: NotRequired[Problem | None]


class OrderIn(TypedDict):
    """An order, or a refund with an amount below 0."""

    at: str
    amount: float
    product: NotRequired[str | None]


class CustomerIn(TypedDict, total=False):
    """A customer as the CRM holds it now."""

    customer_id: str | None
    name: str | None
    segment: str | None
    region: str | None
    industry: str | None
    channel: str | None
    created_at: str | None
    orders: list[OrderIn] | None


class CustomerBatchItem(TypedDict):
    """What came of one customer: a prediction or a problem."""

    index: int
    prediction: NotRequired[CustomerEnvelope | None]
    problem: NotRequired[Problem | None]


class DealHeadline(TypedDict):
    """What is predicted of an open deal, in short."""

    chance_90: float | None
    p_win: float | None
    close_q10: str | None
    close_q50: str | None
    close_q90: str | None
    p_slip: float | None
    expected_value: float | None
    status: str
    reason: str


class DealRow(TypedDict):
    """A deal as it stands."""

    deal_id: str
    label: str
    state: str
    stage: str | None
    stage_since: str | None
    amount: float | None
    expected_close_on: str | None
    owner: str | None
    team: str | None
    region: str | None
    segment: str | None
    source: str | None
    product: str | None
    customer_id: str | None
    customer: str | None
    created_at: str | None
    closed_at: str | None
    prediction: DealHeadline | None


class DealEvent(TypedDict):
    """The state of a deal after one change."""

    at: str
    stage: str
    amount: float | None
    expected_close_on: str | None
    owner: str | None


class DealFacts(DealRow):
    """A deal and its history."""

    as_of: str
    currency: str
    model: Model | None
    events: list[DealEvent]
    activities: dict[str, int]
    attributes: dict[str, Any]
    ordered: float


class CustomerHeadline(TypedDict):
    """What a customer will be worth, in short."""

    mean: float
    q10: float | None
    q50: float | None
    q90: float | None
    p_alive: float | None
    expected_purchases: float | None
    rank: int
    decile: int
    status: str
    reason: str


class CustomerRow(TypedDict):
    """A customer, or an account that has not bought yet."""

    customer_id: str
    label: str
    segment: str | None
    region: str | None
    industry: str | None
    channel: str | None
    owner: str | None
    created_at: str | None
    orders: int
    revenue: float
    first_order_at: str | None
    last_order_at: str | None
    open_deals: int
    prediction: CustomerHeadline | None


class CustomerYear(TypedDict):
    """Orders of one calendar year."""

    year: int
    orders: int
    revenue: float
    refunded: float


class CustomerFacts(CustomerRow):
    """A customer and its history."""

    as_of: str
    currency: str
    model: Model | None
    years: list[CustomerYear]
    deals: list[DealRow]
    attributes: dict[str, Any]


class RowsHeldTo(TypedDict):
    """The deals of these teams or owners, and their customers."""

    kind: str
    members: list[str]


class Me(TypedDict):
    """Who asks, as the service sees it."""

    id: str
    name: str
    role: str
    permissions: list[str]
    rows: RowsHeldTo | None
    per_minute: int | None
