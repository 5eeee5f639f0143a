"""Two versions side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from predictkpi.protocol import MODEL
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.gates import backtest
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.models.versions import Version
from predictkpi.service.version_records import VersionRecord

MOST_METRICS = 14


@dataclass(frozen=True)
class Line:
    """One thing of both; ``differs`` marks what is not alike."""

    name: str
    one: str
    other: str
    is_code: bool = False

    @property
    def differs(self) -> bool:
        """Whether the two are not the same."""
        return self.one != self.other


@dataclass(frozen=True)
class Comparison:
    """``caution`` says what keeps figures of the two from being compared; empty where nothing does."""

    one: str
    other: str
    facts: list[Line]
    metrics: list[Line]
    settings: list[Line]
    caution: str


def comparison(one: Version, record: VersionRecord, other: Version, other_record: VersionRecord) -> Comparison:
    """Facts and figures of both, and the settings in which they differ."""
    cards = [record.card, other_record.card]
    tested_on = [card.cutoffs if card is not None else [] for card in cards]
    caution = (
        _("They were tested on different past days: compare what each saved against its baseline rather than the figures themselves.")
        if tested_on[0] != tested_on[1]
        else ""
    )
    settings = _lines(*[card.settings if card is not None else {} for card in cards])
    return Comparison(
        one=one.version,
        other=other.version,
        facts=_facts(one, record, other, other_record),
        metrics=_lines(*[_metrics(each) for each in (record, other_record)])[:MOST_METRICS],
        settings=[line for line in settings if line.differs],
        caution=caution,
    )


def _facts(one: Version, record: VersionRecord, other: Version, other_record: VersionRecord) -> list[Line]:
    both = (record, other_record)
    saved = [_saved(each) for each in both]
    passed = [_passed(each) for each in both]
    outcomes = [f.number(each.card.outcomes) if each.card is not None else f.MISSING for each in both]
    cutoffs = [f.number(len(each.card.cutoffs)) if each.card is not None else f.MISSING for each in both]
    return [
        Line(_("Serves as"), one.kind, other.kind),
        Line(_("Learnt until"), one.learnt_until, other.learnt_until),
        Line(_("Trained"), one.trained, other.trained),
        Line(_("Gate"), passed[0], passed[1]),
        Line(_("Error saved against the baseline"), saved[0], saved[1]),
        Line(_("Outcomes judged"), outcomes[0], outcomes[1]),
        Line(_("Past cutoffs"), cutoffs[0], cutoffs[1]),
    ]


def _saved(record: VersionRecord) -> str:
    found = backtest(record)
    return f"{found.saving.saved} ({found.saving.within})" if found is not None else f.MISSING


def _passed(record: VersionRecord) -> str:
    if record.gate is None:
        return _("no backtest")
    return _("passed") if record.gate.promote else _("not passed")


def _metrics(record: VersionRecord) -> Mapping[str, str]:
    metrics = record.card.metrics.get(MODEL, {}) if record.card is not None else {}
    return {name: f.number(value, 3) for name, value in metrics.items() if "_h" not in name}


def _lines(one: Mapping[str, str], other: Mapping[str, str]) -> list[Line]:
    return [Line(name, one.get(name, f.MISSING), other.get(name, f.MISSING), is_code=True) for name in dict.fromkeys([*one, *other])]
