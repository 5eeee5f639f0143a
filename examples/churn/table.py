"""Who is asked about, and what was known of them: one row per customer with a purchase."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import horizon_end
from predictkpi.errors import UnknownEntityError
from predictkpi.features import rfm
from predictkpi.features.purchase_days import PurchaseDays
from predictkpi.snapshot import Snapshot

HORIZONS = (3, 6, 12)
FEATURES = ("log_purchases", "log_days_since_last", "log_age", "log_mean_value", "silence")
CHURNED = "churned"
COHORTS = 4
"""Past days that are learnt from, a quarter apart."""


def build_inputs(snapshot: Snapshot, entity_ids: Sequence[str] | None = None) -> pd.DataFrame:
    """``entity_id, as_of`` and `FEATURES`; ``silence`` is the log of days since the last purchase over the customer's usual gap."""
    known = rfm.rfm_of(PurchaseDays.of(snapshot.orders, as_of=snapshot.as_of))
    known = known[known[rfm.PURCHASES] > 0]
    if entity_ids is not None:
        unknown = [name for name in entity_ids if name not in known.index]
        if unknown:
            raise UnknownEntityError(f"churn: no customer with a purchase is called {', '.join(map(repr, unknown))}")
        known = known.loc[list(entity_ids)]
    silent = known[rfm.T] - known[rfm.RECENCY]
    usual_gap = (known[rfm.RECENCY] + known[rfm.T]) / (known[rfm.FREQUENCY] + 1)  # without a repeat: the customer's age
    features = {
        "log_purchases": np.log(known[rfm.PURCHASES]),
        "log_days_since_last": np.log1p(silent),
        "log_age": np.log1p(known[rfm.T]),
        "log_mean_value": np.log1p(known[rfm.GROSS] / known[rfm.PURCHASES]),
        "silence": np.log1p(silent) - np.log1p(usual_gap),
    }
    ids = pd.Series(known.index, index=known.index, dtype="str")
    return pd.DataFrame({c.ENTITY_ID: ids, c.AS_OF: snapshot.as_of, **features}).reset_index(drop=True)


def churned(snapshot: Snapshot, ids: pd.Series, *, as_of: pd.Timestamp, horizon: int) -> np.ndarray:
    """1.0 for those of ``ids`` who bought nothing in ``[as_of, as_of + horizon)``, as the snapshot knows it; 0.0 for the others."""
    came_true = rfm.spend_in(snapshot.orders, start=as_of, end=horizon_end(as_of, horizon, "month"))
    return (came_true[rfm.PURCHASES].reindex(ids).fillna(0.0) == 0).to_numpy(float)


def build_training_table(snapshot: Snapshot) -> pd.DataFrame:
    """For each horizon, `COHORTS` past days that it has passed since: inputs as known then, ``horizon``, and whether they churned."""
    frames = [build_inputs(snapshot).iloc[:0].assign(**{c.HORIZON: 0, CHURNED: 0.0})]
    for horizon in HORIZONS:
        for quarter in range(COHORTS):
            then = snapshot.as_of - pd.DateOffset(months=horizon + 3 * quarter)
            rows = build_inputs(snapshot.at(then))
            label = churned(snapshot, rows[c.ENTITY_ID], as_of=then, horizon=horizon)
            frames.append(rows.assign(**{c.HORIZON: horizon, CHURNED: label}))
    return pd.concat(frames, ignore_index=True)


def build_outcomes(later: Snapshot, *, as_of: pd.Timestamp, statistic: str) -> pd.DataFrame:
    """Whether the cohort of ``as_of`` churned, known once the horizon has passed."""
    ids = build_inputs(later.at(as_of))[c.ENTITY_ID]
    frames = [
        pd.DataFrame({c.ENTITY_ID: ids, c.AS_OF: as_of, c.HORIZON: horizon, c.STATISTIC: statistic}).assign(
            **{
                c.VALUE: churned(later, ids, as_of=as_of, horizon=horizon),
                c.IS_MATURE: horizon_end(as_of, horizon, "month") <= later.as_of,
            }
        )
        for horizon in HORIZONS
    ]
    return pd.concat(frames, ignore_index=True)[c.OUTCOME_COLUMNS]
