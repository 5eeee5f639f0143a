"""Will we make the number: revenue of named periods in three parts, what if, and what moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query

from predictkpi.core import columns as c
from predictkpi.errors import UnknownNameError
from predictkpi.outlook import Outlook, Trust
from predictkpi.outlook.periods import PERIODS, PeriodOutlook, Periods
from predictkpi.outlook.scenarios import Scenario
from predictkpi.predictors.revenue.scopes import label_of
from predictkpi.service.dependencies import CurrentView, problems
from predictkpi.service.envelopes import model_of
from predictkpi.service.outlook_schemas import (
    DealMove,
    Growths,
    GrowthSpread,
    MonthTrust,
    MovesAnswer,
    MoveStep,
    OutlookAnswer,
    Part,
    PeriodAnswer,
    PeriodName,
    Plain,
    Replay,
    ScenarioAnswer,
    ScopeOutlook,
)
from predictkpi.service.outlooks import USUAL_DAYS, forecasters_of, moved, periods_of
from predictkpi.service.problems import InvalidRequestError
from predictkpi.service.scenarios import WhatIfs
from predictkpi.service.view import View

router = APIRouter(prefix="/v1/outlook", tags=["outlook"])

_NAMED = ("commit", "most_likely", "best_case")
PROBLEMS = problems("unknown-entity", "insufficient-data", "invalid-request", "no-champion", "not-ready", "no-data")


@router.get("", responses=PROBLEMS)
def outlook(
    view: CurrentView,
    scope: Annotated[list[str] | None, Query(description="`total` (default) or a member, `region=EMEA`; may be repeated")] = None,
    by: Annotated[
        str | None, Query(description="instead: all members of a dimension, or of crossed ones: `region,segment`", examples=["region"])
    ] = None,
    period: Annotated[list[PeriodName] | None, Query(description="named period, fiscal; may be repeated; all by default")] = None,
    win_rate: Annotated[float, Query(gt=-1, lt=1, description="what if the win rate were so much higher: .05 is 5 points")] = 0.0,
    cycle_days: Annotated[float, Query(gt=-180, lt=180, description="what if deals closed so many days sooner; below 0 later")] = 0.0,
    spend: Annotated[
        list[str] | None,
        Query(description="what if a channel's spend were so many times as high: `search:1.2`; may be repeated", examples=[["search:1.2"]]),
    ] = None,
) -> OutlookAnswer:
    """Revenue of named periods with its range, target, chance to reach it, and three parts: booked, from open deals, not yet created.

    Quantiles, chance and growth come from the same sample paths. A scenario re-runs them, taking for granted that all else goes on as it
    was; deals not yet open react as those that are, and more spend brings customers at the channel's past cost.
    """
    plain = periods_of(view)
    scopes = _scopes(plain.outlook, scope, by)
    names = list(dict.fromkeys(period or PERIODS))
    scenario = Scenario(win_rate=win_rate, cycle_days=cycle_days, spend=_spend(spend or []))
    changed = None if scenario.is_plain else WhatIfs.of(view).under(scenario)
    return OutlookAnswer(
        **source_of(view, plain.outlook),
        by=by,
        scenario=ScenarioAnswer(**vars(scenario)) if changed else None,
        items=[_scope(view, name, plain, changed, names) for name in scopes],
    )


@router.get("/moves", responses=PROBLEMS)
def outlook_moves(
    view: CurrentView,
    scope: Annotated[str, Query(description="`total` or a member, `region=EMEA`")] = c.TOTAL,
    period: Annotated[PeriodName, Query(description="named period of now, fiscal")] = "this_quarter",
    days: Annotated[int, Query(ge=1, le=366, description="since so many days ago")] = USUAL_DAYS,
    limit: Annotated[int, Query(ge=0, le=1000, description="so many deals at most")] = 50,
) -> MovesAnswer:
    """What moved the expected revenue of a period since an earlier day: start + steps = end, down to the deal."""
    _, found = moved(view, scope, period, days=days)
    now = periods_of(view).outlook
    status, reason = forecasters_of(view).standing(now, scope)
    return MovesAnswer(
        **source_of(view, now),
        scope=scope,
        label=label_of(scope),
        status=status,
        reason=reason,
        period=period,
        since=found.since,
        start=found.start,
        end=found.end,
        steps=[MoveStep(step=step, change=change) for step, change in found.steps.items()],
        deals=[_deal(view, row) for row in found.deals.head(limit).to_dict("records")],
        deal_count=len(found.deals),
    )


def source_of(view: View, outlook: Outlook) -> dict[str, object]:
    """What every answer about the outlook says of itself."""
    return {
        "as_of": view.as_of,
        "currency": view.company.currency,
        "models": [model_of(ref) for ref in forecasters_of(view).models],
        "replay": _replay(outlook.trust),
    }


def _replay(trust: Trust) -> Replay:
    months = [MonthTrust(**{name: getattr(month, name) for name in MonthTrust.model_fields}) for month in trust.months]
    return Replay(verdict=trust.verdict, reason=trust.reason, months=months)


def _scopes(outlook: Outlook, scopes: list[str] | None, by: str | None) -> list[str]:
    if by is not None and scopes:
        raise InvalidRequestError.parameter("by", "give either scope or by, not both")
    try:
        return outlook.chosen(scopes, by)
    except UnknownNameError as error:
        raise InvalidRequestError.parameter("by", str(error)) from error


def _spend(given: list[str]) -> Mapping[str, float]:
    found = {}
    for text in given:
        channel, _, factor = text.rpartition(":")
        refusal = InvalidRequestError.parameter("spend", f"{text!r}: write channel:factor with a factor from 0 to 10, such as search:1.2")
        try:
            found[channel] = float(factor)
        except ValueError as error:
            raise refusal from error
        if not (channel and 0 <= found[channel] <= 10):
            raise refusal
    return found


def _scope(view: View, scope: str, plain: Periods, changed: Periods | None, names: list[str]) -> ScopeOutlook:
    status, reason = forecasters_of(view).standing(plain.outlook, scope)
    before = plain.of(scope, names)
    shown = [_period(one, None) for one in before]
    if changed is not None:
        shown = [_period(one, base) for one, base in zip(changed.of(scope, names), before, strict=True)]
    return ScopeOutlook(scope=scope, label=label_of(scope), status=status, reason=reason, periods=shown)


def _period(one: PeriodOutlook, base: PeriodOutlook | None) -> PeriodAnswer:
    same = ("start", "end", "booked", "weighted_pipeline", "chance", "needed", "pace", "coverage", *_NAMED)
    return PeriodAnswer(
        period=one.name,
        expected=one.mean,
        **{name: getattr(one, name) for name in same},
        **{level: one.quantiles[level] for level in ("q025", "q975")},
        from_deals=Part(**vars(one.from_deals)),
        new=Part(**vars(one.new)),
        growth=Growths(**{name: GrowthSpread(**levels) for name, levels in one.growth.items()}),
        target=one.target.value if one.target else None,
        target_basis=one.target.basis if one.target else None,
        plain=Plain(expected=base.mean, chance=base.chance, **{name: getattr(base, name) for name in _NAMED}) if base else None,
        change=one.mean - base.mean if base else None,
    )


def _deal(view: View, row: Mapping[str, object]) -> DealMove:
    plain = {name: row[name] for name in (c.DEAL_ID, "step", "before", "after", "change")}
    return DealMove(label=view.label("deal", str(row[c.DEAL_ID])), **plain)
