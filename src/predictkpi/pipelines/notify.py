"""What others must be told: worked out after a scoring, a watch or a promotion, and written to the outbox together with what was told.

Each event follows from the state of things beside what was told before, so a process that dies before it tells loses nothing: the next one
finds the same. Of two processes that find news at once one begins anew, so that nothing is told twice.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.delivery import Message
from predictkpi.errors import ConflictError, InsufficientDataError, NoChampionError
from predictkpi.kpis.deals import deal_table
from predictkpi.outlook.periods import PeriodOutlook, Periods
from predictkpi.pipelines.alerts import AlertRule, alerts
from predictkpi.pipelines.findings import Severity
from predictkpi.pipelines.monitor import MonitorReport
from predictkpi.pipelines.outlook import Forecasters
from predictkpi.pipelines.rules import ALERTS, read_rule
from predictkpi.pipelines.watch_sources import FRESHNESS
from predictkpi.pipelines.webhooks import (
    CHAMPION_CHANGED,
    DATA_STALE,
    DEAL_CHANCE_FELL,
    KPI_ALERT,
    TARGET_AT_RISK,
    WEBHOOKS,
    WebhookRule,
    letter_of,
)
from predictkpi.predictors import predictor_names
from predictkpi.registry import CHAMPION, Registry
from predictkpi.snapshot import Snapshot
from predictkpi.store import MovedMarks

if TYPE_CHECKING:
    from predictkpi.store import Store

log = logging.getLogger(__name__)

TOLD = "told by webhook"
"""Source of the marks that say what was told."""
_DEALS, _CLOSE_TIME = "deals", "close_time"
_RUNNING = ("this_month", "this_quarter", "this_year")
_NEWEST_ENTRIES, _TRIES = 20, 3
_GATE = ("promote", "improvement", "low", "high", "n_outcomes", "reason")


@dataclass
class News:
    """Messages, what was ``told`` before, and the ``marks`` that hold once they are queued."""

    now: pd.Timestamp
    company: str
    told: Mapping[str, str]
    messages: list[Message] = field(default_factory=list)
    marks: dict[str, str] = field(default_factory=dict)

    def tell(self, type_: str, data: Mapping[str, Any], *, identity: Mapping[str, Any]) -> None:
        """Add a message; ``identity`` is what tells it from any other of its type."""
        of = {"company": self.company}
        self.messages.append(Message.about(type_, of | dict(data), timestamp=self.now, identity=of | dict(identity)))


class Notifier:
    """Works out what is news and queues it; ``now`` is UTC. Every method returns how many messages are new in the outbox."""

    def __init__(self, store: Store, registry: Registry, *, models_dir: Path, now: pd.Timestamp) -> None:
        self._store, self._registry, self._models_dir, self._now = store, registry, models_dir, now
        self.rule = read_rule(WebhookRule, models_dir / WEBHOOKS)

    def after_promotion(self) -> int:
        """Whether another version serves."""
        return self._tell(lambda news: None)

    def after_scoring(self) -> int:
        """Deals whose chance fell and targets at risk, by the newest scoring and all that is known."""
        if self._store.is_empty:
            return self.after_promotion()
        snapshot = self._store.snapshot()
        periods, models = running_targets(self._registry, snapshot)

        def work(news: News) -> None:
            deals_that_fell(news, self._store, snapshot, self.rule)
            targets_at_risk(news, periods, models, as_of=snapshot.as_of, rule=self.rule)

        return self._tell(work)

    def after_monitor(self, report: MonitorReport) -> int:
        """The alarm as a whole, each table that is stale, and KPIs whose newest month or quarter came out as nobody could expect."""
        found = pd.DataFrame()
        if KPI_ALERT in self.rule.events:  # the dear one
            found = alerts(self._store.snapshot(), periods=1, rule=read_rule(AlertRule, self._models_dir / ALERTS))

        def work(news: News) -> None:
            if report.wrong:
                news.messages.append(report.message(self._now))
            stale_data(news, report)
            kpi_alerts(news, found, as_of=report.as_of)

        return self._tell(work)

    def _tell(self, work: Callable[[News], None], *, tries: int = _TRIES) -> int:
        """Changed champions and what ``work`` finds, in one transaction with what was told; begun anew where another process came first."""
        company = self._store.company
        news = News(self._now, company.name if company else "", self._store.marks(TOLD))
        champions_changed(news, self._store, self._registry)
        work(news)
        letters = [letter_of(message) for message in news.messages if message.type in self.rule.events]
        try:
            return self._store.outbox.queue(letters, now=self._now, marks=MovedMarks(TOLD, news.told, news.marks))
        except ConflictError:
            if tries == 1:
                raise
        return self._tell(work, tries=tries - 1)


def champions_changed(news: News, store: Store, registry: Registry) -> None:
    """Of each predictor another version of which serves than was last told; the first time, which one serves."""
    for name in predictor_names():
        row = next((row for row in registry.versions(name) if CHAMPION in row["aliases"]), None)
        mark = json.loads(news.told.get(f"champion {name}", '{"version": null, "n": 0}'))
        if row is None or row["version"] == mark["version"]:
            continue
        entry = _decision(store, name, row["version"])
        data = {
            "predictor": name,
            "as_of": row["as_of"] or None,
            "model_version": row["version"],
            "kind": row["kind"],
            "status": row["status"],
            "reason": row["reason"],
            "previous_version": mark["version"] or entry["from"] or None,
        }
        number = mark["n"] + 1
        news.tell(
            CHAMPION_CHANGED, data | {key: entry[key] for key in ("action", "actor", "gate")}, identity={"champion": name, "n": number}
        )
        news.marks[f"champion {name}"] = json.dumps({"version": row["version"], "n": number})


def _decision(store: Store, predictor: str, version: str) -> dict[str, Any]:
    """What the audit log says of how that version came to serve; empty values where it says nothing."""
    for row in store.audit(subject=predictor, limit=_NEWEST_ENTRIES).itertuples():
        detail = json.loads(row.detail)
        if version in (detail.get("to"), detail.get("champion")):
            gate = detail.get("gate")
            figures = {name: gate.get(name) for name in _GATE} if gate else None
            return {"action": row.action, "actor": row.actor, "from": detail.get("from", ""), "gate": figures}
    return {"action": None, "actor": None, "from": "", "gate": None}


def deals_that_fell(news: News, store: Store, snapshot: Snapshot, rule: WebhookRule) -> None:
    """Open deals whose p_win lies by more than the rule's points below the highest since it was last told, by one version.

    Another version judges every deal anew, so its first scoring is where its own chances begin.
    """
    scoring = store.newest_scoring(_CLOSE_TIME)
    if scoring is None:
        return
    version, as_of = scoring
    mark = json.loads(news.told.get(_DEALS, '{"version": "", "highest": {}}'))
    rows = store.read_predictions(predictor=_CLOSE_TIME, model_version=version, as_of=as_of)
    chances = rows[rows[c.STATISTIC] == "p_win"].set_index(c.ENTITY_ID)[c.VALUE].dropna()
    highest = mark["highest"] if mark["version"] == version else {}
    fell = {deal: highest[deal] for deal, chance in chances.items() if deal in highest and _fell(highest[deal][0], chance, rule)}
    deals = deal_table(snapshot).set_index(c.DEAL_ID) if fell else None
    for deal, (before, since) in fell.items():
        about = {"deal_id": deal, "as_of": as_of.isoformat(), "model_version": version, "p_win": chances[deal]}
        change = {"p_win_before": before, "as_of_before": since, "change": chances[deal] - before}
        known = deals.loc[deal] if deals is not None and deal in deals.index else {}
        of_deal = {name: known.get(name) for name in (c.CUSTOMER_ID, c.OWNER, c.STAGE, c.AMOUNT)}
        news.tell(DEAL_CHANCE_FELL, about | change | of_deal, identity=about)
    now = {deal: [float(chance), as_of.isoformat()] for deal, chance in chances.items()}
    kept = {deal: max(value, highest[deal]) if deal in highest and deal not in fell else value for deal, value in now.items()}
    news.marks[_DEALS] = json.dumps({"version": version, "highest": kept})


def _fell(before: float, chance: float, rule: WebhookRule) -> bool:
    return round(before - chance, 9) > rule.chance_fell


def running_targets(registry: Registry, snapshot: Snapshot) -> tuple[list[PeriodOutlook], list[dict[str, str]]]:
    """Running periods of every scope that have a target, with the chance to hit it, and the versions that say so."""
    if not len(snapshot.targets):
        return [], []
    try:
        forecasters = Forecasters.of(registry, snapshot.as_of)
        periods = Periods(forecasters.outlook(snapshot), snapshot)
    except (NoChampionError, InsufficientDataError) as error:
        log.info("no target can be judged: %s", error)
        return [], []
    found = [one for scope in periods.outlook.scopes for one in periods.of(scope, _RUNNING) if one.chance is not None]
    return found, [{"predictor": ref.predictor, "version": ref.version, "kind": ref.kind} for ref in forecasters.models]


def targets_at_risk(
    news: News, periods: Sequence[PeriodOutlook], models: list[dict[str, str]], *, as_of: pd.Timestamp, rule: WebhookRule
) -> None:
    """Targets that are hit with less than the rule's chance; each once a period, and again only after it recovered."""
    for found in periods:
        chance, start = float(found.chance or 0.0), found.start.isoformat()
        key = f"target {found.scope} {found.name}"
        mark = json.loads(news.told.get(key, "{}"))
        mark = mark if mark.get("start") == start else {"start": start, "n": 0, "is_at_risk": False}
        if mark["is_at_risk"] and chance >= rule.target_recovered:
            mark["is_at_risk"] = False
        elif not mark["is_at_risk"] and chance < rule.target_chance:
            mark |= {"is_at_risk": True, "n": mark["n"] + 1}
            identity = {"scope": found.scope, "period": found.name, "start": start, "n": mark["n"]}
            news.tell(TARGET_AT_RISK, _target(found, as_of, rule) | {"models": models}, identity=identity)
        news.marks[key] = json.dumps(mark)


