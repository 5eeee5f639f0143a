"""Answers about whether the number will be made: named periods in three parts, scenarios, and what moved."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from predictkpi.core.types import Status
from predictkpi.service.schemas import Answer, Model

PeriodName = Literal["this_month", "next_month", "this_quarter", "next_quarter", "this_year"]
Basis = Literal["exact", "spread by season", "spread evenly", "holds", "added up", "averaged"]
StepName = Literal["new", "won", "lost", "slipped", "chances", "amounts", "model"]


class MonthTrust(Answer):
    """What the replay of past months says of one month ahead."""

    horizon: int = Field(description="months ahead; 1 is the running one", examples=[1])
    n: int = Field(description="past months it was replayed for", examples=[12])
    weight: float = Field(description="share of the forecast with open deals in the blend; 0 where they did not help", examples=[0.62])
    deal_yield: float = Field(description="revenue that open deals brought, over what was expected of them", examples=[0.97])
    gain: float = Field(description="share of the time series' error that the blend saves; below 0 it was worse", examples=[0.12])
    mae_time_series: float = Field(description="mean absolute error of the time series alone, in currency", examples=[41200.0])
    mae_blend: float = Field(description="of the blend", examples=[36300.0])
    mae_weighted_pipeline: float = Field(description="of the plain weighted pipeline with the rest as in the blend", examples=[52800.0])


class Replay(Answer):
    """Whether, and how far ahead, open deals make the forecast better: learnt from the company's own past."""

    verdict: str = Field(
        description="in one sentence", examples=["Open deals make the forecast better (+12% in month 1 of the error saved; ...)."]
    )
    reason: str = Field(description="where it was learnt, or why it was not", examples=["replayed from 12 past months, 2025-01 to 2025-12"])
    months: list[MonthTrust] = Field(description="by month ahead; empty where nothing could be replayed")


class Part(Answer):
    """One part of a period's revenue, in currency."""

    mean: float
    q10: float = Field(description="stays below this with probability .1")
    q90: float = Field(description="stays below this with probability .9; q10 to q90 is the 80 % interval")


class GrowthSpread(Answer):
    """Growth of a period, as a share: .04 is 4 %. From the same sample paths as the revenue."""

    q10: float
    q50: float = Field(description="the median", examples=[0.04])
    q90: float


class Growths(Answer):
    """Growth against earlier periods; null where they are not known, or had no revenue."""

    previous: GrowthSpread | None = Field(None, description="on the period before")
    year_before: GrowthSpread | None = Field(None, description="on the same period a year before")
    cagr: GrowthSpread | None = Field(None, description="per year since the first whole fiscal year, for a year two and more later")


class Plain(Answer):
    """The same period without the scenario."""

    expected: float
    commit: float
    most_likely: float
    best_case: float
    chance: float | None


class PeriodAnswer(Answer):
    """Revenue of one scope in one named period; amounts in currency."""

    period: PeriodName = Field(description="quarters and years are fiscal", examples=["this_quarter"])
    start: datetime = Field(description="first instant")
    end: datetime = Field(description="exclusive end")
    expected: float = Field(description="mean of the sample paths; the three parts' means add up to it", examples=[1418000.0])
    commit: float = Field(description="reached with 90 %: the paths' q10", examples=[1254000.0])
    most_likely: float = Field(description="as likely to be passed as missed: q50", examples=[1413000.0])
    best_case: float = Field(description="reached with 10 %: q90", examples=[1589000.0])
    q025: float = Field(description="lower end of the 95 % interval")
    q975: float = Field(description="upper end of it")
    booked: float = Field(description="booked before as_of, with what is still to come from deals won before", examples=[231000.0])
    from_deals: Part = Field(description="from deals open at as_of")
    new: Part = Field(description="from business not yet created: repeat orders and deals to come")
    weighted_pipeline: float = Field(description="for comparison: amount x chance of the stage, by the rep's date", examples=[402000.0])
    growth: Growths
    target: float | None = Field(description="what was promised for the period; null where nothing was", examples=[1500000.0])
    target_basis: Basis | None = Field(description="how the target follows from the rows that were written down", examples=["exact"])
    chance: float | None = Field(description="probability that revenue reaches the target", examples=[0.27])
    needed: float | None = Field(description="what is not yet booked of the target", examples=[1269000.0])
    pace: float | None = Field(description="attainment it is heading for by its usual course, from what is booked alone", examples=[0.96])
    coverage: float | None = Field(description="amount of all open deals over what is needed", examples=[3.3])
    plain: Plain | None = Field(None, description="without the scenario, where one was asked for")
    change: float | None = Field(None, description="expected here less expected without the scenario")


