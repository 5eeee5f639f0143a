"""The exact expected spend of each account, given its hidden traits and whether it is still a buyer.

Covers everything that can bring or take revenue: repeat orders net of refunds, refunds still to come of past orders, deals now open
(through `deal_truth`), deals to be opened, and what a prospect buys once it has won. Accounts yet to arrive are no one's row.
"""

from __future__ import annotations

import numpy as np

from predictkpi.synthetic import world as w
from predictkpi.synthetic.accounts import Accounts, ahead
from predictkpi.synthetic.calendar import Calendar
from predictkpi.synthetic.deal_truth import believe, outcomes_by_day
from predictkpi.synthetic.deals import DealLog
from predictkpi.synthetic.hazards import STAGES, advance, retreat, team_hazards
from predictkpi.synthetic.orders import NONE, OrderLog
from predictkpi.synthetic.world import Flags, Floats

_NODES = 9
_NEGLIGIBLE = 1e-5


def expected_spend(accounts: Accounts, deals: DealLog, orders: OrderLog, calendar: Calendar, *, day: int, length: int) -> Floats:
    """Expected net revenue of every account in the ``length`` days from ``day`` on; 0 for accounts not there yet."""
    days = np.arange(day, day + length)
    kept = 1.0 - w.REFUND_SHARE * w.REFUND_LAG.within(day + length - 1 - days)
    repeat = calendar.demand(days) * calendar.price(days) * kept
    opened = calendar.deal_creation(days) * calendar.price(days)
    of_new_deals = opened[:, None] * _new_deal_worth(calendar, day, length)
    gains = (
        repeat[:, None] * accounts.order_rate * accounts.order_value
        + of_new_deals[:, accounts.segment] * accounts.deal_rate * accounts.deal_value
    )
    later = ahead(accounts.leave_rate, gains)

    total = np.where(is_active(accounts, deals, day), later[0], 0.0)
    belief = believe(deals, accounts, calendar, day)
    won, _ = outcomes_by_day(belief, calendar, day, length)
    holder = deals.account[belief.deal]
    np.add.at(total, holder, won.sum(axis=0) * belief.amount)
    prospect = accounts.is_prospect[holder]
    after_win = (won * later[1:, holder]).sum(axis=0)
    np.add.at(total, holder[prospect], after_win[prospect])
    return total - _pending_refunds(orders, len(accounts), day, length)


def is_active(accounts: Accounts, deals: DealLog, day: int) -> Flags:
    """Whether each account is a buyer at the start of ``day``, that is: was one at the end of the day before."""
    since = day - 1 - deals.active_from
    return (since >= 0) & (since < accounts.lifetime)


def _new_deal_worth(calendar: Calendar, day: int, length: int) -> Floats:
    """Expected revenue within the span of a deal opened on each day, in units of its customer's deal value: ``(length, segments)``.

    Averages over source, team, owner and first amount (Gauss-Hermite); one backward recursion gives all opening days.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    weights = weights / weights.sum() * np.exp(w.DEAL_SIGMA * nodes - w.DEAL_SIGMA**2 / 2)
    grid = np.meshgrid(range(len(w.SEGMENTS)), range(len(w.SOURCES)), range(len(w.TEAMS)), range(_NODES), indexing="ij")
    segment, source, team, node = (axis.ravel() for axis in grid)
    share = np.array(w.SOURCE_SHARES)[source] * w.TEAM_SHARES[segment, team] * weights[node]
    hazards = team_hazards(segment=segment, source=source, amount_z=nodes[node], team=team)
    win = np.zeros((len(segment), w.OWNERS_A_TEAM, len(STAGES)))
    worth = np.zeros((length, len(w.SEGMENTS)))
    paces = calendar.pace(np.arange(day, day + length))
    for position in range(length - 1, -1, -1):
        worth[position] = np.bincount(segment, weights=share * win[:, :, 0].mean(axis=1), minlength=len(w.SEGMENTS))
        if paces[:, position].any():
            win = retreat(win, hazards, paces[:, position])
    return worth


def _pending_refunds(orders: OrderLog, accounts: int, day: int, length: int) -> Floats:
    """Expected refunds in the span of orders booked before ``day`` and not yet refunded, by account."""
    recent = (orders.day < day) & (orders.day >= day - w.REFUND_LAG.last) & (orders.deal == NONE) & (orders.refund_of == NONE)
    recent[orders.refund_of[(orders.refund_of != NONE) & (orders.day < day)]] = False
    age = day - 1 - orders.day[recent]
    seen, until = w.REFUND_LAG.within(age), w.REFUND_LAG.within(age + length)
    chance = w.REFUND_SHARE * (until - seen) / (1.0 - w.REFUND_SHARE * seen)
    return np.bincount(orders.account[recent], weights=chance * orders.amount[recent], minlength=accounts).astype(np.float64)


def expected_orders(accounts: Accounts, deals: DealLog, calendar: Calendar, length: int) -> Floats:
    """Expected revenue of repeat and first orders, before refunds, on each of the first ``length`` days.

    Given which accounts arrived, when each became a buyer and when it left.
    """
    days = np.arange(length)
    value = calendar.demand(days) * calendar.price(days)
    worth = accounts.order_rate * accounts.order_value
    first = deals.active_from + 1
    last = deals.active_from + np.ceil(accounts.lifetime)
    change = np.zeros(length + 1)
    np.add.at(change, np.clip(first, 0, length), worth)
    np.subtract.at(change, np.clip(last, np.clip(first, 0, length), length).astype(np.int64), worth)
    direct = (accounts.created >= 0) & ~accounts.is_prospect & (accounts.created < length)
    firsts = np.bincount(accounts.created[direct], weights=accounts.order_value[direct], minlength=length)
    return np.cumsum(change)[:-1] * value + firsts * calendar.price(days)


def expected_wins(accounts: Accounts, deals: DealLog, calendar: Calendar, length: int) -> Floats:
    """Expected revenue of won deals on each of the first ``length`` days, given only how each deal was opened: its first event."""
    event = np.unique(deals.event_deal, return_index=True)[1]
    amount, place = deals.event_amount[event], deals.event_owner[event] % w.OWNERS_A_TEAM
    hazards = team_hazards(segment=accounts.segment[deals.account], source=deals.source, amount_z=deals.amount_z, team=deals.team)
    first = np.zeros((len(deals), w.OWNERS_A_TEAM, len(STAGES)))
    first[np.arange(len(deals)), place, 0] = 1.0
    begins = np.searchsorted(deals.created, np.arange(length + 1))

    revenue = np.zeros(length)
    running, alive = np.zeros(0, dtype=np.int64), first[:0]
    running_hazards = hazards[:, running]
    paces = calendar.pace(np.arange(length))
    for day in range(length):
        if paces[:, day].any() and len(running):
            alive, won, _ = advance(alive, running_hazards, paces[:, day])
            revenue[day] = (won * amount[running]).sum()
        fresh = np.arange(begins[day], begins[day + 1])
        if len(fresh) or day % 28 == 0:
            keep = alive.sum(axis=(1, 2)) > _NEGLIGIBLE
            running, alive = np.concatenate([running[keep], fresh]), np.concatenate([alive[keep], first[fresh]])
            running_hazards = hazards[:, running]
    return revenue
