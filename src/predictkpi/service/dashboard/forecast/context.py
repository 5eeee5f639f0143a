"""What the page shows, from a view and a question: assembled here, written out in its template."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.errors import PredictKpiError, UnknownNameError
from predictkpi.outlook.periods import Periods
from predictkpi.outlook.scenarios import Scenario
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.charts import course_chart, parts_chart, records
from predictkpi.service.dashboard.forecast.controls import Choice, choices
from predictkpi.service.dashboard.forecast.courses import Course, course
from predictkpi.service.dashboard.forecast.levers import Answer, Levers, answers, levers
from predictkpi.service.dashboard.forecast.members import Members, members, ranked
from predictkpi.service.dashboard.forecast.past import past_in_words
from predictkpi.service.dashboard.forecast.question import MOST_MEMBERS, Question
from predictkpi.service.dashboard.forecast.wording import dimension_title, measure_title, scope_title, writing_of
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.outlooks import forecasters_of, parts_of, periods_of
from predictkpi.service.past_forecasts import PastForecasts, past_forecasts
from predictkpi.service.problems import InvalidRequestError
from predictkpi.service.registry_memory import RegistryMemory
from predictkpi.service.scenarios import WhatIfs
from predictkpi.service.view import View
from predictkpi.store import Store

SIDE_BY_SIDE = 9
"""Members that are shown where none is chosen; the table has them all."""
_SMALL, _LARGE = 190, 360


@dataclass(frozen=True)
class Row:
    """One period of the table behind the chart."""

    period: str
    actual: str
    expected: str
    likely: str
    wide: str
    target: str
    chance: str
    scenario: str
    said: str


@dataclass(frozen=True)
class Panel:
    """One chart with its words. ``href`` leads to the scope alone, empty where it stands alone."""

    name: str
    title: str
    href: str
    chart: dict[str, Any]
    description: str
    status: str
    expected: str


@dataclass(frozen=True)
class Parts:
    """The months ahead in three parts."""

    chart: dict[str, Any]
    description: str
    rows: list[list[str]]
    has_deals: bool


@dataclass(frozen=True)
class Shown:
    """What stands on the charts: decides the legend and the columns of the table."""

    target: bool
    scenario: bool
    said: bool
    is_level: bool


@dataclass(frozen=True)
class Forecast:
    """The whole page; ``absent`` says why there is none, and everything else is empty then."""

    question: Question
    absent: str = ""
    title: str = ""
    of: str = ""
    measure: str = ""
    choices: list[Choice] = field(default_factory=list)
    panels: list[Panel] = field(default_factory=list)
    more: int = 0
    rows: list[Row] = field(default_factory=list)
    shown: Shown = field(default_factory=lambda: Shown(False, False, False, True))
    status: str = ""
    reason: str = ""
    verdict: str = ""
    past: list[str] = field(default_factory=list)
    levers: Levers | None = None
    answers: list[Answer] = field(default_factory=list)
    is_plain: bool = True
    without_scenario: str = ""
    parts: Parts | None = None
    members: Members | None = None
    csv: str = ""
    png: str = ""
    api: str = ""


@dataclass(frozen=True)
class Chosen:
    """The scopes of a question: all ``members`` of its dimension, those ``drawn``, and the one that words are about."""

    members: list[str]
    drawn: list[str]

    @property
    def subject(self) -> str:
        """The one that is drawn alone, else the total."""
        return self.drawn[0] if len(self.drawn) == 1 else c.TOTAL


def forecast(view: View, store: Store, memory: RegistryMemory, question: Question) -> Forecast:
    """Everything on the page at /forecast."""
    try:
        periods_of(view)
    except PredictKpiError as error:  # what keeps revenue from being served is told on the page
        return Forecast(question, absent=str(error))
    chosen, changed = chosen_scopes(view, question), changed_by(view, question)
    past = past_forecasts(store, memory, view, chosen.subject)
    courses = drawn(view, question, chosen, changed=changed, past=past)
    subject, status = chosen.subject, forecasters_of(view).standing(periods_of(view).outlook, chosen.subject)
    is_alone = len(courses) == 1
    return Forecast(
        question=question,
        title=scope_title(subject) if is_alone else dimension_title(question.by),
        of=scope_title(subject),
        measure=measure_title(question),
        choices=choices(view, question),
        panels=[_panel(view, question, one, place, is_alone=is_alone) for place, one in enumerate(courses)],
        more=max(len(chosen.members) - len(courses), 0),
        rows=_rows(view, question, courses[0]) if is_alone else [],
        shown=_shown(question, courses),
        status=status[0].value,
        reason=status[1],
        verdict=periods_of(view).outlook.trust.verdict,
        past=past_in_words(courses[0], question, past) if is_alone else [],
        levers=levers(view, question.scenario),
        answers=answers(view, subject, changed or periods_of(view)),
        is_plain=changed is None,
        without_scenario=question.address(scenario=Scenario()),
        parts=_parts(view, subject),
        members=members(view, question, chosen.members, changed=changed) if chosen.members else None,
        csv=question.address("/forecast.csv"),
        png=question.address("/forecast.png"),
        api=f"/v1/outlook/levels?{_api_of(subject, question)}",
    )


def chosen_scopes(view: View, question: Question) -> Chosen:
    """The scopes of a question. Members of another dimension than ``by`` are left out: the reader has moved on to this one.

    Raises `InvalidRequestError` for a dimension and `UnknownEntityError` for a scope that is not there.
    """
    outlook = periods_of(view).outlook
    for scope in question.of:
        outlook.place(scope)
    if question.by == c.TOTAL:
        return Chosen([], [c.TOTAL])
    try:
        everyone = ranked(view, outlook.chosen(None, question.by))
    except UnknownNameError as error:
        raise InvalidRequestError.parameter("by", str(error)) from error
    asked = [scope for scope in everyone if scope in question.of]
    return Chosen(everyone, asked or everyone[:SIDE_BY_SIDE])


def changed_by(view: View, question: Question) -> Periods | None:
    """The outlook under the question's scenario; None where nothing is changed."""
    return None if question.scenario.is_plain else WhatIfs.of(view).under(question.scenario)


