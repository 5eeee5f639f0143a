"""What became of a deal after an instant: its first close from then on, as the snapshot knows it now."""

from __future__ import annotations

import numpy as np

from predictkpi.features.deal_asof import DAY, NEVER, Floats, Ints
from predictkpi.features.deal_history import DealHistory

OPEN, WINS, LOSSES = 0, 1, 2


class Closes:
    """The newest known events of every deal, searchable for closes.

    A deal that was closed before the instant, but not yet known to be, is found closed at once: after 0 days.
    """

    def __init__(self, history: DealHistory) -> None:
        newest = np.flatnonzero((history.until == NEVER) & (history.ds < history.as_of))
        self._n_deals = len(history.deals)
        self._deal, self._ds = history.deal[newest], history.ds[newest]
        self._closing = history.is_closed[newest]
        self._cause = np.where(history.is_won[newest], WINS, LOSSES)
        self._first = np.searchsorted(self._deal, np.arange(self._n_deals + 1))
        self._instants = np.unique(self._ds)
        self._keys = self._deal * (len(self._instants) + 1) + np.searchsorted(self._instants, self._ds)
        position = np.where(self._closing, np.arange(len(newest)), len(newest))
        self._next_close = np.append(np.minimum.accumulate(position[::-1])[::-1], len(newest)).astype(np.int64)

    @property
    def first_instant(self) -> int | None:
        """When the first close known happened; None where no deal has closed."""
        return int(self._ds[self._closing].min()) if self._closing.any() else None

    def closed_now(self) -> Ints:
        """Last close of each deal whose newest stage is a closed one, in microseconds; `NEVER` for the others."""
        last = self._first[1:] - 1
        closed = (self._first[1:] > self._first[:-1]) & self._closing[last] if len(self._deal) else np.zeros(self._n_deals, bool)
        return np.where(closed, self._ds[last] if len(self._ds) else NEVER, NEVER)

    def first_from(self, deal: Ints, landmark: Ints) -> tuple[Floats, Ints]:
        """Days to the first close at or after each landmark (inf if none is known) and its cause: 0 open, 1 won, 2 lost."""
        if not len(self._deal):
            return np.full(len(deal), np.inf), np.zeros(len(deal), np.int64)
        rank = np.searchsorted(self._instants, landmark)
        following = np.searchsorted(self._keys, deal * (len(self._instants) + 1) + rank)
        before = np.maximum(following - 1, 0)
        found_closed = (following > self._first[deal]) & self._closing[before]
        close = np.where(found_closed, before, self._next_close[following])
        found = close < self._first[deal + 1]
        safe = np.minimum(close, len(self._ds) - 1)
        days = np.where(found, np.maximum(self._ds[safe] - landmark, 0) / DAY, np.inf)
        return days, np.where(found, self._cause[safe], OPEN)
