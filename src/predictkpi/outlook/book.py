"""What the deals open at as_of bring in each month ahead: expected, and drawn jointly, by scope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import future_periods, shift
from predictkpi.kpis.deals import CLOSED_AT, OUTCOME, deal_table
from predictkpi.outlook.items import Items, membership
from predictkpi.outlook.weighted import weighted_pipeline
from predictkpi.predictors.close_time.portfolio import OpenDeals
from predictkpi.predictors.close_time.spec import LAST_DAY
from predictkpi.predictors.revenue.table import with_members
from predictkpi.protocol import Predictor
from predictkpi.snapshot import Snapshot

Floats = npt.NDArray[np.float64]

_CURVE_MONTHS = 12
_CURVE_YEARS = 2
_DAYS_A_MONTH = 365.25 / 12
_MOST_BEHIND = 2.0
DAYS = np.array([0.0, 1, 2, 4, 7, 10, 14, 21, *np.arange(30, 366, 15)])
"""Ages at which the booking curve is read."""


@dataclass(frozen=True)
class Book:
    """The open deals, month by month.

    ``chance`` ``(deals, H)``: to be won in each month ahead, the first being the rest of the running one; ``amount`` ``(deals,)``, less
    what orders of the deal have booked already, 0 where none is known; ``belongs`` ``(scopes, deals)``; ``curve`` ``(K,)``: revenue booked
    0, 1, ... months after a win, as shares of the won amount; ``owed`` is revenue still to come from deals won before as_of, one row a
    deal and one column a month, and ``owing`` ``(scopes, won deals)`` which of them belong to a scope.
    """

    deals: OpenDeals
    days: Floats
    chance: Floats
    amount: Floats
    belongs: Floats
    curve: Floats
    owed: pd.DataFrame
    owing: Floats

    @classmethod
    def of(cls, predictor: Predictor, snapshot: Snapshot, items: Items, scopes: Sequence[str], horizon: int) -> Book:
        """All deals open at as_of as ``predictor``, a fitted close-time predictor, sees them."""
        deals = OpenDeals.of(predictor, snapshot)
        months = future_periods(snapshot.as_of, horizon, "M")
        ends = [shift(month, 1, "M") for month in months]
        days = np.minimum([(end - snapshot.as_of) / pd.Timedelta(days=1) for end in ends], float(LAST_DAY))
        reached = np.stack([deals.chance(day) for day in days], axis=1) if len(deals.inputs) else np.zeros((0, horizon))
        chance = np.diff(reached, axis=1, prepend=0.0)
        ids = deals.inputs[c.ENTITY_ID]
        rows = with_members(snapshot.deals.set_index(c.DEAL_ID).reindex(ids)[[c.CUSTOMER_ID, c.PRODUCT, c.TEAM]].reset_index(), snapshot)
        left = (deals.inputs[c.AMOUNT] - ids.map(_booked_by_deal(snapshot)).fillna(0.0)).clip(lower=0.0)
        deals = replace(deals, inputs=deals.inputs.assign(**{c.AMOUNT: left}))
        reached_by = Booking.learn(items, snapshot)
        owed, owing = _owed(snapshot, reached_by, ends, is_linked=items.is_linked)
        return cls(
            deals=deals,
            days=days,
            chance=chance,
            amount=deals.inputs[c.AMOUNT].fillna(0.0).to_numpy(float),
            belongs=membership(rows, scopes).astype(float),
            curve=reached_by.by_month(),
            owed=owed,
            owing=membership(owing, scopes).astype(float),
        )

    @property
    def backlog(self) -> Floats:
        """Revenue still to come from deals won before as_of ``(scopes, H)``."""
        return self.owing @ self.owed.to_numpy(float)

    def by_deal(self) -> Floats:
        """Expected revenue of each deal in each month ``(deals, H)``."""
        return booked(self.amount[:, None] * self.chance, self.curve)

    def expected(self) -> Floats:
        """Expected revenue of the open deals ``(scopes, H)``."""
        return self.belongs @ self.by_deal()

    def weighted(self, snapshot: Snapshot) -> Floats:
        """The plain weighted pipeline ``(scopes, H)``, for comparison; see `weighted_pipeline`."""
        months = future_periods(snapshot.as_of, len(self.days), "M")
        return self.belongs @ weighted_pipeline(snapshot, self.deals.inputs[c.ENTITY_ID], months)

    def draw(self, draws: int, seed: int) -> Floats:
        """Sample paths of the open deals' revenue ``(scopes, draws, H)``; scopes add up as their deals do, in every path."""
        won = self.deals.draw_periods(self.days, self.belongs, draws=draws, seed=seed)
        return booked(won, self.curve)


def booked(won: Floats, curve: Floats) -> Floats:
    """Revenue by month ``(..., H)`` of amounts won by month ``(..., H)``."""
    found = np.zeros_like(won)
    for lag, share in enumerate(curve[: won.shape[-1]]):
        found[..., lag:] += share * won[..., : won.shape[-1] - lag]
    return found


