"""What the deals open at as_of bring in each month ahead: expected, and drawn jointly, by scope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Book:
    """The open deals, month by month.

    ``chance`` ``(deals, H)``: to be won in each month ahead, the first being the rest of the running one; ``amount`` ``(deals,)``, 0
    where none is known; ``belongs`` ``(scopes, deals)``; ``curve`` ``(K,)``: revenue booked 0, 1, ... months after a win, as shares of
    the won amount; ``backlog`` ``(scopes, H)``: revenue still to come from deals won before as_of.
    """

    deals: OpenDeals
    days: Floats
    chance: Floats
    amount: Floats
    belongs: Floats
    curve: Floats
    backlog: Floats

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
        curve = booking_curve(items, snapshot)
        return cls(
            deals=deals,
            days=days,
            chance=chance,
            amount=deals.inputs[c.AMOUNT].fillna(0.0).to_numpy(float),
            belongs=membership(rows, scopes).astype(float),
            curve=curve,
            backlog=_backlog(snapshot, curve, scopes, horizon) if items.is_linked else np.zeros((len(scopes), horizon)),
        )

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


def booking_curve(items: Items, snapshot: Snapshot) -> Floats:
    """Shares of a won amount that were booked 0, 1, ... months after the win, over the wins of the last two years.

    A share is taken over the wins that are at least so old. ``[1.]`` where no deal has been won, or orders do not name their deals.
    """
    deals = deal_table(snapshot)
    won = deals[
        (deals[OUTCOME] == c.WON) & deals[c.AMOUNT].notna() & (deals[CLOSED_AT] >= snapshot.as_of - pd.DateOffset(years=_CURVE_YEARS))
    ]
    if not len(won) or not items.is_linked:
        return np.ones(1)
    age = _months(won[CLOSED_AT], snapshot.as_of)
    orders = snapshot.orders[[c.DEAL_ID, c.DS, c.AMOUNT]].merge(won[[c.DEAL_ID, CLOSED_AT]], on=c.DEAL_ID)
    lag = _months(orders[CLOSED_AT], orders[c.DS]).clip(lower=0)
    shares = []
    for month in range(_CURVE_MONTHS):
        old = won[age > month]
        of_old = orders[(lag == month) & orders[c.DEAL_ID].isin(old[c.DEAL_ID])]
        amount = float(old[c.AMOUNT].sum())
        shares.append(float(of_old[c.AMOUNT].sum()) / amount if amount > 0 else 0.0)
    curve = np.maximum(shares, 0.0)
    last = np.flatnonzero(curve > 0)
    return curve[: last[-1] + 1] if len(last) else np.ones(1)


def _backlog(snapshot: Snapshot, curve: Floats, scopes: Sequence[str], horizon: int) -> Floats:
    """What deals won before as_of are still to bring, by the curve; nothing where a deal has brought its amount on the day of the win."""
    deals = deal_table(snapshot)
    won = deals[(deals[OUTCOME] == c.WON) & deals[c.AMOUNT].notna()]
    rows = with_members(won[[c.DEAL_ID, c.CUSTOMER_ID, c.PRODUCT, c.TEAM, c.AMOUNT]], snapshot)
    age = _months(won[CLOSED_AT], snapshot.as_of).to_numpy()
    found = np.zeros((len(won), horizon))
    for step in range(horizon):
        place = age + step
        later = (place < len(curve)) & (place > 0)
        found[later, step] = rows[c.AMOUNT].to_numpy(float)[later] * curve[place[later]]
    return membership(rows, scopes).astype(float) @ found


def _months(earlier: pd.Series, later: pd.Series | pd.Timestamp) -> pd.Series:
    if isinstance(later, pd.Timestamp):
        return (later.year - earlier.dt.year) * 12 + later.month - earlier.dt.month
    return (later.dt.year - earlier.dt.year) * 12 + later.dt.month - earlier.dt.month
