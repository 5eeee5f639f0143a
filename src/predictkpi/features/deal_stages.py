"""Places of stages on the paths of deals, as those paths were known at the time: what the order of stages is learnt from.

A place is the number of other open stages that a deal had first entered before this one, along the versions of its events in force.
An event that became known late, or was corrected, moves the places of its deal from then on and not a moment earlier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from predictkpi.features.deal_asof import NEVER, Floats, Ints, Rows, RunningSums

if TYPE_CHECKING:
    from predictkpi.features.deal_history import DealHistory

PATHS_AT_ONCE = 100_000
"""Paths laid out at a time: bounds memory, changes nothing."""


class StageOrder:
    """The order in which deals enter stages, out of the running sums of `stage_places`."""

    def __init__(self, places: RunningSums) -> None:
        self._places = places
        self._last: tuple[int, int, Floats] | None = None

    def at(self, before: Ints, n_stages: int) -> Floats:
        """See `DealHistory.stage_order`. The last answer for one instant is kept: a service asks for the same one all day."""
        last = self._last
        if last and len(before) == 1 and last[:2] == (before[0], n_stages):
            return last[2]
        codes = np.tile(np.arange(n_stages), len(before))
        sums = self._places.before(codes, before.repeat(n_stages)).reshape(len(before), n_stages, 2)
        mean = np.divide(sums[:, :, 1], sums[:, :, 0], out=np.full(sums.shape[:2], np.nan), where=sums[:, :, 0] > 0)
        order = np.where(np.isnan(mean), np.nan, mean.argsort(axis=1, kind="stable").argsort(axis=1))
        if len(before) == 1:
            self._last = int(before[0]), n_stages, order
        return order


def stage_places(history: DealHistory) -> Rows:
    """(Number of deals, sum of their places) by code of the stage, from all paths of a history."""
    effective = np.maximum(history.known, history.ds)
    is_late = (history.deal[1:] == history.deal[:-1]) & (effective[1:] < effective[:-1])
    is_rewritten = np.zeros(len(history.deals), bool)
    is_rewritten[history.deal[history.until < NEVER]] = True
    is_rewritten[history.deal[1:][is_late]] = True
    of_rewritten = is_rewritten[history.deal]
    parts = [_places_for_good(history, effective, np.flatnonzero(~of_rewritten))]
    parts += _places_for_a_time(history, effective, np.flatnonzero(of_rewritten))
    stage, instant, values = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return Rows(stage, instant, values)


def _places_for_good(history: DealHistory, effective: Ints, rows: Ints) -> tuple[Ints, Ints, Floats]:
    """``(stage, instant, values)`` of paths that only ever grew at their end: a place holds from when its event took effect."""
    first, place = _first_entries(history, history.deal[rows], rows)
    return history.stage[rows[first]], effective[rows[first]], np.column_stack([np.ones(len(first)), place])


def _places_for_a_time(history: DealHistory, effective: Ints, rows: Ints) -> list[tuple[Ints, Ints, Floats]]:
    """The same of all other paths: each is laid out anew whenever it changes, and the one before is taken back."""
    held = rows[history.until[rows] > effective[rows]]
    ended = held[history.until[held] < NEVER]
    changes = np.column_stack([history.deal[held], effective[held]])
    changes = np.concatenate([changes, np.column_stack([history.deal[ended], history.until[ended]])])
    deal, instant = np.unique(changes, axis=0).T
    replaced = np.full(len(deal), NEVER)
    replaced[:-1] = np.where(deal[1:] == deal[:-1], instant[1:], NEVER)
    return [
        _laid_out(history, deal[low : low + PATHS_AT_ONCE], instant[low : low + PATHS_AT_ONCE], replaced[low : low + PATHS_AT_ONCE])
        for low in range(0, len(deal), PATHS_AT_ONCE)
    ]


def _laid_out(history: DealHistory, deal: Ints, instant: Ints, replaced: Ints) -> tuple[Ints, Ints, Floats]:
    """Places on each deal's path as it stood in ``[instant, replaced)``; what comes to nothing is left out."""
    path, row = history.known_events(deal, instant + 1)
    first, place = _first_entries(history, path, row)
    stage, since, until = history.stage[row[first]], instant[path[first]], replaced[path[first]]
    values = np.column_stack([np.ones(len(first)), place])
    ends = until < NEVER
    keys, which = np.unique(
        np.column_stack([np.concatenate([stage, stage[ends]]), np.concatenate([since, until[ends]])]), axis=0, return_inverse=True
    )
    sums = np.zeros((len(keys), 2))
    np.add.at(sums, which, np.concatenate([values, -values[ends]]))
    matters = sums.any(axis=1)
    return keys[matters, 0], keys[matters, 1], sums[matters]


def _first_entries(history: DealHistory, path: Ints, row: Ints) -> tuple[Ints, Ints]:
    """Where each path (a run of equal numbers) first enters each open stage, and how many it had entered before."""
    stage = history.stage[row]
    _, seen_first = np.unique(path * (len(history.stages) + 1) + stage + 1, return_index=True)
    first = np.sort(seen_first)
    first = first[~history.is_closed[row[first]]]
    return first, np.arange(len(first)) - np.searchsorted(path[first], path[first])
