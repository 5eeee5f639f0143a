"""Frames out of the fact tables: what training learns from, and whom to predict."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.arrays import Columns
from predictkpi.core.types import Readiness, Status
from predictkpi.errors import DealClosedError, UnknownEntityError
from predictkpi.features.deal_asof import DAY, Ints
from predictkpi.features.deal_history import AGE, CATEGORIES, NUMBERS, DealHistory
from predictkpi.features.deal_outcomes import Closes
from predictkpi.predictors.close_time.landmarks import Landmarks, count_candidates, entries, history_start, rate_of, sample
from predictkpi.predictors.close_time.spec import FULL_FROM, LIMITED_FROM
from predictkpi.snapshot import Snapshot

DURATION = "duration"
EVENT = "event"
OBSERVED = "observed_days"
IS_ENTRY = "is_entry"
IS_SAMPLED = "is_sampled"
SAMPLING_RATE = "sampling_rate"
FISCAL = "fiscal_year_starts"
FEATURES = [*NUMBERS, *CATEGORIES, c.AMOUNT, c.OWNER, FISCAL]
LABELS = [DURATION, EVENT, OBSERVED, IS_ENTRY, IS_SAMPLED, SAMPLING_RATE]


def training_table(snapshot: Snapshot, *, budget: int, max_rate: float, seed: int) -> pd.DataFrame:
    """One row per landmark: what was known of an open deal then, and what became of it.

    ``entity_id``, ``as_of`` (the landmark), `FEATURES`, `DealHistory.tallies`, the company's own fields and `LABELS`: ``duration``
    (days to the first close or to the snapshot's as_of), ``event`` (0 still open, 1 won, 2 lost), ``observed_days`` (days from landmark
    to the snapshot's as_of: when censoring would strike), the flags ``is_entry`` and ``is_sampled`` and the ``sampling_rate`` (see
    `landmarks`).
    """
    history = DealHistory(snapshot)
    closes = Closes(history)
    start = history_start(closes)
    rate = rate_of(count_candidates(history, closes, start=start), budget=budget, max_rate=max_rate)
    return landmark_rows(history, closes, start=start, rate=rate, seed=seed)


def landmark_rows(history: DealHistory, closes: Closes, *, start: int | None, rate: float, seed: int) -> pd.DataFrame:
    """`training_table` of a history's deals, where it is known when the company's history starts and at what rate candidates are kept."""
    chosen = sample(history, closes, start=start, rate=rate, seed=seed)
    used = chosen.is_entry | chosen.is_sampled
    order = np.flatnonzero(used)[np.lexsort((chosen.instant[used], chosen.deal[used]))]
    states = history.states(chosen.deal[order], chosen.instant[order])
    return _labelled(history, closes, chosen, order, states, in_detail=True)


def entry_table(snapshot: Snapshot) -> pd.DataFrame:
    """Only the entries of `training_table`: one row per deal, enough for overall curves; tallies and own fields left out."""
    history = DealHistory(snapshot)
    closes = Closes(history)
    first = entries(history, start=history_start(closes))
    states = history.states(first.deal, first.instant)
    return _labelled(history, closes, first, np.arange(len(first.deal)), states, in_detail=False)


def _labelled(history: DealHistory, closes: Closes, chosen: Landmarks, rows: Ints, states: Columns, *, in_detail: bool) -> pd.DataFrame:
    is_open = states["is_open"]
    rows, states = rows[is_open], states.take(is_open)
    deal, instant = chosen.deal[rows], chosen.instant[rows]
    days, event = closes.first_from(deal, instant)
    observed = (history.as_of - instant) / DAY
    labels = {DURATION: np.minimum(days, observed), EVENT: event, OBSERVED: observed}
    labels |= {IS_ENTRY: chosen.is_entry[rows], IS_SAMPLED: chosen.is_sampled[rows], SAMPLING_RATE: np.full(len(rows), chosen.rate)}
    return _features(history, deal, instant, states, in_detail=in_detail).with_columns(labels).frame()


def cohort_inputs(history: DealHistory, entity_ids: Sequence[str] | None) -> Columns:
    """Features and own fields of the deals open at the snapshot's as_of, sorted by id, or of the named ones in the order named.

    Raises `UnknownEntityError` for a deal not known by then, `DealClosedError` for a closed one.
    """
    if entity_ids is None:
        deal = np.arange(len(history.deals))
    else:
        deal = history.deals.of(entity_ids)
        _check_known(history, entity_ids, deal >= 0)
    states = history.states(deal, np.full(len(deal), history.as_of))
    if entity_ids is None:
        kept = np.flatnonzero(states["is_open"])
        kept = kept[np.argsort(history.deals.values[deal[kept]], kind="stable")]
        states, deal = states.take(kept), deal[kept]
    else:
        _check_known(history, entity_ids, states["is_known"])
        _check_open(history, entity_ids, deal, states["is_open"])
    return _features(history, deal, np.full(len(deal), history.as_of), states, in_detail=True)


def _features(history: DealHistory, deal: Ints, instant: Ints, states: Columns, *, in_detail: bool) -> Columns:
    """Keys, `FEATURES` and, in detail, the columns that differ by company: tallies of its stages and activities, and its own fields."""
    columns = {c.ENTITY_ID: history.deals.text(deal), c.AS_OF: instant.astype("datetime64[us]")}
    columns |= {name: states[name] for name in FEATURES if name != FISCAL}
    columns[FISCAL] = np.full(len(deal), history.company.fiscal_year_starts)
    if in_detail:
        own = history.attributes(deal, instant)
        columns |= history.tallies(deal, instant) | {name: own[name] for name in own}
    return Columns(columns, len(deal))


def _check_known(history: DealHistory, entity_ids: Sequence[str], known: np.ndarray) -> None:
    missing = [entity_id for entity_id, found in zip(entity_ids, known, strict=True) if not found]
    if missing:
        raise UnknownEntityError(f"no deal {', '.join(map(repr, missing[:5]))} was known before {history.as_of_instant.isoformat()}")


def _check_open(history: DealHistory, entity_ids: Sequence[str], deal: Ints, is_open: np.ndarray) -> None:
    if is_open.all():
        return
    first = int(np.flatnonzero(~is_open)[0])
    _, rows = history.known_events(deal[first : first + 1], np.asarray([history.as_of]))
    stage = history.stages.values[history.stage[rows[-1]]]
    when = pd.Timestamp(history.ds[rows[-1]], unit="us")
    raise DealClosedError(f"deal {entity_ids[first]!r} was {stage} on {when:%Y-%m-%d}, before {history.as_of_instant.isoformat()}")


def readiness_of(snapshot: Snapshot) -> Readiness:
    """The rung of the ladder that the number of deals seen open and then closed gives; none without a single deal."""
    table = entry_table(snapshot)
    if not len(table) and not len(snapshot.history("deals")) and not len(snapshot.history("deal_events")):
        nothing = rung(0, 0)
        return Readiness(status=Status.INSUFFICIENT_DATA, have=nothing.have, need=nothing.need, reason="no deal is known yet")
    return rung(int((table[EVENT] > 0).sum()), len(table))


@lru_cache(maxsize=8)
def rung(closed: int, deals: int) -> Readiness:
    """Status by count of closed deals; see `FULL_FROM` and `LIMITED_FROM`."""
    have, need = {"closed_deals": closed, "deals": deals}, {"closed_deals": FULL_FROM, "deals": FULL_FROM}
    if closed >= FULL_FROM:
        return Readiness(status=Status.FULL, have=have, need=need, reason="")
    if closed >= LIMITED_FROM:
        reason = f"{closed} closed deals of the {FULL_FROM} a model needs: curves by stage and days in stage"
        return Readiness(status=Status.LIMITED, have=have, need=need, reason=reason)
    if closed:
        reason = f"{closed} closed deals of the {LIMITED_FROM} that curves by stage need: one curve for all deals"
        return Readiness(status=Status.BASELINE, have=have, need=need, reason=reason)
    return Readiness(status=Status.PRIOR, have=have, need=need, reason="no deal has been seen closing yet: a general assumption")


def curve_rows(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``(entry age, age at close or censoring, event)`` of each deal, for curves over a deal's age; ages within a day count as 0."""
    first = table[table[IS_ENTRY].to_numpy(bool)]
    age, event = first[AGE].to_numpy(float), first[EVENT].to_numpy(np.int64)
    entry = np.where(age <= 1.0, 0.0, age)
    duration = age + first[DURATION].to_numpy(float)
    seen = (duration > entry) | (entry == 0)
    return entry[seen], duration[seen], event[seen]
