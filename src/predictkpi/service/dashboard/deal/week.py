"""What has changed about an open deal since a week ago: its chance, split by cause, and what the CRM says of it."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from predictkpi.errors import StoreError
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.deal.history import Changed, amount_changed, date_changed, stage_words
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.pipeline.lines import Tone, change_text
from predictkpi.service.deal_changes import change_of_week, week_of
from predictkpi.service.row_schemas import DealEvent, DealFacts
from predictkpi.service.state import Serving
from predictkpi.service.view import View


@dataclass(frozen=True)
class Part:
    """A part of the change: what it is of, and how much."""

    title: str
    text: str
    tone: Tone


@dataclass(frozen=True)
class SinceThen:
    """The chance to be won within 90 days, then and now. Without an answer of then, ``before`` is empty and a note says why."""

    since: str
    before: str
    now: str
    change: str
    tone: Tone
    parts: list[Part]
    notes: list[str]
    changed: list[Changed]


def since_then(view: View, facts: DealFacts, serving: Serving) -> SinceThen:
    """From the same split as the API gives; where the store cannot be asked who answered then, only what the CRM says."""
    since = week_of(view).then.as_of
    changed = _changed(facts, since)
    try:
        found = change_of_week(view, serving, facts.deal_id)
    except StoreError as error:
        return SinceThen(f.date(since), "", "", "", "plain", [], [str(error)], changed)
    text, tone = change_text(found.change)
    titles = {"data": _("what was learnt since"), "time": _("time passing"), "model": _("a new model version")}
    parts = [Part(titles[name], *change_text(value)) for name, value in dict(found.parts or {}).items()]
    before = f.percent(found.before, digits=1) if found.before is not None else ""
    return SinceThen(f.date(since), before, f.percent(found.now, digits=1), text, tone, parts, found.notes, changed)


def _changed(facts: DealFacts, since: pd.Timestamp) -> list[Changed]:
    """Stage, amount, rep's date and owner then against now; nothing of a deal that began since."""
    earlier = [event for event in facts.events if pd.Timestamp(event.at) < since]
    if not earlier or earlier[-1] is facts.events[-1]:
        return []
    then, now = earlier[-1], facts.events[-1]
    found = [
        Changed(_("Stage"), stage_words(then.stage), stage_words(now.stage)) if then.stage != now.stage else None,
        amount_changed(then.amount, now.amount, facts.currency) if then.amount != now.amount else None,
        date_changed(then, now) if then.expected_close_on != now.expected_close_on else None,
        _owner(then, now),
    ]
    return [one for one in found if one is not None]


def _owner(then: DealEvent, now: DealEvent) -> Changed | None:
    return Changed(_("Owner"), then.owner or f.MISSING, now.owner or f.MISSING) if then.owner != now.owner else None
