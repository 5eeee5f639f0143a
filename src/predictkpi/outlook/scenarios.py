"""What if: the same paths re-run with another win rate, cycle length or spend.

A scenario changes what the company does from as_of on, and takes for granted that the rest goes on as it was: deals not yet open react as
those that are, and another euro in a channel brings customers at that channel's past cost. All three are assumptions, and the first two
hold for the open deals draw by draw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.errors import SettingsError, UnknownNameError
from predictkpi.kpis.acquisition import acquisitions
from predictkpi.kpis.cac import lag_of
from predictkpi.kpis.deals import CLOSED_AT, OUTCOME, deal_table
from predictkpi.outlook.book import Book
from predictkpi.outlook.items import OPENED, Items, membership, past_split
from predictkpi.outlook.outlook import Outlook
from predictkpi.outlook.rest import usual_rest
from predictkpi.predictors.close_time.portfolio import OpenDeals
from predictkpi.predictors.close_time.spec import LAST_DAY
from predictkpi.predictors.revenue.reconcile import constraints, raised, reconciled
from predictkpi.predictors.revenue.table import first_whole_month
from predictkpi.snapshot import Snapshot

Floats = npt.NDArray[np.float64]

_DAYS_A_MONTH = 365.25 / 12
_LOOKBACK = 12
_LEAST_VARIANCE = 1e-12
# Where paths have to add up again, the total gives way (nearly) not at all.
_TOTAL_STAYS = 1e-6


@dataclass(frozen=True)
class Scenario:
    """What is done differently from as_of on.

    ``win_rate``: added to the share of closed deals that are won, .05 is 5 points; every deal's chance rises in proportion.
    ``cycle_days``: by how much sooner deals close, below 0 later. ``spend``: by channel, the factor on its spend of the last twelve
    months, 1.2 is a fifth more.
    """

    win_rate: float = 0.0
    cycle_days: float = 0.0
    spend: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not -1 < self.win_rate < 1:
            raise SettingsError(f"scenario: win_rate={self.win_rate:g} must lie between -1 and 1: it is in shares, .05 is 5 points more")
        if not abs(self.cycle_days) < LAST_DAY:
            raise SettingsError(f"scenario: cycle_days={self.cycle_days:g} must lie between -{LAST_DAY} and {LAST_DAY}")
        for channel, factor in self.spend.items():
            if not 0 <= factor <= 10:
                raise SettingsError(f"scenario: spend of {channel} times {factor:g}: the factor must lie between 0 and 10")

    @property
    def is_plain(self) -> bool:
        """Whether nothing is changed."""
        return not self.win_rate and not self.cycle_days and not self.spend


@dataclass(frozen=True)
class Levers:
    """What can be asked about a company.

    ``win_rate`` of the deals closed within a year, None where no deal is open whose chance could change. ``channels`` whose spend has
    brought customers; ``unknown``: why the others cannot be asked about.
    """

    win_rate: float | None
    channels: tuple[str, ...]
    unknown: Mapping[str, str]


class WhatIf:
    """One outlook under scenarios, from the same draws; what does not depend on the scenario is worked out once.

    ``seed`` is that of the outlook.
    """

    def __init__(self, outlook: Outlook, snapshot: Snapshot, *, seed: int = 0) -> None:
        self.outlook, self.snapshot, self.seed = outlook, snapshot, seed
        self._by_channel: dict[str, Floats] = {}

    def under(self, scenario: Scenario) -> Outlook:
        """The outlook under a scenario; what is booked stays.

        Raises `UnknownNameError` for a channel without spend in the last twelve months, `SettingsError` where there are no deals whose win
        rate or cycle could change, or a channel's cost of a customer is not known.
        """
        _check_channels(scenario, self.snapshot)
        if scenario.is_plain:
            return self.outlook
        outlook, from_deals, more = self.outlook, self.outlook.from_deals, np.zeros_like(self.outlook.booked)
        if scenario.win_rate or scenario.cycle_days:
            if outlook.book is None or not self._has_deals:
                raise SettingsError("scenario: no deal is open whose win rate or cycle could change")
            likelier = _likelier(self._win_rate, scenario.win_rate)
            changed = _changed(outlook.book, likelier, scenario.cycle_days)
            from_deals = changed.draw(outlook.new.shape[1], self.seed) * outlook.trust.yields(outlook.new.shape[2])
            more = more + _of_later_deals(self._usual, _days_to_ends(outlook), likelier, scenario.cycle_days)
        for channel, factor in scenario.spend.items():
            if factor != 1:
                more = more + (factor - 1) * self._of_spend(channel)
        return replace(outlook, from_deals=from_deals, new=_scaled(outlook.new, more, outlook.scopes))

    def prepare(self) -> None:
        """Work out what does not depend on the scenario, so that the first one need not wait for it."""
        _ = self.levers
        if self._has_deals:
            _ = self._usual

    @cached_property
    def levers(self) -> Levers:
        """What can be asked about."""
        channels, unknown = [], {}
        for channel in sorted(_spend_of_a_year(self.snapshot)[c.CHANNEL].dropna().unique()):
            try:
                self._of_spend(channel)
                channels.append(str(channel))
            except SettingsError as error:
                unknown[str(channel)] = str(error)
        return Levers(self._win_rate if self._has_deals else None, tuple(channels), unknown)

    @property
    def _has_deals(self) -> bool:
        return self.outlook.book is not None and len(self.outlook.book.amount) > 0

    @cached_property
    def _win_rate(self) -> float:
        return _win_rate(self.snapshot)

    @cached_property
    def _usual(self) -> Floats:
        return _usual_of_later_deals(self.outlook, Items.of(self.snapshot), self.snapshot)

    def _of_spend(self, channel: str) -> Floats:
        """What the same spend once more would bring ``(scopes, H)``."""
        if channel not in self._by_channel:
            self._by_channel[channel] = _of_spend(self.outlook, Items.of(self.snapshot), self.snapshot, channel)
        return self._by_channel[channel]


def under(outlook: Outlook, scenario: Scenario, snapshot: Snapshot, *, seed: int = 0) -> Outlook:
    """The outlook under one scenario; see `WhatIf`."""
    return WhatIf(outlook, snapshot, seed=seed).under(scenario)


def _check_channels(scenario: Scenario, snapshot: Snapshot) -> None:
    known = set(_spend_of_a_year(snapshot)[c.CHANNEL]) if scenario.spend else set()
    for channel in scenario.spend:
        if channel not in known:
            raise UnknownNameError.among("channel with spend in the last twelve months", channel, known=known)


def _spend_of_a_year(snapshot: Snapshot) -> pd.DataFrame:
    return snapshot.spend[snapshot.spend[c.DS] >= snapshot.as_of - pd.DateOffset(months=_LOOKBACK)]


def _scaled(new: Floats, more: Floats, scopes: Sequence[str]) -> Floats:
    """``new`` ``(scopes, draws, H)`` with means that are higher by ``more`` ``(scopes, H)``, in paths that still add up.

    A path grows or shrinks in proportion, so that none leaves 0 for below. Scopes scaled by different factors no longer add up path by
    path: they are made to, as the plain paths were, and raised to 0 where none of the plain ones was below.
    """
    mean = new.mean(axis=1)
    is_usual = mean > 0
    factor = np.maximum(1 + np.divide(more, mean, out=np.zeros_like(mean), where=is_usual), 0.0)
    scaled = new * factor[:, None] + np.where(is_usual, 0.0, more)[:, None]
    rows = constraints(scopes)
    lowest = np.where(new.min(axis=1) >= 0, 0.0, -np.inf)
    if not len(rows):
        return np.maximum(scaled, lowest[:, None])
    size = np.maximum(new.var(axis=(1, 2)), _LEAST_VARIANCE)
    if c.TOTAL in scopes:
        size[scopes.index(c.TOTAL)] *= _TOTAL_STAYS
    return raised(reconciled(scaled, rows, np.diag(size)), lowest, mean, rows, np.diag(size))


def _changed(book: Book, likelier: float, days: float) -> Book:
    won = _sooner(np.minimum(book.deals.won * likelier, 1.0), days)
    deals: OpenDeals = replace(book.deals, won=won)
    reached = np.stack([deals.chance(day) for day in book.days], axis=1)
    return replace(book, deals=deals, chance=np.diff(reached, axis=1, prepend=0.0))


def _sooner(won: Floats, days: float) -> Floats:
    """Win incidences moved so many days earlier; what would have been won before as_of is won on the first day."""
    at = np.arange(won.shape[1]) + days
    places = np.clip(at, 0, won.shape[1] - 1)
    low = np.minimum(places.astype(int), won.shape[1] - 2)
    moved = won[:, low] + (places - low) * (won[:, low + 1] - won[:, low])
    moved[:, 0] = 0.0
    return moved


def _of_later_deals(usual: Floats, ends: Floats, likelier: float, days: float) -> Floats:
    """What deals not yet open bring more in each month ahead ``(scopes, H)``, by their ``usual`` revenue so long after an origin.

    What would have come so many days later comes now. Within a month revenue is even; after the last month it goes on as in it.
    """
    bounds, far = np.concatenate([[0.0], ends]), ends[-1] + LAST_DAY
    rate = usual[:, -1] / (bounds[-1] - bounds[-2])
    reached = np.concatenate([np.zeros((len(usual), 1)), usual.cumsum(axis=1)], axis=1)
    reached = np.concatenate([reached, (reached[:, -1] + rate * LAST_DAY)[:, None]], axis=1)
    sooner = np.stack([np.interp(bounds + days, [*bounds, far], of_scope) for of_scope in reached])
    return likelier * np.diff(sooner, axis=1) - usual


def _days_to_ends(outlook: Outlook) -> Floats:
    """Days from as_of to the end of each month ahead ``(H,)``."""
    ends = outlook.months + pd.DateOffset(months=1)
    return np.asarray((ends - outlook.as_of) / pd.Timedelta(days=1), dtype=float)


def _usual_of_later_deals(outlook: Outlook, items: Items, snapshot: Snapshot) -> Floats:
    """Mean revenue of deals opened after an origin, by months after it ``(scopes, H)``, over the newest origins of a year."""
    horizon = outlook.new.shape[2]
    of_deals = Items(items.frame[items.frame[OPENED].notna()], items.is_linked)
    if not len(of_deals.frame):
        return np.zeros_like(outlook.booked)
    first = first_whole_month(items.frame[c.DS].min())
    return usual_rest(past_split(of_deals, snapshot.as_of, outlook.scopes, horizons=horizon, first=first))


def _win_rate(snapshot: Snapshot) -> float:
    """Of the deals closed within a year; 0 where none was."""
    deals = deal_table(snapshot)
    closed = deals[deals[CLOSED_AT] >= snapshot.as_of - pd.DateOffset(months=_LOOKBACK)]
    return float((closed[OUTCOME] == c.WON).mean()) if len(closed) else 0.0


def _likelier(rate: float, points: float) -> float:
    """Factor on every deal's chance that lifts the win rate by ``points``; raises `SettingsError` where it would leave 0 to 1."""
    if not points:
        return 1.0
    if rate <= 0 or not 0 <= rate + points <= 1:
        raise SettingsError(f"scenario: win_rate={points:+g} on {rate:.0%} of the deals closed in twelve months gives no rate from 0 to 1")
    return (rate + points) / rate


