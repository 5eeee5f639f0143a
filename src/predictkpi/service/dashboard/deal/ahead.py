"""What will become of an open deal: chances over time, dates if it is won, and the rep's date beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard import rep_dates
from predictkpi.service.dashboard.charts import interval_bar
from predictkpi.service.dashboard.charts.incidence import incidence_chart
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.row_schemas import DealFacts
from predictkpi.service.view import View
from predictkpi.service.wire import Envelope

SHOWN = ("p_win", "close_q10", "close_q50", "close_q90", "p_slip", "expected_value")
"""Of whose notes a reader must know."""


@dataclass(frozen=True)
class Step:
    """The chances by one day."""

    by: str
    days: str
    won: str
    open: str
    lost: str


@dataclass(frozen=True)
class Ahead:
    """Headline, chart and the same in a table. ``rep_sentence`` says what the rep's date is worth; empty where there is none.

    ``bar`` and ``rep_at`` are places on a track from as_of to ``axis_end``, in percent.
    """

    p_win: str
    p_win_percent: float
    expected: str
    expected_note: str
    middle: str
    range: str
    bar: dict[str, float] | None
    rep_at: float | None
    axis_end: str
    rep_date: str
    rep_verdict: str
    rep_words: str
    rep_chance: str
    rep_closed: str
    rep_sentence: str
    chart: dict[str, Any]
    description: str
    steps: list[Step]
    status: str
    reason: str
    notes: list[str]
    version: str
    prediction_id: str


def ahead(view: View, facts: DealFacts, answer: Envelope) -> Ahead:
    """From the answer of the API, which must have its curve."""
    whole = answer.predictions[-1]
    low, middle, high = (_instant(whole.dates[name]) for name in ("close_q10", "close_q50", "close_q90"))
    rep = rep_dates.day(facts.expected_close_on)
    verdict = rep_dates.verdict(rep, low, high, view.as_of)
    distance = [rep_dates.days_ahead(each, view.as_of) for each in (low, middle, high, rep)]
    longest = max([30.0, *(each for each in distance if each is not None)])
    slip, p_win, amount = whole.values["p_slip"], whole.values["p_win"], facts.amount
    chance = None if slip is None else 1 - slip
    description = _description(answer)
    return Ahead(
        p_win=f.percent(p_win),
        p_win_percent=round((p_win or 0.0) * 100, 1),
        expected=f.money(whole.values["expected_value"], answer.currency),
        expected_note=_("{chance} of {amount}").format(chance=f.percent(p_win), amount=f.money(amount, answer.currency)) if amount else "",
        middle=f.date(middle),
        range=rep_dates.span(low, high),
        bar=interval_bar(*distance[:3], span=(0.0, longest)),
        rep_at=None if distance[3] is None else round(float(np.clip(distance[3] / longest, 0.0, 1.0)) * 100, 2),
        axis_end=f.date(view.as_of + pd.Timedelta(days=longest)),
        rep_date=f.date(rep),
        rep_verdict=verdict,
        rep_words=rep_dates.in_words(verdict),
        rep_chance=f.percent(chance),
        rep_closed=_closed_by(answer, rep),
        rep_sentence=_of_rep(verdict, has_date=rep is not None),
        chart=_chart(view, answer, rep, description),
        description=description,
        steps=_steps(view, answer),
        status=answer.status.value,
        reason=answer.reason,
        notes=list(dict.fromkeys(note for name, note in whole.notes.items() if name in SHOWN)),
        version=answer.model.version,
        prediction_id=answer.prediction_id,
    )


def _closed_by(answer: Envelope, rep: pd.Timestamp | None) -> str:
    """The chance to be won or lost by the end of the rep's day; empty where that has passed or lies beyond the curve."""
    if rep is None or answer.curve is None:
        return ""
    days = round((rep + pd.Timedelta(days=1) - pd.Timestamp(answer.as_of)) / pd.Timedelta(days=1))
    if days not in answer.curve.horizons:
        return ""
    place = answer.curve.horizons.index(days)
    return f.percent(sum(answer.curve.values[name][place] or 0.0 for name in ("cif_won", "cif_lost")))


def _of_rep(verdict: str, *, has_date: bool) -> str:
    if not has_date:
        return _("The rep has not said when it will close.")
    return {
        "overdue": _("The rep's date has passed."),
        "early": _("The rep expects it earlier than nine of ten such deals that are won."),
        "late": _("The rep expects it later than nine of ten such deals that are won."),
        "": _("The rep's date lies within the range."),
    }[verdict]


def _chart(view: View, answer: Envelope, rep: pd.Timestamp | None, description: str) -> dict[str, Any]:
    curve = answer.curve
    if curve is None:
        raise ValueError("the answer was asked for without its curve")
    won, lost = ([float(value or 0.0) for value in curve.values[name]] for name in ("cif_won", "cif_lost"))
    return incidence_chart(view.as_of, curve.horizons, won, lost, rep_date=rep, description=description)


def _description(answer: Envelope) -> str:
    soon, last = answer.predictions[len(answer.predictions) // 2], answer.predictions[-1]
    told = {
        f"{name}_{part}": f.percent(each.values[statistic])
        for name, each in (("soon", soon), ("last", last))
        for part, statistic in (("won", "cif_won"), ("lost", "cif_lost"))
    }
    return _(
        "Chances over time: within {soon} days {soon_won} won and {soon_lost} lost, within {last} days {last_won} and {last_lost}"
    ).format(soon=soon.horizon, last=last.horizon, **told)


def _steps(view: View, answer: Envelope) -> list[Step]:
    return [
        Step(
            f.date(view.as_of + pd.Timedelta(days=each.horizon)),
            f.number(each.horizon),
            *(f.percent(each.values[name]) for name in ("cif_won", "p_open", "cif_lost")),
        )
        for each in answer.predictions
    ]


def _instant(text: str | None) -> pd.Timestamp | None:
    return None if text is None else pd.Timestamp(text)
