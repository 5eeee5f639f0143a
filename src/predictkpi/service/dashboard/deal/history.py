"""What has happened to a deal so far: each change, and how long it stayed in each stage."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Literal

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard import rep_dates
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.pipeline.funnel import STAY, newest
from predictkpi.service.row_schemas import DealEvent, DealFacts
from predictkpi.service.view import View

Tone = Literal["good", "bad", "plain"]
LONGER = 1.5
"""So many times the usual stay is long."""


@dataclass(frozen=True)
class Changed:
    """One thing that an event changed: from what to what, and whether that is good."""

    title: str
    before: str
    after: str
    note: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True)
class Happened:
    """One event: when, whose deal it was then, and what it changed; the first one tells where the deal began."""

    at: str
    who: str
    changes: list[Changed]


@dataclass(frozen=True)
class Stay:
    """All time in one stage. Widths in percent of the longest; ``usual`` is empty where it is not known or not to be shown."""

    stage: str
    days: str
    width: float
    usual: str
    usual_at: float | None
    is_now: bool
    is_long: bool


def history(facts: DealFacts) -> list[Happened]:
    """The newest first."""
    found = []
    for before, event in pairwise([None, *facts.events]):
        if event is None:
            continue
        changes = _changes(before, event, facts.currency)
        found.append(
            Happened(f.moment(pd.Timestamp(event.at)), event.owner or "", changes or [Changed(_("Entry without a change"), "", "")])
        )
    return found[::-1]


def stays(view: View, facts: DealFacts, *, with_numbers: bool) -> list[Stay]:
    """In the order in which it came into the stages first; the stage it stands in counts up to now."""
    spent: dict[str, float] = {}
    runs = [next(events) for _stage, events in groupby(facts.events, key=lambda event: event.stage)]
    for event, following in pairwise([*runs, None]):
        if event is None or event.stage in c.CLOSED_STAGES:
            continue
        until = view.as_of if following is None else pd.Timestamp(following.at)
        spent[event.stage] = spent.get(event.stage, 0.0) + (until - pd.Timestamp(event.at)) / pd.Timedelta(days=1)
    usual = newest(view, STAY, by=c.STAGE)[0][c.VALUE].dropna().to_dict() if with_numbers else {}
    longest = max([1.0, *spent.values(), *(usual[stage] for stage in spent if stage in usual)])
    return [_stay(facts, stage, days, usual.get(stage), longest) for stage, days in spent.items()]


def _stay(facts: DealFacts, stage: str, days: float, usual: float | None, longest: float) -> Stay:
    return Stay(
        stage=stage,
        days=f.days(days),
        width=round(days / longest * 100, 1),
        usual=f.days(usual) if usual is not None else "",
        usual_at=round(usual / longest * 100, 1) if usual is not None else None,
        is_now=stage == facts.stage,
        is_long=usual is not None and days > LONGER * usual,
    )


def _changes(before: DealEvent | None, event: DealEvent, currency: str) -> list[Changed]:
    found = []
    if before is None or before.stage != event.stage:
        tone: Tone = "good" if event.stage == c.WON else "bad" if event.stage == c.LOST else "plain"
        found.append(Changed(_("Stage"), stage_words(before.stage) if before else "", stage_words(event.stage), tone=tone))
    if (before.amount if before else None) != event.amount:
        found.append(amount_changed(before.amount if before else None, event.amount, currency))
    if (before.expected_close_on if before else None) != event.expected_close_on:
        found.append(date_changed(before, event))
    if before is not None and before.owner != event.owner:
        found.append(Changed(_("Owner"), before.owner or f.MISSING, event.owner or f.MISSING))
    return found


def stage_words(stage: str) -> str:
    """The company's own stages by their name."""
    return {c.WON: _("won"), c.LOST: _("lost")}.get(stage, stage)


def amount_changed(before: float | None, after: float | None, currency: str) -> Changed:
    """From one amount to another; from none there is no change to speak of."""
    if before is None or after is None:
        return Changed(_("Amount"), "" if before is None else f.money(before, currency), f.money(after, currency))
    tone: Tone = "good" if after > before else "bad"
    return Changed(_("Amount"), f.money(before, currency), f.money(after, currency), f.signed_amount(after - before), tone)


def date_changed(before: DealEvent | None, after: DealEvent) -> Changed:
    """From one date of the rep to another: later is bad."""
    old, new = rep_dates.day(before.expected_close_on if before else None), rep_dates.day(after.expected_close_on)
    if old is None or new is None:
        return Changed(_("Rep's date"), "" if old is None else f.date(old), f.date(new))
    days = (new - old).days
    tone: Tone = "bad" if days > 0 else "good" if days < 0 else "plain"
    return Changed(_("Rep's date"), f.date(old), f.date(new), f.signed(days, _("days")), tone)
