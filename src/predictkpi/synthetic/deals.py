"""Deals day by day: opened by active customers, moved by the hazards of `hazards`, written down as one event per change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from predictkpi.synthetic import world as w
from predictkpi.synthetic.accounts import Accounts, choose
from predictkpi.synthetic.calendar import Calendar
from predictkpi.synthetic.hazards import BASE, STAGES, Kind, factors, quality, team_owners
from predictkpi.synthetic.world import Floats, Ints

WON_CODE = len(STAGES)
LOST_CODE = len(STAGES) + 1
AMOUNT_STEP = 0.2
NO_DAY = -1


@dataclass(frozen=True)
class DealLog:
    """All deals and all their events. Codes index the tuples in `world` and `hazards.STAGES` (then won, lost); days count from the start.

    Arrays ``event_*`` have one entry per event in order of the days, the others one per deal. ``dormant_on`` is hidden from everyone:
    the day after which nothing can happen to the deal, or `NO_DAY`. ``active_from`` is one per account: `Accounts.active_from` after
    the prospects that won.
    """

    created: Ints
    account: Ints
    source: Ints
    product: Ints
    team: Ints
    amount_z: Floats
    dormant_on: Ints
    event_deal: Ints
    event_day: Ints
    event_stage: Ints
    event_owner: Ints
    event_amount: Floats
    event_close: Ints
    active_from: Ints

    def __len__(self) -> int:
        return len(self.created)


class _Book:
    """The state of all deals while the days go by; arrays grow by whole batches."""

    _INTS = ("created", "account", "source", "product", "team", "dormant_on", "stage", "owner", "close")
    _FLOATS = ("amount_z", "amount")

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts
        self.active_from = accounts.active_from.copy()
        self.open = np.zeros(0, dtype=np.int64)
        self.events: list[tuple[Ints, Ints, Ints, Ints, Floats, Ints]] = []
        for name in self._INTS:
            setattr(self, name, np.zeros(0, dtype=np.int64))
        for name in self._FLOATS:
            setattr(self, name, np.zeros(0))
        self.tilt = np.zeros((len(Kind), 0))

    created: Ints
    account: Ints
    source: Ints
    product: Ints
    team: Ints
    dormant_on: Ints
    stage: Ints
    owner: Ints
    close: Ints
    amount_z: Floats
    amount: Floats

    def create(self, account: Ints, day: int, price: float, rng: np.random.Generator) -> None:
        """Open one deal for each account given."""
        n = len(account)
        segment = self.accounts.segment[account]
        team = choose(rng, w.TEAM_SHARES[segment])
        amount_z = rng.standard_normal(n)
        amount = self.accounts.deal_value[account] * price * np.exp(w.DEAL_SIGMA * amount_z - w.DEAL_SIGMA**2 / 2)
        new = {
            "created": np.full(n, day),
            "account": account,
            "source": rng.choice(len(w.SOURCES), n, p=w.SOURCE_SHARES),
            "product": choose(rng, w.PRODUCT_SHARES[segment]),
            "team": team,
            "dormant_on": np.full(n, NO_DAY),
            "stage": np.zeros(n, dtype=np.int64),
            "owner": team_owners(team)[np.arange(n), rng.integers(0, w.OWNERS_A_TEAM, n)],
            "close": day + rng.integers(25, 70, n),
            "amount_z": amount_z,
            "amount": np.maximum(np.round(amount), 1.0),
        }
        first = len(self.created)
        for name, values in new.items():
            setattr(self, name, np.concatenate([getattr(self, name), values]))
        ids = np.arange(first, first + n)
        self.tilt = np.concatenate([self.tilt, np.zeros((len(Kind), n))], axis=1)
        self._tilt(ids)
        self.open = np.concatenate([self.open, ids])
        self._write(ids, day)

    def step(self, day: int, pace: Floats, rng: np.random.Generator) -> None:
        """Let at most one thing happen to each open deal."""
        ids = self.open
        chances = BASE[:, self.stage[ids]] * self.tilt[:, ids] * pace[:, None]
        happened = (rng.random(len(ids)) > np.cumsum(chances, axis=0)).sum(axis=0)
        changed = happened < len(Kind)
        ids, happened = ids[changed], happened[changed]
        if not len(ids):
            return
        self.stage[ids[happened == Kind.WON]] = WON_CODE
        self.stage[ids[happened == Kind.LOST]] = LOST_CODE
        self.stage[ids[happened == Kind.FORWARD]] += 1
        self.stage[ids[happened == Kind.BACK]] -= 1
        self._update(ids[happened == Kind.UPDATE], day, rng)
        handed = ids[happened == Kind.HANDOVER]
        shift = rng.integers(1, w.OWNERS_A_TEAM, len(handed))
        place = (self.owner[handed] % w.OWNERS_A_TEAM + shift) % w.OWNERS_A_TEAM
        self.owner[handed] = self.team[handed] * w.OWNERS_A_TEAM + place
        self._tilt(handed)
        moved = ids[(happened == Kind.FORWARD) | (happened == Kind.BACK)]
        self._slip(moved[rng.random(len(moved)) < 0.5], day, rng)
        asleep = ids[happened == Kind.DORMANT]
        self.dormant_on[asleep] = day
        won = self.account[ids[happened == Kind.WON]]
        converted = won[self.accounts.is_prospect[won]]
        self.active_from[converted] = np.minimum(self.active_from[converted], day)
        self._write(ids[happened != Kind.DORMANT], day)
        still = (self.stage[self.open] < WON_CODE) & (self.dormant_on[self.open] == NO_DAY)
        self.open = self.open[still]

    def _tilt(self, ids: Ints) -> None:
        segment = self.accounts.segment[self.account[ids]]
        good = quality(segment=segment, source=self.source[ids], amount_z=self.amount_z[ids], owner=self.owner[ids])
        self.tilt[:, ids] = factors(good, segment)

    def _update(self, ids: Ints, day: int, rng: np.random.Generator) -> None:
        """A change of amount for half of them (mean 1, so that it says nothing on average), else a new date; overdue dates always slip."""
        repriced = rng.random(len(ids)) < 0.5
        step = rng.lognormal(-(AMOUNT_STEP**2) / 2, AMOUNT_STEP, len(ids))
        moves = rng.integers(-5, 15, len(ids))
        self.amount[ids] = np.where(repriced, np.maximum(np.round(self.amount[ids] * step), 1.0), self.amount[ids])
        self.close[ids] = np.where(repriced, self.close[ids], np.maximum(self.close[ids] + moves, day))
        self._slip(ids, day, rng)

    def _slip(self, ids: Ints, day: int, rng: np.random.Generator) -> None:
        later = day + rng.integers(10, 46, len(ids))
        self.close[ids] = np.where(self.close[ids] <= day, later, self.close[ids])

    def _write(self, ids: Ints, day: int) -> None:
        self.events.append((ids, np.full(len(ids), day), self.stage[ids], self.owner[ids], self.amount[ids], self.close[ids]))


def simulate_deals(accounts: Accounts, days: int, calendar: Calendar, rng: np.random.Generator) -> DealLog:
    """Run the deals of ``days`` days. The pipeline starts empty; prospects open their one deal on the day they arrive."""
    book = _Book(accounts)
    span = np.arange(days)
    creation, price, pace = calendar.deal_creation(span), calendar.price(span), calendar.pace(span)
    prospects = np.flatnonzero(accounts.is_prospect)
    arrived = accounts.created[prospects]
    for day in range(days):
        if pace[:, day].any():
            book.step(day, pace[:, day], rng)
        since = day - book.active_from
        active = (since > 0) & (since < accounts.lifetime)
        opens = np.flatnonzero(rng.random(len(accounts)) < active * accounts.deal_rate * creation[day])
        book.create(np.concatenate([prospects[arrived == day], opens]), day, price[day], rng)
    deal, when, stage, owner, amount, close = (np.concatenate(part) for part in zip(*book.events, strict=True))
    return DealLog(
        created=book.created,
        account=book.account,
        source=book.source,
        product=book.product,
        team=book.team,
        amount_z=book.amount_z,
        dormant_on=book.dormant_on,
        event_deal=deal,
        event_day=when,
        event_stage=stage,
        event_owner=owner,
        event_amount=amount,
        event_close=close,
        active_from=book.active_from,
    )
