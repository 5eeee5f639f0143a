"""What the open deals will bring together."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal, cast

import pandas as pd
from fastapi import APIRouter, Query

from predictkpi.core import columns as c
from predictkpi.core.types import Status
from predictkpi.errors import UnknownNameError
from predictkpi.predictors.close_time.portfolio import FILTERS, GROUP, OpenDeals
from predictkpi.predictors.close_time.spec import LAST_DAY
from predictkpi.protocol import worst
from predictkpi.service.deal_schemas import Portfolio, PortfolioGroup, Spread
from predictkpi.service.dependencies import CurrentView, problems
from predictkpi.service.envelopes import model_of
from predictkpi.service.instants import IsoInstant
from predictkpi.service.problems import InvalidRequestError
from predictkpi.service.view import View

router = APIRouter(prefix="/v1/deals", tags=["deals"])

Dimension = Literal["owner", "team", "region", "segment", "stage", "expected_close_month"]
Only = list[str] | None
DEFAULT_DAYS = 30


def _only(what: str) -> Any:
    return Query(description=f"only deals with this {what}; may be repeated")


@router.get("/portfolio", responses=problems("insufficient-data", "invalid-request", "no-champion", "not-ready", "no-data"))
def deals_portfolio(
    view: CurrentView,
    by: Annotated[Dimension | None, Query(description="one group per member of this dimension")] = None,
    horizon: Annotated[int | None, Query(ge=1, le=LAST_DAY, description="count what is won within so many days; 30 by default")] = None,
    until: Annotated[IsoInstant | None, Query(description="or before this instant: local time of the company, or with an offset")] = None,
    owner: Annotated[Only, _only("owner")] = None,
    team: Annotated[Only, _only("team")] = None,
    region: Annotated[Only, _only("region")] = None,
    segment: Annotated[Only, _only("segment of its customer")] = None,
    stage: Annotated[Only, _only("stage")] = None,
) -> Portfolio:
    """Amount and number of wins that open deals will bring in time, with 80 % intervals of the totals.

    Drawn jointly: deals of one draw share a shock of the level, so that a total's interval is a total's interval.
    """
    champion = view.champion("close_time")
    days = _days(view, horizon, until)
    whole = cast(OpenDeals, view.page("open-deals", lambda view: OpenDeals.of(champion.predictor, view.snapshot)))
    if view.rows is not None:
        whole = whole.only(view.visible["deal"])
    chosen = {name: values for name, values in zip(FILTERS, (owner, team, region, segment, stage), strict=True) if values}
    for name, values in chosen.items():
        try:
            whole.where({name: values})
        except UnknownNameError as error:
            raise InvalidRequestError.parameter(name, str(error)) from error
    deals = whole.where(chosen)
    table = deals.portfolio(days, by=by)
    groups = [_group(row) for row in table.to_dict("records")]
    total = groups.pop() if groups else _nothing()
    floor = Status.BASELINE if champion.ref.kind == "baseline" else Status.FULL
    statuses = Counter(worst(Status(status), floor) for status in deals.status)
    reasons = Counter(reason for reason in deals.reason if reason)
    reason = champion.ref.reason or (reasons.most_common(1)[0][0] if reasons else "")
    return Portfolio(
        as_of=view.as_of,
        until=view.as_of + pd.Timedelta(days=days),
        currency=view.company.currency,
        by=by,
        model=model_of(champion.ref),
        statuses=dict(statuses),
        reason=reason,
        total=total,
        groups=groups,
    )


def _days(view: View, horizon: int | None, until: IsoInstant | None) -> float:
    if until is None:
        return float(horizon or DEFAULT_DAYS)
    if horizon is not None:
        raise InvalidRequestError.parameter("until", "give either until or horizon, not both")
    days = (view.local(until) - view.as_of) / pd.Timedelta(days=1)
    if not 0 < days <= LAST_DAY:
        last = view.as_of + pd.Timedelta(days=LAST_DAY)
        raise InvalidRequestError.parameter(
            "until", f"must lie after as_of ({view.as_of.isoformat()}), and no later than {last.isoformat()}"
        )
    return days


def _group(row: dict[str, Any]) -> PortfolioGroup:
    spreads = {what: Spread(**{name: row[f"{what}_{name}"] for name in Spread.model_fields}) for what in ("amount", "wins")}
    plain = {name: row[name] for name in (GROUP, "open_deals", "open_amount", "without_amount", "weighted_amount")}
    return PortfolioGroup(**plain, **spreads)


def _nothing() -> PortfolioGroup:
    """No open deal: nothing can be won."""
    zero = Spread(mean=0.0, q10=0.0, q50=0.0, q90=0.0)
    return PortfolioGroup(group=c.TOTAL, open_deals=0, open_amount=0.0, without_amount=0, weighted_amount=0.0, amount=zero, wins=zero)
