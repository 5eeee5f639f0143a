"""Which deals and customers belong to a team or owner, as known at a snapshot's as_of."""

from __future__ import annotations

from dataclasses import dataclass

from predictkpi.core import columns as c
from predictkpi.core.access import RowScope
from predictkpi.features.event_order import in_event_order
from predictkpi.snapshot import Snapshot


@dataclass(frozen=True)
class Seen:
    """Ids of what a scope shows, and whose its deals are."""

    deals: frozenset[str]
    customers: frozenset[str]
    owners: frozenset[str]
    teams: frozenset[str]


def seen_by(snapshot: Snapshot, rows: RowScope) -> Seen:
    """Deals by their team, or by the owner of their newest event; customers by their newest deal."""
    deals = snapshot.deals[[c.DEAL_ID, c.CUSTOMER_ID, c.CREATED_AT, c.TEAM]]
    newest = in_event_order(snapshot.deal_events).drop_duplicates(c.DEAL_ID, keep="last").set_index(c.DEAL_ID)[c.OWNER]
    owner = deals[c.DEAL_ID].map(newest)
    is_seen = (deals[c.TEAM] if rows.kind == "team" else owner).isin(list(rows.members))
    order = deals.assign(is_seen=is_seen).sort_values([c.CREATED_AT, c.DEAL_ID], kind="stable")
    newest_deal = order[order[c.CUSTOMER_ID].notna()].drop_duplicates(c.CUSTOMER_ID, keep="last")
    return Seen(
        frozenset(deals.loc[is_seen, c.DEAL_ID]),
        frozenset(newest_deal.loc[newest_deal["is_seen"], c.CUSTOMER_ID]),
        frozenset(owner[is_seen].dropna()),
        frozenset(deals.loc[is_seen, c.TEAM].dropna()),
    )
