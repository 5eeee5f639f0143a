"""Activities of each deal as known at any instant: how many, how lately, of which kind."""

from __future__ import annotations

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.features.codes import Codes
from predictkpi.features.deal_asof import DAY, Floats, Ints, laid_out, microseconds, valid_until
from predictkpi.features.deal_tallies import ACTIVITIES, tallies

LAST_ACTIVITY = "last_activity"
ACTIVITY_NUMBERS = ("activities", "activities_7_days", "activities_30_days", "days_since_activity")


class DealActivities:
    """All versions of the activities of these deals, sorted by deal and instant. ``known`` gives the kinds that keep their codes."""

    kinds: Codes

    def __init__(self, activities: pd.DataFrame, deals: Codes, *, known: DealActivities | None) -> None:
        deal = deals.of(activities[c.DEAL_ID])
        self.kinds = Codes(activities[c.KIND], known=known.kinds if known else None)
        learnt = microseconds(activities[c.KNOWN_AT])
        until = valid_until(Codes(activities[c.ACTIVITY_ID]).codes[0], learnt)
        ds = microseconds(activities[c.DS])
        order = np.lexsort((learnt, ds, deal))
        order = order[deal[order] >= 0]
        self._ds, self._known, self._until, self._kind = ds[order], learnt[order], until[order], self.kinds.codes[0][order]
        self._first = np.searchsorted(deal[order], np.arange(len(deals.values) + 1))

    def numbers(self, deal: Ints, landmark: Ints) -> tuple[dict[str, Floats], pd.Series]:
        """`ACTIVITY_NUMBERS` and the kind of the last activity of each (deal code, landmark) pair; counts of none are 0."""
        pair, row = self._before(deal, landmark)
        n, age = len(deal), (landmark[pair] - self._ds[row]) / DAY
        counts = [np.bincount(pair[age <= days], minlength=n).astype(float) for days in (np.inf, 7.0, 30.0)]
        end = np.cumsum(np.bincount(pair, minlength=n)) - 1
        any_yet = counts[0] > 0
        last = np.where(any_yet, end, -1)
        since = np.where(any_yet, age[last], np.nan) if len(row) else np.full(n, np.nan)
        kind = np.where(any_yet, self._kind[row[last]], -1) if len(row) else np.full(n, -1)
        return dict(zip(ACTIVITY_NUMBERS, (*counts, since), strict=True)), self.kinds.text(kind)

    def by_kind(self, deal: Ints, landmark: Ints) -> pd.DataFrame:
        """See `tallies`."""
        pair, row = self._before(deal, landmark)
        return tallies(ACTIVITIES, self.kinds.values, pair, self._kind[row], self._ds[row], landmark)

    def _before(self, deal: Ints, landmark: Ints) -> tuple[Ints, Ints]:
        return laid_out(self._first, self._ds, self._known, self._until, deal, landmark)
