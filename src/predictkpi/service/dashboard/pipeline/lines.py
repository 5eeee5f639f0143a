"""Open deals as the lines of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard import rep_dates
from predictkpi.service.dashboard.charts import interval_bar
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.languages import in_words, sentence
from predictkpi.service.dashboard.links import page_of
from predictkpi.service.dashboard.pipeline.book import CHANGE
from predictkpi.service.deal_rows import LABEL
from predictkpi.service.deal_warnings import DealWarning, Warnings
from predictkpi.service.paging import NONE
from predictkpi.service.view import View

SHORTEST_AXIS_DAYS = 30.0
Tone = Literal["good", "bad", "plain"]


@dataclass(frozen=True)
class Warned:
    """A finding as a tag: what it says of this deal, and the name of the check with what to do."""

    text: str
    title: str


@dataclass(frozen=True)
class Line:
    """One open deal, written out. ``rep_at``: where the rep's day stands on the track, in percent; ``is_new``: not open a week ago."""

    deal_id: str
    href: str
    name: str
    owner: str
    stage: str
    amount: str
    p_win: str
    p_win_percent: float
    change: str
    change_tone: Tone
    is_new: bool
    close_middle: str
    close_range: str
    bar: dict[str, float] | None
    bar_text: str
    rep_at: float | None
    rep_date: str
    rep_verdict: str
    rep_words: str
    slip: str
    expected: str
    status: str
    warnings: list[Warned]


def lines(view: View, part: pd.DataFrame, warnings: Warnings, *, has_week: bool) -> tuple[list[Line], tuple[str, str]]:
    """The lines of these rows of the book, and the two ends of the axis that their tracks share."""
    last = (part["close_q90"].max() - view.as_of.normalize()) / pd.Timedelta(days=1)
    longest = max(SHORTEST_AXIS_DAYS, last) if f.is_number(last) else SHORTEST_AXIS_DAYS
    axis = f.date(view.as_of), f.date(view.as_of + pd.Timedelta(days=longest))
    rows = part.to_dict("records")
    return [_line(view, row, longest, warnings.get(row[c.DEAL_ID], ()), has_week=has_week) for row in rows], axis


def change_text(change: float | None) -> tuple[str, Tone]:
    """A change of a chance in percentage points, and whether it is good; rounded to nothing it is neither."""
    if not f.is_number(change) or change is None:
        return "", "plain"
    points = round(change * 100, 1)
    return f.signed(points, _("pts"), digits=1), "good" if points > 0 else "bad" if points < 0 else "plain"


def warned(found: tuple[DealWarning, ...]) -> list[Warned]:
    """Findings as tags."""
    return [Warned(sentence(one.detail), f"{in_words(one.check.title)}: {sentence(one.check.way_out)}") for one in found]


def _line(view: View, row: dict[Any, Any], longest: float, found: tuple[DealWarning, ...], *, has_week: bool) -> Line:
    low, middle, high, rep = (row[name] for name in ("close_q10", "close_q50", "close_q90", c.EXPECTED_CLOSE_ON))
    ahead = [rep_dates.days_ahead(each, view.as_of) for each in (low, middle, high)]
    verdict = rep_dates.verdict(rep, low, high, view.as_of)
    change, change_tone = change_text(row[CHANGE])
    close_middle, close_range = rep_dates.short(middle, view.as_of), rep_dates.span(low, high)
    due = rep_dates.days_ahead(rep, view.as_of)
    return Line(
        deal_id=row[c.DEAL_ID],
        href=page_of("deals", row[c.DEAL_ID]),
        name=row[LABEL],
        owner=_text(row[c.OWNER]),
        stage=_text(row[c.STAGE]),
        amount=f.amount(row[c.AMOUNT]),
        p_win=f.percent(row["p_win"]),
        p_win_percent=round(row["p_win"] * 100, 1) if f.is_number(row["p_win"]) else 0.0,
        change=change,
        change_tone=change_tone,
        is_new=has_week and not change and f.is_number(row["p_win"]),
        close_middle=close_middle,
        close_range=close_range,
        bar=interval_bar(*ahead, span=(0.0, longest)),
        bar_text=_("if won, between {range}, most likely around {middle}").format(range=close_range, middle=close_middle),
        rep_at=None if due is None else round(min(max(due / longest, 0.0), 1.0) * 100, 2),
        rep_date=rep_dates.short(rep, view.as_of),
        rep_verdict=verdict,
        rep_words=rep_dates.in_words(verdict),
        slip=f.percent(row["p_slip"]),
        expected=f.amount(row["expected_value"]),
        status=_text(row[c.STATUS]),
        warnings=warned(found),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) and value not in ("", NONE) else f.MISSING
