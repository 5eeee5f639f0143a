"""Activities of each deal as known at any instant: how many, how lately, of which kind."""

from __future__ import annotations

import numpy as np

from predictkpi.core import columns as c
from predictkpi.core.arrays import Columns, Texts
from predictkpi.features.codes import Codes, by_first_known
from predictkpi.features.deal_asof import DAY, Floats, Ints, laid_out, microseconds, valid_until
from predictkpi.features.deal_tallies import ACTIVITIES, tallies
from predictkpi.features.event_order import order_of

LAST_ACTIVITY = "last_activity"
ACTIVITY_NUMBERS = ("activities", "activities_7_days", "activities_30_days", "days_since_activity")


class DealActivities:
    """All versions of the activities of these deals, sorted by deal and instant. ``known`` are kinds that keep their codes."""

    kinds: Codes
    learnt: tuple[Ints, Ints]
    """Kind of each activity, and when it was known, in the order of the facts."""

    def __init__(self, activities: Columns, deals: Codes, *, known: Codes | None) -> None:
        deal = deals.of(activities[c.DEAL_ID].tolist())
        learnt = microseconds(activities[c.KNOWN_AT])
        if known is None:
            self.kinds, kind = by_first_known(activities[c.KIND], learnt)
        else:
            self.kinds = Codes(activities[c.KIND], known=known)
            kind = self.kinds.codes[0]
        until = valid_until(Codes(activities[c.ACTIVITY_ID]).codes[0], learnt)
        self.learnt = kind, learnt
        ds = microseconds(activities[c.DS])
        order = order_of((learnt, ds, deal), activities[c.ACTIVITY_ID])
        order = order[deal[order] >= 0]
        self._ds, self._known, self._until, self._kind = ds[order], learnt[order], until[order], kind[order]
        self._first = deal[order].searchsorted(np.arange(len(deals) + 1))

    def numbers(self, deal: Ints, landmark: Ints) -> tuple[dict[str, Floats], Texts]:
        """`ACTIVITY_NUMBERS` and the kind of the last activity of each (deal code, landmark) pair; counts of none are 0."""
        pair, row = self._before(deal, landmark)
        n = len(deal)
        if not len(row):
            return dict(zip(ACTIVITY_NUMBERS, (np.zeros(n), np.zeros(n), np.zeros(n), np.full(n, np.nan)), strict=True)), np.full(n, None)
        age = (landmark[pair] - self._ds[row]) / DAY
        counts = [np.bincount(pair[age <= days], minlength=n).astype(float) for days in (np.inf, 7.0, 30.0)]
        end = np.bincount(pair, minlength=n).cumsum() - 1
        any_yet = counts[0] > 0
        last = np.where(any_yet, end, -1)
        since = np.where(any_yet, age[last], np.nan)
        kind = np.where(any_yet, self._kind[row[last]], -1)
        return dict(zip(ACTIVITY_NUMBERS, (*counts, since), strict=True)), self.kinds.text(kind)

    def by_kind(self, deal: Ints, landmark: Ints) -> dict[str, Floats]:
        """See `tallies`."""
        pair, row = self._before(deal, landmark)
        return tallies(ACTIVITIES, self.kinds.values, pair, self._kind[row], self._ds[row], landmark)

    def _before(self, deal: Ints, landmark: Ints) -> tuple[Ints, Ints]:
        return laid_out(self._first, self._ds, self._known, self._until, deal, landmark)
