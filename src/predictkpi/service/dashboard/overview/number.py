"""Will we make the number: this quarter and this year against the target, from what, and what moved since last week."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from predictkpi.core import columns as c
from predictkpi.errors import PredictKpiError
from predictkpi.kpis import get_kpi
from predictkpi.kpis.attainment import Bands, Light
from predictkpi.kpis.targets import EXACT
from predictkpi.outlook.moves import MODEL, Moves
from predictkpi.outlook.periods import REVENUE, PeriodOutlook
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.charts import waterfall
from predictkpi.service.dashboard.kpi_words import Tone, basis_text, light_text, tone_of
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.languages import marked, sentence
from predictkpi.service.dashboard.links import page_of
from predictkpi.service.outlooks import forecasters_of, moved, periods_of
from predictkpi.service.view import View

SHOWN = {"this_quarter": marked("This quarter"), "this_year": marked("This year")}
MOVED = "this_quarter"
SHOWN_DEALS = 5
STEPS = {
    "new": marked("new deals"),
    "won": marked("won"),
    "lost": marked("lost"),
    "slipped": marked("slipped"),
    "chances": marked("chances"),
    "amounts": marked("amounts"),
    MODEL: marked("all else"),
}


@dataclass(frozen=True)
class Segment:
    """One part of the stacked bar. ``kind``: booked, deals or new; ``width`` in percent of the bar."""

    kind: str
    title: str
    text: str
    width: float


@dataclass(frozen=True)
class Pace:
    """Where what is booked so far leads by the period's usual course, as a share of the target, with its light."""

    share: str
    light: Light
    verdict: str


@dataclass(frozen=True)
class Period:
    """One named period, written out. ``target_at`` is where the target stands on the bar, in percent."""

    title: str
    name: str
    expected: str
    likely: str
    growth: str
    growth_tone: Tone
    growth_likely: str
    target: str
    basis: str
    chance: str
    chance_percent: float
    gap: str
    gap_tone: Tone
    needed: str
    coverage: str
    pace: Pace | None
    segments: list[Segment]
    target_at: float | None
    description: str


@dataclass(frozen=True)
class MovedDeal:
    """One deal that moved the forecast."""

    href: str
    name: str
    step: str
    change: str
    tone: Tone


@dataclass(frozen=True)
class Moved:
    """What moved: chart, the same in words, and the deals that moved it most."""

    since: str
    period: str
    chart: dict[str, Any]
    description: str
    deals: list[MovedDeal]
    deal_count: str


@dataclass(frozen=True)
class Absent:
    """The card without its numbers."""

    reason: str


@dataclass(frozen=True)
class Number:
    """The card. ``note`` says why nothing is shown of what moved."""

    periods: list[Period]
    moved: Moved | None
    note: str
    has_targets: bool
    verdict: str
    status: str
    reason: str


def number(view: View, bands: Bands) -> Number | Absent:
    """The company's total, or why it cannot be told: revenue is not served, or no period can be summed."""
    try:
        periods = periods_of(view)
    except PredictKpiError as error:
        return Absent(str(error))
    shown = periods.of(c.TOTAL, list(SHOWN))
    if not shown:
        return Absent(_("The forecast does not reach to the end of the quarter."))
    status, reason = forecasters_of(view).standing(periods.outlook, c.TOTAL)
    steps, note = _moved(view)
    return Number(
        periods=[_period(one, view, bands) for one in shown],
        moved=steps,
        note=note,
        has_targets=any(one.target for one in shown),
        verdict=periods.outlook.trust.verdict,
        status=status.value,
        reason=reason,
    )


def _period(one: PeriodOutlook, view: View, bands: Bands) -> Period:
    currency, starts = view.company.currency, view.company.fiscal_year_starts
    target = one.target.value if one.target else None
    segments, scale = _segments(one, target)
    gap = None if target is None else one.mean - target
    grown = one.growth.get("year_before")
    return Period(
        title=_(SHOWN[one.name]),
        name=f.quarter(one.start, starts) if one.name == MOVED else f.year(one.start, starts),
        expected=f.money(one.mean, currency),
        likely=f.between(f.amount(one.commit), f.money(one.best_case, currency)),
        growth=f.signed_percent(grown["q50"]) if grown else "",
        growth_tone=tone_of(grown["q50"], "up") if grown else "plain",
        growth_likely=f.between(f.signed_percent(grown["q10"]), f.signed_percent(grown["q90"])) if grown else "",
        target=f.money(target, currency) if target is not None else "",
        basis=_basis(one),
        chance=f.percent(one.chance),
        chance_percent=round((one.chance or 0.0) * 100, 1),
        gap=_gap(gap),
        gap_tone="plain" if gap is None else "good" if gap >= 0 else "bad",
        needed=f.money(one.needed, currency) if one.needed is not None else "",
        coverage=f.number(one.coverage, 1) if one.coverage is not None else "",
        pace=_pace(one, bands),
        segments=segments,
        target_at=round(target / scale * 100, 2) if target is not None else None,
        description=_described(one, segments, f.money(target, currency) if target is not None else ""),
    )


