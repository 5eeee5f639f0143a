"""Spend, the accounts it brings in, and what is hidden in each account: how often it buys, for how much, and how long it stays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from predictkpi.errors import SettingsError
from predictkpi.synthetic import world as w
from predictkpi.synthetic.calendar import Calendar
from predictkpi.synthetic.world import Flags, Floats, Ints, Size

BURN_IN = 120
NEVER = np.iinfo(np.int64).max // 4
_TYPICAL_WIN_SHARE = 0.36
_TYPICAL_CYCLE = 60


def lag_weights() -> Floats:
    """Share of the effect of a day's spend that falls 0, 1, ... days later: a gamma of mean 20 days, cut at `BURN_IN`."""
    days = np.arange(BURN_IN) + 0.5
    density = days**3 * np.exp(-days / 5.0)
    return density / density.sum()


def simulate_spend(size: Size, calendar: Calendar, rng: np.random.Generator) -> Floats:
    """Daily spend, shape ``(paid channels, BURN_IN + days)``: the first `BURN_IN` days lie before the books begin."""
    days = np.arange(-BURN_IN, size.days)
    plan = (1.0 + w.SPEND_GROWTH) ** (days / 365.25) * np.where(calendar.dates(days).day_of_week < 5, 1.2, 0.5)
    shape = np.tile(plan, (len(w.PAID_CHANNELS), 1)) * rng.lognormal(-0.02, 0.2, (len(w.PAID_CHANNELS), len(days)))
    for channel in (0, 1):  # campaigns: a third of the four-week spans run at several times the others
        campaign = np.repeat(rng.random(len(days) // 28 + 1) < 1 / 3, 28)[: len(days)]
        shape[channel] *= np.where(campaign, 2.2, 0.4)
    fairs = rng.random(len(days)) < 1 / 21  # events are few and dear
    shape[2] = np.where(fairs, shape[2] * 21 * 0.7, shape[2] * 0.3)
    budget = size.customers * (1 - w.EXISTING_SHARE) * w.CHANNEL_SHARES[:4] * w.COST_PER_ACCOUNT
    return shape * (budget / plan[BURN_IN:].sum())[:, None]


def arrivals(spend: Floats, size: Size, calendar: Calendar) -> Floats:
    """Expected new accounts by channel and day, shape ``(channels, days)``; the last channel is organic."""
    days = np.arange(size.days)
    lagged = np.stack([np.convolve(row, lag_weights())[BURN_IN : BURN_IN + size.days] for row in spend])
    organic = size.customers * (1 - w.EXISTING_SHARE) * w.CHANNEL_SHARES[4] / size.days
    return np.vstack([lagged / w.COST_PER_ACCOUNT[:, None], np.full(size.days, organic)]) * calendar.weekday(days)


@dataclass(frozen=True)
class Accounts:
    """One entry per account, in order of arrival. Codes index the tuples in `world`; rates are per day.

    ``created`` is the day of arrival (below 0 for those that were there at the start). ``active_from`` is the day since which it is a
    buyer: -1 for accounts of the start, the day of arrival for direct buyers, `NEVER` for prospects, who become buyers by winning a
    deal. A buyer is active on day ``t`` while ``active_from < t`` and ``t - active_from < lifetime``.
    """

    created: Ints
    active_from: Ints
    channel: Ints
    segment: Ints
    region: Ints
    industry: Ints
    lifetime: Floats
    leave_rate: Floats
    order_rate: Floats
    order_value: Floats
    deal_rate: Floats
    deal_value: Floats

    def __len__(self) -> int:
        return len(self.created)

    @property
    def is_prospect(self) -> Flags:
        """Accounts that arrived through a deal, not through an order."""
        return self.active_from == NEVER


def ahead(leave_rate: Floats, gains: Floats) -> Floats:
    """Expected gains after each day for a buyer active on it: shape ``(days + 1, accounts)``.

    ``gains`` is ``(days, accounts)`` or ``(days, 1)``: what an active buyer brings on each day. Row ``u`` sums the days ``u, u + 1, ...``
    for a buyer active on the day before ``u``; the last row is 0.
    """
    stay = np.exp(-leave_rate)
    sums = np.zeros((len(gains) + 1, len(leave_rate)))
    for day in range(len(gains) - 1, -1, -1):
        sums[day] = stay * (gains[day] + sums[day + 1])
    return sums


def choose(rng: np.random.Generator, shares: Floats) -> Ints:
    """One code per row of ``shares``, drawn with the row's probabilities."""
    return (rng.random((len(shares), 1)) > np.cumsum(shares, axis=1)[:, :-1]).sum(axis=1)


def simulate_accounts(spend: Floats, size: Size, calendar: Calendar, rng: np.random.Generator) -> Accounts:
    """Draw accounts and their hidden traits; rates are scaled to the counts that ``size`` asks for."""
    counts = rng.poisson(arrivals(spend, size, calendar))
    channel, created = np.nonzero(counts)
    repeats = counts[channel, created]
    channel, created = np.repeat(channel, repeats), np.repeat(created, repeats)
    existing = round(size.customers * w.EXISTING_SHARE)
    created = np.concatenate([-rng.integers(1, 3 * 365, existing), created])
    channel = np.concatenate([rng.choice(len(w.CHANNELS), existing, p=w.CHANNEL_SHARES), channel])
    order = np.argsort(created, kind="stable")
    created, channel, n = created[order], channel[order], len(created)
    segment = choose(rng, w.SEGMENT_SHARES[channel])
    prospect = (created >= 0) & (rng.random(n) < w.PROSPECT_SHARE)
    leave_rate = rng.gamma(3.0, 1 / 3.0, n) / (w.LIFETIME_YEARS[segment] * 365.25)
    return _scaled(
        Accounts(
            created=created,
            active_from=np.where(prospect, NEVER, np.maximum(created, -1)),
            channel=channel,
            segment=segment,
            region=rng.choice(len(w.REGIONS), n, p=w.REGION_SHARES),
            industry=rng.choice(len(w.INDUSTRIES), n, p=w.INDUSTRY_SHARES),
            lifetime=rng.exponential(1.0, n) / leave_rate,
            leave_rate=leave_rate,
            order_rate=w.PURCHASE_RATE[segment] * rng.gamma(1.5, 1 / 1.5, n),
            order_value=w.ORDER_VALUE[segment] * rng.lognormal(0.0, 0.35, n),
            deal_rate=w.DEAL_RATE[segment] * rng.gamma(2.0, 0.5, n),
            deal_value=w.ORDER_VALUE[segment] * rng.lognormal(0.0, 0.25, n),
        ),
        size,
        calendar,
    )


def _scaled(accounts: Accounts, size: Size, calendar: Calendar) -> Accounts:
    """Bring expected orders, deals and the deals' share of revenue to what ``size`` and `world` ask for."""
    days = np.arange(size.days)
    prospect = accounts.is_prospect
    begin = np.where(prospect, accounts.created + _TYPICAL_CYCLE, np.maximum(accounts.created, -1)) + 1
    begin, rows = np.minimum(begin, size.days), np.arange(len(accounts))
    chance = np.where(prospect, _TYPICAL_WIN_SHARE, 1.0)
    exposure = chance * ahead(accounts.leave_rate, calendar.demand(days)[:, None])[begin, rows]
    deal_exposure = chance * ahead(accounts.leave_rate, calendar.deal_creation(days)[:, None])[begin, rows]

    firsts = ((accounts.created >= 0) & ~prospect).astype(float)
    with_refunds = 1.0 + w.REFUND_SHARE
    repeats = (size.orders - size.deals * _TYPICAL_WIN_SHARE * 0.85) / with_refunds - firsts.sum()
    new_deals = size.deals - prospect.sum()
    if repeats <= 0 or new_deals <= 0:
        raise SettingsError(f"{size.orders} orders and {size.deals} deals are too few for {size.customers} customers")
    order_rate = accounts.order_rate * repeats / (accounts.order_rate * exposure).sum()
    deal_rate = accounts.deal_rate * new_deals / (accounts.deal_rate * deal_exposure).sum()
    order_revenue = ((firsts + order_rate * exposure) * accounts.order_value).sum()
    deal_revenue = _TYPICAL_WIN_SHARE * 0.85 * ((prospect + deal_rate * deal_exposure) * accounts.deal_value).sum()
    wanted = order_revenue * w.DEAL_REVENUE_SHARE / (1.0 - w.DEAL_REVENUE_SHARE)
    return Accounts(
        **{
            **vars(accounts),
            "order_rate": order_rate,
            "deal_rate": deal_rate,
            "deal_value": accounts.deal_value * wanted / deal_revenue,
        }
    )
