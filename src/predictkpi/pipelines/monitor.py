"""Watch: sources, inputs, predictions and errors of the champions; what is wrong is told, and the webhook says it to others."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from predictkpi.core.types import Status
from predictkpi.delivery import Message
from predictkpi.errors import ArtifactError, PredictKpiError
from predictkpi.pipelines.findings import MONITOR, Finding, MonitorRule, Severity
from predictkpi.pipelines.rules import read_rule
from predictkpi.pipelines.watch_drift import INPUTS, Cohorts, drift
from predictkpi.pipelines.watch_errors import judge_error, since_training
from predictkpi.pipelines.watch_fields import FIELDS, watch_fields
from predictkpi.pipelines.watch_sources import FRESHNESS, VOLUME, watch_sources
from predictkpi.pipelines.webhooks import MONITOR_ALARM
from predictkpi.predictors import predictor_class
from predictkpi.registry import CHAMPION, Registry
from predictkpi.snapshot import Snapshot

if TYPE_CHECKING:
    from predictkpi.store import Store

log = logging.getLogger(__name__)

AGE = "champion"
OF_TABLES = (FRESHNESS, VOLUME, FIELDS)
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class MonitorReport:
    """All findings of one run, worst first."""

    company: str
    as_of: pd.Timestamp
    findings: tuple[Finding, ...]

    @property
    def wrong(self) -> tuple[Finding, ...]:
        """The alarms and warnings."""
        return tuple(finding for finding in self.findings if finding.is_wrong)

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        findings = [finding.as_dict() for finding in self.findings]
        return {"company": self.company, "as_of": self.as_of.isoformat(), "wrong": len(self.wrong), "findings": findings}

    def message(self, now: pd.Timestamp) -> Message:
        """What the webhook is told, at ``now`` (UTC). What is wrong on the same data is the same message, with the same id."""
        data = {"company": self.company, "as_of": self.as_of.isoformat(), "findings": [finding.as_dict() for finding in self.wrong]}
        # The age of a table grows by the hour; the data that the alarm speaks of stay.
        identity = {"company": self.company, "as_of": self.as_of.isoformat(), "wrong": [[one.check, one.subject] for one in self.wrong]}
        return Message.about(MONITOR_ALARM, data, timestamp=now, identity=identity)


@dataclass(frozen=True)
class Watch:
    """What the newest watch of one subject found, worst first, on what was known before ``as_of``; ``made_at`` is local to the company."""

    as_of: pd.Timestamp
    made_at: pd.Timestamp
    findings: tuple[Finding, ...]


def keep(store: Store, report: MonitorReport, *, now: pd.Timestamp) -> None:
    """Write a report to the store, for the service to show; ``now`` is the company's local time."""
    subjects: dict[str, list[dict[str, Any]]] = {}
    for finding in report.findings:
        subjects.setdefault(finding.subject, []).append(finding.as_dict())
    store.watched.write({subject: json.dumps(found) for subject, found in subjects.items()}, as_of=report.as_of, now=now)


def kept_watches(store: Store) -> dict[str, Watch]:
    """The newest watch of each predictor and table that was ever watched."""
    rows = store.watched.read().itertuples(index=False)
    return {str(row.subject): Watch(row.as_of, row.made_at, tuple(map(Finding.of, json.loads(str(row.content))))) for row in rows}


def monitor(
    store: Store,
    registry: Registry,
    *,
    predictors: Sequence[str],
    as_of: pd.Timestamp | None = None,
    now: pd.Timestamp,
    models_dir: Path,
    on_progress: Progress | None = None,
) -> MonitorReport:
    """Check the sources and each named predictor's champion on what was known before ``as_of`` (default: everything).

    ``now`` is the company's local time, against which the age of rows and champions counts. A champion that cannot be watched, whatever
    the reason, is an alarm. Raises `DataError` where the store is empty.
    """
    rule = read_rule(MonitorRule, models_dir / MONITOR)
    snapshot = store.snapshot(as_of)
    tell = on_progress or (lambda step, done, total: None)
    tell("sources", 0, len(predictors) + 1)
    found = [*watch_sources(snapshot, now=now, rule=rule), *watch_fields(snapshot, rule=rule)]
    level = rule.drift_level / (2 * max(len(predictors), 1))
    for done, name in enumerate(predictors, start=1):
        tell(name, done, len(predictors) + 1)
        found += watched_champion(registry, name, snapshot, now=now, rule=rule, drift_level=level)
    tell("", len(predictors) + 1, len(predictors) + 1)
    order = list(Severity)
    return MonitorReport(snapshot.company.name, snapshot.as_of, tuple(sorted(found, key=lambda finding: order.index(finding.severity))))


