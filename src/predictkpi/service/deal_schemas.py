"""Answers about open deals beyond one prediction: what they will bring together, and what has moved one of them."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from predictkpi.core.types import Status
from predictkpi.service.schemas import Answer, Model


class ChangeParts(Answer):
    """What the change is made of, each a difference of probabilities; they add up to the change."""

    data: float = Field(description="what has been learnt since: the deal's events, and its owner's, source's and customer's")
    time: float = Field(description="time passing: the facts of a week ago, looked at as of now")
    model: float = Field(description="a new model version; 0 where the same one served, or where the one of then is not known")


class DealChange(Answer):
    """What has moved a deal's chance to be won within 90 days since a week ago."""

    entity_id: str = Field(examples=["D-1042"])
    label: str = Field(description="the deal's name for people")
    as_of: datetime
    since: datetime = Field(description="a week before as_of")
    horizon: int = Field(description="days", examples=[90])
    now: float = Field(description="P(won within 90 days of as_of)")
    before: float | None = Field(description="P(won within 90 days of then), as answered then; null where the deal was not open then")
    change: float | None = Field(description="now - before")
    parts: ChangeParts | None
    model: Model
    version_before: str | None = Field(description="version that scored last before then; null where none did")
    notes: list[str] = Field(description="what a reader must know of these numbers")


class Spread(Answer):
    """A total's distribution, from joint draws."""

    mean: float
    q10: float = Field(description="stays below this with probability .1")
    q50: float = Field(description="the median")
    q90: float = Field(description="stays below this with probability .9; q10 to q90 is the 80 % interval")


class PortfolioGroup(Answer):
    """Open deals that belong together."""

    group: str = Field(description="member of the dimension, '(none)' without one; 'total' for all", examples=["Dana Fields"])
    open_deals: int
    open_amount: float = Field(description="sum of the amounts of the open deals")
    without_amount: int = Field(description="open deals without an amount: they count among the wins, and bring no amount")
    weighted_amount: float = Field(description="sum of chance to be won in time x amount")
    amount: Spread = Field(description="amount won in time")
    wins: Spread = Field(description="deals won in time")


class Portfolio(Answer):
    """What the open deals will bring."""

    as_of: datetime
    until: datetime = Field(description="exclusive end of the time in which deals must be won to count")
    currency: str
    by: str | None = Field(description="the dimension of the groups")
    model: Model
    statuses: dict[Status, int] = Field(description="rung of the ladder -> open deals on it", examples=[{"full": 190, "limited": 8}])
    reason: str = Field(description="what is most often said of a deal below full; empty where all are full")
    total: PortfolioGroup
    groups: list[PortfolioGroup] = Field(description="one per member, sorted; their draws add up to the total's; empty without `by`")
