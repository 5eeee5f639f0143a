"""What came true of the deals that were open at a past instant, statistic by statistic."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.arrays import Texts
from predictkpi.features.deal_asof import DAY, Floats
from predictkpi.features.deal_history import DealHistory
from predictkpi.features.deal_outcomes import WINS, Closes
from predictkpi.predictors.close_time.deadlines import days_to_period_ends, days_to_slip
from predictkpi.predictors.close_time.spec import CAUSES, HORIZONS, LAST_DAY, PERIOD_CHANCES
from predictkpi.predictors.close_time.table import FISCAL
from predictkpi.snapshot import Snapshot


def outcomes_of(later: Snapshot, as_of: pd.Timestamp) -> pd.DataFrame:
    """`columns.OUTCOME_COLUMNS` for deals open at ``as_of``: flags of won and lost by each horizon and, under the horizon `LAST_DAY`, of
    won in the end, by the end of the running periods and not by the rep's date; the amount won; days to the close of won deals.

    The cohort and the rep's date are as they were known then; a deal reopened later counts by its first close after ``as_of``. A flag of
    a deadline is mature once the deadline has passed; a date that had passed before ``as_of`` leaves nothing to find out.
    """
    history = DealHistory(later)
    landmark = int(np.asarray(pd.Timestamp(as_of).to_datetime64(), dtype="datetime64[us]").astype(np.int64))
    everyone = np.arange(len(history.deals))
    states = history.states(everyone, np.full(len(everyone), landmark))
    deal, states = everyone[states["is_open"]], states.take(states["is_open"])
    instants = np.full(len(deal), landmark).astype("datetime64[us]")
    states = states.with_columns({c.AS_OF: instants, FISCAL: np.full(len(deal), history.company.fiscal_year_starts)})
    days, event = Closes(history).first_from(deal, np.full(len(deal), landmark))
    ids, observed = history.deals.text(deal), (history.as_of - landmark) / DAY
    parts = [
        _outcome(ids, horizon, f"cif_{name}", (event == cause) & (days < horizon), horizon <= observed)
        for horizon in HORIZONS
        for cause, name in enumerate(CAUSES, start=1)
    ]
    in_time, watched = (event == WINS) & (days < LAST_DAY), observed >= LAST_DAY
    parts += [_outcome(ids, LAST_DAY, "p_win", in_time, watched), _outcome(ids[in_time], LAST_DAY, "close_q50", days[in_time], watched)]
    amount = states.floats(c.AMOUNT)
    priced = ~np.isnan(amount)
    parts.append(_outcome(ids[priced], LAST_DAY, "expected_value", (in_time * amount)[priced], watched))
    ends = np.minimum(days_to_period_ends(states, PERIOD_CHANCES.values()), LAST_DAY)
    for name, end in zip(PERIOD_CHANCES, ends.T, strict=True):
        parts.append(_outcome(ids, LAST_DAY, name, (event == WINS) & (days < end), end <= observed))
    due = np.minimum(days_to_slip(states), LAST_DAY)
    dated = due > 0
    slipped = ~((event == WINS) & (days < due))
    parts.append(_outcome(ids[dated], LAST_DAY, "p_slip", slipped[dated], (due <= observed)[dated]))
    return pd.concat(parts, ignore_index=True).assign(**{c.AS_OF: pd.Timestamp(as_of)})[c.OUTCOME_COLUMNS]


def _outcome(
    ids: Texts, horizon: int, statistic: str, value: Floats | npt.NDArray[np.bool_], is_mature: bool | npt.NDArray[np.bool_]
) -> pd.DataFrame:
    of_deals = {c.ENTITY_ID: pd.array(ids, dtype="str"), c.HORIZON: horizon, c.STATISTIC: statistic}
    return pd.DataFrame(of_deals | {c.VALUE: value.astype(float), c.IS_MATURE: is_mature})
