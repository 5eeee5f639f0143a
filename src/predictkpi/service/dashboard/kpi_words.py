"""Values, changes, periods, lights and alerts of KPIs in words, in the language of the context."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import Freq
from predictkpi.core.types import Company, Status
from predictkpi.kpis import Kpi, get_kpi
from predictkpi.kpis.attainment import Bands, Light
from predictkpi.kpis.targets import ADDED, AVERAGED, BY_SEASON, EVENLY, EXACT, HOLDS
from predictkpi.pipelines.alerts import AlertRule
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.charts import records
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.languages import ngettext
from predictkpi.service.kpi_answers import NEWEST, standings
from predictkpi.service.lookout import Lookout
from predictkpi.service.view import View

Tone = Literal["good", "bad", "plain"]


@dataclass(frozen=True)
class Aim:
    """The target of the period shown. ``share`` is the attainment, ``light`` its colour and ``verdict`` what that says."""

    target: str
    share: str
    light: Light
    verdict: str


@dataclass(frozen=True)
class AlertNote:
    """A period that came out as nobody could expect: when, and the whole in one sentence."""

    period: str
    short: str
    text: str
    tone: Tone


@dataclass(frozen=True)
class Alerts:
    """The alerts of a KPI as they are known: ``state`` is known, looking or failed; ``judged`` periods were held against a forecast."""

    state: str
    notes: list[AlertNote]
    judged: int


def value_text(value: float | None, kpi: Kpi, company: Company) -> str:
    """A value with its unit: 1.23 M EUR, 27.1%, 64 days."""
    if value is None or not f.is_number(value):
        return f.MISSING
    match kpi.unit:
        case "currency":
            return f.money(value, company.currency)
        case "share":
            return f.percent(value, digits=1)
        case "days":
            return f.days(value)
        case "months":
            return _("{count} months").format(count=f.number(value, 1))
        case "ratio":
            return f.number(value, 2)
        case "count":
            return f.number(value)


def bare_text(value: float | None, kpi: Kpi) -> str:
    """The same without its unit, for tables whose heading names it."""
    if kpi.unit == "currency":
        return f.amount(value)
    return f.percent(value, digits=1) if kpi.unit == "share" else f.number(value, {"count": 0, "ratio": 2}.get(kpi.unit, 1))


def change_text(change: float | None, kpi: Kpi, company: Company) -> str:
    """A difference of two values with sign and unit: −3 days, +1.2 points."""
    if change is None or not f.is_number(change):
        return f.MISSING
    match kpi.unit:
        case "currency":
            return f"{f.signed_amount(change)} {company.currency}"
        case "share":
            return f.signed(change * 100, _("points"), digits=1)
        case "days":
            return f.signed(change, ngettext("day", "days", abs(round(change))))
        case "months":
            return f.signed(change, _("months"), digits=1)
        case "ratio":
            return f.signed(change, "", digits=2).strip()
        case "count":
            return f.signed(change, "").strip()


def change_tone(change: float | None, kpi: Kpi, company: Company) -> Tone:
    """Whether a change is for the better; one that is written as none is neither."""
    if change is None or change_text(change, kpi, company).startswith("±"):
        return "plain"
    return tone_of(change, kpi.better)


def unit_text(kpi: Kpi, company: Company) -> str:
    """The unit itself."""
    words = {
        "currency": company.currency,
        "share": f.percent_sign(),
        "days": _("days"),
        "months": _("months"),
        "ratio": _("ratio"),
        "count": _("count"),
    }
    return words[kpi.unit]


def period_text(start: pd.Timestamp, freq: Freq, company: Company) -> str:
    """A period by name: February 2026, Q1 2026, week of 2 Feb 2026."""
    match freq:
        case "D":
            return f.date(start)
        case "W":
            return _("week of {date}").format(date=f.date(start))
        case "M":
            return f.month(start)
        case "Q":
            return f.quarter(start, company.fiscal_year_starts)
        case "Y":
            return f.year(start, company.fiscal_year_starts)


def light_text(light: Light, *, is_running: bool = False) -> str:
    """What the colour of a target says."""
    if is_running:
        return {"green": _("on course"), "amber": _("slightly behind"), "red": _("behind"), "none": ""}[light]
    return {"green": _("met"), "amber": _("nearly met"), "red": _("missed"), "none": ""}[light]


def basis_text(basis: str) -> str:
    """How a target follows from the rows that were written down."""
    words = {
        EXACT: _("as set"),
        BY_SEASON: _("spread by season"),
        EVENLY: _("spread evenly"),
        HOLDS: _("holds for the longer period"),
        ADDED: _("added up"),
        AVERAGED: _("averaged"),
    }
    return words[basis]


def tone_of(change: float, better: str) -> Tone:
    """Whether a change is for the better."""
    if better == "none" or change == 0:
        return "plain"
    return "good" if (change > 0) == (better == "up") else "bad"


def alert_note(row: Mapping[str, Any], kpi: Kpi, company: Company) -> AlertNote:
    """A row of `ALERT_COLUMNS` that is an alert."""
    period = period_text(row[c.DS], row[c.FREQ], company)
    low, high = (value_text(row[name], kpi, company) for name in ("low", "high"))
    text = _("{period}: {value}, where {range} was expected before it began.").format(
        period=period, value=value_text(row[c.VALUE], kpi, company), range=f.between(low, high)
    )
    short = _("unusually high in {period}") if row["direction"] == "above" else _("unusually low in {period}")
    tones: dict[str, Tone] = {"better": "good", "worse": "bad"}
    return AlertNote(period, short.format(period=period), text, tones.get(row["verdict"], "plain"))


def address(kpi: Kpi) -> str:
    """Where the KPI has its page."""
    return f"/kpis/{kpi.name}"


def alerts_by_kpi(view: View, kpis: Iterable[str], rule: AlertRule, lookout: Lookout, *, periods: int = NEWEST) -> dict[str, Alerts]:
    """What is known by now of the alerts of these KPIs."""
    found = {}
    for name in kpis:
        seen = lookout.look(view, name, rule=rule, periods=periods)
        notes = [alert_note(row, get_kpi(name), view.company) for row in records(seen.rows)]
        found[name] = Alerts(seen.state, notes, seen.judged)
    return found


def promises(view: View, kpi: Kpi, freq: Freq, bands: Bands) -> pd.DataFrame:
    """The targets of periods of that length, `ATTAINMENT_COLUMNS`: all that follow from others too, but of days and weeks those set."""
    found = standings(view, kpi.name, freq=None if freq in ("D", "W") else freq, bands=bands)
    return found[found[c.FREQ] == freq]


def aim_of(view: View, kpi: Kpi, ds: pd.Timestamp, bands: Bands, *, freq: Freq = "M", scope: str = c.TOTAL) -> Aim | None:
    """The target of one period and how it stands; None where nothing was promised."""
    found = promises(view, kpi, freq, bands)
    found = found[(found[c.SCOPE] == scope) & (found[c.DS] == ds)]
    if found.empty:
        return None
    row = found.iloc[0]
    return Aim(
        target=value_text(row["target"], kpi, view.company),
        share=f.percent(row["attainment"]),
        light=row["light"],
        verdict=light_text(row["light"], is_running=bool(row["is_running"])),
    )


def thin(kpi: Kpi, n: float, status: Status) -> str:
    """Why a value is limited, where it is by its few cases."""
    if status is not Status.LIMITED:
        return ""
    told = {
        "orders": ngettext("from only {count} order", "from only {count} orders", n),
        "customers": ngettext("from only {count} customer", "from only {count} customers", n),
        "deals": ngettext("from only {count} deal", "from only {count} deals", n),
        "entries": ngettext("from only {count} entry", "from only {count} entries", n),
    }
    return told[kpi.counts].format(count=f.number(n))


def lacking(kpi: Kpi, view: View) -> str:
    """Why a KPI has no value: a table that nothing was loaded into, else its history."""
    absent = [name for name in kpi.needs if view.snapshot.table(name).empty]
    if absent:
        return _("It needs data that has not been loaded: {tables}.").format(tables=", ".join(f"`{name}`" for name in absent))
    return _("Too little history for a value.")
