"""Why a deal's numbers are what they are: from the usual deal, step by step, to this one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from predictkpi.protocol import BASELINE
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.wire import Envelope, Reason

MOST_ROWS = 9
"""Beyond, the lightest reasons are put together."""
Tone = Literal["good", "bad", "plain"]


@dataclass(frozen=True)
class Because:
    """One reason: how much, whether that is good, and where its bar lies on a common scale with zero in the middle, in percent."""

    title: str
    text: str
    tone: Tone
    left: float
    width: float


@dataclass(frozen=True)
class Why:
    """What is explained: from ``start``, that of the usual deal, by its reasons to ``end``."""

    title: str
    start_title: str
    start: str
    end: str
    verdict: str
    rows: list[Because]


def why(answer: Envelope) -> list[Why]:
    """One for each statistic that has reasons, in the order in which the API gives them; none where the model has none to give."""
    found: dict[tuple[str, int], list[Reason]] = {}
    for reason in answer.reasons or []:
        found.setdefault((reason.statistic, reason.horizon), []).append(reason)
    return [_why(statistic, horizon, reasons, unit=answer.units[statistic]) for (statistic, horizon), reasons in found.items()]


def _why(statistic: str, horizon: int, reasons: list[Reason], *, unit: str) -> Why:
    start = next((reason for reason in reasons if reason.name == BASELINE), None)
    steps = [reason for reason in reasons if reason.name != BASELINE]
    begin = start.contribution if start else 0.0
    end = begin + sum(reason.contribution for reason in steps)
    shown = [(reason.title, reason.contribution) for reason in steps[:MOST_ROWS]]
    if len(steps) > MOST_ROWS:
        shown.append((_("all else"), sum(reason.contribution for reason in steps[MOST_ROWS:])))
    largest = max((abs(value) for _title, value in shown), default=0.0) or 1.0
    titles = {
        "cif_won": _("Chance to be won within {days} days").format(days=horizon),
        "close_q50": _("Days to the close, if it is won"),
    }
    return Why(
        title=titles.get(statistic, statistic),
        start_title=start.title if start else "",
        start=_level(begin, unit),
        end=_level(end, unit),
        verdict=_verdict(steps, unit),
        rows=[_because(title, value, largest, unit=unit) for title, value in shown],
    )


def _verdict(steps: list[Reason], unit: str) -> str:
    """The weightiest on either side, in words."""
    ordered = sorted(steps, key=lambda reason: reason.contribution)
    told = [(reason.title, _change(reason.contribution, unit)) for reason in ordered if abs(reason.contribution) > 1e-9]
    raised = [one for one, reason in zip(told[::-1], ordered[::-1], strict=False) if reason.contribution > 0][:2]
    lowered = [one for one, reason in zip(told, ordered, strict=False) if reason.contribution < 0][:2]
    words = {
        "probability": (_("For it speaks most: {reasons}."), _("Against it: {reasons}.")),
        "days": (_("Later because of: {reasons}."), _("Sooner because of: {reasons}.")),
    }.get(unit, (_("More because of: {reasons}."), _("Less because of: {reasons}.")))
    return " ".join(
        word.format(reasons=", ".join(f"{title} ({change})" for title, change in side))
        for word, side in zip(words, (raised, lowered), strict=True)
        if side
    )


def _because(title: str, value: float, largest: float, *, unit: str) -> Because:
    is_good = value > 0 if unit != "days" else value < 0
    width = abs(value) / largest * 50
    return Because(
        title=title,
        text=_change(value, unit),
        tone="plain" if not round(value, 4) else "good" if is_good else "bad",
        left=round(50 - width if value < 0 else 50, 2),
        width=round(width, 2),
    )


def _change(value: float, unit: str) -> str:
    return f.signed(value * 100, _("pts"), digits=1) if unit == "probability" else f.signed(value, _("days"), digits=1)


def _level(value: float, unit: str) -> str:
    return f.percent(value, digits=1) if unit == "probability" else f.days(value)
