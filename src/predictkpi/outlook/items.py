"""Revenue by the deal it came from, and its split as seen from past origins: from deals open then, from deals won before, from the rest.

Seen from an origin, the revenue of a month ahead has three sources: what was booked already (with the orders still to come of deals won
before), deals open at the origin, and all that did not exist yet: repeat orders, and deals opened later. The history of each source, origin
by origin, is what a forecast of it learns from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.kpis.deals import CLOSED_AT, OUTCOME, START, deal_table
from predictkpi.predictors.revenue.scopes import scope_of
from predictkpi.predictors.revenue.table import RECORDED_LATE, with_members
from predictkpi.snapshot import Snapshot

Floats = npt.NDArray[np.float64]

OPENED = "opened"
WON_AT = "won_at"
LEARNT = "learnt"
# Below this share of won deals with an order of their own, orders do not tell which deal they came from.
_LEAST_LINKED = 0.5


@dataclass(frozen=True)
class Items:
    """Revenue items: ``ds, amount``, ``learnt`` (when they counted as booked: recorded late, not before), ``opened, won_at`` of their deal
    (empty without one) and a column per dimension.

    ``is_linked`` is false where orders do not name their deals: won deals then stand for the orders they became, booked on the day of
    the win, and the same amount is taken off the revenue without a deal.
    """

    frame: pd.DataFrame
    is_linked: bool

    @classmethod
    def of(cls, snapshot: Snapshot) -> Items:
        """All revenue known to the snapshot. Made once per snapshot: do not modify."""
        if snapshot not in _SEEN:
            _SEEN[snapshot] = cls._made(snapshot)
        return _SEEN[snapshot]

    @classmethod
    def _made(cls, snapshot: Snapshot) -> Items:
        deals = deal_table(snapshot)
        won = deals[deals[OUTCOME] == c.WON]
        orders = snapshot.orders[[c.ORDER_ID, c.DS, c.AMOUNT, c.CUSTOMER_ID, c.PRODUCT, c.DEAL_ID]]
        linked = bool(len(won)) and float(won[c.DEAL_ID].isin(orders[c.DEAL_ID].dropna()).mean()) >= _LEAST_LINKED
        of_order = won.set_index(c.DEAL_ID)[[START, CLOSED_AT]].reindex(orders[c.DEAL_ID])
        orders = orders.assign(**{OPENED: of_order[START].to_numpy(), WON_AT: of_order[CLOSED_AT].to_numpy()})
        orders = orders.assign(**{LEARNT: _learnt(orders, snapshot)})
        teams = snapshot.deals.set_index(c.DEAL_ID)[c.TEAM]
        orders = orders.assign(**{c.TEAM: orders[c.DEAL_ID].map(teams)})
        if not linked:
            orders = pd.concat([orders.assign(**{OPENED: pd.NaT, WON_AT: pd.NaT}), _stand_ins(won)], ignore_index=True)
        return cls(with_members(orders, snapshot), linked)


_SEEN: WeakKeyDictionary[Snapshot, Items] = WeakKeyDictionary()


def membership(rows: pd.DataFrame, scopes: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which row belongs to which scope: ``(len(scopes), len(rows))``."""
    masks = []
    for scope in scopes:
        mask = np.ones(len(rows), bool)
        for name, member in scope_of(scope).items():
            mask &= (rows[name] == member).to_numpy(bool)
        masks.append(mask)
    return np.array(masks, bool).reshape(len(scopes), len(rows))


def _learnt(orders: pd.DataFrame, snapshot: Snapshot) -> pd.Series:
    """When each order was booked or, recorded later, known; one that came with an old stock of records counts as known when booked."""
    known_at = orders[c.ORDER_ID].map(snapshot.living("orders").groupby(c.ORDER_ID)[c.KNOWN_AT].min())
    late = (known_at > orders[c.DS]) & (known_at - orders[c.DS] <= RECORDED_LATE)
    return known_at.where(late, orders[c.DS])


def _stand_ins(won: pd.DataFrame) -> pd.DataFrame:
    """Each won deal as revenue on the day of its win, and the same amount less without a deal."""
    rows = won[[c.DEAL_ID, c.CUSTOMER_ID, c.PRODUCT, c.TEAM, c.AMOUNT, START, CLOSED_AT]].dropna(subset=[c.AMOUNT])
    rows = rows.rename(columns={START: OPENED, CLOSED_AT: WON_AT})
    rows = rows.assign(**{c.DS: rows[WON_AT], LEARNT: rows[WON_AT]})
    return pd.concat([rows, rows.assign(**{c.DEAL_ID: None, c.AMOUNT: -rows[c.AMOUNT], OPENED: pd.NaT, WON_AT: pd.NaT})])


@dataclass(frozen=True)
class PastSplit:
    """Revenue after past origins by source, each ``(scopes, origins, horizons)`` in currency.

    Origin ``j`` lies ``origins - j`` months before as_of; horizon index 0 is the rest of the origin's own month, index ``h`` the month
    ``h`` months later. Not every month was over at as_of: `complete` says how many origins are known at a horizon.
    """

    origins: pd.DatetimeIndex
    from_open: Floats
    from_won: Floats
    from_rest: Floats

    def complete(self, step: int) -> int:
        """How many origins, from the oldest on, have the whole month ``step`` months after their own behind them."""
        return max(len(self.origins) - step, 0)


def past_split(items: Items, as_of: pd.Timestamp, scopes: Sequence[str], *, horizons: int, first: pd.Timestamp) -> PastSplit:
    """Split all revenue since the month of ``first`` as seen from an origin in each month, on the same day of the month as ``as_of``."""
    rows, count = items.frame, _months_between(first, as_of)
    origins = pd.DatetimeIndex([as_of - pd.DateOffset(months=back) for back in range(count, 0, -1)])
    belongs = membership(rows, scopes).astype(float)
    month = np.array([_months_between(first, ds) for ds in _month_starts(rows[c.DS])])
    learnt, opened, won_at = (rows[name].to_numpy("datetime64[us]") for name in (LEARNT, OPENED, WON_AT))
    grid, amount = origins.to_numpy("datetime64[us]"), rows[c.AMOUNT].to_numpy(float)
    sources = np.zeros((3, len(scopes), count, horizons))
    for step in range(horizons):
        place = month - step
        inside = np.flatnonzero((place >= 0) & (place < count))
        inside = inside[learnt[inside] >= grid[place[inside]]]
        at = grid[place[inside]]
        was_open = (opened[inside] < at) & (won_at[inside] >= at)
        was_won = won_at[inside] < at
        for source, chosen in enumerate((was_open, was_won, ~(was_open | was_won))):
            kept = inside[chosen]
            for scope in range(len(scopes)):
                sources[source, scope, :, step] = np.bincount(place[kept], weights=amount[kept] * belongs[scope, kept], minlength=count)
    return PastSplit(origins, *sources)


def _month_starts(instants: pd.Series) -> pd.Series:
    return instants.dt.to_period("M").dt.start_time


def _months_between(first: pd.Timestamp, later: pd.Timestamp) -> int:
    return (later.year - first.year) * 12 + later.month - first.month
