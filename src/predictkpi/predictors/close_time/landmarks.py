"""Where training looks at deals: constant-rate landmarks, free of knowledge of how long a deal will live.

Candidates are the instant a deal became known and every midnight while it is open. Each is kept with the same probability by a hash of
(deal, day, seed): a fixed number per deal would sample by the future, because long-lived deals would count for less.

Delayed entry: before the first close that the store knows of, nobody could be seen closing; deals of that time are in the store because
they survived it. No landmark lies before the midnight of that first close, and a deal that is older then enters at that age.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.features.deal_asof import DAY, NEVER, Ints
from predictkpi.features.deal_history import DealHistory
from predictkpi.features.deal_outcomes import Closes


@dataclass(frozen=True)
class Landmarks:
    """(deal code, instant) pairs. ``is_entry``: the deal's first; ``is_sampled``: kept by the hash (an entry may be both).

    ``rate``: the probability with which each candidate was kept.
    """

    deal: Ints
    instant: Ints
    is_entry: npt.NDArray[np.bool_]
    is_sampled: npt.NDArray[np.bool_]
    rate: float


def history_start(closes: Closes) -> int | None:
    """Midnight of the first close known, from when on deals can be seen closing; None where none has closed."""
    return midnight_of(closes.first_instant)


def midnight_of(instant: int | None) -> int | None:
    """The midnight before, in microseconds; None for None."""
    return None if instant is None else instant // DAY * DAY


def entries(history: DealHistory, *, start: int | None) -> Landmarks:
    """Each deal's first landmark: just after it became known, or the start of history if that is later."""
    known = np.full(len(history.deals), NEVER)
    np.minimum.at(known, history.row_deal, history.row_known)
    first_event = np.full(len(known), NEVER)
    np.minimum.at(first_event, history.deal, np.maximum(history.known, history.ds))
    known = np.where(first_event < NEVER, first_event, known)
    deal = np.flatnonzero(known < history.as_of - 1) if start is not None else np.zeros(0, np.int64)
    instant = np.maximum(known[deal] + 1, start or 0)
    kept = instant < history.as_of
    flags = np.ones(int(kept.sum()), bool)
    return Landmarks(deal[kept], instant[kept], flags, ~flags, 1.0)


def count_candidates(history: DealHistory, closes: Closes, *, start: int | None) -> int:
    """Candidates there are, entries and midnights."""
    first = entries(history, start=start)
    return int(_days(history, closes, first)[1].sum()) + len(first.deal)


def rate_of(candidates: int, *, budget: int, max_rate: float) -> float:
    """The rate at which about ``budget`` of so many are kept."""
    return min(max_rate, budget / max(candidates, 1))


def sample(history: DealHistory, closes: Closes, *, start: int | None, rate: float, seed: int) -> Landmarks:
    """All entries plus a constant-rate sample of all candidates."""
    first = entries(history, start=start)
    day, n_days = _days(history, closes, first)
    identity = pd.util.hash_array(history.deals.values).astype(np.uint64)
    key = identity[first.deal]
    parts = []
    for low in range(0, len(day), 20_000):
        part = slice(low, low + 20_000)
        count = n_days[part]
        owner = np.repeat(np.arange(len(count)), count)
        days = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count) + day[part][owner]
        kept = uniform(key[part][owner], days, seed) < rate
        parts.append((first.deal[part][owner[kept]], days[kept] * DAY))
    nothing = np.zeros(0, np.int64)
    deal, instant = (np.concatenate(columns) for columns in zip((nothing, nothing), *parts, strict=True))
    apart = instant != first.instant[np.searchsorted(first.deal, deal)]
    n_later = int(apart.sum())
    return Landmarks(
        np.concatenate([first.deal, deal[apart]]),
        np.concatenate([first.instant, instant[apart]]),
        np.concatenate([first.is_entry, np.zeros(n_later, bool)]),
        np.concatenate([uniform(key, np.full(len(key), -1), seed) < rate, np.ones(n_later, bool)]),
        rate,
    )


def _days(history: DealHistory, closes: Closes, first: Landmarks) -> tuple[Ints, Ints]:
    """The first midnight from each entry on, in days since 1970, and how many there are."""
    day = -(-first.instant // DAY)
    gone = _known_gone(history, closes)[first.deal]
    return day, np.maximum(gone // DAY - day + 1, 0)


def _known_gone(history: DealHistory, closes: Closes) -> Ints:
    """The last instant worth a look: when a closed deal's last version became known; as_of for the open ones."""
    last_known = np.zeros(len(history.deals), np.int64)
    np.maximum.at(last_known, history.deal, np.maximum(history.known, history.ds))
    return np.where(closes.closed_now() < NEVER, np.minimum(last_known, history.as_of - 1), history.as_of - 1)


def uniform(key: npt.NDArray[np.uint64], day: Ints, seed: int) -> npt.NDArray[np.float64]:
    """A number in [0, 1) from (deal, day or draw, seed) by the SplitMix64 finaliser (Steele, Lea & Flood, 2014)."""
    mixed = key ^ (day.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) ^ (np.uint64(seed) * np.uint64(0xD1B54A32D192ED03))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) / 2.0**53