def drawn(view: View, question: Question, chosen: Chosen, *, changed: Periods | None, past: PastForecasts) -> list[Course]:
    """The courses on the charts. Past forecasts stand only beside a scope that is drawn alone."""
    own = past if len(chosen.drawn) == 1 else None
    return [course(view, question, scope, changed=changed, past=own) for scope in chosen.drawn[:MOST_MEMBERS]]


def _panel(view: View, question: Question, one: Course, place: int, *, is_alone: bool) -> Panel:
    writing, ahead = writing_of(view, question), one.ahead
    title = scope_title(one.scope)
    status, _reason = forecasters_of(view).standing(periods_of(view).outlook, one.scope)
    description = describe(view, question, one)
    return Panel(
        name=f"course-{place}",
        title=title,
        href="" if is_alone else question.address(of=(one.scope,)),
        chart=course_chart(one.rows, writing, description=description, height=_LARGE if is_alone else _SMALL, is_small=not is_alone),
        description=description,
        status=status.value,
        expected=f.money(ahead["expected"].sum(), view.company.currency) if question.is_level and len(ahead) else "",
    )


def describe(view: View, question: Question, one: Course) -> str:
    """A course in a sentence or two."""
    writing, ahead = writing_of(view, question), one.ahead
    words = _("{scope}: {measure}, {past} periods of history and {ahead} ahead.").format(
        scope=scope_title(one.scope), measure=measure_title(question), past=len(one.past), ahead=len(ahead)
    )
    if ahead.empty:
        return " ".join([words, _("Nothing can be stated ahead.")])
    last = ahead.iloc[-1]
    told = _("Expected in {period}: {value}, with 80 % between {low} and {high}.").format(
        period=writing.period(last["ds"]),
        value=writing.value(last["expected"]),
        low=writing.value(last["q10"]),
        high=writing.value(last["q90"]),
    )
    return " ".join([words, told])


def _shown(question: Question, courses: list[Course]) -> Shown:
    def there(name: str) -> bool:
        return any(one.rows[name].notna().any() for one in courses)

    return Shown(there("target"), there("scenario"), there("said"), question.is_level)


def _rows(view: View, question: Question, one: Course) -> list[Row]:
    """Newest first would hide what is ahead: in the order of the chart."""
    writing = writing_of(view, question)

    def span(row: dict[str, Any], low: str, high: str) -> str:
        return f.between(writing.value(row[low]), writing.value(row[high])) if pd.notna(row[low]) else f.MISSING

    def plain(row: dict[str, Any], name: str) -> str:
        return writing.value(row[name]) if pd.notna(row[name]) else f.MISSING

    return [
        Row(
            period=writing.period(row["ds"]),
            likely=span(row, "q10", "q90"),
            wide=span(row, "q025", "q975"),
            chance=f.percent(row["chance"]),
            **{name: plain(row, name) for name in ("actual", "expected", "target", "scenario", "said")},
        )
        for row in records(one.rows)
    ]


def _parts(view: View, scope: str) -> Parts:
    rows, currency = parts_of(view, scope), view.company.currency
    sums = {name: f.money(float(rows[name].sum()), currency) for name in ("booked", "from_deals", "new")}
    words = _("{scope}, {months} months ahead in three parts: booked {booked}, from open deals {from_deals}, not yet created {new}.")
    description = words.format(scope=scope_title(scope), months=len(rows), **sums)
    written = [[f.month(row[c.DS]), *(f.money(row[name], currency) for name in sums)] for row in records(rows)]
    return Parts(
        parts_chart(rows, currency=currency, description=description), description, written, periods_of(view).outlook.book is not None
    )


def _api_of(scope: str, question: Question) -> str:
    return urlencode({"scope": scope, "freq": question.freq})
