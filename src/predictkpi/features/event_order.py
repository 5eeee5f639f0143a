"""The one order of a deal's events, for KPIs and predictors alike.

Exports often carry dates without a time of day, so a deal may change and close at one instant. What was learnt first comes first; of what
was learnt together a closing comes last, and otherwise the source's numbering holds (9 before 10).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c


def tie_rank(events: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Rank of each row ``(n,)`` that settles which of two events of one deal and instant comes first, as above."""
    ids = events[c.EVENT_ID].astype("object")
    keys = pd.DataFrame(
        {
            "known": events[c.KNOWN_AT].to_numpy(),
            "is_closing": events[c.STAGE].isin(c.CLOSED_STAGES).to_numpy(),
            "id_length": ids.str.len().to_numpy(),
            "id": ids.to_numpy(),
        }
    )
    rank = np.empty(len(events), dtype=np.int64)
    rank[keys.sort_values(list(keys.columns), kind="stable").index.to_numpy()] = np.arange(len(events))
    return rank


def in_event_order(events: pd.DataFrame) -> pd.DataFrame:
    """The events sorted by deal, instant and, at one instant, as above; index renewed."""
    ranked = events.assign(rank=tie_rank(events))
    return ranked.sort_values([c.DEAL_ID, c.DS, "rank"], ignore_index=True).drop(columns="rank")
