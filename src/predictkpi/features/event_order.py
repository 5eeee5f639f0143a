"""The one order of a deal's events, for KPIs and predictors alike.

Exports often carry dates without a time of day, so a deal may change and close at one instant. What was learnt first comes first; of what
was learnt together a closing comes last, and otherwise the source's numbering holds (9 before 10).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.arrays import Columns, Texts
from predictkpi.features.deal_asof import Ints, microseconds


def event_order(deal: Ints, ds: Ints, known: Ints, is_closing: npt.NDArray[np.bool_], event_id: Texts) -> Ints:
    """Positions of the events sorted by deal, instant and, at one instant, as above; arrays ``(n,)``, instants in microseconds."""
    return order_of((is_closing, known, ds, deal), event_id)


def order_of(keys: tuple[npt.NDArray, ...], ids: Texts) -> Ints:
    """Positions sorted by ``keys``, the last one first (as `numpy.lexsort`), and where all are equal by id: 9 before 10."""
    order = np.lexsort(keys)
    follows = np.ones(max(len(order) - 1, 0), bool)
    for key in keys:
        follows &= key[order[1:]] == key[order[:-1]]
    if not follows.any():
        return order
    is_tied = np.zeros(len(order), bool)
    is_tied[1:] |= follows
    is_tied[:-1] |= follows
    run = np.cumsum(np.append(True, ~follows))[is_tied]
    tied = order[is_tied]
    texts = ids[tied].tolist()
    rank = np.empty(len(tied), np.int64)
    rank[sorted(range(len(tied)), key=lambda at: (len(texts[at]), texts[at]))] = np.arange(len(tied))
    order[is_tied] = tied[np.lexsort((rank, run))]
    return order


def in_event_order(events: pd.DataFrame) -> pd.DataFrame:
    """The events sorted by deal, instant and, at one instant, as above; index renewed."""
    columns = Columns.of(events, [c.EVENT_ID, c.KNOWN_AT])
    is_closing = events[c.STAGE].isin(c.CLOSED_STAGES).to_numpy(bool)
    deal = pd.factorize(events[c.DEAL_ID], sort=True)[0]
    order = event_order(deal, microseconds(events[c.DS]), microseconds(columns[c.KNOWN_AT]), is_closing, columns[c.EVENT_ID])
    return events.iloc[order].reset_index(drop=True)
