"""Lookups "as known strictly before an instant", vectorised: the newest row of a key, and running sums of a key.

Keys are integer codes (-1 = missing), instants are int64 microseconds since 1970. Both structures sort once and answer by
binary search, so that a million questions cost about as much as one sort.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

DAY = 86_400_000_000
NEVER = np.iinfo(np.int64).max
MISSING = np.iinfo(np.int64).min


def microseconds(instants: pd.Series | pd.DatetimeIndex) -> Ints:
    """Instants as int64 microseconds; a missing one is `MISSING`."""
    return np.asarray(instants, dtype="datetime64[us]").astype(np.int64)


def valid_until(identity: Ints, known: Ints) -> Ints:
    """When each version was replaced: ``known`` of the next row of the same identity (rows oldest first), `NEVER` for the newest."""
    until = np.full(len(known), NEVER)
    if len(identity) and identity.max() + 1 < len(identity):
        order = np.argsort(identity, kind="stable")
        again = identity[order][1:] == identity[order][:-1]
        until[order[:-1][again]] = known[order[1:][again]]
    return until


def laid_out(first: Ints, ds: Ints, known: Ints, until: Ints, deal: Ints, landmark: Ints) -> tuple[Ints, Ints]:
    """Rows that had happened and whose version was in force at each (deal, landmark): ``(pair number, row)``, in the order of the rows.

    Rows are sorted by deal; those of deal code ``k`` are ``first[k]`` to ``first[k + 1]``.
    """
    start, count = first[deal], first[deal + 1] - first[deal]
    pair = np.repeat(np.arange(len(deal)), count)
    row = np.arange(len(pair)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(start, count)
    at = landmark[pair]
    kept = (known[row] < at) & (until[row] >= at) & (ds[row] < at)
    return pair[kept], row[kept]


class _ByKeyAndInstant:
    """Rows sorted by (code, instant), searchable by both at once."""

    def __init__(self, code: Ints, instant: Ints) -> None:
        self.order = np.lexsort((instant, code))
        self._instants = np.unique(instant)
        self._width = len(self._instants) + 1
        rank = np.searchsorted(self._instants, instant[self.order])
        self._keys = code[self.order] * self._width + rank

    def first(self, code: Ints) -> Ints:
        """Sorted position of the first row of each code."""
        return np.searchsorted(self._keys, code * self._width)

    def end_before(self, code: Ints, before: Ints) -> Ints:
        """Sorted position just after the last row of each code with ``instant < before``."""
        return np.searchsorted(self._keys, code * self._width + np.searchsorted(self._instants, before))


class NewestBefore:
    """Versions of keyed rows: which one was the newest known before an instant."""

    def __init__(self, code: Ints, instant: Ints) -> None:
        self._index = _ByKeyAndInstant(code, instant)

    def find(self, code: Ints, before: Ints) -> Ints:
        """Row number (in the order given to the constructor) of the newest version, or -1 where there was none."""
        if not len(self._index.order):
            return np.full(len(code), -1)
        end = self._index.end_before(code, before)
        found = (end > self._index.first(code)) & (code >= 0)
        return np.where(found, self._index.order[np.maximum(end - 1, 0)], -1)


class RunningSums:
    """Sums of ``values`` ``(n, m)`` per code over everything that took effect before an instant; negative values undo."""

    def __init__(self, code: Ints, instant: Ints, values: Floats) -> None:
        self._index = _ByKeyAndInstant(code, instant)
        self._sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values[self._index.order], axis=0)])

    def before(self, code: Ints, before: Ints) -> Floats:
        """Sums ``(len(code), m)``; zero for a code never seen or missing."""
        known = np.maximum(code, 0)
        sums = self._sums[self._index.end_before(known, before)] - self._sums[self._index.first(known)]
        return np.where((code >= 0)[:, None], sums, 0.0)
