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
from scipy.special import digamma, expit, gammaln

from predictkpi.errors import InsufficientDataError
from predictkpi.predictors.clv.btyd import distinct

Floats = npt.NDArray[np.float64]
_LOG_BOUND = 9.0
# (log r, log alpha / mean T, log s, log beta / mean T): where the search begins, near published fits
_START = np.log([0.5, 0.5, 0.5, 0.5])
_UNIT_NODES, _UNIT_WEIGHTS = np.polynomial.legendre.leggauss(32)
_NODES, _WEIGHTS = 0.5 * (_UNIT_NODES + 1.0), 0.5 * _UNIT_WEIGHTS
# histories at a time: their nodes stay in the processor's cache
_CHUNK = 400


@dataclass(frozen=True)
class ParetoNbd:
    """A fitted or given model. ``loglik`` and ``n_customers`` are of the data it was fitted on."""

    r: float
    alpha: float
    s: float
    beta: float
    loglik: float = float("nan")
    n_customers: int = 0

    @property
    def theta(self) -> Floats:
        """(4,) log parameters."""
        return np.log([self.r, self.alpha, self.s, self.beta])

    def log_likelihood(self, frequency: Floats, recency: Floats, T: Floats) -> Floats:
        """Log-likelihood of each customer's history, FH (18)."""
        return log_likelihood(self.theta, frequency, recency, T)[0]

    def p_alive(self, frequency: Floats, recency: Floats, T: Floats) -> Floats:
        """P(alive at T | history), FH (36) and (37)."""
        return expit(-_log_odds_gone(self.theta, frequency, recency, T)[0])

    def expected_purchases(self, t: float, frequency: Floats, recency: Floats, T: Floats) -> Floats:
        """E[purchases in (T, T + t] | history], FH (41)."""
        rate = (self.r + frequency) / (self.alpha + T)
        # the bracket of (41) over s - 1 is an integral of survival, a logarithm at s = 1
        later = np.log1p(t / (self.beta + T))
        lived = later if abs(self.s - 1.0) < 1e-9 else -np.expm1(-(self.s - 1.0) * later) / (self.s - 1.0)
        return self.p_alive(frequency, recency, T) * rate * (self.beta + T) * lived


def fit_pareto_nbd(frequency: Floats, recency: Floats, T: Floats) -> ParetoNbd:
    """Maximum likelihood in log parameters with the analytic gradient; equal histories are counted once.

    Raises `InsufficientDataError` without customers.
    """
    frequency, recency, T = (np.asarray(values, dtype=float) for values in (frequency, recency, T))
    if not len(frequency):
        raise InsufficientDataError("no customer has bought yet: a purchase model needs at least one")
    scale = max(float(T.mean()), 1e-9)
    rows, back = distinct(frequency, recency, T)
    weight = np.bincount(back) / len(frequency)
    x, tx, age = frequency[rows], recency[rows] / scale, T[rows] / scale

    def objective(theta: Floats) -> tuple[float, Floats]:
        value, gradient = log_likelihood(theta, x, tx, age)
        return -float(weight @ value), -(weight @ gradient)

    bounds, options = [(-_LOG_BOUND, _LOG_BOUND)] * 4, {"maxiter": 500, "ftol": 1e-13, "gtol": 1e-8}
    found = minimize(objective, _START, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    r, alpha, s, beta = (float(value) for value in np.exp(found.x))
    # in the caller's unit of time each of the x purchase densities is 1/scale of the scaled one
    loglik = -float(found.fun) * len(frequency) - float(frequency.sum()) * np.log(scale)
    return ParetoNbd(r, alpha * scale, s, beta * scale, loglik=float(loglik), n_customers=len(frequency))


def log_likelihood(theta: Floats, frequency: Floats, recency: Floats, T: Floats) -> tuple[Floats, Floats]:
    """Log-likelihood of each history ``(n,)``, FH (18), and its gradient ``(n, 4)`` in (log r, log alpha, log s, log beta)."""
    r, alpha, s, beta = np.exp(theta)
    rx, log_alive = r + frequency, np.log(alpha + T)
    odds, odds_gradient = _log_odds_gone(theta, frequency, recency, T)
    value = gammaln(rx) - gammaln(r) + r * np.log(alpha) - rx * log_alive - s * np.log1p(T / beta) + np.logaddexp(0.0, odds)
    alive = (
        (digamma(rx) - digamma(r) + np.log(alpha) - log_alive) * r,
        r - rx * alpha / (alpha + T),
        -s * np.log1p(T / beta),
        s * T / (beta + T),
    )
    return value, np.stack(alive, axis=1) + expit(odds)[:, None] * odds_gradient


def _log_odds_gone(theta: Floats, frequency: Floats, recency: Floats, T: Floats) -> tuple[Floats, Floats]:
    """Log of P(gone, history) over P(alive, history), the two terms of FH (18), and its gradient in the log parameters."""
    odds, gradient = np.empty(len(frequency)), np.empty((len(frequency), 4))
    for start in range(0, len(frequency), _CHUNK):
        rows = slice(start, start + _CHUNK)
        odds[rows], gradient[rows] = _of_chunk(theta, frequency[rows, None], recency[rows, None], T[rows, None])
    return odds, gradient


def _of_chunk(theta: Floats, x: Floats, tx: Floats, T: Floats) -> tuple[Floats, Floats]:
    """The odds as the integral over the moment of leaving between tx and T, whose solution are FH (19) and (20); ``(n, 1)`` in.

    Gauss-Legendre on nodes that lie the closer after tx, the steeper the integrand falls there: as exact as the hypergeometric functions,
    which lose digits or all where s is large, and with a gradient.
    """
    r, alpha, s, beta = np.exp(theta)
    rx, span = r + x, T - tx
    steepness = np.maximum(np.log1p(span * (rx / (alpha + tx) + (s + 1.0) / (beta + tx))), 1e-6)
    growth = np.exp(steepness * _NODES)
    unit = span / np.expm1(steepness)
    at = tx + unit * (growth - 1.0)
    to_alpha, to_beta = alpha + at, beta + at
    from_alpha, from_beta = np.log((alpha + T) / to_alpha), np.log((beta + T) / to_beta)
    terms = rx * from_alpha + s * from_beta
    highest = terms.max(axis=1, keepdims=True)
    parts = np.exp(terms - highest) * growth / to_beta * _WEIGHTS
    total = parts.sum(axis=1)
    share = parts / total[:, None]
    rx, T = rx[:, 0], T[:, 0]
    gradient = (
        r * np.einsum("ij,ij->i", share, from_alpha),
        alpha * rx * (1.0 / (alpha + T) - (share / to_alpha).sum(axis=1)),
        1.0 + s * np.einsum("ij,ij->i", share, from_beta),
        beta * (s / (beta + T) - (s + 1.0) * (share / to_beta).sum(axis=1)),
    )
    with np.errstate(divide="ignore"):
        odds = np.log(s * (unit * steepness)[:, 0]) + highest[:, 0] + np.log(total)
    return odds, np.stack(gradient, axis=1)
