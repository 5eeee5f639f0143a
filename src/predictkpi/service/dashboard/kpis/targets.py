"""The targets of one KPI: as they were written down, how they stand, and the form that sets one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from babel.numbers import NumberFormatError, parse_decimal

from predictkpi.core import columns as c
from predictkpi.core.periods import FREQS, Freq, shift, start_of
from predictkpi.kpis import Kpi
from predictkpi.kpis.attainment import Bands, Light
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.charts import records
from predictkpi.service.dashboard.kpi_words import light_text, period_text, unit_text, value_text
from predictkpi.service.dashboard.kpis.series import dimension_text, scope_text
from predictkpi.service.dashboard.languages import current
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.kpi_answers import standings
from predictkpi.service.problems import InvalidRequestError
from predictkpi.service.view import View

AHEAD: dict[Freq, tuple[int, int]] = {"M": (-12, 24), "Q": (-4, 8), "Y": (-1, 3)}
"""The periods that the form offers, counted from the running one."""
LISTED = 12
"""So many targets of the series shown are listed of each kind before the others are folded away."""


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
    is_open: bool


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
class Form:
    """The form, for who may set targets. ``error`` says why what was sent was not taken."""

    scopes: list[Choices]
    periods: list[Choices]
    entered: Entered
    unit: str
    error: str = ""


@dataclass(frozen=True)
class Targets:
    """The section of the page."""

    coming: list[TargetRow]
    closed: list[TargetRow]
    others: list[TargetRow]
    form: Form | None
    done: str = ""


def targets_section(view: View, kpi: Kpi, bands: Bands, *, scope: str, form: Form | None, done: str) -> Targets:
    """Every target of the KPI: first what the scope's running periods and those to come promise, then its newest closed ones."""
    rows = target_rows(view, kpi, bands)
    own = [row for row in rows if row.scope_key == scope]
    coming = [row for row in reversed(own) if row.is_open][:LISTED]
    closed = [row for row in own if not row.is_open][:LISTED]
    listed = {row.period_key for row in (*coming, *closed)}
    return Targets(coming, closed, [row for row in rows if row.scope_key != scope or row.period_key not in listed], form, done)


def target_rows(view: View, kpi: Kpi, bands: Bands) -> list[TargetRow]:
    """Every target of the KPI, the latest period first."""
    begun = standings(view, kpi.name, freq=None, bands=bands)
    targets = view.snapshot.targets
    coming = targets[(targets[c.KPI] == kpi.name) & (targets[c.DS] >= view.as_of)].rename(columns={c.VALUE: "target"})
    rows = [(row[c.DS], row[c.SCOPE], _row(row, view, kpi)) for row in records(pd.concat([begun, coming], ignore_index=True))]
    return [row for _ds, _scope, row in sorted(rows, key=lambda found: (-found[0].value, found[1] != c.TOTAL, found[1]))]


def form_of(view: View, kpi: Kpi, entered: Entered | None = None, error: str = "") -> Form:
    """The form with what it offers."""
    total = Choices("", [Option(c.TOTAL, scope_text(c.TOTAL))])
    return Form(
        scopes=[total, *(_members(view, kpi, dimension) for dimension in kpi.dimensions)],
        periods=[_periods(view, freq) for freq in offered(kpi)],
        entered=entered or Entered(period=_next_period(view, kpi)),
        unit=unit_text(kpi, view.company),
        error=error,
    )


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
        start = pd.Timestamp(day) if colon else None
    except ValueError:
        start = None
    if freq is None or start is None or pd.isna(start) or start.tzinfo is not None:
        raise InvalidRequestError.parameter("period", _("Choose the period that the target is for."))
    return freq, start.normalize()


def read_value(text: str, kpi: Kpi) -> float:
    """A number as the reader's language writes it, a share in percent; raises `InvalidRequestError`."""
    plain = text.strip().rstrip("%").strip().replace("\u202f", "").replace("\u00a0", "").replace("\u2212", "-")
    try:
        value = float(parse_decimal(plain, locale=current().locale, strict=True))
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
    has_begun = isinstance(row["light"], str)
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
        is_open=is_running or not has_begun,
    )


def _members(view: View, kpi: Kpi, dimension: str) -> Choices:
    found = sorted(view.kpi_series(kpi.name, freq=kpi.fixed_freq or "M", by=dimension)[c.MEMBER].unique())
    return Choices(dimension_text(dimension), [Option(f"{dimension}={member}", member) for member in found])


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
