"""Write the newest predictions back to a CRM: what has moved beyond its dead band, batch by batch, so that a killed run is gone on with."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.delivery.crm import REMEMBERED, Crm, Refusal, Value
from predictkpi.delivery.hubspot import HubSpotCrm
from predictkpi.delivery.salesforce import SalesforceCrm
from predictkpi.errors import DeliveryError, InsufficientDataError, MappingError
from predictkpi.kpis.deals import OUTCOME, deal_table
from predictkpi.pipelines.write_back_rules import RecordRule, WriteBackRules, changed, field_values
from predictkpi.predictors import predictor_class
from predictkpi.snapshot import Snapshot
from predictkpi.sources.base import read_options, secret
from predictkpi.sources.hubspot import HubSpotLoginOptions
from predictkpi.sources.retrying import RetryingSession
from predictkpi.sources.salesforce_login import SalesforceLogin, SalesforceLoginOptions

if TYPE_CHECKING:
    from predictkpi.store import Store

SALESFORCE, HUBSPOT = "salesforce", "hubspot"
Clock = Callable[[], pd.Timestamp]


@dataclass(frozen=True)
class Change:
    """A record to be written: all its fields, those of them that ``moved``, and what each was last set to."""

    record_id: str
    values: Mapping[str, Value]
    before: Mapping[str, Value]
    moved: Sequence[str]


@dataclass(frozen=True)
class Part:
    """What is to be written of one object, from one scoring; ``same`` records are within their dead bands, ``closed`` no longer open."""

    rule: RecordRule
    as_of: pd.Timestamp
    model_version: str
    changes: Sequence[Change]
    same: int
    closed: int


@dataclass
class Written:
    """What became of a part: records written, closed in the CRM meanwhile (or gone from it), and refused."""

    part: Part
    written: int = 0
    closed: int = 0
    refused: list[Refusal] = field(default_factory=list)


def target_of(rules: WriteBackRules) -> str:
    """The account, as the store remembers it: its kind and where it is."""
    kind, options = _options(rules)
    where = options.url if isinstance(options, HubSpotLoginOptions) else options.domain or options.instance_url
    return f"{kind} {where}"


def open_crm(rules: WriteBackRules, environment: Mapping[str, str], *, session: RetryingSession | None = None) -> Crm:
    """The CRM of the ``target:`` block; secrets are read from ``environment`` as for a sync. Raises `MappingError` and `SourceError`."""
    _, options = _options(rules)
    if isinstance(options, HubSpotLoginOptions):
        session = session or RetryingSession("HubSpot", error=DeliveryError, way_out=REMEMBERED)
        token = secret(environment, options.token_from, of="HubSpot")
        return HubSpotCrm(session, url=options.url, token=token, token_from=options.token_from)
    login = SalesforceLogin(options, environment, session or RetryingSession("Salesforce", error=DeliveryError, way_out=REMEMBERED))
    return SalesforceCrm(login.connect, way_in=login.way_in())


def _options(rules: WriteBackRules) -> tuple[str, HubSpotLoginOptions | SalesforceLoginOptions]:
    kind = rules.target.get("kind")
    if kind == HUBSPOT:
        return kind, read_options(HubSpotLoginOptions, rules.target, block="target")
    if kind == SALESFORCE:
        return kind, read_options(SalesforceLoginOptions, rules.target, block="target")
    raise MappingError(f"target.kind: {kind!r} is no CRM that can be written to; there are: {SALESFORCE}, {HUBSPOT}")


def plan(store: Store, rules: WriteBackRules, *, everything: bool = False) -> list[Part]:
    """What would be written now: of each predictor's newest scoring, the records that moved since they were last written.

    With ``everything`` all of them, whatever was written before. Deals that are closed, or gone, by all that is known are left out.
    Raises `InsufficientDataError` where a predictor was not scored yet, `MappingError` for a statistic without its horizon.
    """
    snapshot = store.snapshot()
    return [_part(store, snapshot, rule, target_of(rules), everything) for rule in rules.records]


def _part(store: Store, snapshot: Snapshot, rule: RecordRule, target: str, everything: bool) -> Part:
    scoring = store.newest_scoring(rule.predictor)
    if scoring is None:
        raise InsufficientDataError(f"{rule.predictor} was not scored yet: `predictkpi score {rule.predictor}` first")
    version, as_of = scoring
    rows = store.read_predictions(predictor=rule.predictor, model_version=version, as_of=as_of)
    spec, zone = predictor_class(rule.predictor).spec, snapshot.company.time_zone
    by_field = {name: field_values(one, spec, rows, time_zone=zone) for name, one in rule.fields.items()} if len(rows) else {}
    entities = rows[c.ENTITY_ID].unique().tolist()
    alive = _open(snapshot) if rule.is_about_deals else set(entities)
    wanted = sorted(alive.intersection(entities))
    last = store.written.read(target, rule.object)
    changes, same = [], 0
    for entity in wanted:
        after = {name: values.get(entity) for name, values in by_field.items()}
        before = {} if everything else last.get(entity, {})
        moved = changed(rule.fields, before, after)
        if moved:
            changes.append(Change(entity, after, last.get(entity, {}), moved))
        else:
            same += 1
    return Part(rule, as_of, version, changes, same, len(entities) - len(wanted))


def _open(snapshot: Snapshot) -> set[str]:
    deals = deal_table(snapshot)
    return set(deals.loc[deals[OUTCOME].isna(), c.DEAL_ID])


def write_back(
    store: Store,
    crm: Crm,
    parts: Sequence[Part],
    *,
    target: str,
    now: Clock,
    limit: int | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> list[Written]:
    """Write the planned changes, at most ``limit`` records; after each batch the store remembers what was set. ``now`` is UTC.

    A deal that the CRM says is closed, or does not have, is left out. Raises `DeliveryError` where a whole batch cannot be written, and
    `LockedError` where another process writes to that account; what was written before is remembered.
    """
    reports, left = [], sum(len(part.changes) for part in parts) if limit is None else limit
    with store.lock(
        f"write-back-{_file_name(target)}", holder=f"{socket.gethostname()}, process {os.getpid()}, since {now():%Y-%m-%d %H:%M}"
    ):
        for part in parts:
            report = Written(part)
            reports.append(report)
            changes = part.changes[:left]
            left -= len(changes)
            for done, batch in _batches(changes, crm.batch_size):
                if on_progress:
                    on_progress(part.rule.object, done, len(changes))
                _write_batch(store, crm, report, batch, target=target, now=now)
    return reports


def _write_batch(store: Store, crm: Crm, report: Written, batch: Sequence[Change], *, target: str, now: Clock) -> None:
    rule = report.part.rule
    records = {change.record_id: change.values for change in batch}
    if rule.is_about_deals:
        there = crm.open_deals(rule.object, list(records))
        report.closed += len(records) - len(there)
        records = {record_id: values for record_id, values in records.items() if record_id in there}
    if not records:
        return
    refused = crm.write(rule.object, records)
    for refusal in refused:
        del records[refusal.record_id]
    report.refused += refused
    report.written += len(records)
    part = report.part
    store.written.keep(target, rule.object, records, as_of=part.as_of, model_version=part.model_version, now=now())


def _batches(changes: Sequence[Change], size: int) -> Iterator[tuple[int, Sequence[Change]]]:
    return ((start, changes[start : start + size]) for start in range(0, len(changes), size))


def _file_name(target: str) -> str:
    """A lock on SQLite is a file."""
    return "".join(sign if sign.isalnum() else "-" for sign in target)
