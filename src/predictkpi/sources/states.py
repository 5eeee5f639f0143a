"""Feeds that state how each deal stands now, beside those that tell its history.

========= =================================================================================================================
history   each row is an event (the default)
current   each row is a deal as it stands: an event where that differs from the deal's last event, and nothing where it does not
live      each row is a deal as it stands, to compare with the last event of a history: differences are listed, never loaded
========= =================================================================================================================

Pure: events are frames with ``deal_id, ds`` and the fields of `STATE`, one version of each.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.sources.checks import Checked
from predictkpi.sources.mapping import Feed

HISTORY, CURRENT, LIVE = "history", "current", "live"
STATE = (c.STAGE, c.AMOUNT, c.EXPECTED_CLOSE_ON, c.OWNER)
MISMATCH_COLUMNS = [c.DEAL_ID, "field", "event_value", "live_value", c.AMOUNT]
_CENT = 0.005


def dated(feed: Feed, frame: pd.DataFrame, *, at: pd.Timestamp) -> pd.DataFrame:
    """Rows of a feed of present states as events with an id of their own: they happened when the deal was modified, else at the export."""
    if feed.states == HISTORY:
        return frame
    ds = frame[c.DS].fillna(at)
    made = frame[c.DEAL_ID].fillna("") + "@" + ds.dt.strftime("%Y-%m-%dT%H:%M:%S") + "#" + feed.states
    return frame.assign(**{c.DS: ds, c.EVENT_ID: made})


def stated(feed: Feed) -> list[str]:
    """The fields of a deal's state that the feed speaks of."""
    return [name for name in STATE if name in feed.columns or name in feed.constants]


def last_events(events: pd.DataFrame) -> pd.DataFrame:
    """The last event of each deal, by ``deal_id``; of events at one instant the one that stands last."""
    return events.sort_values(c.DS, kind="stable").drop_duplicates(c.DEAL_ID, keep="last").set_index(c.DEAL_ID)


def once_a_deal(rows: pd.DataFrame) -> Checked:
    """A deal stands in one way only: of several rows of a deal the first holds."""
    again = rows[rows.duplicated([c.DEAL_ID, "feed"])]
    reason = "another row of this file states how the deal stands"
    return rows.drop(index=again.index), pd.DataFrame({"field": c.DEAL_ID, "value": again[c.DEAL_ID], "reason": reason}, index=again.index)


def differences(rows: pd.DataFrame, last: pd.DataFrame, fields: Sequence[str]) -> pd.DataFrame:
    """Which of the ``fields`` differ from the deal's last event, all of them where it has none. Amounts are equal to the cent."""
    before = last.reindex(rows[c.DEAL_ID]).set_axis(rows.index)
    is_new = ~rows[c.DEAL_ID].isin(last.index)
    found = {}
    for name in fields:
        ours, theirs = rows[name], before[name]
        both_empty = ours.isna() & theirs.isna()
        if name == c.AMOUNT:
            equal = pd.Series(np.isclose(ours, theirs, rtol=1e-9, atol=_CENT), index=rows.index)
        else:
            equal = (ours == theirs).fillna(False).astype("bool")
        found[name] = ~(equal | both_empty) | is_new
    return pd.DataFrame(found, index=rows.index)


def completed(rows: pd.DataFrame, last: pd.DataFrame, fields: Sequence[str]) -> pd.DataFrame:
    """An event states everything: what the feed does not speak of stays as the deal's last event has it."""
    before = last.reindex(rows[c.DEAL_ID]).set_axis(rows.index)
    return rows.assign(**{name: before[name].astype(rows[name].dtype) for name in STATE if name not in fields})


def mismatches(rows: pd.DataFrame, last: pd.DataFrame, differ: pd.DataFrame) -> pd.DataFrame:
    """One row for each field that differs (`MISMATCH_COLUMNS`), on the index of ``rows``; the amount is the live one, else the event's."""
    before = last.reindex(rows[c.DEAL_ID]).set_axis(rows.index)
    parts = []
    for name in differ:
        bad = differ.index[differ[name]]
        parts.append(
            pd.DataFrame(
                {
                    c.DEAL_ID: rows.loc[bad, c.DEAL_ID],
                    "field": pd.Series(name, index=bad, dtype="str"),
                    "event_value": before.loc[bad, name].astype("str").fillna(""),
                    "live_value": rows.loc[bad, name].astype("str").fillna(""),
                    c.AMOUNT: rows.loc[bad, c.AMOUNT].fillna(before.loc[bad, c.AMOUNT]),
                }
            )
        )
    return pd.concat(parts).sort_index(kind="stable") if parts else pd.DataFrame(columns=MISMATCH_COLUMNS)


def as_rejects(found: pd.DataFrame) -> pd.DataFrame:
    """The first mismatch of each row as a reject of it."""
    first = found[~found.index.duplicated()]
    reason = "the last event of deal " + first[c.DEAL_ID] + " says " + first["event_value"].map(repr).astype("str")
    return pd.DataFrame({"field": first["field"], "value": first["live_value"], "reason": reason}, index=first.index)


def summary(file: str, found: pd.DataFrame, *, compared: int, currency: str) -> str:
    """One sentence: how many deals do not stand as their last event says, and what they are worth."""
    deals = found.drop_duplicates(c.DEAL_ID)
    fields = ", ".join(f"{name} {count}" for name, count in found["field"].value_counts(sort=False).items())
    worth = f"{deals[c.AMOUNT].sum():,.2f} {currency}"
    return f"{file}: {len(deals)} of {compared} deals do not stand as their last event says ({fields}), worth {worth}"
