"""BG/BB: how many of the coming occasions a customer will take, where buying is only possible at set occasions (a renewal, a yearly gift).

Source: Fader, Hardie & Shang (2010), "Customer-base analysis in a discrete-time noncontractual setting", Marketing Science 29(6), cited
below as FHS with the paper's equation numbers. While alive a customer buys at an occasion with probability ``p ~ Beta(alpha, beta)``;
before each occasion they leave for good with probability ``theta ~ Beta(gamma, delta)``.

A history is ``(x, tx, n)``: purchases, occasion of the last one (0 without any), occasions so far; all arrays ``(m,)`` of whole numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import betaln, digamma, logsumexp

from predictkpi.errors import InsufficientDataError
from predictkpi.predictors.clv.btyd import distinct

Floats = npt.NDArray[np.float64]
_LOG_BOUND = 9.0


@dataclass(frozen=True)
class BgBb:
    """A fitted or given model. ``loglik`` and ``n_customers`` are of the data it was fitted on."""

    alpha: float
    beta: float
    gamma: float
    delta: float
    loglik: float = float("nan")
    n_customers: float = 0.0

    @property
    def theta(self) -> Floats:
        """(4,) log parameters."""
        return np.log([self.alpha, self.beta, self.gamma, self.delta])

    def log_likelihood(self, x: Floats, tx: Floats, n: Floats) -> Floats:
        """Log-likelihood of each history, FHS (5)."""
        return log_likelihood(self.theta, x, tx, n)[0]

    def p_alive(self, x: Floats, tx: Floats, n: Floats) -> Floats:
        """P(alive at occasion n + 1 | history), FHS (11)."""
        return np.exp(self._log_alive(x, n, ahead=1) - self.log_likelihood(x, tx, n))

    def expected_purchases(self, occasions: int, x: Floats, tx: Floats, n: Floats) -> Floats:
        """E[purchases at the next ``occasions`` | history]: FHS (13), summed occasion by occasion, which needs no case for gamma = 1."""
        likelihood = self.log_likelihood(x, tx, n)
        p = (self.alpha + x) / (self.alpha + self.beta + n)
        alive = [np.exp(self._log_alive(x, n, ahead=ahead) - likelihood) for ahead in range(1, occasions + 1)]
        return p * np.sum(alive, axis=0) if alive else np.zeros(len(likelihood))

    def _log_alive(self, x: Floats, n: Floats, *, ahead: int) -> Floats:
        """Log of P(history, and alive at occasion n + ahead)."""
        bought = betaln(self.alpha + x, self.beta + n - x) - betaln(self.alpha, self.beta)
        return bought + betaln(self.gamma, self.delta + n + ahead) - betaln(self.gamma, self.delta)


def fit_bg_bb(x: npt.ArrayLike, tx: npt.ArrayLike, n: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> BgBb:
    """Maximum likelihood in log parameters with the analytic gradient; equal histories are counted once.

    Parameters: ``weights`` (m,) customers of each history, by default one. Raises `InsufficientDataError` without customers, `ValueError`
    for a history that cannot be: more purchases than occasions up to the last one.
    """
    x, tx, n = (np.asarray(values, dtype=float) for values in (x, tx, n))
    count = np.ones(len(x)) if weights is None else np.asarray(weights, dtype=float)
    total = float(count.sum())
    if not total:
        raise InsufficientDataError("no customer has come to an occasion yet: a purchase model needs at least one")
    if ((x > tx) | (tx > n) | ((x > 0) != (tx > 0))).any():
        raise ValueError("x, tx, n: need x <= tx <= n, and tx = 0 where and only where x = 0")

    rows, back = distinct(x, tx, n)
    x, tx, n, count = x[rows], tx[rows], n[rows], np.bincount(back, weights=count)

    def objective(theta: Floats) -> tuple[float, Floats]:
        value, gradient = log_likelihood(theta, x, tx, n)
        return -float(count @ value) / total, -(count @ gradient) / total

    bounds, options = [(-_LOG_BOUND, _LOG_BOUND)] * 4, {"maxiter": 1000, "ftol": 1e-14, "gtol": 1e-9}
    found = minimize(objective, np.zeros(4), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    alpha, beta, gamma, delta = (float(value) for value in np.exp(found.x))
    return BgBb(alpha, beta, gamma, delta, loglik=-float(found.fun) * total, n_customers=total)


def log_likelihood(theta: Floats, x: Floats, tx: Floats, n: Floats) -> tuple[Floats, Floats]:
    """Log-likelihood of each history ``(m,)`` and its gradient ``(m, 4)`` in the log parameters."""
    alpha, beta, gamma, delta = np.exp(theta)
    x, tx, n = (values[:, None] for values in (x, tx, n))
    # one term per occasion at which the customer may have left: alive to the end first, then gone after tx + i
    ways = int((n - tx).max(initial=0)) + 1
    i = np.arange(-1.0, ways - 1.0)
    is_alive = i < 0
    seen = np.where(is_alive, n, tx + np.maximum(i, 0.0))
    missed, stayed, left = seen - x, seen, np.where(is_alive, 0.0, 1.0)
    possible = is_alive | (i < n - tx)
    missed, stayed = np.where(possible, missed, 0.0), np.where(possible, stayed, 0.0)
    terms = betaln(alpha + x, beta + missed) - betaln(alpha, beta) + betaln(gamma + left, delta + stayed) - betaln(gamma, delta)
    terms = np.where(possible, terms, -np.inf)
    value = logsumexp(terms, axis=1)
    share = np.exp(terms - value[:, None])
    p_all, theta_all = (
        digamma(alpha + beta) - digamma(alpha + beta + x + missed),
        digamma(gamma + delta) - digamma(gamma + delta + left + stayed),
    )
    by_term = (
        (digamma(alpha + x) - digamma(alpha) + p_all) * alpha,
        (digamma(beta + missed) - digamma(beta) + p_all) * beta,
        (digamma(gamma + left) - digamma(gamma) + theta_all) * gamma,
        (digamma(delta + stayed) - digamma(delta) + theta_all) * delta,
    )
    return value, np.stack([(share * part).sum(axis=1) for part in by_term], axis=1)
