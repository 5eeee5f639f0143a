"""A rep's expected close date against the dates that a deal closes on if it is won."""

from __future__ import annotations

from datetime import date, datetime

import pandas as pd

from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.languages import gettext as _

Day = datetime | date | None


def verdict(rep: Day, low: Day, high: Day, as_of: pd.Timestamp) -> str:
    """``overdue`` where the rep's day has passed, ``early`` or ``late`` where it lies outside the 80 % range, else empty."""
    due, first, last = day(rep), day(low), day(high)
    if due is None:
        return ""
    if due < as_of.normalize():
        return "overdue"
    if first is not None and due < first:
        return "early"
    return "late" if last is not None and due > last else ""


def in_words(found: str) -> str:
    """A verdict as a tag."""
    return {"overdue": _("overdue"), "early": _("early"), "late": _("late"), "": ""}[found]


def day(instant: Day) -> pd.Timestamp | None:
    """The day, at its first instant; None where there is none."""
    return None if instant is None or pd.isna(instant) else pd.Timestamp(instant).normalize()


def days_ahead(instant: Day, as_of: pd.Timestamp) -> float | None:
    """How many days after as_of's day."""
    found = day(instant)
    return None if found is None else float((found - as_of.normalize()).days)


def short(instant: Day, as_of: pd.Timestamp) -> str:
    """A day, without its year where that is the year of as_of."""
    found = day(instant)
    return f.date(found, with_year=found is None or found.year != as_of.year)


def span(low: Day, high: Day) -> str:
    """From one day to another, the year said once."""
    first, last = day(low), day(high)
    if first is None or last is None:
        return f.MISSING
    return f"{f.date(first, with_year=first.year != last.year)} – {f.date(last)}"