class ScopeOutlook(Answer):
    """One scope in its named periods."""

    scope: str = Field(description="`total`, a member such as `region=EMEA`, or crossed ones", examples=["total"])
    label: str = Field(examples=["Total"])
    status: Status = Field(description="rung of the ladder of the scope's forecast")
    reason: str = Field(description="why the status is not full; empty when it is")
    periods: list[PeriodAnswer] = Field(description="in the order asked for; one whose end lies beyond the forecast is left out")


class ScenarioAnswer(Answer):
    """What was taken to be done differently from as_of on."""

    win_rate: float = Field(description="added to the share of closed deals that are won", examples=[0.05])
    cycle_days: float = Field(description="by how much sooner deals close", examples=[10.0])
    spend: dict[str, float] = Field(description="channel -> factor on its spend of the last twelve months", examples=[{"search": 1.2}])


class OutlookSource(Answer):
    """What every answer about the outlook says of itself."""

    as_of: datetime = Field(description="only what was known before this instant is used")
    currency: str = Field(description="ISO 4217 code of every amount", examples=["EUR"])
    models: list[Model] = Field(description="of revenue, and of deal close time where it serves")
    replay: Replay


class OutlookAnswer(OutlookSource):
    """Will we make the number?"""

    by: str | None = Field(description="the dimension of the items")
    scenario: ScenarioAnswer | None
    items: list[ScopeOutlook]


class LevelPoint(Answer):
    """One period of the outlook, the running one as a whole; amounts in currency."""

    ds: datetime = Field(description="first instant of the period")
    expected: float = Field(description="mean of the sample paths", examples=[421000.0])
    q025: float = Field(description="lower end of the 95 % interval")
    q10: float = Field(description="stays below this with probability .1")
    q50: float = Field(description="the median")
    q90: float = Field(description="stays below this with probability .9; q10 to q90 is the 80 % interval")
    q975: float = Field(description="upper end of the 95 % interval")
    growth: Growths
    target: float | None = Field(None, description="what was promised for the period; null where nothing was, and for weeks")
    target_basis: Basis | None = Field(None, description="how the target follows from the rows that were written down", examples=["exact"])
    chance: float | None = Field(None, description="probability that revenue reaches the target", examples=[0.27])


class LevelsAnswer(OutlookSource):
    """Level and growth of one scope, period by period: the outlook's own, which open deals are a part of."""

    scope: str = Field(examples=["total"])
    label: str = Field(examples=["Total"])
    status: Status
    reason: str
    freq: Literal["W", "M", "Q"] = Field(description="length of a period: a week from Monday on, a month, a fiscal quarter")
    items: list[LevelPoint]


class ReasonStep(Answer):
    """One step on the way to a month's forecast."""

    step: str = Field(examples=["season"])
    title: str = Field(description="in plain words, in the language asked for", examples=["season"])
    change: float = Field(description="in currency; the steps of a month add up to `expected`", examples=[-12400.0])


class MonthReasons(Answer):
    """Why one month is forecast as it is."""

    ds: datetime = Field(description="first instant of the month")
    expected: float = Field(description="mean of the sample paths", examples=[421000.0])
    steps: list[ReasonStep]


class ReasonsAnswer(OutlookSource):
    """Why the outlook of one scope is as it is, month by month."""

    scope: str = Field(examples=["total"])
    label: str = Field(examples=["Total"])
    status: Status
    reason: str
    months: list[MonthReasons] = Field(description="empty where a baseline serves, which has no reasons to give")


class MoveStep(Answer):
    """One step from the forecast of then to that of now."""

    step: StepName = Field(
        description="deals opened since, won, lost, moved out by their rep, of other chance, of other amount; `model` is all that no "
        "single deal explains",
        examples=["won"],
    )
    change: float = Field(description="in currency; with `start` all of them add up to `end`", examples=[18400.0])


class DealMove(Answer):
    """What one deal did to the expected revenue of the period."""

    deal_id: str = Field(examples=["D-1042"])
    label: str = Field(description="the deal's name for people; its id where it has none")
    step: StepName
    before: float = Field(description="expected of it in the period then")
    after: float = Field(description="expected of it now, or what it has brought")
    change: float = Field(description="after - before")


class MovesAnswer(OutlookSource):
    """What moved the expected revenue of a period, to the deal."""

    scope: str = Field(examples=["total"])
    label: str = Field(examples=["Total"])
    status: Status
    reason: str
    period: PeriodName = Field(examples=["this_quarter"])
    since: datetime = Field(description="the earlier instant, looked at with the models and the replay of now")
    start: float = Field(description="expected of the period then")
    end: float = Field(description="expected of it now")
    steps: list[MoveStep]
    deals: list[DealMove] = Field(description="largest change first; a deal whose amount changed has a row for that and one for the rest")
    deal_count: int = Field(description="rows there are, before `limit`")
