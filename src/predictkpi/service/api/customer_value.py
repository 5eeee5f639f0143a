"""What groups of customers will bring together, and what acquisition channels return."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal, cast

import pandas as pd
from fastapi import APIRouter, Query

from predictkpi.core import columns as c
from predictkpi.core.periods import horizon_end
from predictkpi.core.types import Status
from predictkpi.errors import UnknownNameError
from predictkpi.predictors.clv.groups import DIMENSIONS, GROUP, CustomerBase
from predictkpi.predictors.clv.spec import DISCOUNTED, EXPECTED_PURCHASES, SPEC
from predictkpi.protocol import worst
from predictkpi.service.channel_returns import returns_of_channels
from predictkpi.service.customer_schemas import (
    ChannelsValue,
    CustomerGroup,
    CustomersValue,
    GroupValue,
    HorizonVerdict,
)
from predictkpi.service.customer_totals import base_of
from predictkpi.service.deal_schemas import Spread
from predictkpi.service.dependencies import CurrentView, problems
from predictkpi.service.envelopes import model_of
from predictkpi.service.problems import InvalidRequestError
from predictkpi.service.view import Champion, View

router = APIRouter(prefix="/v1", tags=["customers"])

Dimension = Literal["segment", "region", "industry", "channel", "owner"]
Only = list[str] | None
_PROBLEMS = problems("insufficient-data", "invalid-request", "no-champion", "not-ready", "no-data")


def _only(what: str) -> Any:
    return Query(description=f"only customers {what}; may be repeated")


@router.get("/customers/value", responses=_PROBLEMS)
def customers_value(
    view: CurrentView,
    by: Annotated[Dimension | None, Query(description="one group per member of this dimension")] = None,
    horizon: Annotated[int | None, Query(description="only this horizon: 3, 6, 12 or 24 months")] = None,
    segment: Annotated[Only, _only("of this segment")] = None,
    region: Annotated[Only, _only("of this region")] = None,
    industry: Annotated[Only, _only("of this industry")] = None,
    channel: Annotated[Only, _only("that this channel won")] = None,
    owner: Annotated[Only, _only("whose newest deal this rep owns")] = None,
) -> CustomersValue:
    """Net revenue that customers will bring together, with the 80 % interval of each total, accounts without an order included.

    Drawn jointly: customers of one draw share a shock of the level, so that a total's interval is a total's interval. Means are the sums
    of the customers' own predictions.
    """
    champion = view.champion(SPEC.name)
    if horizon is not None and horizon not in SPEC.horizons:
        raise InvalidRequestError.parameter("horizon", f"no horizon {horizon}: {SPEC.horizons_in_words}")
    horizons = SPEC.horizons if horizon is None else (horizon,)
    base = base_of(view)
    chosen = {name: values for name, values in zip(DIMENSIONS, (segment, region, industry, channel, owner), strict=True) if values}
    for name, values in chosen.items():
        try:
            base.where({name: values})
        except UnknownNameError as error:
            raise InvalidRequestError.parameter(name, str(error)) from error
    customers = base.where(chosen) if chosen else base
    table = customers.totals(by=by) if chosen else cast(pd.DataFrame, view.page(f"customer-totals-{by}", lambda _: base.totals(by=by)))
    groups = [_group(str(name), rows) for name, rows in table[table[c.HORIZON].isin(horizons)].groupby(GROUP, sort=False)]
    total = groups.pop() if groups else _nobody(horizons)
    return CustomersValue(
        as_of=view.as_of,
        currency=view.company.currency,
        by=by,
        model=model_of(champion.ref),
        horizons=[_verdict(view, champion, customers, h) for h in horizons],
        total=total,
        groups=groups,
    )


@router.get("/channels/value", responses=_PROBLEMS)
def channels_value(view: CurrentView) -> ChannelsValue:
    """What customers won in the last 12 months are worth within 12 and 24 months of their first order, over what they cost, by channel.

    The part that has come counts as it came, the rest is drawn jointly; payback is the month in which that sum reaches the CAC.
    """
    return returns_of_channels(view)


def _verdict(view: View, champion: Champion, customers: CustomerBase, horizon: int) -> HorizonVerdict:
    at = SPEC.horizons.index(horizon)
    floor = Status.BASELINE if champion.ref.kind == "baseline" else Status.FULL
    statuses = Counter(worst(Status(status), floor) for status in customers.status[:, at])
    # what is said of a customer on the full rung is a note on one of its numbers
    told = zip(customers.status[:, at], customers.reason[:, at], strict=True)
    reasons = Counter(reason for status, reason in told if reason and status != Status.FULL)
    reason = champion.ref.reason or (reasons.most_common(1)[0][0] if reasons else "")
    until = horizon_end(view.as_of, horizon, SPEC.time_unit)
    return HorizonVerdict(horizon=horizon, until=until, statuses=dict(statuses), reason=reason)


def _group(name: str, rows: pd.DataFrame) -> CustomerGroup:
    values = [
        GroupValue(
            horizon=row[c.HORIZON],
            revenue=Spread(**{part: row[part] for part in Spread.model_fields}),
            discounted=row[DISCOUNTED],
            expected_purchases=row[EXPECTED_PURCHASES],
        )
        for row in rows.to_dict("records")
    ]
    first = rows.iloc[0]
    return CustomerGroup(group=name, customers=first["customers"], without_order=first["without_order"], values=values)


def _nobody(horizons: tuple[int, ...]) -> CustomerGroup:
    """Filters that nobody fits: nothing will come."""
    zero = Spread(mean=0.0, q10=0.0, q50=0.0, q90=0.0)
    values = [GroupValue(horizon=horizon, revenue=zero, discounted=0.0, expected_purchases=0.0) for horizon in horizons]
    return CustomerGroup(group=c.TOTAL, customers=0, without_order=0, values=values)
