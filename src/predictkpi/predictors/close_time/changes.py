"""What moved a deal's chance to be won since a week ago: what was learnt since, time passing, a new model version. Pure.

One step at a time, from the answer of a week ago to that of now, so that the parts add up exactly:

    then: the version of then, a week ago
    time: the same version and the same facts, but looked at as of now
    data: the same version, with all that has become known since
    model: the version of now
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.errors import DealClosedError, UnknownEntityError
from predictkpi.predictors.close_time.spec import SPEC
from predictkpi.protocol import Predictor
from predictkpi.snapshot import Snapshot

HORIZON = 90
DAYS = 7


@dataclass(frozen=True)
class Week:
    """The same books three times: as they were a week ago, those facts looked at as of now, and as they are now."""

    then: Snapshot
    frozen: Snapshot
    now: Snapshot

    @classmethod
    def before(cls, snapshot: Snapshot) -> Week:
        """The week that ends at the snapshot's as_of."""
        since = snapshot.as_of - pd.Timedelta(days=DAYS)
        return cls(snapshot.at(since), snapshot.frozen_at(since), snapshot)


@dataclass(frozen=True)
class Change:
    """P(won within 90 days) a week ago and now, and the parts of the change, in probability; all but ``now`` None where there was no then.

    ``data + time + model == now - before`` to rounding. ``notes`` say what a reader must know of them.
    """

    entity_id: str
    since: pd.Timestamp
    as_of: pd.Timestamp
    now: float
    before: float | None = None
    data: float | None = None
    time: float | None = None
    model: float | None = None
    notes: tuple[str, ...] = ()


def change_of(entity_id: str, week: Week, *, current: Predictor, previous: Predictor | None = None) -> Change:
    """Split the change of one deal open now; ``previous`` is the version of a week ago, where it was another one.

    Raises `UnknownEntityError` or `DealClosedError` for a deal that is not open now.
    """
    old = previous or current
    now = _chance(current, week.now, entity_id)
    since, as_of = week.then.as_of, week.now.as_of
    try:
        before = _chance(old, week.then, entity_id)
    except UnknownEntityError:
        note = f"the deal was not known before {since:%Y-%m-%d}: there is no answer of then to compare with"
        return Change(entity_id, since, as_of, now, notes=(note,))
    except DealClosedError:
        note = f"the deal was closed on {since:%Y-%m-%d} and has been reopened since: there is no answer of then to compare with"
        return Change(entity_id, since, as_of, now, notes=(note,))
    informed = now if previous is None else _chance(old, week.now, entity_id)
    notes: tuple[str, ...] = ()
    try:
        aged = _chance(old, week.frozen, entity_id)
    except DealClosedError:
        aged, notes = before, ("what was known then had the deal closed by now: all that changed with it counts as data",)
    return Change(entity_id, since, as_of, now, before, informed - aged, aged - before, now - informed, notes)


def chances(predictor: Predictor, snapshot: Snapshot) -> pd.Series:
    """P(won within 90 days) of every deal open at the snapshot's as_of; index deal_id."""
    found = predictor.predict(snapshot, horizons=[HORIZON])
    return found[found[c.STATISTIC] == SPEC.headline].set_index(c.ENTITY_ID)[c.VALUE]


def _chance(predictor: Predictor, snapshot: Snapshot, entity_id: str) -> float:
    (answer,) = predictor.answer_for(snapshot, entity_ids=[entity_id], horizons=[HORIZON])
    return next(row.value for row in answer.rows if row.statistic == SPEC.headline)
