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
        versions, said = _held(load, promise)
        known_at = _known_at(snapshot, now, versions, said)
        offered = pd.DataFrame([promise.key | {c.VALUE: float(value), c.KNOWN_AT: known_at}]).astype(
            {c.DS: "datetime64[us]", c.KNOWN_AT: "datetime64[us]"}
        )
        TARGETS.validate(offered)
        plan = load.plan(_TABLE, offered, origin=lambda labels: labels.astype("str").to_series(index=labels))
        if plan[OUTCOME].iloc[0] == ACCEPTED:
            load.write(_TABLE, offered, plan)
        elif plan[OUTCOME].iloc[0] == UNCHANGED and _is_gone(versions, said):
            _state(load, versions, known_at, is_withdrawn=False)
        _audit(load, "set target", promise, {"value": value}, actor=actor)
        load.finish(Counts.of(plan[OUTCOME]))
    return promise


def remove_target(store: Store, snapshot: Snapshot, promise: Promise, *, now: datetime, actor: str = "") -> None:
    """Take a target back: from now on nothing is promised, while what was promised until now can still be looked up.

    Raises `NotFoundError` where there is no such target. The names are not checked: a target that no catalogue knows may go too.
    """
    with store.begin_load(company=snapshot.company, now=pd.Timestamp(now), source=REMOVED) as load:
        versions, said = _held(load, promise)
        if versions.empty or _is_gone(versions, said):
            raise NotFoundError(f"{promise.kpi} has no target of {promise.scope} for the {promise.freq} from {promise.ds:%Y-%m-%d}")
        _state(load, versions, _known_at(snapshot, now, versions, said), is_withdrawn=True)
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


def _held(load: Load, promise: Promise) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The stored versions of the target, oldest first, and what was stated of their removal."""
    held = load.versions(_TABLE, [*TARGETS.key, c.KNOWN_AT, VERSION_ID])
    versions = held[(held[list(TARGETS.key)] == pd.Series(promise.key)).all(axis=1)]
    said = load.statements(_TABLE, VERSION_ID)
    return versions, said[said[c.VALUE].isin(versions[VERSION_ID].astype("str"))]


def _is_gone(versions: pd.DataFrame, said: pd.DataFrame) -> bool:
    """Whether the newest version was removed."""
    if versions.empty:
        return False
    own = said[said[c.VALUE] == str(versions[VERSION_ID].iloc[-1])]
    return bool(len(own)) and bool(own[IS_WITHDRAWN].iloc[-1])


def _known_at(snapshot: Snapshot, now: datetime, versions: pd.DataFrame, said: pd.DataFrame) -> pd.Timestamp:
    """When it counts as known: now, but before ``as_of``, and after all that was known of the target before."""
    wanted = min(pd.Timestamp(now), snapshot.as_of - pd.Timedelta(seconds=1)).as_unit("us")
    before = [*versions[c.KNOWN_AT].tail(1), *said[c.KNOWN_AT].tail(1)]
    return max([wanted, *(instant + _MOMENT for instant in before)])


def _state(load: Load, versions: pd.DataFrame, known_at: pd.Timestamp, *, is_withdrawn: bool) -> None:
    newest = pd.DataFrame({c.VALUE: [str(versions[VERSION_ID].iloc[-1])], IS_WITHDRAWN: [is_withdrawn], c.KNOWN_AT: [known_at]})
    load.state(_TABLE, VERSION_ID, newest.astype({c.KNOWN_AT: "datetime64[us]"}))


def _audit(load: Load, action: str, promise: Promise, detail: dict[str, object], *, actor: str) -> None:
    """Told with what is done, and only then. The subject is not the bare KPI, for a predictor may have its name."""
    told = {"scope": promise.scope, "freq": promise.freq, "ds": f"{promise.ds:%Y-%m-%d}", **detail}
    load.write_audit(action, f"target of {promise.kpi}", told, actor=actor)
