"""The page /kpis/{name}: what one KPI is, where it stands, how it got there, where it goes, and what was promised."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import Status
from predictkpi.pipelines.alerts import PERIODS
from predictkpi.pipelines.targets import Promise
from predictkpi.service.dashboard.kpi_words import (
    Aim,
    Alerts,
    Tone,
    aim_of,
    alerts_by_kpi,
    change_text,
    change_tone,
    lacking,
    period_text,
    unit_text,
    value_text,
)
from predictkpi.service.dashboard.kpis.asked import Asked, members
from predictkpi.service.dashboard.kpis.series import (
    MemberRow,
    Series,
    counted_text,
    dimension_text,
    members_of,
    scope_text,
    series_of,
)
from predictkpi.service.dashboard.kpis.targets import (
    Entered,
    Form,
    Option,
    Targets,
    form_of,
    read_period,
    scope_and_period,
    targets_section,
)
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.languages import in_words, sentence
from predictkpi.service.kpi_answers import Rules, newest_of, points_of, targets_of
from predictkpi.service.lookout import Lookout, State
from predictkpi.service.problems import InvalidRequestError
from predictkpi.service.view import View


@dataclass(frozen=True)
class Definition:
    """What the KPI is."""

    formula: str
    unit: str
    grain: str
    better: str
    counted: str
    needs: str


@dataclass(frozen=True)
class Headline:
    """The newest value of the series shown."""

    value: str
    period: str
    change: str
    against: str
    tone: Tone
    aim: Aim | None
    status: str
    empty: str


@dataclass(frozen=True)
class Filters:
    """The form above the chart. ``freqs`` has one choice where only one makes sense."""

    freqs: list[Option]
    dimensions: list[Option]
    members: list[Option]
    freq: str
    by: str
    scope: str
    member_title: str


@dataclass(frozen=True)
class KpiPage:
    """The whole page."""

    name: str
    title: str
    definition: Definition
    filters: Filters
    scope: str
    is_total: bool
    headline: Headline
    series: Series
    members: list[MemberRow]
    dimension: str
    targets: Targets
    query: str
    api: str
    alerts: Alerts = field(default_factory=lambda: Alerts("looking", [], 0))


def kpi_page(
    view: View,
    asked: Asked,
    rules: Rules,
    *,
    may_set: bool,
    entered: Entered | None = None,
    error: str = "",
    removal: Promise | None = None,
    done: str = "",
    ahead: State = "known",
) -> KpiPage:
    """Everything on the page but its alerts; ``entered`` and ``error`` are of a form that was not taken, ``done`` of one that was.

    ``removal``: a target that is to be removed and has not been confirmed. ``ahead``: how far its forecast is; it is left out until it is
    known.
    """
    kpi = asked.kpi
    form: Form | None = form_of(view, asked, entered, error, removal) if may_set else None
    return KpiPage(
        name=kpi.name,
        title=in_words(kpi.title),
        definition=_definition(asked, view),
        filters=_filters(asked, view),
        scope=scope_text(asked.scope),
        is_total=asked.scope == c.TOTAL,
        headline=_headline(asked, view, rules),
        series=series_of(view, asked, rules.bands, ahead=ahead),
        members=members_of(view, asked),
        dimension=dimension_text(asked.by) if asked.by else "",
        targets=targets_section(view, kpi, rules.bands, scope=asked.scope, form=form, done=_done(done, asked, view)),
        query=asked.query(),
        api=f"/v1/kpis/{kpi.name}?{asked.query(scope='')}",
    )


def with_alerts(page: KpiPage, view: View, rules: Rules, lookout: Lookout) -> KpiPage:
    """The page with what is known by now of the KPI's alerts."""
    return replace(page, alerts=alerts_by_kpi(view, [page.name], rules.alerts, lookout, periods=PERIODS)[page.name])


def _definition(asked: Asked, view: View) -> Definition:
    kpi = asked.kpi
    better = {"up": _("more is better"), "down": _("less is better"), "none": _("neither more nor less is better")}
    return Definition(
        formula=sentence(kpi.formula),
        unit=unit_text(kpi, view.company),
        grain=sentence(kpi.grain),
        better=better[kpi.better],
        counted=counted_text(kpi.counts),
        needs=", ".join(f"`{name}`" for name in kpi.needs),
    )


def _filters(asked: Asked, view: View) -> Filters:
    names = {"D": _("days"), "W": _("weeks"), "M": _("months"), "Q": _("quarters"), "Y": _("years")}
    fixed = asked.kpi.fixed_freq
    return Filters(
        freqs=[Option(freq, text) for freq, text in names.items() if fixed in (None, freq)],
        dimensions=[Option(dimension, dimension_text(dimension)) for dimension in asked.kpi.dimensions],
        members=[Option(f"{asked.by}={member}", member) for member in members(view, asked)],
        freq=asked.freq,
        by=asked.by or "",
        scope=asked.scope,
        member_title=dimension_text(asked.by) if asked.by else "",
    )


def _headline(asked: Asked, view: View, rules: Rules) -> Headline:
    kpi, company = asked.kpi, view.company
    series = view.kpi_series(kpi.name, freq=asked.freq, by=asked.dimension)
    points = points_of(series[series[c.MEMBER] == asked.member], targets_of(view, kpi.name, asked.freq), scope=asked.scope)
    latest, previous, change = newest_of(points)
    if latest is None:
        return Headline(value_text(None, kpi, company), "", "", "", "plain", None, Status.INSUFFICIENT_DATA.value, lacking(kpi, view))
    against = _("on {period}").format(period=period_text(pd.Timestamp(previous.ds), asked.freq, company)) if previous else ""
    return Headline(
        value=value_text(latest.value, kpi, company),
        period=period_text(pd.Timestamp(latest.ds), asked.freq, company),
        change=change_text(change, kpi, company) if change is not None else "",
        against=against,
        tone=change_tone(change, kpi, company),
        aim=aim_of(view, kpi, pd.Timestamp(latest.ds), rules.bands, freq=asked.freq, scope=asked.scope),
        status=latest.status.value,
        empty="",
    )


def _done(done: str, asked: Asked, view: View) -> str:
    """What a form that was taken has done: ``set``, or ``removed``, behind it the period and the scope."""
    action, _bar, rest = done.partition("|")
    key, _bar, scope = rest.partition("|")
    try:
        freq, ds = read_period(key)
    except InvalidRequestError:
        return ""
    targets = targets_of(view, asked.kpi.name, freq)
    is_there = bool(((targets[c.SCOPE] == scope) & (targets[c.DS] == ds)).any())
    texts = {"set": _("The target is set: {what}."), "removed": _("The target is removed: {what}.")}
    if action not in texts:
        return ""
    told = texts[action].format(what=scope_and_period(view, scope, freq, ds))
    soon = _("It shows here within some seconds.")
    return told if is_there == (action == "set") else f"{told} {soon}"
