"""The exact chances of open deals: Bayes for what is hidden, then forward recursion over the days.

The observer knows the generator, each deal's properties and its events before ``as_of``, but not whether it went dormant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from predictkpi.synthetic.accounts import Accounts
from predictkpi.synthetic.calendar import Calendar
from predictkpi.synthetic.deals import WON_CODE, DealLog
from predictkpi.synthetic.hazards import STAGES, Kind, advance, team_hazards
from predictkpi.synthetic.world import OWNERS_A_TEAM, Floats, Ints


@dataclass(frozen=True)
class Belief:
    """What the observer believes about ``n`` deals open at the start of a day.

    ``alive`` is ``(n, owners, stages)``; the rest to 1 is the chance of being dormant. ``hazards`` is ``(7, n, owners, stages)``.
    """

    deal: Ints
    amount: Floats
    alive: Floats
    hazards: Floats


def believe(deals: DealLog, accounts: Accounts, calendar: Calendar, day: int) -> Belief:
    """The deals open at the start of ``day``, from events before it alone."""
    seen = int(np.searchsorted(deals.event_day, day))
    newest = np.full(len(deals), -1)
    newest[deals.event_deal[:seen]] = np.arange(seen)
    deal = np.flatnonzero(newest >= 0)
    deal = deal[deals.event_stage[newest[deal]] < WON_CODE]
    last = newest[deal]
    stage, place = deals.event_stage[last], deals.event_owner[last] % OWNERS_A_TEAM
    hazards = team_hazards(
        segment=accounts.segment[deals.account[deal]], source=deals.source[deal], amount_z=deals.amount_z[deal], team=deals.team[deal]
    )
    rows = np.arange(len(deal))
    alive = np.zeros((len(deal), OWNERS_A_TEAM, len(STAGES)))
    alive[rows, place, stage] = _awake(hazards[:, rows, place, stage], deals.event_day[last], calendar, day)
    return Belief(deal, deals.event_amount[last], alive, hazards)


def _awake(hazards: Floats, last_event: Ints, calendar: Calendar, day: int) -> Floats:
    """Chance of not being dormant at the start of ``day`` after silence since ``last_event``; ``hazards`` is ``(7, n)`` at pace 1.

    An event proves that the deal was alive on its day; every silent day since is either luck or sleep.
    """
    silent, asleep = np.ones(len(last_event)), np.zeros(len(last_event))
    if not len(last_event):
        return silent
    days = np.arange(int(last_event.min()) + 1, day)
    for one, pace in zip(days, calendar.pace(days).T, strict=True):
        if not pace.any():
            continue
        rates = np.where(last_event < one, hazards * pace[:, None], 0.0)
        asleep += silent * rates[Kind.DORMANT]
        silent = silent * (1.0 - rates.sum(axis=0))
    return silent / (asleep + silent)


def outcomes_by_day(belief: Belief, calendar: Calendar, day: int, length: int) -> tuple[Floats, Floats]:
    """Chances of being won and of being lost on each of the ``length`` days from ``day`` on: two arrays ``(length, n)``."""
    alive = belief.alive
    won, lost = np.zeros((length, len(belief.deal))), np.zeros((length, len(belief.deal)))
    paces = calendar.pace(np.arange(day, day + length))
    for position in range(length):
        if paces[:, position].any():
            alive, won[position], lost[position] = advance(alive, belief.hazards, paces[:, position])
    return won, lost
