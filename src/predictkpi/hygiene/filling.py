"""Which fields of the store's deals are filled only when the deal closes: for data with history, from when each value became known.

A field that is empty while deals are open and filled once they have closed tells a model the outcome. What gives it away is the first
instant at which each deal had a value there, against the instant at which it closed.
"""

from __future__ import annotations

import pandas as pd
from scipy import stats

from predictkpi.core import columns as c
from predictkpi.hygiene.books import DealBooks
from predictkpi.hygiene.leaks import CLEAN, LEAK, LEAK_COLUMNS, SUSPECT, UNKNOWN
from predictkpi.snapshot import Snapshot

FEWEST_DEALS = 20
LATE_IS_LEAK, LATE_IS_SUSPECT = 0.9, 0.5
"""Share of the filled, closed deals that had no value before they closed: at least this, with 95 % confidence."""
OPEN_IS_FILLED = 0.5
"""A leak is filled in open deals less than this as often as in closed ones."""
_STRUCTURAL = {c.DEAL_ID, c.EVENT_ID, c.DS, c.STAGE, c.CREATED_AT, c.CURRENCY, c.KNOWN_AT}


def probe_filling(snapshot: Snapshot) -> pd.DataFrame:
    """Judge every field of deals and their events, and the company's own of deals (attributes); columns `LEAK_COLUMNS`."""
    books = DealBooks(snapshot)
    deals, events = snapshot.living("deals"), snapshot.living("deal_events")
    events = events[events[c.DS] < snapshot.as_of]
    known_from = {
        "deals": deals[c.KNOWN_AT],
        "deal_events": events[[c.DS, c.KNOWN_AT]].max(axis=1),
    }
    rows = []
    for table, frame in (("deals", deals), ("deal_events", events)):
        for name in map(str, frame.columns):
            if name in _STRUCTURAL:
                continue
            values = frame[name]
            is_filled = values.notna() & (values != "")
            first = known_from[table][is_filled].groupby(frame.loc[is_filled, c.DEAL_ID]).min()
            rows.append((f"{table}.{name}", *_judge(first, books.deals)))
    attributes = snapshot.living("attributes")
    attributes = attributes[(attributes[c.TABLE] == "deals") & attributes[c.VALUE].notna()]
    for name, frame in attributes.groupby(c.NAME):
        rows.append((f"attributes.{name}", *_judge(frame.groupby(c.ENTITY_ID)[c.KNOWN_AT].min(), books.deals)))
    return pd.DataFrame(rows, columns=LEAK_COLUMNS).astype("str")


def _judge(first_filled: pd.Series, deals: pd.DataFrame) -> tuple[str, str]:
    """Verdict and evidence from the instant each deal's field was first filled (by deal) and the books' deals."""
    filled_at = first_filled.reindex(deals.index)
    closed = deals[deals["closed_at"].notna()]
    # a deal that was opened and closed at one instant has no time in which the field could have been filled before
    closed = closed[closed["opened_at"] < closed["closed_at"]]
    at = filled_at.reindex(closed.index)
    filled = int(at.notna().sum())
    if filled < FEWEST_DEALS:
        return UNKNOWN, f"filled in {filled} closed deals: at least {FEWEST_DEALS} needed"
    late = int((at >= closed["closed_at"]).sum())
    surely = float(stats.beta.ppf(0.05, late, filled - late + 1)) if late else 0.0
    is_open = deals["closed_at"].isna()
    of_closed, of_open = filled / len(closed), float(filled_at[is_open].notna().mean()) if is_open.any() else 0.0
    evidence = f"{late} of {filled} closed deals had no value before they closed"
    evidence += f"; filled in {of_closed:.0%} of closed and {of_open:.0%} of open deals"
    if surely >= LATE_IS_LEAK and of_open < OPEN_IS_FILLED * of_closed:
        return LEAK, evidence
    return (SUSPECT, evidence) if surely >= LATE_IS_SUSPECT else (CLEAN, "")