def _segments(one: PeriodOutlook, target: float | None) -> tuple[list[Segment], float]:
    """The three parts, and what the whole width of the bar stands for."""
    parts = [
        ("booked", _("booked"), one.booked),
        ("deals", _("from open deals"), one.from_deals.mean),
        ("new", _("not yet created"), one.new.mean),
    ]
    scale = max(one.mean, target or 0.0, sum(max(part[-1], 0.0) for part in parts)) or 1.0
    return [Segment(kind, title, f.amount(value), round(max(value, 0.0) / scale * 100, 2)) for kind, title, value in parts], scale


def _described(one: PeriodOutlook, segments: list[Segment], target: str) -> str:
    parts = ", ".join(f"{segment.text} {segment.title}" for segment in segments)
    text = _("{period}, expected in three parts: {parts}").format(period=_(SHOWN[one.name]), parts=parts)
    return text + (_("; target {target}").format(target=target) if target else "")


def _gap(gap: float | None) -> str:
    if gap is None:
        return ""
    return (_("{amount} above") if gap >= 0 else _("{amount} below")).format(amount=f.amount(abs(gap)))


def _basis(one: PeriodOutlook) -> str:
    """How the target follows from what was written down, where it was not written down itself."""
    return basis_text(one.target.basis) if one.target and one.target.basis != EXACT else ""


def _pace(one: PeriodOutlook, bands: Bands) -> Pace | None:
    if one.pace is None or one.target is None:
        return None
    light = bands.light(get_kpi(REVENUE), one.pace, (one.pace - 1) * one.target.value)
    return Pace(f.percent(one.pace), light, light_text(light, is_running=True))


def _moved(view: View) -> tuple[Moved | None, str]:
    """What moved, or why that is not shown."""
    if periods_of(view).outlook.book is None:
        return None, _("Open deals are not predicted: what moved the forecast cannot be told deal by deal.")
    try:
        period, found = moved(view, c.TOTAL, MOVED)
    except PredictKpiError as error:
        return None, _("What moved since a week ago cannot be told: {reason}").format(reason=sentence(str(error)))
    if found.deals.empty:
        return None, _("No deal has moved since last week.")
    return _told(found, f.quarter(period.start, view.company.fiscal_year_starts), view), ""


def _title(step: str, change: float) -> str:
    """A win takes from the period's forecast what it booked before the period began."""
    return _("won before it") if step == "won" and change < 0 else _(STEPS[step])


def _told(found: Moves, quarter: str, view: View) -> Moved:
    currency = view.company.currency
    steps = {_title(step, change): change for step, change in found.steps.items() if f.amount(change) != f.amount(0.0)}
    description = _("Expected revenue of {period}: {then} on {date}, {now} now. {steps}.").format(
        period=quarter,
        then=f.money(found.start, currency),
        date=f.date(found.since),
        now=f.money(found.end, currency),
        steps=", ".join(f"{name} {f.signed_amount(change)}" for name, change in steps.items()),
    )
    return Moved(
        since=f.date(found.since),
        period=quarter,
        chart=waterfall(found.start, steps, found.end, currency=currency, description=description),
        description=description,
        deals=[_moved_deal(row, view) for row in found.deals.head(SHOWN_DEALS).to_dict("records")],
        deal_count=f.number(len(found.deals)),
    )


def _moved_deal(row: Mapping[Hashable, Any], view: View) -> MovedDeal:
    deal_id, step = str(row[c.DEAL_ID]), STEPS[row["step"]]
    return MovedDeal(
        href=page_of("deals", deal_id),
        name=view.label("deal", deal_id),
        step=_(step),
        change=f.signed_amount(row["change"]),
        tone="good" if row["change"] > 0 else "bad",
    )
