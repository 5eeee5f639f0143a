"""Will we make the number: this quarter and this year against the target, from what, and what moved since last week."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from predictkpi.core import columns as c
from predictkpi.errors import PredictKpiError
from predictkpi.outlook.moves import MODEL, Moves
from predictkpi.outlook.periods import PeriodOutlook
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.charts import waterfall
from predictkpi.service.outlooks import forecasters_of, moved, periods_of
from predictkpi.service.view import View

SHOWN = {"this_quarter": "This quarter", "this_year": "This year"}
MOVED = "this_quarter"
SHOWN_DEALS = 5
STEPS = {
    "new": "new deals",
    "won": "won",
    "lost": "lost",
    "slipped": "slipped",
    "chances": "chances",
    "amounts": "amounts",
    MODEL: "all else",
}
Tone = Literal["good", "bad", "plain"]


@dataclass(frozen=True)
class Segment:
    """One part of the stacked bar. ``kind``: booked, deals or new; ``width`` in percent of the bar."""

    kind: str
    title: str
    text: str
    width: float


@dataclass(frozen=True)
class Period:
    """One named period, written out. ``target_at`` is where the target stands on the bar, in percent."""

    title: str
    name: str
    expected: str
    likely: str
    target: str
    chance: str
    chance_percent: float
    gap: str
    gap_tone: Tone
    needed: str
    segments: list[Segment]
    target_at: float | None
    description: str


@dataclass(frozen=True)
class MovedDeal:
    """One deal that moved the forecast."""

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
    deal_count: int


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


def number(view: View) -> Number | Absent:
    """The company's total, or why it cannot be told: revenue is not served, or no period can be summed."""
    try:
        periods = periods_of(view)
    except PredictKpiError as error:
        return Absent(str(error))
    shown = periods.of(c.TOTAL, list(SHOWN))
    if not shown:
        return Absent("The forecast does not reach to the end of the quarter.")
    status, reason = forecasters_of(view).standing(periods.outlook, c.TOTAL)
    steps, note = _moved(view)
    return Number(
        periods=[_period(one, view) for one in shown],
        moved=steps,
        note=note,
        has_targets=any(one.target for one in shown),
        verdict=periods.outlook.trust.verdict,
        status=status.value,
        reason=reason,
    )


def _period(one: PeriodOutlook, view: View) -> Period:
    currency, starts = view.company.currency, view.company.fiscal_year_starts
    target = one.target.value if one.target else None
    parts = [("booked", "booked", one.booked), ("deals", "from open deals", one.from_deals.mean), ("new", "not yet created", one.new.mean)]
    scale = max(one.mean, target or 0.0, sum(max(value, 0.0) for _, _, value in parts)) or 1.0
    segments = [Segment(kind, title, f.amount(value), round(max(value, 0.0) / scale * 100, 2)) for kind, title, value in parts]
    gap = None if target is None else one.mean - target
    return Period(
        title=SHOWN[one.name],
        name=f.quarter(one.start, starts) if one.name == MOVED else f.year(one.start, starts),
        expected=f.money(one.mean, currency),
        likely=f"{f.amount(one.commit)} to {f.money(one.best_case, currency)}",
        target=f.money(target, currency) if target is not None else "",
        chance=f.percent(one.chance),
        chance_percent=round((one.chance or 0.0) * 100, 1),
        gap="" if gap is None else f"{f.amount(abs(gap))} {'above' if gap >= 0 else 'below'}",
        gap_tone="plain" if gap is None else "good" if gap >= 0 else "bad",
        needed=f.money(one.needed, currency) if one.needed is not None else "",
        segments=segments,
        target_at=round(target / scale * 100, 2) if target is not None else None,
        description=f"{SHOWN[one.name]}, expected in three parts: "
        + ", ".join(f"{segment.text} {segment.title}" for segment in segments)
        + (f"; target {f.money(target, currency)}" if target is not None else ""),
    )


def _moved(view: View) -> tuple[Moved | None, str]:
    """What moved, or why that is not shown."""
    if periods_of(view).outlook.book is None:
        return None, "Open deals are not predicted: what moved the forecast cannot be told deal by deal."
    try:
        period, found = moved(view, c.TOTAL, MOVED)
    except PredictKpiError as error:
        return None, f"What moved since a week ago cannot be told: {error}"
    if found.deals.empty:
        return None, "No deal has moved since last week."
    return _told(found, f.quarter(period.start, view.company.fiscal_year_starts), view), ""


def _title(step: str, change: float) -> str:
    """A win takes from the period's forecast what it booked before the period began."""
    return "won before it" if step == "won" and change < 0 else STEPS[step]


def _told(found: Moves, quarter: str, view: View) -> Moved:
    currency = view.company.currency
    steps = {_title(step, change): change for step, change in found.steps.items() if f.amount(change) != f.amount(0.0)}
    words = ", ".join(f"{name} {f.signed_amount(change)}" for name, change in steps.items())
    description = (
        f"Expected revenue of {quarter}: {f.money(found.start, currency)} on {f.date(found.since)}, "
        f"{f.money(found.end, currency)} now. {words}."
    )
    deals = [
        MovedDeal(
            name=view.label("deal", row[c.DEAL_ID]),
            step=STEPS[row["step"]],
            change=f.signed_amount(row["change"]),
            tone="good" if row["change"] > 0 else "bad",
        )
        for row in found.deals.head(SHOWN_DEALS).to_dict("records")
    ]
    return Moved(
        since=f.date(found.since),
        period=quarter,
        chart=waterfall(found.start, steps, found.end, currency=currency, description=description),
        description=description,
        deals=deals,
        deal_count=len(found.deals),
    )
