"""What each acquisition channel returns of its cost, as intervals on one scale with the mark that is aimed at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from predictkpi.kpis.base import UNKNOWN
from predictkpi.predictors.clv.spec import SPEC
from predictkpi.service.channel_returns import returns_of_channels
from predictkpi.service.customer_schemas import ChannelValue, Payback
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.charts import interval_bar
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.deal_schemas import Spread
from predictkpi.service.view import View

AIM = 3.0
"""LTV:CAC that is held to be healthy: a rule of thumb of the trade."""
WIDEST = 20.0
"""Where the scale ends at the latest: a channel that costs next to nothing must not squeeze the others."""
Tone = Literal["good", "bad", "plain"]


@dataclass(frozen=True)
class ChannelRow:
    """One channel, or all of them. ``verdict`` says in words where the interval lies beside the aim."""

    title: str
    is_total: bool
    customers: str
    cac: str
    value: str
    ratio: str
    ratio_range: str
    bar: dict[str, float] | None
    verdict: str
    tone: Tone
    ratio_12: str
    payback: str
    status: str
    reason: str


@dataclass(frozen=True)
class Channels:
    """The card; ``aim_at`` is where the aim stands on the scale, in percent."""

    rows: list[ChannelRow]
    since: str
    until: str
    lag: str
    aim: str
    aim_at: float
    scale_end: str
    thin: list[ChannelRow]


def channels(view: View) -> Channels | None:
    """None where no customer value is served."""
    if SPEC.name not in view.champions:
        return None
    found = returns_of_channels(view)
    rows = [*found.channels, found.total]
    highest = max([AIM * 1.5, *(row.ltv_to_cac_24.q90 * 1.05 for row in rows if row.ltv_to_cac_24)])
    end = min(highest, WIDEST)
    shown = [_row(row, end, view.company.currency, is_total=row is found.total) for row in rows]
    return Channels(
        rows=shown,
        since=f.month(pd.Timestamp(found.since)),
        until=f.month(pd.Timestamp(found.until) - pd.Timedelta(days=1)),
        lag=f.days(found.lag_days),
        aim=f.number(AIM),
        aim_at=round(AIM / end * 100, 2),
        scale_end=f.number(end),
        thin=[row for row in shown if row.reason],
    )


def _row(row: ChannelValue, end: float, currency: str, *, is_total: bool) -> ChannelRow:
    ratio = row.ltv_to_cac_24
    verdict, tone = _beside_aim(ratio)
    return ChannelRow(
        title=_("All channels") if is_total else _("(unknown)") if row.channel == UNKNOWN else row.channel,
        is_total=is_total,
        customers=f.number(row.customers),
        cac=f.amount(row.cac),
        value=f.amount(row.value_24.mean if row.value_24 else None),
        ratio=f.number(ratio.mean, 1) if ratio else f.MISSING,
        ratio_range=f.between(f.number(ratio.q10, 1), f.number(ratio.q90, 1)) if ratio else "",
        bar=interval_bar(ratio.q10, ratio.mean, ratio.q90, span=(0.0, end)) if ratio else None,
        verdict=verdict,
        tone=tone,
        ratio_12=f.number(row.ltv_to_cac_12.mean, 1) if row.ltv_to_cac_12 else f.MISSING,
        payback=_payback(row.payback),
        status=row.status.value,
        reason=row.reason,
    )


def _beside_aim(ratio: Spread | None) -> tuple[str, Tone]:
    if ratio is None:
        return "", "plain"
    if ratio.q10 >= AIM:
        return _("above"), "good"
    return (_("below"), "bad") if ratio.q90 < AIM else (_("open"), "plain")


def _payback(payback: Payback | None) -> str:
    if payback is None:
        return f.MISSING
    if payback.expected is None:
        return _("over 24 months")
    if round(payback.expected, 1) <= 0:
        return _("with the first order")
    return _("{count} months").format(count=f.number(payback.expected, 1))