def watched_champion(
    registry: Registry, name: str, snapshot: Snapshot, *, now: pd.Timestamp, rule: MonitorRule, drift_level: float
) -> list[Finding]:
    """`watch_champion`; one that cannot be watched, whatever the reason, is an alarm, and the rest is still watched.

    The registry is away, the artifact is damaged, or the model cannot be asked about the data that the store has now.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="predictkpi-watch") as pool:
        watching = pool.submit(watch_champion, registry, name, snapshot, now=now, rule=rule, drift_level=drift_level)
        error = watching.exception()
    if error is None:
        return watching.result()
    if not isinstance(error, PredictKpiError):
        log.error("the champion of %s cannot be watched", name, exc_info=error)
    reason = str(error) if isinstance(error, PredictKpiError) else f"it fails with {type(error).__name__}; the log has the cause"
    return [Finding(AGE, name, Severity.ALARM, f"could not be watched: {reason}", f"`predictkpi models {name}` tells more")]


def watch_champion(
    registry: Registry, name: str, snapshot: Snapshot, *, now: pd.Timestamp, rule: MonitorRule, drift_level: float
) -> list[Finding]:
    """Age, drift and matured error of one champion; what it learnt from is its version's ``as_of``."""
    versions = registry.versions(name)
    row = next((row for row in versions if CHAMPION in row["aliases"]), None)
    if row is None:
        return [_without_champion(name, snapshot)]
    try:
        champion, model = registry.champion(name)
    except ArtifactError as error:
        way_out = f"promote another version of `predictkpi models {name}`, or `predictkpi retrain {name}`"
        return [Finding(AGE, name, Severity.ALARM, f"the champion cannot be read: {error}", way_out)]
    if not row["as_of"]:
        reason = f"version {row['version']} does not say up to when it has learnt: its age and drift cannot be told"
        return [Finding(AGE, name, Severity.WARNING, reason, f"`predictkpi retrain {name}`")]
    trained = pd.Timestamp(row["as_of"])
    found = [_age(name, trained, versions, now, rule)]
    if trained > snapshot.as_of:
        found.append(
            Finding(INPUTS, name, Severity.NOTE, f"the champion has learnt from data up to {trained:%Y-%m-%d}: nothing to compare")
        )
        return found
    found += drift(Cohorts(champion, snapshot), trained=trained, rule=rule, level=drift_level)
    matured = since_training(champion, snapshot, trained=trained)
    found.append(judge_error(name, matured, registry.fold_metrics(model.run_id, model.kind), rule))
    return found


def concerning(findings: Sequence[Finding], predictor: str) -> list[Finding]:
    """What is wrong with that predictor itself: its inputs, its predictions or its errors."""
    return [finding for finding in findings if finding.severity is Severity.ALARM and finding.subject == predictor]


def of_sources(findings: Sequence[Finding]) -> list[Finding]:
    """What is wrong with the tables."""
    return [finding for finding in findings if finding.severity is Severity.ALARM and finding.check in OF_TABLES]


def _without_champion(name: str, snapshot: Snapshot) -> Finding:
    ground = predictor_class(name)().baseline().readiness(snapshot)
    if ground.status is Status.INSUFFICIENT_DATA:
        return Finding(AGE, name, Severity.NOTE, f"nothing serves, and there is too little to learn from: {ground.reason}")
    return Finding(AGE, name, Severity.WARNING, "nothing serves: it has no champion", f"`predictkpi train {name}`")


def _age(name: str, trained: pd.Timestamp, versions: Sequence[dict[str, Any]], now: pd.Timestamp, rule: MonitorRule) -> Finding:
    days = (now - trained) / pd.Timedelta(days=1)
    figures: dict[str, float | str] = {"days": days, "learnt_until": trained.isoformat()}
    if days < rule.stale_after_days:
        reason = f"the champion has learnt from data up to {trained:%Y-%m-%d}"
        return Finding(AGE, name, Severity.NOTE, reason, figures=figures, threshold=float(rule.stale_after_days))
    later = [row for row in versions if pd.Timestamp(row["as_of"] or 0) > trained]
    reason = f"stale: the champion has learnt from data up to {trained:%Y-%m-%d}, {days:.0f} days ago"
    if later:
        reason += (
            f"; version {later[0]['version']} knows data up to {later[0]['as_of'][:10]} but was not found better, so the champion stays"
        )
    way_out = f"`predictkpi retrain {name}`: a new model serves only if it is better" if not later else f"`predictkpi models {name}`"
    return Finding(AGE, name, Severity.WARNING, reason, way_out, figures, float(rule.stale_after_days))
