"""Accounts without an order yet: when will they buy first, and what is that worth. Everything is shrunk towards the company's mean.

The wait for the first purchase is Lomax (an exponential whose rate differs between accounts as Gamma(shape, scale)), so an account that has
been silent for long is worth less than a new one. Segments move the shape, and the value of a purchase, by shrunk ratios.
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

# one conversion per year and account, give or take a factor of 5: only felt where a company has next to no accounts
_PRIOR_MEAN = np.log([1.0, 365.0])
_PRIOR_SD = np.array([0.7, 1.6])
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


@dataclass(frozen=True)
class AccountPrior:
    """Wait for the first purchase: P(wait > w) = (scale / (scale + w)) ** shape, in days; ratios by segment, 1 for unknown ones."""

    shape: float
    scale: float
    shape_ratio: dict[str, float]
    value_ratio: dict[str, float]

    def p_first_purchase(self, days: float, *, age: Floats, segment: pd.Series) -> Floats:
        """P(first purchase in (age, age + days] | none by ``age``)."""
        shape = self.shape * _looked_up(self.shape_ratio, segment)
        return -np.expm1(-shape * np.log1p(days / (self.scale + age)))

    def waits(self, uniform: float, *, age: Floats, segment: pd.Series) -> Floats:
        """The ``uniform`` quantile of the days from ``age`` to the first purchase."""
        shape = self.shape * _looked_up(self.shape_ratio, segment)
        return (self.scale + age) * np.expm1(-np.log1p(-uniform) / shape)

    def expected_purchases(self, days: float, *, age: Floats, segment: pd.Series, btyd: Btyd) -> Floats:
        """First purchase and those after it within ``days``: Gauss-Legendre over the distribution of the first one's date."""
        by_then = self.p_first_purchase(days, age=age, segment=segment)
        left = np.linspace(0.0, days, 65)
        zero = np.zeros(1)
        repeats = np.array([btyd.expected_purchases(float(t), zero, zero, zero)[0] if t > 0 else 0.0 for t in left])
        after = np.zeros(len(age))
        shape = self.shape * _looked_up(self.shape_ratio, segment)
        for node, weight in zip(0.5 * (_NODES + 1.0), 0.5 * _WEIGHTS, strict=True):
            wait = (self.scale + age) * np.expm1(-np.log1p(-node * by_then) / shape)
            after += weight * np.interp(days - wait, left, repeats)
        return by_then * (1.0 + after)

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
        shape, scale = np.exp(theta)
        log_gone = np.log1p(wait / scale)
        n = event.sum()
        value = n * (theta[0] - theta[1]) - shape * log_gone.sum() - log_gone[event].sum()
        ratio = wait / (scale + wait)
        gradient = np.array([n - shape * log_gone.sum(), -n + shape * ratio.sum() + ratio[event].sum()])
        deviation = (theta - _PRIOR_MEAN) / _PRIOR_SD
        return -(value - 0.5 * deviation @ deviation) / (len(wait) + 1), -(gradient - deviation / _PRIOR_SD) / (len(wait) + 1)

    bounds = [(-7.0, 5.0), (-2.0, 12.0)]
    found = minimize(objective, _PRIOR_MEAN, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 200, "gtol": 1e-8})
    shape, scale = (float(number) for number in np.exp(found.x))
    counts = pd.DataFrame({"expected": shape * np.log1p(wait / scale), "happened": event}).groupby(table.loc[chosen, c.SEGMENT].to_numpy())
    expected, happened = counts["expected"].sum(), counts["happened"].sum()
    shape_ratio = ((happened + shrinkage) / (expected + shrinkage)).to_dict()
    mean = float(value.mean())
    by_segment = value.groupby(table[c.SEGMENT]).agg(["sum", "count"])
    value_ratio = ((by_segment["sum"] + shrinkage * mean) / (by_segment["count"] + shrinkage) / mean).to_dict()
    return AccountPrior(shape, scale, _plain(shape_ratio), _plain(value_ratio))


def _plain(ratios: dict[Any, Any]) -> dict[str, float]:
    return {str(name): float(ratio) for name, ratio in ratios.items()}


def _looked_up(ratios: dict[str, float], segment: pd.Series) -> Floats:
    return np.asarray(segment.map(ratios).fillna(1.0), dtype=np.float64)
