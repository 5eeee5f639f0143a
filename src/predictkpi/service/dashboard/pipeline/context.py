"""What the pipeline page shows: the deals that were asked for, in sum, by stage and one by one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlencode

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.languages import ngettext
from predictkpi.service.dashboard.pipeline.book import FILTERS, SORTS, WARNED, Asked, chosen, in_sight, known_filters, open_book
from predictkpi.service.dashboard.pipeline.funnel import Funnel, funnel
from predictkpi.service.dashboard.pipeline.lines import Line, lines
from predictkpi.service.deal_changes import WeekBefore
from predictkpi.service.deal_warnings import deal_warnings
from predictkpi.service.paging import NONE
from predictkpi.service.view import View

A_PAGE = 50
PATH, CSV_PATH = "/pipeline", "/pipeline.csv"


@dataclass(frozen=True)
class Choice:
    """One value of a filter."""

    value: str
    text: str
    is_chosen: bool


@dataclass(frozen=True)
class Filter:
    """A list to choose from; ``everything`` is what stands for no choice, empty where one must be made."""

    name: str
    title: str
    everything: str
    choices: list[Choice]


@dataclass(frozen=True)
class Sum:
    """One number about all deals that were asked for."""

    title: str
    value: str
    note: str


@dataclass(frozen=True)
class Pages:
    """Which of the deals are shown, and where the others are; empty addresses where there are none."""

    shown: str
    previous: str
    next: str


@dataclass(frozen=True)
class Pipeline:
    """The whole page. ``status`` is the commonest one of the lines shown; a line says its own where it differs."""

    filters: list[Filter]
    with_warnings_only: bool
    is_narrow: bool
    is_empty: bool
    sums: list[Sum]
    funnel: Funnel
    lines: list[Line]
    axis: tuple[str, str]
    pages: Pages
    csv: str
    status: str
    reason: str
    since: str
    week_note: str
    has_chances: bool


def pipeline(view: View, asked: Asked, *, before: WeekBefore, with_numbers: bool) -> Pipeline:
    """The page; ``with_numbers`` for who may see the company's. Raises `InvalidRequestError` for a value that there is not."""
    book = open_book(view, before)
    found = chosen(view, book, asked)
    all_of_them = in_sight(view, book)
    last_page = max(1, -(-len(found) // A_PAGE))
    page = min(asked.page, last_page)
    part = found.iloc[(page - 1) * A_PAGE : page * A_PAGE]
    shown, axis = lines(view, part, deal_warnings(view), has_week=not before.chances.empty)
    return Pipeline(
        filters=_filters(view, all_of_them, asked),
        with_warnings_only=asked.warnings,
        is_narrow=asked.is_narrow,
        is_empty=all_of_them.empty,
        sums=_sums(view, found),
        funnel=funnel(view, found, stages=_stages(all_of_them, known_filters(view)[c.STAGE]), asked=asked, with_numbers=with_numbers),
        lines=shown,
        axis=axis,
        pages=_pages(asked, page, last_page, len(found)),
        csv=address(CSV_PATH, asked.parameters),
        status=Counter(line.status for line in shown).most_common(1)[0][0] if shown else "",
        reason=_shared(found[c.REASON]),
        since=f.date(view.as_of - pd.Timedelta(days=7)),
        week_note=before.note,
        has_chances="close_time" in view.champions,
    )


def address(path: str, parameters: dict[str, str]) -> str:
    """A link with these parameters."""
    return f"{path}?{urlencode(parameters)}" if parameters else path


def _filters(view: View, book: pd.DataFrame, asked: Asked) -> list[Filter]:
    """Owner, team, stage and region of the open deals; a value without one stays in its list while it is asked for."""
    titles = {c.OWNER: _("Owner"), c.TEAM: _("Team"), c.STAGE: _("Stage"), c.REGION: _("Region")}
    nothing = {c.OWNER: _("without owner"), c.TEAM: _("without team"), c.STAGE: _("without stage"), c.REGION: _("without region")}
    known, found = known_filters(view), []
    for name in FILTERS:
        wanted, there = getattr(asked, name), set(book[name].unique())
        values = [value for value in known[name] if value in there or value == wanted]
        choices = [Choice(value, nothing[name] if value == NONE else value, value == wanted) for value in values]
        found.append(Filter(name, titles[name], _("All"), choices))
    sorts = [Choice(name, _(title), name == asked.sort) for name, (_column, _ascending, title) in SORTS.items()]
    return [*found, Filter("sort", _("Sort by"), "", sorts)]


def _stages(book: pd.DataFrame, known: list[str]) -> list[str]:
    there = set(book[c.STAGE].unique())
    return [stage for stage in known if stage in there]


def _sums(view: View, found: pd.DataFrame) -> list[Sum]:
    currency, empty = view.company.currency, int(found[c.AMOUNT].isna().sum())
    without = ngettext("{count} deal without an amount", "{count} deals without an amount", empty).format(count=f.number(empty))
    expected, amount = float(found["expected_value"].sum()), float(found[c.AMOUNT].sum())
    share = _("{share} of the amount").format(share=f.percent(expected / amount)) if amount > 0 else ""
    warned = int(found[WARNED].sum())
    has_chances = "close_time" in view.champions
    return [
        Sum(_("Open deals"), f.number(len(found)), without if empty else ""),
        Sum(_("Amount"), f.money(amount, currency), ""),
        Sum(_("Expected value"), f.money(expected, currency) if has_chances else f.MISSING, share if has_chances else ""),
        Sum(_("With warnings"), f.number(warned), _("{share} of them").format(share=f.percent(warned / len(found))) if len(found) else ""),
    ]


def _pages(asked: Asked, page: int, last: int, count: int) -> Pages:
    def at(number: int) -> str:
        return address(PATH, asked.parameters | ({"page": str(number)} if number > 1 else {}))

    first = (page - 1) * A_PAGE + 1
    shown = _("{first} to {last} of {count}").format(first=f.number(first), last=f.number(min(page * A_PAGE, count)), count=f.number(count))
    return Pages(shown if count else "", at(page - 1) if page > 1 else "", at(page + 1) if page < last else "")


def _shared(reasons: pd.Series) -> str:
    """A reason that holds for all of them, to be said once."""
    found = reasons.dropna().unique()
    return str(found[0]) if len(found) == 1 else ""
