"""The plain weighted pipeline, for comparison: amount times the chance of the stage, in the month of the expected close date."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.kpis.deals import OUTCOME, deal_states, deal_table
from predictkpi.predictors.close_time.baselines import CONFIGURED
from predictkpi.snapshot import Snapshot

Floats = npt.NDArray[np.float64]


def weighted_pipeline(snapshot: Snapshot, deal_ids: pd.Series, months: pd.DatetimeIndex) -> Floats:
    """What a CRM's report shows for each deal in each month ``(deals, months)``, in currency.

    The chance is the company's own field "probability" (percent or share) where its deals have one, else the share of won among closed
    deals that were in the stage. A deal without an amount or a date, or whose date has passed, brings nothing to any month, as in such
    reports.
    """
    deals = deal_table(snapshot).set_index(c.DEAL_ID).reindex(deal_ids)
    due = deals[c.EXPECTED_CLOSE_ON]
    is_due = due.to_numpy() >= snapshot.as_of.normalize().to_datetime64()
    month = due.dt.to_period("M").dt.start_time
    falls = (month.to_numpy()[:, None] == months.to_numpy()[None, :]) & is_due[:, None]
    value = (deals[c.AMOUNT] * _chances(snapshot, deals)).fillna(0.0).to_numpy(float)
    return np.where(falls, value[:, None], 0.0)


def _chances(snapshot: Snapshot, deals: pd.DataFrame) -> pd.Series:
    own = snapshot.attributes("deals")
    shown = own[CONFIGURED].reindex(deals.index) if CONFIGURED in own else pd.Series(np.nan, index=deals.index)
    shown = pd.to_numeric(shown, errors="coerce")
    if shown.max() > 1:
        shown = shown / 100
    return shown.clip(0.0, 1.0).fillna(deals[c.STAGE].map(stage_win_rates(snapshot)).astype(float))


def stage_win_rates(snapshot: Snapshot) -> pd.Series:
    """Share of won among the closed deals that were ever in each open stage, by stage."""
    states = deal_states(snapshot)
    closed = deal_table(snapshot).set_index(c.DEAL_ID)[OUTCOME].dropna()
    been = states.loc[~states[c.STAGE].isin(c.CLOSED_STAGES) & states[c.DEAL_ID].isin(closed.index), [c.DEAL_ID, c.STAGE]].drop_duplicates()
    return been[c.DEAL_ID].map(closed).eq(c.WON).groupby(been[c.STAGE]).mean()
