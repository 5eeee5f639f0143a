"""The targets of one KPI: as they were written down, how they stand, and the form that sets one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd
from babel.numbers import NumberFormatError, parse_decimal

from predictkpi.core import columns as c
from predictkpi.core.periods import FREQS, Freq, shift, start_of
from predictkpi.kpis import Kpi
from predictkpi.kpis.attainment import Bands, Light
from predictkpi.pipelines.targets import Promise
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.charts import records
from predictkpi.service.dashboard.kpi_words import light_text, period_text, unit_text, value_text
from predictkpi.service.dashboard.kpis.asked import Asked, members
from predictkpi.service.dashboard.kpis.series import dimension_text, scope_text
from predictkpi.service.dashboard.languages import current
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.kpi_answers import standings
from predictkpi.service.problems import InvalidRequestError
from predictkpi.service.view import View

MOST_OTHERS = 48
"""So many of the others; the API has all of them."""
AHEAD: dict[Freq, tuple[int, int]] = {"M": (-12, 24), "Q": (-4, 8), "Y": (-1, 3)}
"""The periods that the form offers, counted from the running one."""
FIRST_YEAR, LAST_YEAR = 1900, 2200
LISTED = 12
"""So many targets of the series shown are listed of each kind before the others are folded away."""


_PLAIN = re.compile(r"[-+]?[0-9][0-9., '’]*")


@dataclass(frozen=True)
class TargetRow:
    """One target as it was written down. ``actual`` and the light are empty before its period has begun."""

    scope: str
    scope_key: str
    period: str
    period_key: str
    target: str
    actual: str
    share: str
    light: Light
    verdict: str


@dataclass(frozen=True)
class Option:
    """One choice of a select."""

    value: str
    text: str


@dataclass(frozen=True)
class Choices:
    """Choices under one heading."""

    title: str
    options: list[Option]


@dataclass(frozen=True)
class Entered:
    """What stands in the form."""

    scope: str = c.TOTAL
    period: str = ""
    value: str = ""


@dataclass(frozen=True)
class Removal:
    """A target whose removal is to be confirmed."""

    scope: str
    scope_key: str
    period: str
    period_key: str


@dataclass(frozen=True)
class Form:
    """The form, for who may set targets. ``error`` says why what was sent was not taken, ``removal`` what is asked back."""

    scopes: list[Choices]
    periods: list[Choices]
    entered: Entered
    unit: str
    error: str = ""
    removal: Removal | None = None


@dataclass(frozen=True)
class Targets:
    """The section of the page. ``left_out`` counts the targets that are not listed; empty where all are."""

    coming: list[TargetRow]
    closed: list[TargetRow]
    others: list[TargetRow]
    left_out: str
    form: Form | None
    done: str = ""


def targets_section(view: View, kpi: Kpi, bands: Bands, *, scope: str, form: Form | None, done: str) -> Targets:
    """The targets of the KPI: first what the scope's running periods and those to come promise, then its newest closed ones."""
    every = _every(view, kpi, bands)
    own = every[every[c.SCOPE] == scope]
    coming = own[own["is_open"]].iloc[::-1].head(LISTED)
    closed = own[~own["is_open"]].head(LISTED)
    rest = every.drop(index=[*coming.index, *closed.index])
    shown = [[_row(row, view, kpi) for row in records(rows)] for rows in (coming, closed, rest.head(MOST_OTHERS))]
    return Targets(shown[0], shown[1], shown[2], f.number(max(len(rest) - MOST_OTHERS, 0)) if len(rest) > MOST_OTHERS else "", form, done)


def _every(view: View, kpi: Kpi, bands: Bands) -> pd.DataFrame:
    """All targets as they were written down, the latest period first: `ATTAINMENT_COLUMNS`, ``has_begun`` and ``is_open`` (not over)."""
    begun = standings(view, kpi.name, freq=None, bands=bands).assign(has_begun=True)
    targets = view.snapshot.targets
    ahead = targets[(targets[c.KPI] == kpi.name) & (targets[c.DS] >= view.as_of)].rename(columns={c.VALUE: "target"})
    every = pd.concat([begun, ahead.assign(has_begun=False, is_running=False)], ignore_index=True)
    every["is_open"] = every["is_running"].astype("bool") | ~every["has_begun"].astype("bool")
    return every.sort_values([c.DS, c.SCOPE], ascending=[False, True], kind="stable", ignore_index=True)


