"""Where deals stay, and where they go from there: by open stage, read from the transitions."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.kpis.base import Kpi, View, no_cells
from predictkpi.kpis.deals import DEAL_DIMENSIONS, OBSERVED_FROM, START, deal_states
from predictkpi.kpis.median import median_until
from predictkpi.kpis.sales_cycle import by_code, day_numbers, median_cells
from predictkpi.kpis.shares import share_cells
from predictkpi.kpis.standing import SINCE, UNTIL, YEAR
from predictkpi.snapshot import Snapshot

_VISIT, _NEXT, _ONWARD = "visit", "next_stage", "onward"
_A_DAY = pd.Timedelta(days=1)


def _visits(snapshot: Snapshot, *, keep: str) -> pd.DataFrame:
    """One row per stay of a deal in an open stage: the deal's attributes as they were on ``keep`` (`first` or `last`) day of it.

    ``since``, ``until`` (empty while it lasts) and ``next_stage``; ``onward``: it was left for a win, or for a stage in which the deal had
    never been before. So a step back is none, and no order of the stages need be known.
    """
    states = deal_states(snapshot)
    stage = states[c.STAGE].fillna("")
    run = ((states[c.DEAL_ID] != states[c.DEAL_ID].shift()) | (stage != stage.shift())).cumsum()
    entered, left = states.groupby(run)[SINCE].first(), states.groupby(run)[UNTIL].last()
    visits = states.drop(columns=[SINCE, UNTIL]).groupby(run).nth(0 if keep == "first" else -1).set_axis(entered.index)
    visits = visits.assign(**{SINCE: entered, UNTIL: left})
    is_new = ~visits.duplicated([c.DEAL_ID, c.STAGE])
    visits[_NEXT] = visits[c.STAGE].shift(-1).where(visits[UNTIL].notna())
    visits[_ONWARD] = (visits[_NEXT] == c.WON) | (is_new.shift(-1, fill_value=False) & (visits[_NEXT] != c.LOST) & visits[_NEXT].notna())
    named = visits[c.STAGE].fillna("")
    return visits[(named != "") & ~named.isin(c.CLOSED_STAGES)]


class TimeInStage(Kpi):
    """Median days that a deal stays in one open stage before it leaves it in any direction (Kaplan-Meier); stays under way count as such.

    Stays begun in the 12 months up to the period's end, as far as they had come by then. A deal seen more than a day after its
    start has a first stay without a known beginning: left out. ``n`` counts the stays that ended.
    """

    name = "time_in_stage"
    title: ClassVar[dict[str, str]] = {"en": "Time in a stage, median", "de": "Verweildauer je Stufe, Median"}
    formula = "day by which half of the stays in an open stage have ended (Kaplan-Meier, stays begun in the last 12 months)"
    family = "sales_cycle"
    unit = "days"
    better = "down"
    counts = "deals"
    needs = ("deals", "deal_events")
    dimensions = (c.STAGE, *DEAL_DIMENSIONS)
    settles_with = "deal_events"

    def compute(self, view: View) -> pd.DataFrame:
        """One estimate per member and period end, from the first period with a stay that ended on."""
        visits = _visits(view.snapshot, keep="first")
        is_late = (visits[SINCE] == visits[OBSERVED_FROM]) & (visits[OBSERVED_FROM] > visits[START] + _A_DAY)
        visits = visits[~is_late]
        if visits[UNTIL].isna().all():
            return no_cells()
        starts = view.periods(visits[UNTIL].min())
        ends = view.ends(starts)
        member, names = pd.factorize(view.members(visits), sort=True)
        entered, left = day_numbers(visits[SINCE]), day_numbers(visits[UNTIL])
        found = {}
        for start, end, begin in zip(starts, day_numbers(ends.to_series()), day_numbers((ends - YEAR).to_series()), strict=True):
            for code, stays in by_code(member, np.flatnonzero((entered >= begin) & (entered < end))):
                ended = left[stays] < end
                found[names[code], start] = median_until(np.where(ended, left[stays], end) - entered[stays], ended.astype(int))
        return median_cells(found)


class StageConversion(Kpi):
    """Share of the departures from an open stage that lead on: to a win or to a stage the deal had not been in. The rest are losses and
    steps back. Deals still in the stage do not enter it.
    """

    name = "stage_conversion"
    title: ClassVar[dict[str, str]] = {"en": "Stage conversion", "de": "Übergangsquote je Stufe"}
    formula = "departures from an open stage in the period to a win or a stage new to the deal / all departures from it in the period"
    family = "sales_cycle"
    unit = "share"
    better = "up"
    counts = "deals"
    needs = ("deals", "deal_events")
    dimensions = (c.STAGE, *DEAL_DIMENSIONS)

    def compute(self, view: View) -> pd.DataFrame:
        """Share and count of departures in the period they happen in."""
        visits = _visits(view.snapshot, keep="last")
        departures = visits[visits[UNTIL].notna()]
        return share_cells(view.group(departures, UNTIL), _ONWARD) if len(departures) else no_cells()