def _of_spend(outlook: Outlook, items: Items, snapshot: Snapshot, channel: str) -> Floats:
    """Revenue of the customers that the same spend once more brings ``(scopes, H)``, at their past cost and their usual first months."""
    since = snapshot.as_of - pd.DateOffset(months=_LOOKBACK)
    spend = _spend_of_a_year(snapshot)
    won = acquisitions(snapshot.orders)
    won = won.assign(**{c.CHANNEL: won[c.CUSTOMER_ID].map(snapshot.customers.set_index(c.CUSTOMER_ID)[c.CHANNEL])})
    brought = int(((won[c.DS] >= since) & (won[c.CHANNEL] == channel)).sum())
    unknown = "what more spend would bring is not known"
    if not brought:
        raise SettingsError(f"scenario: {channel} brought no new customer in the last twelve months: {unknown}")
    if float(spend.loc[spend[c.CHANNEL] == channel, c.COST].sum()) <= 0:
        raise SettingsError(f"scenario: the spend of {channel} in the last twelve months is 0: {unknown}")
    extra = brought / _LOOKBACK  # a month's spend, and with it its customers, at the past cost of one
    by_age = _first_months(items, won[won[c.CHANNEL] == channel], snapshot, outlook)
    lag = round(lag_of(snapshot) / _DAYS_A_MONTH)
    horizon = outlook.new.shape[2]
    found = np.zeros((len(outlook.scopes), horizon))
    for begin in range(lag, horizon):
        share = _share_left(outlook) if begin == lag else 1.0
        found[:, begin:] += share * extra * by_age[:, : horizon - begin]
    return found


