"""Contractual business: segments whose customers pay at even intervals, where a payment that stays out is a customer lost.

A segment counts as contractual by the shape of its own data: most of its repeat customers pay at (nearly) the same interval. Whoever is
late by more than half a period has left. What the others are still worth follows from `shifted_beta_geometric`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.features import rfm
from predictkpi.features.purchase_days import Floats
from predictkpi.predictors.clv.shifted_beta_geometric import ShiftedBetaGeometric, fit_shifted_beta_geometric, renewals_and_losses

LATE = 1.5
"""Periods since the last payment after which a contract has lapsed."""
FEWEST_CUSTOMERS = 30
"""With three payments at least: fewer do not show a rhythm."""
MOST_SPREAD = 0.15
"""Spread of a customer's gaps over their mean that still is an even interval: months have 28 to 31 days."""
WITHIN = 0.15
"""How far a customer's mean gap may lie from the segment's period."""
EVEN_SHARE = 0.8
SHORTEST_PERIOD = 6.0


@dataclass(frozen=True)
class Contract:
    """``period`` in days, and the retention model of a segment."""

    period: float
    model: ShiftedBetaGeometric

    def is_active(self, rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Not late by more than half a period: ``(n,)``."""
        return rows["days_since_last"].to_numpy(float) <= LATE * self.period

    def due(self, rows: pd.DataFrame, days: Floats) -> npt.NDArray[np.int64]:
        """Payments that fall within each of ``days`` if the customer stays: ``(n, n_horizons)``; one that is late is due at once."""
        since = rows["days_since_last"].to_numpy(float)[:, None]
        return np.maximum(np.ceil((since + days) / self.period - 1e-9) - 1.0, 0.0).astype(np.int64)

    def counts(self, rows: pd.DataFrame, days: Floats) -> Floats:
        """Expected payments within each of ``days``: ``(n, n_horizons)``."""
        survived, due = rows[rfm.FREQUENCY].to_numpy(float), self.due(rows, days)
        total, stays = np.zeros(due.shape), np.ones(len(rows))
        for ahead in range(int(due.max(initial=0))):
            stays = stays * self.model.retention(survived + ahead + 1.0)
            total += stays[:, None] * (due > ahead)
        return total * self.is_active(rows)[:, None]


def find_contracts(bought: pd.DataFrame, *, prior_weight: float) -> dict[str, Contract]:
    """The contractual segments among rows of a CLV table with a purchase, by name; an empty name is customers without a segment."""
    found = {}
    for segment, rows in bought.groupby(c.SEGMENT):
        period = _period(rows)
        if period is not None:
            lapsed = rows["days_since_last"].to_numpy(float) > LATE * period
            decisions = renewals_and_losses(rows[rfm.FREQUENCY].to_numpy(np.int64), lapsed)
            if decisions[0].sum() + decisions[1].sum() > 0:
                found[str(segment)] = Contract(period, fit_shifted_beta_geometric(*decisions, prior_weight=prior_weight))
    return found


def _period(rows: pd.DataFrame) -> float | None:
    """The interval that the segment's customers pay at, in days; None where there is none.

    Most of those who came back, and of all purchases, must be of customers who pay evenly: a few subscribers among shoppers make no
    contractual segment. Two payments are even if they are one period apart.
    """
    repeat = rows[rows[rfm.PURCHASES] >= 2]
    shown = repeat[rfm.PURCHASES] >= 3
    if shown.sum() < FEWEST_CUSTOMERS:
        return None
    gap, spread = repeat["gap"].to_numpy(float), np.nan_to_num(repeat["gap_spread"].to_numpy(float))
    period = float(np.median(gap[shown.to_numpy()]))
    even = (spread <= MOST_SPREAD) & (np.abs(gap / period - 1.0) <= WITHIN)
    of_purchases = repeat.loc[even, rfm.PURCHASES].sum() / rows[rfm.PURCHASES].sum()
    return period if period >= SHORTEST_PERIOD and min(even.mean(), of_purchases) >= EVEN_SHARE else None


@dataclass(frozen=True)
class Contracts:
    """All contractual segments of a company."""

    by_segment: dict[str, Contract]

    def places(self, bought: pd.DataFrame) -> dict[str, npt.NDArray[np.intp]]:
        """Positions of the customers of each contractual segment."""
        segment = bought[c.SEGMENT].to_numpy(object)
        return {name: np.flatnonzero(segment == name) for name in self.by_segment}

    def to_state(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return {name: {"period": found.period, "model": asdict(found.model)} for name, found in self.by_segment.items()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Inverse of `to_state`."""
        return cls({name: Contract(float(held["period"]), ShiftedBetaGeometric(**held["model"])) for name, held in state.items()})
