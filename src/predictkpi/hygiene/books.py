"""The books that the checks look into: every deal of a snapshot with its last known state, and the events behind it."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.features.deal_asof import MISSING, NEVER
from predictkpi.features.deal_history import DealHistory
from predictkpi.snapshot import Snapshot

OPENED_AT, CLOSED_AT, TOUCHED_AT, PUSHES = "opened_at", "closed_at", "touched_at", "pushes"


class DealBooks:
    """Deals and events of one snapshot, computed when first asked for."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    @cached_property
    def events(self) -> pd.DataFrame:
        """Newest version of every event, sorted by deal and time: ``deal_id, ds, stage, amount, owner, expected_close_on, is_closed``."""
        history = DealHistory(self.snapshot)
        newest = np.flatnonzero((history.until == NEVER) & (history.ds < history.as_of))
        expected = history.expected[newest]
        return pd.DataFrame(
            {
                c.DEAL_ID: history.deals.text(history.deal[newest]),
                c.DS: history.ds[newest].astype("datetime64[us]"),
                c.STAGE: history.stages.text(history.stage[newest]),
                c.AMOUNT: history.amount[newest],
                c.OWNER: history.owners.text(history.owner[newest]),
                c.EXPECTED_CLOSE_ON: pd.Series(
                    np.where(expected == MISSING, np.datetime64("NaT").astype("int64"), expected).astype("datetime64[us]")
                ),
                "is_closed": history.is_closed[newest],
            }
        )

    @cached_property
    def deals(self) -> pd.DataFrame:
        """One row a deal, by ``deal_id``: the columns of its newest version, and the state after its last event.

        Added: ``stage, amount, owner, expected_close_on`` (empty for a deal without events), ``opened_at`` (creation, or the first event
        of a deal without one), ``closed_at`` (empty while open), ``touched_at`` (last event or activity, or creation) and ``pushes``.
        """
        events = self.events
        last = events.drop_duplicates(c.DEAL_ID, keep="last").set_index(c.DEAL_ID)
        deals = self.snapshot.deals.set_index(c.DEAL_ID)
        deals = deals.reindex(deals.index.union(last.index))
        deals = deals.join(last[[c.STAGE, c.AMOUNT, c.OWNER, c.EXPECTED_CLOSE_ON]])
        first = events.groupby(c.DEAL_ID)[c.DS].min().reindex(deals.index)
        changed = last[c.DS].reindex(deals.index)
        is_closed = last["is_closed"].reindex(deals.index, fill_value=False)
        before = events.groupby(c.DEAL_ID)[c.EXPECTED_CLOSE_ON].shift()
        pushed = (events[c.EXPECTED_CLOSE_ON] > before).groupby(events[c.DEAL_ID]).sum()
        return deals.assign(
            **{
                OPENED_AT: deals[c.CREATED_AT].fillna(first),
                CLOSED_AT: changed.where(is_closed),
                TOUCHED_AT: self.touches.groupby(c.DEAL_ID)[c.DS].max().reindex(deals.index).fillna(deals[c.CREATED_AT]),
                PUSHES: pushed.reindex(deals.index, fill_value=0).astype("int64"),
            }
        )

    @property
    def open(self) -> pd.DataFrame:
        """The deals whose last stage is no closed one."""
        return self.deals[self.deals[CLOSED_AT].isna()]

    @property
    def closed(self) -> pd.DataFrame:
        """The deals whose last stage is won or lost."""
        return self.deals[self.deals[CLOSED_AT].notna()]

    @cached_property
    def touches(self) -> pd.DataFrame:
        """Every event of a deal and every activity about it: ``deal_id, ds``."""
        activities = self.snapshot.activities
        about_deals = activities.loc[activities[c.DEAL_ID].notna(), [c.DEAL_ID, c.DS]]
        return pd.concat([self.events[[c.DEAL_ID, c.DS]], about_deals], ignore_index=True)

    @cached_property
    def silences(self) -> pd.Series:
        """Longest time in days without event or activity in the life of each deal that has closed, between its opening and its close."""
        closed = self.closed
        if closed.empty:
            return pd.Series([], dtype="float64", name="days")
        marks = pd.concat([self.touches, closed[OPENED_AT].rename(c.DS).rename_axis(c.DEAL_ID).reset_index()], ignore_index=True)
        marks = marks[marks[c.DS] <= marks[c.DEAL_ID].map(closed[CLOSED_AT])].sort_values([c.DEAL_ID, c.DS], kind="stable")
        days = marks.groupby(c.DEAL_ID)[c.DS].diff() / pd.Timedelta(days=1)
        return days[days > 0].groupby(marks[c.DEAL_ID]).max().rename("days")
