"""What is known of one deal, open or closed, for API and dashboard."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.errors import UnknownEntityError
from predictkpi.features.event_order import in_event_order
from predictkpi.service.deal_rows import deal_row, deal_rows
from predictkpi.service.envelopes import number
from predictkpi.service.listing import own_fields, source_of
from predictkpi.service.row_schemas import DealEvent, DealFacts
from predictkpi.service.view import View


def facts_of(view: View, deal_id: str) -> DealFacts:
    """The deal and its history; raises `UnknownEntityError` for one that is not known or that the caller may not see."""
    rows = deal_rows(view)
    place = rows.place(deal_id)
    if place is None or not view.sees("deal", deal_id):
        raise UnknownEntityError(f"no deal {deal_id!r} is known as of {view.as_of.isoformat()}")
    snapshot = view.snapshot
    events = in_event_order(snapshot.deal_events[snapshot.deal_events[c.DEAL_ID] == deal_id])
    activities = snapshot.activities[snapshot.activities[c.DEAL_ID] == deal_id]
    told = source_of(view, "close_time")
    del told["reason"]
    return DealFacts(
        **dict(deal_row(rows.dicts(np.array([place]))[0])),
        **told,
        events=[_event(event) for event in events.to_dict("records")],
        activities={str(kind): int(count) for kind, count in activities[c.KIND].value_counts().sort_index().items()},
        attributes=own_fields(view, "deals", deal_id),
        ordered=float(snapshot.orders.loc[snapshot.orders[c.DEAL_ID] == deal_id, c.AMOUNT].sum()),
    )


def _event(event: dict[Any, Any]) -> DealEvent:
    expected, owner = event[c.EXPECTED_CLOSE_ON], event[c.OWNER]
    return DealEvent(
        at=event[c.DS],
        stage=event[c.STAGE],
        amount=number(event[c.AMOUNT]),
        expected_close_on=None if pd.isna(expected) else expected,
        owner=owner if isinstance(owner, str) else None,
    )
