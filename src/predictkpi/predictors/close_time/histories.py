"""Indexed histories, kept for as long as their snapshots live: a service answers many requests from one snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

from predictkpi.core import columns as c
from predictkpi.features.deal_history import DealHistory
from predictkpi.features.new_deals import NewDeals
from predictkpi.snapshot import Snapshot


class Histories:
    """The deal history behind each snapshot; what `Snapshot.with_rows` adds is indexed on top of the one kept for its base."""

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[Snapshot, DealHistory] = WeakKeyDictionary()
        self._new: WeakKeyDictionary[Snapshot, NewDeals] = WeakKeyDictionary()

    def of(self, snapshot: Snapshot, entity_ids: Sequence[str] | None = None) -> DealHistory:
        """A history that knows all deals of a snapshot, or at least the named ones."""
        if snapshot.base is not None:
            base = self.of(snapshot.base)
            return DealHistory(snapshot, base=base, only_added=entity_ids is not None and _are_new(snapshot, base, entity_ids))
        if snapshot not in self._kept:
            self._kept[snapshot] = DealHistory(snapshot)
        return self._kept[snapshot]

    def new_deals(self, snapshot: Snapshot) -> NewDeals:
        """What there is to know of deals that the snapshot does not, as of its instant."""
        found = self._new.get(snapshot)
        if found is None:
            history = self.of(snapshot)
            found = self._new[snapshot] = NewDeals(history, history.as_of)
        return found


def _are_new(snapshot: Snapshot, base: DealHistory, entity_ids: Sequence[str]) -> bool:
    """Whether all rows of these deals are among the added ones."""
    added = {deal for name in ("deals", "deal_events") if name in snapshot.added for deal in snapshot.added[name][c.DEAL_ID].tolist()}
    return added.issuperset(entity_ids) and bool((base.deals.of(entity_ids) < 0).all())
