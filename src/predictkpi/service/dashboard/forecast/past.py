"""What the past forecasts on the chart come to, in words."""

from __future__ import annotations

from predictkpi.core import columns as c
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.forecast.courses import Course
from predictkpi.service.dashboard.forecast.question import Question
from predictkpi.service.dashboard.forecast.wording import LEADS
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.languages import ngettext, sentence
from predictkpi.service.past_forecasts import PastForecasts


def past_in_words(course: Course, question: Question, past: PastForecasts) -> list[str]:
    """Sentences: whose forecasts are on the chart and how they held up, or why there are none and how to get them."""
    if past.trouble:
        return [_("Past forecasts cannot be read: {reason}").format(reason=sentence(past.trouble))]
    if question.lead == "none":
        return []
    if question.freq != "M":
        return [_("Past forecasts are kept by month: choose months to see them.")]
    if past.source == "none":
        return [_missing(course.scope)]
    shown = course.rows[course.rows["said"].notna() & course.rows["actual"].notna()]
    if shown.empty:
        return [_("No month shown has a forecast {lead}.").format(lead=_(LEADS[question.lead]))]
    return [_whose(past), *_held(course, question)]


def _missing(scope: str) -> str:
    if scope == c.TOTAL:
        return _("No earlier forecast is kept yet: `predictkpi score` every night keeps them, `predictkpi scoreboard` judges them.")
    return _("No earlier forecast of it is kept yet: `predictkpi score` every night keeps them, `predictkpi scoreboard` judges them.")


def _whose(past: PastForecasts) -> str:
    if past.source == "replay":
        return _(
            "From the replay of past months: what the revenue forecast alone would have said then, without a range. `predictkpi score` "
            "every night keeps what is really said."
        )
    return _("As stored on one day of each month: what the revenue forecast said then, before open deals are looked at.")


def _held(course: Course, question: Question) -> list[str]:
    shown = course.rows[course.rows["said"].notna() & course.rows["actual"].notna()]
    missed, count = shown["said"] - shown["actual"], len(shown)
    told = []
    within = shown[shown["said_q10"].notna()]
    if len(within):
        held = int(within["actual"].between(within["said_q10"], within["said_q90"]).sum())
        told.append(_("{held} of {count} lay in their 80 % range.").format(held=f.number(held), count=f.number(len(within))))
    if question.is_level and shown["actual"].sum() > 0:
        off = float(missed.abs().sum() / shown["actual"].sum())
        bias = float(missed.sum() / shown["actual"].sum())
        words = ngettext("Over {count} month: off by {off}, in sum {bias}.", "Over {count} months: off by {off}, in sum {bias}.", count)
        told.append(words.format(count=f.number(count), off=f.percent(off, digits=1), bias=f.signed_percent(bias)))
    return told