def form_of(view: View, asked: Asked, entered: Entered | None = None, error: str = "", removal: Promise | None = None) -> Form:
    """The form with what it offers: the total, who has targets already, and the members of the dimension that was asked for."""
    kpi = asked.kpi
    targets = view.snapshot.targets
    promised = sorted(set(targets.loc[targets[c.KPI] == kpi.name, c.SCOPE]) - {c.TOTAL})
    entered = entered or Entered(asked.scope, _next_period(view, kpi))
    if entered.scope not in (c.TOTAL, *promised) and asked.by is None:
        promised.append(entered.scope)
    scopes = [Choices("", [Option(c.TOTAL, scope_text(c.TOTAL))])]
    if asked.by is not None:
        found = [Option(f"{asked.by}={member}", member) for member in members(view, asked)]
        scopes.append(Choices(dimension_text(asked.by), found))
        promised = [scope for scope in promised if not scope.startswith(f"{asked.by}=")]
    if promised:
        scopes.append(Choices(_("With targets"), [Option(scope, scope_text(scope)) for scope in promised]))
    periods = [_periods(view, freq) for freq in offered(kpi)]
    return Form(scopes, periods, entered, unit_text(kpi, view.company), error, _asked_back(view, removal) if removal else None)


def offered(kpi: Kpi) -> list[Freq]:
    """Lengths of period that a target may be set for here; days and weeks come with a file."""
    return [freq for freq in AHEAD if kpi.fixed_freq in (None, freq)]


def period_key(freq: str, ds: pd.Timestamp) -> str:
    """A period as it stands in an address or a form: Q:2026-10-01."""
    return f"{freq}:{ds:%Y-%m-%d}"


def read_period(text: str) -> tuple[Freq, pd.Timestamp]:
    """The other way round; raises `InvalidRequestError`."""
    length, colon, day = text.partition(":")
    freq = next((freq for freq in FREQS if freq == length), None)
    try:
        start = date.fromisoformat(day)
    except ValueError:
        start = date.min
    if freq is None or not colon or not FIRST_YEAR <= start.year <= LAST_YEAR:
        raise InvalidRequestError.parameter("period", _("Choose the period that the target is for."))
    return freq, pd.Timestamp(start)


def read_value(text: str, kpi: Kpi) -> float:
    """A number as the reader's language writes it, a share in percent; raises `InvalidRequestError`."""
    plain = text.strip().rstrip("%").strip().replace("\u202f", "").replace("\u00a0", "").replace("\u2212", "-")
    try:
        value = float(parse_decimal(plain, locale=current().locale, strict=True)) if _PLAIN.fullmatch(plain) else float("nan")
    except (NumberFormatError, ValueError):
        value = float("nan")
    if not f.is_number(value):
        example = f.number(1250000.5, 1) if kpi.unit != "share" else f.number(27.5, 1)
        told = _("“{entered}” is no number: write it like {example}.").format(entered=text.strip(), example=example)
        raise InvalidRequestError.parameter("value", told)
    return value / 100 if kpi.unit == "share" else value


def scope_and_period(view: View, scope: str, freq: Freq, ds: pd.Timestamp) -> str:
    """Whose target, and for when."""
    return f"{scope_text(scope)}, {period_text(ds, freq, view.company)}"


def _row(row: Mapping[str, Any], view: View, kpi: Kpi) -> TargetRow:
    has_begun = bool(row["has_begun"])
    light: Light = row["light"] if has_begun else "none"
    is_running = has_begun and bool(row["is_running"])
    share = row["pace"] if is_running else row["attainment"]
    return TargetRow(
        scope=scope_text(row[c.SCOPE]),
        scope_key=row[c.SCOPE],
        period=period_text(row[c.DS], row[c.FREQ], view.company),
        period_key=period_key(row[c.FREQ], row[c.DS]),
        target=value_text(row["target"], kpi, view.company),
        actual=value_text(row["actual"], kpi, view.company) if has_begun else "",
        share=f.percent(share) if has_begun else "",
        light=light,
        verdict=light_text(light, is_running=is_running),
    )


def _asked_back(view: View, promise: Promise) -> Removal:
    period = period_text(promise.ds, promise.freq, view.company)
    return Removal(scope_text(promise.scope), promise.scope, period, period_key(promise.freq, promise.ds))


def _periods(view: View, freq: Freq) -> Choices:
    titles = {"M": _("Months"), "Q": _("Quarters"), "Y": _("Years")}
    starts = view.company.fiscal_year_starts
    running = start_of(view.as_of, freq, fiscal_year_starts=starts)
    first, last = AHEAD[freq]
    days = [shift(running, count, freq, fiscal_year_starts=starts) for count in range(first, last + 1)]
    return Choices(titles[freq], [Option(period_key(freq, day), period_text(day, freq, view.company)) for day in days])


def _next_period(view: View, kpi: Kpi) -> str:
    freq = offered(kpi)[0]
    return period_key(freq, start_of(view.as_of, freq, fiscal_year_starts=view.company.fiscal_year_starts))
