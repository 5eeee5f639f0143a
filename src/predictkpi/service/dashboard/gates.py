"""What a training found on the past, as pages tell it: the gate's decision, its checks, and how segments fared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from predictkpi.backtest.checks import Check
from predictkpi.backtest.gate import GateDecision
from predictkpi.pipelines.card import ModelCard
from predictkpi.protocol import BASELINE, MODEL
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.languages import ngettext
from predictkpi.service.dashboard.rivals import Saving, in_sentence, one_sentence, saving, saving_in_words
from predictkpi.service.version_records import VersionRecord

CALIBRATION, SEGMENT = "calibration: ", "segment: "
COVERAGES = ("coverage80", "close_days_coverage80")


@dataclass(frozen=True)
class Segment:
    """One segment's loss against that of the one it was judged by."""

    name: str
    outcomes: str
    saving: Saving
    against: str


@dataclass(frozen=True)
class CheckRow:
    """One check of the gate; ``reason`` comes from below."""

    name: str
    is_passed: bool
    reason: str


@dataclass(frozen=True)
class Backtest:
    """How a version did on the past: in a sentence, against its baseline, and where it was tested."""

    verdict: str
    saving: Saving
    basis: str
    segments: list[Segment]


def backtest(record: VersionRecord) -> Backtest | None:
    """None where the training had no backtest."""
    if record.gate is None or record.card is None:
        return None
    gate, card = record.gate, record.card
    ends = (gate.improvement, gate.low, gate.high)
    metrics = card.metrics.get(MODEL, {})
    held = next((metrics[name] for name in COVERAGES if name in metrics), float("nan"))
    parts = [
        saving_in_words(*ends, rival=BASELINE),
        _("{share} of the outcomes were within the 80 % range").format(share=f.percent(held)) if f.is_number(held) else "",
    ]
    outcomes = ngettext("{count} outcome", "{count} outcomes", card.outcomes).format(count=f.number(card.outcomes))
    cutoffs = ngettext("{count} past cutoff", "{count} past cutoffs", len(card.cutoffs)).format(count=f.number(len(card.cutoffs)))
    return Backtest(
        verdict=one_sentence(parts),
        saving=saving(*ends, span=_span([*ends])),
        basis=_("{outcomes} after {cutoffs}").format(outcomes=outcomes, cutoffs=cutoffs),
        segments=segments(card),
    )


def segments(card: ModelCard) -> list[Segment]:
    """All that had enough outcomes, in the card's order."""
    span = _span([end for line in card.segments for end in (line.low, line.high)])
    return [
        Segment(line.segment, f.number(line.n), saving(line.improvement, line.low, line.high, span=span), in_sentence(line.against))
        for line in card.segments
    ]


def checks(gate: GateDecision) -> list[CheckRow]:
    """All checks but those of segments that hold, which are told by their table."""
    shown = [check for check in gate.checks if not (check.name.startswith(SEGMENT) and check.is_passed)]
    return [CheckRow(check_title(check), check.is_passed, check.reason) for check in shown]


def check_title(check: Check) -> str:
    """What was looked at, in words."""
    if check.name.startswith(SEGMENT):
        return _("Segment {name}").format(name=check.name.removeprefix(SEGMENT))
    if check.name.startswith(CALIBRATION):
        return _("Keeps its promises")
    return {"champion": _("Better than the champion"), "speed": _("Fast enough")}.get(check.name, check.name)


def _span(ends: Sequence[float]) -> float:
    return max([*(abs(end) for end in ends if f.is_number(end)), 0.1])
