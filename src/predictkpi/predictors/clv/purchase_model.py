"""Purchase and spend models of one cohort together: MBG/NBD says how often, Gamma-Gamma how much, refunds take their share."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from predictkpi.features import rfm
from predictkpi.features.purchase_days import Floats
from predictkpi.predictors.clv.btyd import Btyd, fit_btyd
from predictkpi.predictors.clv.gamma_gamma import GammaGamma, fit_gamma_gamma

LEAST_NET_SHARE = 0.05
"""A customer who sent back (nearly) everything still bought: their purchases keep this share of their gross value."""
LARGEST_PURCHASE = 100.0
"""Median purchases that a customer's mean one may count for in the spend model: one giant must not say what the others' are worth."""


@dataclass(frozen=True)
class PurchaseModel:
    """``net_share``: what refunds leave of all purchases' value beyond what each customer's own already took."""

    btyd: Btyd
    spend: GammaGamma
    net_share: float

    @classmethod
    def fit(cls, bought: pd.DataFrame, *, modified: bool | None, prior_weight: float) -> Self:
        """From rows of a CLV table with a purchase: MBG/NBD (``modified``) or BG/NBD, or None for the one of greater likelihood."""
        choices = (True, False) if modified is None else (modified,)
        fitted = [fit_btyd(*histories(bought), modified=choice, prior_weight=prior_weight) for choice in choices]
        btyd = max(fitted, key=lambda model: model.loglik)
        spent, purchases = spent_of(bought), bought[rfm.PURCHASES].to_numpy(float)
        each = spent / purchases
        spend = fit_gamma_gamma(purchases, np.minimum(each, LARGEST_PURCHASE * np.median(each)), prior_weight=prior_weight)
        return cls(btyd, spend, float(np.clip(bought[rfm.TOTAL].sum() / spent.sum(), LEAST_NET_SHARE, 1.0)))

    def p_alive(self, bought: pd.DataFrame) -> Floats:
        """P(still a customer) of each row with a purchase: ``(n,)``."""
        return self.btyd.p_alive(*histories(bought))

    def counts(self, bought: pd.DataFrame, days: Floats) -> Floats:
        """Expected purchases within each of ``days``: ``(n, n_horizons)``."""
        x, _, T = histories(bought)
        alive = self.p_alive(bought)
        return np.stack([alive * self.btyd.purchases_if_alive(float(t), x, T) for t in days], axis=1)

    def value(self, bought: pd.DataFrame) -> Floats:
        """Expected net value of a future purchase of each row: ``(n,)``."""
        purchases = bought[rfm.PURCHASES].to_numpy(float)
        return self.spend.expected_value(purchases, spent_of(bought) / purchases) * self.net_share

    def to_state(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return {"btyd": asdict(self.btyd), "spend": asdict(self.spend), "net_share": self.net_share}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Inverse of `to_state`."""
        return cls(Btyd(**state["btyd"]), GammaGamma(**state["spend"]), float(state["net_share"]))


def histories(bought: pd.DataFrame) -> tuple[Floats, Floats, Floats]:
    """Frequency, recency and T."""
    frequency, recency, age = (bought[name].to_numpy(float) for name in (rfm.FREQUENCY, rfm.RECENCY, rfm.T))
    return frequency, recency, age


def spent_of(bought: pd.DataFrame) -> Floats:
    """Net of refunds, held above 0 as Gamma-Gamma needs; ``net_share`` takes back in total what this adds."""
    return np.maximum(bought[rfm.TOTAL].to_numpy(float), LEAST_NET_SHARE * bought[rfm.GROSS].to_numpy(float))
