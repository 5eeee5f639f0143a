"""What the reader can choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from predictkpi.core import columns as c
from predictkpi.predictors.revenue.scopes import dimensions_of
from predictkpi.service.dashboard.forecast.courses import A_YEAR
from predictkpi.service.dashboard.forecast.question import Question
from predictkpi.service.dashboard.forecast.wording import LEADS, LENGTHS, MEASURES, dimension_title
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.languages import ngettext
from predictkpi.service.outlooks import periods_of, recorded_of
from predictkpi.service.view import View

_YEARS = (1, 2, 3, 5, 10)


@dataclass(frozen=True)
class Option:
    """One choice of a list."""

    value: str
    title: str
    is_chosen: bool


@dataclass(frozen=True)
class Choice:
    """One list; ``usual`` need not stand in the address, empty where it has to."""

    name: str
    title: str
    options: list[Option]
    usual: str


def dimensions(view: View) -> list[str]:
    """What the champion's series are told apart by: single dimensions, then crossed ones."""
    found = {dimensions_of(scope) for scope in periods_of(view).outlook.scopes} - {""}
    return sorted(found, key=lambda by: (by.count(","), by))


def choices(view: View, question: Question) -> list[Choice]:
    """The lists above the chart."""
    by = {name: dimension_title(name) for name in (c.TOTAL, *dimensions(view))}
    chosen = [
        _choice("by", _("By"), by, question.by),
        _choice("measure", _("Measure"), {name: _(title) for name, title in MEASURES.items()}, question.measure),
        _choice("freq", _("Periods"), {name: _(title) for name, title in LENGTHS.items()}, question.freq),
        _choice("years", _("History"), _years(view, question), str(question.years)),
    ]
    lead = _choice("lead", _("Past forecasts"), {name: _(title) for name, title in LEADS.items()}, question.lead)
    return [*chosen, lead]


def _years(view: View, question: Question) -> dict[str, str]:
    """Lengths of history up to the first that holds all there is, and the one asked for."""
    known = len(recorded_of(view, c.TOTAL, question.freq)) / A_YEAR[question.freq]
    counts = {question.years} | {count for place, count in enumerate(_YEARS) if place == 0 or _YEARS[place - 1] < known}
    return {str(count): ngettext("{count} year", "{count} years", count).format(count=count) for count in sorted(counts)}


def _choice(name: str, title: str, options: Mapping[str, str], chosen: str) -> Choice:
    usual = "" if name == "by" else str(getattr(Question(), name))  # members alone would say their own dimension
    return Choice(name, title, [Option(value, words, value == chosen) for value, words in options.items()], usual)