def _share_left(outlook: Outlook) -> float:
    """How much of the running month is still to come: only that can be spent otherwise."""
    return float(_days_to_ends(outlook)[0] / outlook.months[0].days_in_month)


def _first_months(items: Items, won: pd.DataFrame, snapshot: Snapshot, outlook: Outlook) -> Floats:
    """Mean revenue per customer in the months since its first order ``(scopes, H)``, over customers won one to three years ago."""
    horizon = outlook.new.shape[2]
    old = won[(won[c.DS] < snapshot.as_of - pd.DateOffset(months=_LOOKBACK)) & (won[c.DS] >= snapshot.as_of - pd.DateOffset(years=3))]
    if not len(old):
        raise SettingsError("scenario: nobody of this channel was won one to three years ago: what its customers bring is not known")
    begun = items.frame[c.CUSTOMER_ID].map(old.set_index(c.CUSTOMER_ID)[c.DS])
    rows = items.frame[begun.notna()]
    age = ((rows[c.DS] - begun[begun.notna()]) / pd.Timedelta(days=_DAYS_A_MONTH)).astype(int)
    belongs = membership(rows, outlook.scopes).astype(float)
    weights = belongs * rows[c.AMOUNT].to_numpy(float)
    inside = ((age >= 0) & (age < horizon)).to_numpy()
    return np.stack([np.bincount(age[inside], weights=row[inside], minlength=horizon) for row in weights]) / len(old)