def _target(found: PeriodOutlook, as_of: pd.Timestamp, rule: WebhookRule) -> dict[str, Any]:
    return {
        "as_of": as_of.isoformat(),
        "scope": found.scope,
        "period": found.name,
        "start": found.start.isoformat(),
        "end": found.end.isoformat(),
        "target": found.target.value if found.target else None,
        "chance": found.chance,
        "told_below": rule.target_chance,
        "booked": found.booked,
        "needed": found.needed,
        "commit": found.commit,
        "most_likely": found.most_likely,
        "best_case": found.best_case,
    }


def stale_data(news: News, report: MonitorReport) -> None:
    """Each table that has had no new row for too long: once for each newest row."""
    for finding in report.findings:
        if finding.check == FRESHNESS and finding.severity is Severity.ALARM:
            data = {"table": finding.subject, "as_of": report.as_of.isoformat(), **finding.figures}
            data |= {"limit": finding.threshold, "reason": finding.reason, "way_out": finding.way_out}
            news.tell(DATA_STALE, data, identity={"table": finding.subject, "newest": finding.figures["newest"]})


def kpi_alerts(news: News, found: pd.DataFrame, *, as_of: pd.Timestamp) -> None:
    """Rows of `pipelines.alerts.alerts`: once for each KPI and period."""
    for row in found.to_dict("records"):
        told = {name: row[name] for name in (c.KPI, c.FREQ, c.VALUE, "expected", "low", "high", "direction", "verdict", c.N, c.STATUS)}
        period = {"as_of": as_of.isoformat(), "start": row[c.DS].isoformat()}
        identity = {"kpi": row[c.KPI], "freq": row[c.FREQ], "start": row[c.DS].isoformat()}
        news.tell(KPI_ALERT, told | period, identity=identity)
