"""The scenario: what can be moved, and what moving it changes in the running quarter and year."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from predictkpi.outlook.periods import PeriodOutlook, Periods
from predictkpi.outlook.scenarios import Scenario
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.forecast.question import SPEND
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.languages import marked
from predictkpi.service.outlooks import periods_of
from predictkpi.service.scenarios import WhatIfs
from predictkpi.service.view import View

MOST_POINTS = 0.2
MOST_DAYS = 60
MOST_SPEND = 3.0
SHOWN = {"this_quarter": marked("This quarter"), "this_year": marked("This year")}
Tone = Literal["good", "bad", "plain"]


@dataclass(frozen=True)
class Slider:
    """One thing that can be moved. ``form`` has ``{}`` where the value times ``times`` stands; ``plain`` is where it changes nothing."""

    name: str
    title: str
    hint: str
    low: str
    high: str
    step: str
    value: str
    plain: str
    form: str
    times: int

    @property
    def told(self) -> str:
        """The value in words."""
        return self.form.replace("{}", f"{float(self.value) * self.times:g}")


@dataclass(frozen=True)
class Answer:
    """One period under the scenario, beside what it was."""

    title: str
    name: str
    expected: str
    change: str
    tone: Tone
    plain: str
    likely: str
    target: str
    chance: str
    plain_chance: str


@dataclass(frozen=True)
class Levers:
    """Sliders, and why some things cannot be moved."""

    sliders: list[Slider]
    absent: list[str]


def levers(view: View, scenario: Scenario) -> Levers:
    """What can be moved in this company, at the places where the question has it."""
    there = WhatIfs.of(view).levers
    sliders, absent = [], list(there.unknown.values())
    if there.win_rate is None:
        absent.insert(0, _("No deal is open whose win rate or cycle could change."))
    else:
        sliders += [_win_rate(there.win_rate, scenario)] if there.win_rate > 0 else []  # nothing was won: no rate to start from
        sliders.append(_cycle(scenario))
    sliders += [_spend(channel, scenario) for channel in there.channels]
    if not sliders and not absent:
        absent.append(_("No spend is known that could change."))
    return Levers(sliders, absent)


def _win_rate(rate: float, scenario: Scenario) -> Slider:
    low, high = max(-MOST_POINTS, 0.01 - rate), min(MOST_POINTS, 0.99 - rate)
    return Slider(
        name="win_rate",
        title=_("Win rate"),
        hint=_("{rate} of the deals closed in twelve months were won").format(rate=f.percent(rate)),
        **_scale(_whole(low), _whole(high), scenario.win_rate),
        step="0.01",
        plain="0",
        form=_("{} points"),
        times=100,
    )


def _scale(low: float, high: float, value: float) -> dict[str, str]:
    """Ends and place of a slider; an address may ask for more than what is usually moved."""
    return {"low": f"{min(low, value):g}", "high": f"{max(high, value):g}", "value": f"{value:g}"}


def _whole(share: float) -> float:
    """Towards zero, in points."""
    return int(share * 100) / 100


def _cycle(scenario: Scenario) -> Slider:
    return Slider(
        name="cycle_days",
        title=_("Deals close sooner by"),
        hint=_("below 0: later"),
        **_scale(-MOST_DAYS, MOST_DAYS, scenario.cycle_days),
        step="1",
        plain="0",
        form=_("{} days"),
        times=1,
    )


def _spend(channel: str, scenario: Scenario) -> Slider:
    return Slider(
        name=f"{SPEND}{channel}",
        title=_("Spend on {channel}").format(channel=channel),
        hint=_("of the last twelve months"),
        **_scale(0, MOST_SPEND, scenario.spend.get(channel, 1.0)),
        step="0.05",
        plain="1",
        form="{} %",
        times=100,
    )


def answers(view: View, scope: str, changed: Periods) -> list[Answer]:
    """The running quarter and year of a scope, before and under the scenario."""
    before, after = periods_of(view).of(scope, list(SHOWN)), changed.of(scope, list(SHOWN))
    return [_answer(view, plain, one) for plain, one in zip(before, after, strict=True)]


def _answer(view: View, plain: PeriodOutlook, one: PeriodOutlook) -> Answer:
    currency, starts, change = view.company.currency, view.company.fiscal_year_starts, one.mean - plain.mean
    return Answer(
        title=_(SHOWN[one.name]),
        name=f.quarter(one.start, starts) if one.name == "this_quarter" else f.year(one.start, starts),
        expected=f.money(one.mean, currency),
        change=f"{f.signed_amount(change)} {currency}",
        tone="plain" if f.amount(change) == f.amount(0.0) else "good" if change > 0 else "bad",
        plain=f.money(plain.mean, currency),
        likely=f.between(f.amount(one.commit), f.money(one.best_case, currency)),
        target=f.money(one.target.value, currency) if one.target else "",
        chance=f.percent(one.chance),
        plain_chance=f.percent(plain.chance),
    )