@dataclass(frozen=True)
class Booking:
    """Share ``reached`` of a won amount that is booked within ``DAYS`` after the win, never falling."""

    reached: Floats

    @classmethod
    def learn(cls, items: Items, snapshot: Snapshot) -> Booking:
        """Over the wins of the last two years; each share over those that are at least so old.

        All on the day of the win where no deal has been won, or orders do not name their deals.
        """
        deals = deal_table(snapshot)
        since = snapshot.as_of - pd.DateOffset(years=_CURVE_YEARS)
        won = deals[(deals[OUTCOME] == c.WON) & deals[c.AMOUNT].notna() & (deals[CLOSED_AT] >= since)]
        if not items.is_linked or not float(won[c.AMOUNT].sum()) > 0:
            return cls(np.ones(len(DAYS)))
        age = _days(won[CLOSED_AT], snapshot.as_of)
        orders = snapshot.orders[[c.DEAL_ID, c.DS, c.AMOUNT]].merge(won[[c.DEAL_ID, CLOSED_AT]], on=c.DEAL_ID)
        lag = _days(orders[CLOSED_AT], orders[c.DS])
        shares = []
        for days in DAYS:
            old = won[age >= days]
            amount = float(old[c.AMOUNT].sum())
            of_old = orders[c.DEAL_ID].isin(old[c.DEAL_ID]) & (lag <= days)
            shares.append(float(orders.loc[of_old, c.AMOUNT].sum()) / amount if amount > 0 else np.nan)
        known = pd.Series(shares).ffill().fillna(1.0).to_numpy(float)
        return cls(np.maximum.accumulate(np.maximum(known, 0.0)))

    def within(self, days: Floats) -> Floats:
        """Share that is booked by so many days after the win; none before it."""
        return np.where(days < 0, 0.0, np.interp(days, DAYS, self.reached))

    def by_month(self) -> Floats:
        """Shares booked 0, 1, ... months after the month of the win, of wins on any day of it alike, up to the last that is."""
        of_month = np.arange(0.5, 30.0) / 30.0 * _DAYS_A_MONTH
        ends = np.arange(1, _CURVE_MONTHS + 1)[:, None] * _DAYS_A_MONTH - of_month
        shares = np.diff(self.within(ends).mean(axis=1), prepend=0.0)
        last = np.flatnonzero(shares > 1e-6)
        return shares[: last[-1] + 1] if len(last) else np.ones(1)


def _booked_by_deal(snapshot: Snapshot) -> pd.Series:
    orders = snapshot.orders
    return orders[orders[c.DEAL_ID].notna()].groupby(c.DEAL_ID)[c.AMOUNT].sum()


def _owed(snapshot: Snapshot, booking: Booking, ends: Sequence[pd.Timestamp], *, is_linked: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What deals won before as_of are still to bring by each of the month ends, and their members.

    What the booking curve has left for a deal of its age, in the proportion in which its own orders are behind it, twice at most; nothing
    of one that has brought its amount, and nothing where orders do not name their deals. A deal won within a month that has no order yet
    is waited for: what it should have booked comes in the running month.
    """
    deals = deal_table(snapshot)
    won = deals[(deals[OUTCOME] == c.WON) & (deals[c.AMOUNT] > 0)] if is_linked else deals.iloc[:0]
    rows = with_members(won[[c.DEAL_ID, c.CUSTOMER_ID, c.PRODUCT, c.TEAM, c.AMOUNT]], snapshot)
    amount, age = won[c.AMOUNT].to_numpy(float), _days(won[CLOSED_AT], snapshot.as_of).to_numpy(float)
    open_share = np.maximum(1 - won[c.DEAL_ID].map(_booked_by_deal(snapshot)).fillna(0.0).to_numpy(float) / amount, 0.0)
    usually_open = booking.reached[-1] - booking.within(age)
    behind = np.clip(np.divide(open_share, usually_open, out=np.zeros_like(open_share), where=usually_open > 1e-9), 0.0, _MOST_BEHIND)
    later = np.array([(end - snapshot.as_of) / pd.Timedelta(days=1) for end in ends])
    to_come = np.diff(booking.within(age[:, None] + later), axis=1, prepend=booking.within(age)[:, None])
    found = amount[:, None] * behind[:, None] * to_come
    waited = (age <= _DAYS_A_MONTH) & (open_share >= 1)
    found[waited, 0] += (amount * np.maximum(booking.within(age) - (behind - 1) * usually_open, 0.0))[waited]
    return pd.DataFrame(found, index=won[c.DEAL_ID].to_numpy()), rows


def _days(earlier: pd.Series, later: pd.Series | pd.Timestamp) -> pd.Series:
    return (later - earlier) / pd.Timedelta(days=1)
