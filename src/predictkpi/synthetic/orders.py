"""Orders: an account's first, its repeat orders until it silently leaves, those from won deals, and refunds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from predictkpi.synthetic import world as w
from predictkpi.synthetic.accounts import Accounts, choose
from predictkpi.synthetic.calendar import Calendar
from predictkpi.synthetic.deals import WON_CODE, DealLog
from predictkpi.synthetic.world import Floats, Ints

NONE = -1
_BLOCK = 2000


@dataclass(frozen=True)
class OrderLog:
    """Orders in order of the days, then their refunds. ``deal`` and ``refund_of`` are positions or `NONE`; refunds are negative."""

    day: Ints
    account: Ints
    amount: Floats
    product: Ints
    deal: Ints
    refund_of: Ints

    def __len__(self) -> int:
        return len(self.day)


def repeat_orders(accounts: Accounts, active_from: Ints, demand: Floats, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Draw ``(account, day)`` of every repeat order; ``demand`` is the calendar's factor on days 0, 1, ..."""
    found = []
    days = np.arange(len(demand))
    for first in range(0, len(accounts), _BLOCK):
        block = slice(first, first + _BLOCK)
        since = days - active_from[block, None]
        active = (since > 0) & (since < accounts.lifetime[block, None])
        counts = rng.poisson(np.where(active, accounts.order_rate[block, None] * demand, 0.0))
        account, day = np.nonzero(counts)
        found.append(np.repeat(np.stack([account + first, day]), counts[account, day], axis=1))
    account, day = np.concatenate(found, axis=1)
    return account, day


def simulate_orders(accounts: Accounts, deals: DealLog, days: int, calendar: Calendar, rng: np.random.Generator) -> OrderLog:
    """Draw all orders of ``days`` days. Orders of won deals are booked on the day of the win, with its amount, and are never refunded."""
    account, day = repeat_orders(accounts, deals.active_from, calendar.demand(np.arange(days)), rng)
    direct = np.flatnonzero((accounts.created >= 0) & ~accounts.is_prospect)
    account = np.concatenate([direct, account])
    day = np.concatenate([accounts.created[direct], day])
    noise = rng.lognormal(-(w.ORDER_SIGMA**2) / 2, w.ORDER_SIGMA, len(day))
    amount = np.maximum(np.round(accounts.order_value[account] * calendar.price(day) * noise, 2), 1.0)
    product = choose(rng, w.PRODUCT_SHARES[accounts.segment[account]])

    won = np.flatnonzero(deals.event_stage == WON_CODE)
    deal = np.concatenate([np.full(len(day), NONE), deals.event_deal[won]])
    account = np.concatenate([account, deals.account[deals.event_deal[won]]])
    day = np.concatenate([day, deals.event_day[won]])
    amount = np.concatenate([amount, deals.event_amount[won]])
    product = np.concatenate([product, deals.product[deals.event_deal[won]]])
    order = np.argsort(day, kind="stable")
    account, day, amount, product, deal = (values[order] for values in (account, day, amount, product, deal))

    back = np.flatnonzero((deal == NONE) & (rng.random(len(day)) < w.REFUND_SHARE))
    back_day = day[back] + rng.integers(w.REFUND_LAG.first, w.REFUND_LAG.last + 1, len(back))
    back, back_day = back[back_day < days], back_day[back_day < days]
    return OrderLog(
        day=np.concatenate([day, back_day]),
        account=np.concatenate([account, account[back]]),
        amount=np.concatenate([amount, -amount[back]]),
        product=np.concatenate([product, product[back]]),
        deal=np.concatenate([deal, np.full(len(back), NONE)]),
        refund_of=np.concatenate([np.full(len(day), NONE), back]),
    )
