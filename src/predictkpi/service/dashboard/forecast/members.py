"""The members of a dimension: what each brings in the months ahead and in the running year, adding up to the total."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from predictkpi.core import columns as c
from predictkpi.outlook.ahead import all_ahead
from predictkpi.outlook.periods import PeriodOutlook, Periods
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.forecast.question import Question
from predictkpi.service.dashboard.forecast.wording import scope_title
from predictkpi.service.outlooks import ahead_of, forecasters_of, periods_of
from predictkpi.service.view import View

_APART = 1e-6
"""Beyond this share of the total, what members do not add up to is told."""


@dataclass(frozen=True)
class MemberRow:
    """One member, written out; ``place`` is where its 80 % range lies on a common scale, in percent."""

    scope: str
    title: str
    href: str
    is_chosen: bool
    status: str
    expected: str
    share: str
    share_percent: float
    likely: str
    growth: str
    change: str
    year: str
    target: str
    chance: str


@dataclass(frozen=True)
class Members:
    """The table: members by what they bring, what is left over, and the total. ``months`` ahead; ``year`` is the running one."""

    rows: list[MemberRow]
    total: MemberRow
    left_over: str
    months: int
    year: str
    has_targets: bool
    has_change: bool


def ranked(view: View, scopes: list[str]) -> list[str]:
    """Members by what is expected of them, most first."""
    return sorted(scopes, key=lambda scope: -ahead_of(view, scope).mean)


def members(view: View, question: Question, scopes: list[str], *, changed: Periods | None) -> Members:
    """The table of all ``scopes``, in this order; ``changed`` is the outlook under a scenario."""
    total = _row(view, question, c.TOTAL, changed)
    rows = [_row(view, question, scope, changed) for scope in scopes]
    whole = ahead_of(view, c.TOTAL)
    left = whole.mean - sum(ahead_of(view, scope).mean for scope in scopes)
    year = _year(view, c.TOTAL)
    return Members(
        rows=rows,
        total=total,
        left_over=f.money(left, view.company.currency) if abs(left) > _APART * max(abs(whole.mean), 1.0) else "",
        months=whole.months,
        year=f.year(year.start, view.company.fiscal_year_starts) if year else "",
        has_targets=any(row.target for row in rows),
        has_change=changed is not None,
    )


def _row(view: View, question: Question, scope: str, changed: Periods | None) -> MemberRow:
    currency, ahead, whole = view.company.currency, ahead_of(view, scope), ahead_of(view, c.TOTAL)
    year = _year(view, scope)
    target = year.target.value if year is not None and year.target is not None else None
    status, _ = forecasters_of(view).standing(periods_of(view).outlook, scope)
    change = all_ahead(changed.outlook, scope).mean - ahead.mean if changed is not None else 0.0
    share = ahead.mean / whole.mean if whole.mean > 0 else 0.0
    return MemberRow(
        scope=scope,
        title=scope_title(scope),
        href=question.address(of=() if scope == c.TOTAL or question.of == (scope,) else (scope,)),
        is_chosen=scope in question.of,
        status=status.value,
        expected=f.money(ahead.mean, currency),
        share=f.percent(share),
        share_percent=round(min(max(share, 0.0), 1.0) * 100, 1),
        likely=f.between(f.amount(ahead.quantiles["q10"]), f.amount(ahead.quantiles["q90"])),
        growth=f.signed_percent(ahead.growth["q50"]) if ahead.growth else f.MISSING,
        change=f.signed_amount(change),
        year=f.money(year.mean, currency) if year is not None else f.MISSING,
        target=f.money(target, currency) if target is not None else "",
        chance=f.percent(year.chance) if year is not None and target is not None else "",
    )


def _year(view: View, scope: str) -> PeriodOutlook | None:
    """The running year of a scope: kept, since each takes a look at the targets."""
    return cast("PeriodOutlook | None", view.page(f"this year {scope}", lambda view: periods_of(view).one(scope, "this_year")))
