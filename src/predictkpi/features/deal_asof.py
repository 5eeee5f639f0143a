"""Lookups "as known strictly before an instant", vectorised: the newest row of a key, and running sums of a key.

Keys are integer codes (-1 = missing), instants are int64 microseconds since 1970. Both structures sort once and answer by
binary search, so that a million questions cost about as much as one sort.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

DAY = 86_400_000_000
NEVER = np.iinfo(np.int64).max
MISSING = np.iinfo(np.int64).min


def microseconds(instants: npt.ArrayLike) -> Ints:
    """Instants as int64 microseconds; a missing one is `MISSING`."""
    return np.asarray(instants, dtype="datetime64[us]").astype(np.int64)


def valid_until(identity: Ints, known: Ints) -> Ints:
    """When each version was replaced: ``known`` of the next row of the same identity (rows oldest first), `NEVER` for the newest."""
    until = np.full(len(known), NEVER)
    if len(identity) and identity.max() + 1 < len(identity):
        order = identity.argsort(kind="stable")
        again = identity[order][1:] == identity[order][:-1]
        until[order[:-1][again]] = known[order[1:][again]]
    return until


def distinct(values: Ints) -> tuple[Ints, Ints]:
    """The values once each, and which of them each is; a cohort has only one instant."""
    if len(values) and (values == values[0]).all():
        return values[:1], np.zeros(len(values), np.int64)
    return np.unique(values, return_inverse=True)


def run_starts(key: Ints) -> Ints:
    """Positions at which a run of equal keys begins."""
    begins = np.ones(len(key), bool)
    begins[1:] = key[1:] != key[:-1]
    return np.flatnonzero(begins)


def laid_out(first: Ints, ds: Ints, known: Ints, until: Ints, deal: Ints, landmark: Ints) -> tuple[Ints, Ints]:
    """Rows that had happened and whose version was in force at each (deal, landmark): ``(pair number, row)``, in the order of the rows.

    Rows are sorted by deal; those of deal code ``k`` are ``first[k]`` to ``first[k + 1]``.
    """
    start, count = first[deal], first[deal + 1] - first[deal]
    pair = np.arange(len(deal)).repeat(count)
    row = np.arange(len(pair)) + (start + count - count.cumsum()).repeat(count)
    at = landmark[pair]
    kept = (known[row] < at) & (until[row] >= at) & (ds[row] < at)
    return pair[kept], row[kept]


class _ByKeyAndInstant:
    """Rows sorted by (code, instant), searchable by both at once."""

    def __init__(self, code: Ints, instant: Ints) -> None:
        self.order = np.lexsort((instant, code))
        self._instants = distinct(instant)[0]
        self._width = len(self._instants) + 1
        rank = self._instants.searchsorted(instant[self.order])
        self._keys = code[self.order] * self._width + rank

    def instants(self, rows: slice) -> Ints:
        """Of rows at sorted positions."""
        return self._instants[self._keys[rows] % self._width]

    def first(self, code: Ints) -> Ints:
        """Sorted position of the first row of each code."""
        return self._keys.searchsorted(code * self._width)

    def end_before(self, code: Ints, before: Ints) -> Ints:
        """Sorted position just after the last row of each code with ``instant < before``."""
        return self._keys.searchsorted(code * self._width + self._instants.searchsorted(before))


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


class Rows(NamedTuple):
    """What `RunningSums` adds up: ``code`` and ``instant`` (n,), ``values`` (n, m)."""

    code: Ints
    instant: Ints
    values: Floats


class SumsOfKey(NamedTuple):
    """One key of `RunningSums`: instants of its rows, and the sums before each of them and after the last."""

    instants: list[int]
    sums: list[list[float]]

    def before(self, instant: int) -> list[float]:
        """As `RunningSums.before`."""
        end = self.sums[bisect_left(self.instants, instant)]
        return [after - first for after, first in zip(end, self.sums[0], strict=True)]


class RunningSums:
    """Sums of ``values`` ``(n, m)`` per code (none missing) over everything that took effect before an instant; negative values undo."""

    def __init__(self, code: Ints, instant: Ints, values: Floats) -> None:
        self._index = _ByKeyAndInstant(code, instant)
        self._sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values[self._index.order], axis=0)])

    def of(self, code: int) -> SumsOfKey:
        """Those of one code, for many single questions."""
        start, stop = self._index.first(np.array([code, code + 1])).tolist()
        return SumsOfKey(self._index.instants(slice(start, stop)).tolist(), self._sums[start : stop + 1].tolist())

    def before(self, code: Ints, before: Ints) -> Floats:
        """Sums ``(len(code), m)``; zero for a code never seen or missing."""
        return self._sums[self._index.end_before(code, before)] - self._sums[self._index.first(code)]
