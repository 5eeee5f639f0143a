"""Deals at a point in time, out of their append-only events. Pure; sales cycle, win rate and pipeline share it."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.features.event_order import in_event_order
from predictkpi.kpis.standing import SINCE, UNTIL
from predictkpi.snapshot import Snapshot

START = "start"
OBSERVED_FROM = "observed_from"
CLOSED_AT = "closed_at"
OUTCOME = "outcome"

OF_CUSTOMERS = (c.SEGMENT, c.INDUSTRY, c.CHANNEL)
DEAL_DIMENSIONS = (c.OWNER, c.TEAM, c.SOURCE, c.PRODUCT, c.REGION, *OF_CUSTOMERS)
DEAL_COLUMNS = [
    c.DEAL_ID,
    c.CUSTOMER_ID,
    START,
    OBSERVED_FROM,
    CLOSED_AT,
    c.STAGE,
    OUTCOME,
    c.AMOUNT,
    c.EXPECTED_CLOSE_ON,
    *DEAL_DIMENSIONS,
]

_STATE = [c.DEAL_ID, c.DS, c.STAGE, c.AMOUNT, c.EXPECTED_CLOSE_ON, c.OWNER]
_SEEN: WeakKeyDictionary[Snapshot, pd.DataFrame] = WeakKeyDictionary()
_FIXED = [c.DEAL_ID, c.CUSTOMER_ID, c.CREATED_AT, c.SOURCE, c.PRODUCT, c.REGION, c.TEAM]


def deal_table(snapshot: Snapshot) -> pd.DataFrame:
    """One row per deal as it stands at ``as_of``, sorted by deal: `DEAL_COLUMNS`, see `deal_states`."""
    states = deal_states(snapshot)
    return states.loc[states[UNTIL].isna(), DEAL_COLUMNS].reset_index(drop=True)


def deal_states(snapshot: Snapshot) -> pd.DataFrame:
    """One row per deal and state, oldest first; the state holds on ``[since, until)``, ``until`` is empty for the last one.

    ``start``: created_at, or the first event where created_at is empty or later. ``observed_from``: when we began to see the deal;
    later than start if its history begins after it. ``closed_at``, ``outcome`` (`won` or `lost`): of the closing in force, empty while
    open; a reopened deal is open again, and an event that repeats the stage closes nothing anew. Amount, expected close, owner and stage
    are those of the state; `OF_CUSTOMERS` are the customer's. Made once per snapshot: do not modify.
    """
    if snapshot not in _SEEN:
        _SEEN[snapshot] = _deal_states(snapshot)
    return _SEEN[snapshot]


def _deal_states(snapshot: Snapshot) -> pd.DataFrame:
    deals = snapshot.deals[_FIXED]
    # The stable sort keeps the order among events of one instant.
    states = pd.concat([_openings(snapshot), in_event_order(snapshot.deal_events)[_STATE]], ignore_index=True)
    states = states.sort_values([c.DEAL_ID, c.DS], kind="stable", ignore_index=True)
    deal, stage = states[c.DEAL_ID], states[c.STAGE].fillna("")
    is_closed = stage.isin(c.CLOSED_STAGES)
    run = ((deal != deal.shift()) | (stage != stage.shift())).cumsum()
    states[OBSERVED_FROM] = states.groupby(c.DEAL_ID)[c.DS].transform("first")
    states[UNTIL] = states[c.DS].shift(-1).where(deal == deal.shift(-1))
    states[CLOSED_AT] = states.groupby(run)[c.DS].transform("first").where(is_closed)
    states[OUTCOME] = states[c.STAGE].where(is_closed)
    states = states.rename(columns={c.DS: SINCE}).merge(deals, on=c.DEAL_ID, how="left")
    states[START] = states[[c.CREATED_AT, OBSERVED_FROM]].min(axis=1)
    customers = snapshot.customers.set_index(c.CUSTOMER_ID)
    for name in OF_CUSTOMERS:
        states[name] = states[c.CUSTOMER_ID].map(customers[name]).astype("str")
    return states[[*DEAL_COLUMNS, SINCE, UNTIL]]


def _openings(snapshot: Snapshot) -> pd.DataFrame:
    """A nameless open state from created_at on for deals whose first event closes them, or that have none.

    Sources without stage history tell only of the closing; the row in deals is what was seen before it.
    """
    first = in_event_order(snapshot.deal_events).drop_duplicates(c.DEAL_ID)
    deals = snapshot.deals[[c.DEAL_ID, c.CREATED_AT]].merge(first[[c.DEAL_ID, c.DS, c.STAGE]], on=c.DEAL_ID, how="left")
    first_closes = deals[c.STAGE].isin(c.CLOSED_STAGES) & (deals[c.CREATED_AT] < deals[c.DS])
    opened = deals.loc[deals[c.DS].isna() | first_closes, [c.DEAL_ID, c.CREATED_AT]].rename(columns={c.CREATED_AT: c.DS})
    empty = {c.STAGE: pd.Series(dtype="str"), c.AMOUNT: pd.Series(dtype="float64"), c.OWNER: pd.Series(dtype="str")}
    empty[c.EXPECTED_CLOSE_ON] = pd.Series(dtype="datetime64[us]")
    return opened.assign(**{name: column.reindex(opened.index) for name, column in empty.items()})
