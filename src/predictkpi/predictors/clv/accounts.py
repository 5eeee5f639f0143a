"""Accounts without an order yet: when will they buy first, and what is that worth. Everything is shrunk towards the company's mean.

The wait for the first purchase is a mixture of two exponentials: a share of the accounts buys soon, the others hardly ever. An account that
has been silent for long is therefore worth little, but as much more than nothing as the company's own experience with such accounts allows.
Segments move the odds of buying soon, and the value of a purchase, by shrunk ratios.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize

from predictkpi.core import columns as c
from predictkpi.features import rfm
from predictkpi.predictors.clv.btyd import Btyd
from predictkpi.predictors.clv.table import ACCOUNT_DAYS, HISTORY_DAYS

Floats = npt.NDArray[np.float64]

# (log odds of buying soon, log rate per day if soon, log rate per day if not): 2 in 10 within some months, the others in ten years; wide
_PRIOR_MEAN = np.array([-1.4, np.log(1.0 / 60.0), np.log(1.0 / 3650.0)])
_PRIOR_SD = np.array([1.5, 1.2, 1.5])
# soon is within three years on average, and the rest is slower than that
_BOUNDS = [(-8.0, 8.0), (-7.0, 2.0), (-14.0, -7.0)]
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


@dataclass(frozen=True)
class AccountPrior:
    """Odds of buying soon for an account just opened, and the two rates per day; ratios by segment, 1 for unknown ones."""

    odds: float
    rate: float
    slow_rate: float
    odds_ratio: dict[str, float]
    value_ratio: dict[str, float]

    def p_soon(self, *, age: Floats, segment: pd.Series) -> Floats:
        """P(one of those who buy soon | nothing by ``age`` days)."""
        odds = self.odds * _looked_up(self.odds_ratio, segment) * np.exp(-(self.rate - self.slow_rate) * age)
        return odds / (1.0 + odds)

    def p_first_purchase(self, days: float, *, age: Floats, segment: pd.Series) -> Floats:
        """P(first purchase in (age, age + days] | none by ``age``)."""
        soon = self.p_soon(age=age, segment=segment)
        return -soon * np.expm1(-self.rate * days) - (1.0 - soon) * np.expm1(-self.slow_rate * days)

    def waits(self, uniform: float, *, p_soon: Floats) -> Floats:
        """Days to the first purchase from one uniform number: its place picks the kind of account, what is left of it the wait."""
        soon = p_soon > uniform
        left = np.where(soon, uniform / np.where(soon, p_soon, 1.0), (uniform - p_soon) / np.maximum(1.0 - p_soon, 1e-12))
        return -np.log1p(-np.clip(left, 0.0, 1.0 - 1e-12)) / np.where(soon, self.rate, self.slow_rate)

    def expected_purchases(self, days: float, *, age: Floats, segment: pd.Series, btyd: Btyd) -> Floats:
        """First purchase and those after it within ``days``: Gauss-Legendre over the distribution of the first one's date."""
        soon = self.p_soon(age=age, segment=segment)
        zero, total = np.zeros(1), np.zeros(len(age))
        for share, rate in ((soon, self.rate), (1.0 - soon, self.slow_rate)):
            by_then = -np.expm1(-rate * days)
            wait = -np.log1p(-0.5 * (_NODES + 1.0) * by_then) / rate
            after = np.array([btyd.expected_purchases(float(days - w), zero, zero, zero)[0] for w in wait])
            total += share * by_then * (1.0 + 0.5 * float(_WEIGHTS @ after))
        return total

    def value_ratios(self, segment: pd.Series) -> Floats:
        """Value of a purchase in the segment over the company's."""
        return _looked_up(self.value_ratio, segment)

    def to_state(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return asdict(self)


def fit_account_prior(table: pd.DataFrame, value: pd.Series, *, shrinkage: float) -> AccountPrior:
    """Learn waits and segment ratios from all customers of a CLV table.

    Parameters: ``value`` (aligned to ``table``) mean value of a purchase, NaN without one; ``shrinkage`` counts as that many customers (or
    conversions) of the company's mean in every segment.
    """
    converted = (table[rfm.PURCHASES] > 0).to_numpy()
    refunds_only = (table[rfm.ORDERS] > 0).to_numpy() & ~converted
    waited = np.where(converted, table[ACCOUNT_DAYS] - table[rfm.T], table[ACCOUNT_DAYS])
    # who buys on the day the account is opened never was an account without an order: waits count from the end of that day
    # and of accounts older than the order history nobody knows whether they bought before it
    chosen = ~refunds_only & (waited > 1.0) & (table[ACCOUNT_DAYS] <= table[HISTORY_DAYS]).to_numpy()
    wait, event = waited[chosen] - 1.0, converted[chosen]

    def objective(theta: Floats) -> tuple[float, Floats]:
        value, gradient = wait_likelihood(theta, wait=wait, event=event)
        deviation = (theta - _PRIOR_MEAN) / _PRIOR_SD
        value -= 0.5 * float(deviation @ deviation)
        return -value / (len(wait) + 1), -(gradient - deviation / _PRIOR_SD) / (len(wait) + 1)

    found = minimize(objective, _PRIOR_MEAN, jac=True, method="L-BFGS-B", bounds=_BOUNDS, options={"maxiter": 200, "gtol": 1e-8})
    odds, rate, slow_rate = (float(number) for number in np.exp(found.x))
    soon = odds / (1.0 + odds)
    expected_by_now = -soon * np.expm1(-rate * wait) - (1.0 - soon) * np.expm1(-slow_rate * wait)
    counts = pd.DataFrame({"expected": expected_by_now, "happened": event}).groupby(table.loc[chosen, c.SEGMENT].to_numpy())
    expected, happened = counts["expected"].sum(), counts["happened"].sum()
    odds_ratio = ((happened + shrinkage) / (expected + shrinkage)).to_dict()
    mean = float(value.mean())
    by_segment = value.groupby(table[c.SEGMENT]).agg(["sum", "count"])
    value_ratio = ((by_segment["sum"] + shrinkage * mean) / (by_segment["count"] + shrinkage) / mean).to_dict()
    return AccountPrior(odds, rate, slow_rate, _plain(odds_ratio), _plain(value_ratio))


def wait_likelihood(theta: Floats, *, wait: Floats, event: npt.NDArray[np.bool_]) -> tuple[float, Floats]:
    """Log-likelihood of waits (days; ``event`` false = still waiting) and its gradient in (log odds, log rate, log slow rate)."""
    soon, fast, slow = 1.0 / (1.0 + np.exp(-theta[0])), np.exp(theta[1]), np.exp(theta[2])
    # density where the purchase came, survival where it has not
    one = np.exp(-fast * wait) * np.where(event, fast, 1.0)
    other = np.exp(-slow * wait) * np.where(event, slow, 1.0)
    both = soon * one + (1.0 - soon) * other
    by_odds = soon * (1.0 - soon) * (one - other) / both
    by_fast = soon * one * (event - fast * wait) / both
    by_slow = (1.0 - soon) * other * (event - slow * wait) / both
    return float(np.log(both).sum()), np.array([by_odds.sum(), by_fast.sum(), by_slow.sum()])


def _plain(ratios: dict[Any, Any]) -> dict[str, float]:
    return {str(name): float(ratio) for name, ratio in ratios.items()}


def _looked_up(ratios: dict[str, float], segment: pd.Series) -> Floats:
    return np.asarray(segment.map(ratios).fillna(1.0), dtype=np.float64)
