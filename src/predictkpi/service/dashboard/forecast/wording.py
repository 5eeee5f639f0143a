"""The words of the page: what is measured, of which scope, in which periods."""

from __future__ import annotations

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.predictors.revenue.scopes import scope_of
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.charts import Writing
from predictkpi.service.dashboard.forecast.question import Question
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.languages import marked
from predictkpi.service.view import View

MEASURES = {
    "level": marked("Revenue"),
    "year_before": marked("Growth on the year before"),
    "previous": marked("Growth on the period before"),
}
LENGTHS = {"W": marked("Weeks"), "M": marked("Months"), "Q": marked("Quarters")}
LEADS = {
    "none": marked("none"),
    "0": marked("made in the month itself"),
    "1": marked("made 1 month before"),
    "2": marked("made 2 months before"),
    "3": marked("made 3 months before"),
    "5": marked("made 5 months before"),
}
DIMENSIONS = {
    c.SEGMENT: marked("Segment"),
    c.REGION: marked("Region"),
    c.CHANNEL: marked("Channel"),
    c.PRODUCT: marked("Product"),
    c.TEAM: marked("Team"),
}


def measure_title(question: Question) -> str:
    """What is measured, with the period it grows on."""
    if question.measure != "previous":
        return _(MEASURES[question.measure])
    on = {"W": _("Growth on the week before"), "M": _("Growth on the month before"), "Q": _("Growth on the quarter before")}
    return on[question.freq]


def scope_title(scope: str) -> str:
    """``EMEA``, or ``EMEA · SMB``; the total in the reader's language."""
    return " · ".join(scope_of(scope).values()) or _("Total")


def dimension_title(by: str) -> str:
    """``Region``, or ``Region × Segment``."""
    return " × ".join(_(DIMENSIONS[name]) for name in by.split(",")) if by != c.TOTAL else _("Total")


def writing_of(view: View, question: Question) -> Writing:
    """How the values and periods of a course are written."""
    starts, currency = view.company.fiscal_year_starts, view.company.currency

    def period(ds: pd.Timestamp) -> str:
        if question.freq == "M":
            return f.month(ds)
        return f.quarter(ds, starts) if question.freq == "Q" else _("week of {day}").format(day=f.date(ds))

    def value(number: float) -> str:
        return f.money(number, currency) if question.is_level else f.signed_percent(number)

    return Writing("money" if question.is_level else "share", question.freq, value, period, measure_title(question))
