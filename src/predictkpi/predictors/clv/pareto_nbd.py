"""Pareto/NBD: the purchase model in which a customer may leave at any moment, not only after a purchase as in `btyd`.

Sources: Schmittlein, Morrison & Colombo (1987), "Counting your customers", Management Science 33(1); Fader & Hardie (2005), "A note on
deriving the Pareto/NBD model and related expressions", cited below as FH with the note's equation numbers.

While alive a customer buys at rate ``lambda ~ Gamma(r, alpha)`` and leaves at rate ``mu ~ Gamma(s, beta)``. Arrays are ``(n,)``; recency
and T may be in any unit of time, and alpha and beta are in the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, gammaln, hyp2f1

from predictkpi.errors import InsufficientDataError
from predictkpi.predictors.clv.btyd import distinct

Floats = npt.NDArray[np.float64]
_LOG_BOUND = 9.0
# (log r, log alpha / mean T, log s, log beta / mean T): where the search begins, near published fits
_START = np.log([0.5, 0.5, 0.5, 0.5])


@dataclass(frozen=True)
class ParetoNbd:
    """A fitted or given model. ``loglik`` and ``n_customers`` are of the data it was fitted on."""

    r: float
    alpha: float
    s: float
    beta: float
    loglik: float = float("nan")
    n_customers: int = 0

    def log_likelihood(self, frequency: Floats, recency: Floats, T: Floats) -> Floats:
        """Log-likelihood of each customer's history, FH (18)."""
        r, s = self.r, self.s
        rates = gammaln(r + frequency) - gammaln(r) + r * np.log(self.alpha) + s * np.log(self.beta)
        alive = -(r + frequency) * np.log(self.alpha + T) - s * np.log(self.beta + T)
        return rates + alive + np.logaddexp(0.0, self._log_odds_gone(frequency, recency, T))

    def p_alive(self, frequency: Floats, recency: Floats, T: Floats) -> Floats:
        """P(alive at T | history), FH (36) and (37)."""
        return expit(-self._log_odds_gone(frequency, recency, T))

    def expected_purchases(self, t: float, frequency: Floats, recency: Floats, T: Floats) -> Floats:
        """E[purchases in (T, T + t] | history], FH (41)."""
        rate = (self.r + frequency) / (self.alpha + T)
        # (41)'s 1/(s - 1) part is an integral of survival, the logarithm at s = 1
        later = np.log1p(t / (self.beta + T))
        lived = later if abs(self.s - 1.0) < 1e-9 else -np.expm1(-(self.s - 1.0) * later) / (self.s - 1.0)
        return self.p_alive(frequency, recency, T) * rate * (self.beta + T) * lived

    def _log_odds_gone(self, frequency: Floats, recency: Floats, T: Floats) -> Floats:
        """Log of P(gone, history) over P(alive, history): the two terms of FH (18)."""
        # both parts of A0 divided by the alive term; the first is never the smaller
        first, last = self._log_part(frequency, recency), self._log_part(frequency, T)
        with np.errstate(divide="ignore"):
            log_difference = first + np.log(-np.expm1(np.minimum(last - first, 0.0)))
        to_alive = (self.r + frequency) * np.log(self.alpha + T) + self.s * np.log(self.beta + T)
        return np.log(self.s) - np.log(self.r + self.s + frequency) + log_difference + to_alive

    def _log_part(self, frequency: Floats, at: Floats) -> Floats:
        """Log of one half of A0, FH (19) and (20), at an instant.

        Euler's transformation turns 2F1 into one with an upper parameter of 1: no overflow where a customer bought hundreds of times.
        """
        shape = self.r + self.s + frequency
        long, short = max(self.alpha, self.beta), min(self.alpha, self.beta)
        z = (long - short) / (long + at)
        upper = self.r + frequency if self.alpha >= self.beta else np.full_like(shape, self.s + 1.0)
        power = -self.s if self.alpha >= self.beta else 1.0 - self.r - frequency
        return power * np.log1p(-z) + np.log(hyp2f1(1.0, upper, shape + 1.0, z)) - shape * np.log(long + at)


def fit_pareto_nbd(frequency: Floats, recency: Floats, T: Floats) -> ParetoNbd:
    """Maximum likelihood in log parameters; equal histories are counted once.

    The gradient is of finite differences: the hypergeometric function has no simple derivative by its parameters. Raises
    `InsufficientDataError` without customers.
    """
    frequency, recency, T = (np.asarray(values, dtype=float) for values in (frequency, recency, T))
    if not len(frequency):
        raise InsufficientDataError("no customer has bought yet: a purchase model needs at least one")
    scale = max(float(T.mean()), 1e-9)
    rows, back = distinct(frequency, recency, T)
    weight = np.bincount(back).astype(float)
    x, tx, age = frequency[rows], recency[rows] / scale, T[rows] / scale

    def objective(theta: Floats) -> float:
        return -float(weight @ ParetoNbd(*np.exp(theta)).log_likelihood(x, tx, age)) / len(frequency)

    bounds, options = [(-_LOG_BOUND, _LOG_BOUND)] * 4, {"maxiter": 500, "ftol": 1e-13, "gtol": 1e-8}
    found = minimize(objective, _START, jac="3-point", method="L-BFGS-B", bounds=bounds, options=options)
    r, alpha, s, beta = (float(value) for value in np.exp(found.x))
    loglik = -float(found.fun) * len(frequency) - float(frequency.sum()) * np.log(scale)
    return ParetoNbd(r, alpha * scale, s, beta * scale, loglik=float(loglik), n_customers=len(frequency))
