"""What the monitor found of a predictor, as a page tells it."""

from __future__ import annotations

from dataclasses import dataclass

from predictkpi.pipelines.findings import Severity
from predictkpi.pipelines.monitor import Watch
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.languages import marked, ngettext

SEVERITIES = {Severity.ALARM: marked("alarm"), Severity.WARNING: marked("warning"), Severity.NOTE: marked("note")}
_CHECKS = {
    "champion": marked("Age"),
    "input drift": marked("Drift of the inputs"),
    "prediction drift": marked("Drift of the predictions"),
    "matured error": marked("Error since the training"),
}


@dataclass(frozen=True)
class FindingRow:
    """One check; ``reason`` and ``way_out`` come from below."""

    check: str
    severity: str
    told: str
    reason: str
    way_out: str


@dataclass(frozen=True)
class Watched:
    """The newest watch. ``wrong`` counts alarms and warnings in words; empty where all is well."""

    made_at: str
    as_of: str
    wrong: str
    rows: list[FindingRow]


def watched(watch: Watch | None) -> Watched | None:
    """None where nobody has looked yet."""
    if watch is None:
        return None
    wrong = sum(finding.is_wrong for finding in watch.findings)
    rows = [
        FindingRow(
            check=_(_CHECKS[one.check]) if one.check in _CHECKS else one.check,
            severity=one.severity.value,
            told=_(SEVERITIES[one.severity]),
            reason=one.reason,
            way_out=one.way_out,
        )
        for one in watch.findings
    ]
    text = ngettext("{count} finding to look at", "{count} findings to look at", wrong).format(count=f.number(wrong)) if wrong else ""
    return Watched(f.moment(watch.made_at), f.date(watch.as_of), text, rows)
