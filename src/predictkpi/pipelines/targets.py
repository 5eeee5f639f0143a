"""Set and remove targets: a person's decision. What stood before stays in the store, and the audit log is told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import FREQS, Freq, start_of
from predictkpi.errors import NotFoundError, UnknownEntityError, UnknownNameError
from predictkpi.kpis import get_kpi
from predictkpi.kpis.targets import split_scope
from predictkpi.snapshot import Snapshot
from predictkpi.store.loading import Counts, Load
from predictkpi.store.marks import IS_WITHDRAWN
from predictkpi.store.schema import VERSION_ID
from predictkpi.store.versions import ACCEPTED, OUTCOME, UNCHANGED
from predictkpi.tables.targets import TARGETS

if TYPE_CHECKING:
    from predictkpi.store import Store

_TABLE = TARGETS.name
SET, REMOVED = "a target that a person set", "a target that a person removed"
"""What the book of loads calls the source of one."""
_MOMENT = pd.Timedelta(microseconds=1)


@dataclass(frozen=True)
class Promise:
    """What a target is for: a KPI, `total` or dimension=member, and a period."""

    kpi: str
    scope: str
    freq: Freq
    ds: pd.Timestamp

    @property
    def key(self) -> dict[str, object]:
        """Columns of the row."""
        return {c.KPI: self.kpi, c.SCOPE: self.scope, c.FREQ: self.freq, c.DS: self.ds}


def set_target(store: Store, snapshot: Snapshot, promise: Promise, value: float, *, now: datetime, actor: str = "") -> Promise:
    """Write a target down, in place of any before it; returns the promise with its period's first day.

    Parameters: ``snapshot`` is what the person looks at. The target is known before its ``as_of``, also where the data end days before
    ``now``: else nobody would see it until the next load. ``value`` in the KPI's unit.

    Raises `UnknownNameError` for a KPI, a dimension or a length of period that there is not, `UnknownEntityError` for a member.
    """
    promise = checked(snapshot, promise)
    with store.begin_load(company=snapshot.company, now=pd.Timestamp(now), source=SET) as load:
        outcomes = [_set(load, promise, value, held) for held in _held(load, promise, snapshot, now)]
        _audit(load, "set target", promise, {"value": value}, actor=actor)
        load.finish(Counts.of(pd.Series([ACCEPTED if ACCEPTED in outcomes else outcomes[0]])))
    return promise


def remove_target(store: Store, snapshot: Snapshot, promise: Promise, *, now: datetime, actor: str = "") -> None:
    """Take a target back: from now on nothing is promised, while what was promised until now can still be looked up.

    Raises `NotFoundError` where there is no such target. The names are not checked: a target that no catalogue knows may go too.
    """
    with store.begin_load(company=snapshot.company, now=pd.Timestamp(now), source=REMOVED) as load:
        there = [held for held in _held(load, promise, snapshot, now) if len(held.versions) and not held.is_gone]
        if not there:
            raise NotFoundError(f"{promise.kpi} has no target of {promise.scope} for the {promise.freq} from {promise.ds:%Y-%m-%d}")
        for held in there:
            _state(load, held, is_withdrawn=True)
        _audit(load, "remove target", promise, {}, actor=actor)
        load.finish(Counts())


def checked(snapshot: Snapshot, promise: Promise) -> Promise:
    """The promise on the first day of its period; raises as `set_target` does."""
    kpi = get_kpi(promise.kpi)
    lengths = FREQS if kpi.fixed_freq is None else (kpi.fixed_freq,)
    if promise.freq not in lengths:
        raise UnknownNameError.among(f"period length of {kpi.name}", promise.freq, known=lengths)
    dimension, member = split_scope(promise.scope)
    if dimension is not None:
        members = kpi.series(snapshot, freq=kpi.fixed_freq or "M", by=dimension)[c.MEMBER].unique()
        if member not in members:
            raise UnknownEntityError(f"{kpi.name} has no {dimension} {member!r}; there are: {', '.join(sorted(members))}")
    return replace(promise, ds=start_of(promise.ds, promise.freq, fiscal_year_starts=snapshot.company.fiscal_year_starts))


@dataclass(frozen=True)
class _Held:
    """What is stored of a target: its ``versions``, oldest first, and what was ``said`` of their removal.

    ``known_before``: only what was known by then; None for all of it. ``at``: when what comes now counts as known.
    """

    versions: pd.DataFrame
    said: pd.DataFrame
    known_before: pd.Timestamp | None
    at: pd.Timestamp

    @property
    def is_gone(self) -> bool:
        """Whether the newest version was removed."""
        if self.versions.empty:
            return False
        own = self.said[self.said[c.VALUE] == str(self.versions[VERSION_ID].iloc[-1])]
        return bool(len(own)) and bool(own[IS_WITHDRAWN].iloc[-1])


def _held(load: Load, promise: Promise, snapshot: Snapshot, now: datetime) -> list[_Held]:
    """What the person sees of the target and, where a load has learnt more of it since, all there is: what is done now holds for both.

    It counts as known now, but before ``as_of``, and after what it comes in place of.
    """
    stored = load.versions(_TABLE, [*TARGETS.key, c.KNOWN_AT, VERSION_ID])
    versions = stored[(stored[list(TARGETS.key)] == pd.Series(promise.key)).all(axis=1)]
    said = load.statements(_TABLE, VERSION_ID)
    said = said[said[c.VALUE].isin(versions[VERSION_ID].astype("str"))]

    def known(before: pd.Timestamp | None) -> _Held:
        own, stated = (rows if before is None else rows[rows[c.KNOWN_AT] < before] for rows in (versions, said))
        wanted = min(pd.Timestamp(now), snapshot.as_of - pd.Timedelta(seconds=1)).as_unit("us")
        newest = [*own[c.KNOWN_AT].tail(1), *stated[c.KNOWN_AT].tail(1)]
        return _Held(own, stated, before, max([wanted, *(instant + _MOMENT for instant in newest)]))

    seen, every = known(snapshot.as_of), known(None)
    is_all = len(seen.versions) == len(every.versions) and len(seen.said) == len(every.said)
    return [every] if is_all else [seen, every]


def _set(load: Load, promise: Promise, value: float, held: _Held) -> str:
    """Write a version down, or say that the one there is back; returns the outcome."""
    kinds = {c.DS: "datetime64[us]", c.KNOWN_AT: "datetime64[us]"}
    offered = pd.DataFrame([promise.key | {c.VALUE: float(value), c.KNOWN_AT: held.at}]).astype(kinds)
    TARGETS.validate(offered)
    plan = load.plan(_TABLE, offered, origin=lambda labels: labels.astype("str").to_series(index=labels), known_before=held.known_before)
    outcome = str(plan[OUTCOME].iloc[0])
    if outcome == ACCEPTED:
        load.write(_TABLE, offered, plan)
    elif outcome == UNCHANGED and held.is_gone:
        _state(load, held, is_withdrawn=False)
    return outcome


def _state(load: Load, held: _Held, *, is_withdrawn: bool) -> None:
    newest = pd.DataFrame({c.VALUE: [str(held.versions[VERSION_ID].iloc[-1])], IS_WITHDRAWN: [is_withdrawn], c.KNOWN_AT: [held.at]})
    load.state(_TABLE, VERSION_ID, newest.astype({c.KNOWN_AT: "datetime64[us]"}))


def _audit(load: Load, action: str, promise: Promise, detail: dict[str, object], *, actor: str) -> None:
    """Told with what is done, and only then. The subject is not the bare KPI, for a predictor may have its name."""
    told = {"scope": promise.scope, "freq": promise.freq, "ds": f"{promise.ds:%Y-%m-%d}", **detail}
    load.write_audit(action, f"target of {promise.kpi}", told, actor=actor)
