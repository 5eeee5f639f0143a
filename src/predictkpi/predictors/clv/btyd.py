"""BG/NBD and MBG/NBD: how many more times a customer will buy, given frequency, recency and T.

Sources: Fader, Hardie & Lee (2005), "Counting your customers the easy way", Marketing Science 24(2), cited below as FHL with the
paper's equation numbers; Batislam, Denizel & Filiztekin (2007), IJRM 24(3), for the modified model (MBG), in which a customer may also
leave right after the first purchase. With ``k`` = chances to leave so far (``x`` in BG, ``x + 1`` in MBG) the two share every formula.

While alive a customer buys at rate ``lambda ~ Gamma(r, alpha)`` and leaves after each purchase with probability ``p ~ Beta(a, b)``.
Arrays are ``(n,)``; recency and T may be in any unit of time, and alpha is in the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize
from scipy.special import betaincinv, betaln, digamma, expit, gammaln, hyp2f1

from predictkpi.errors import InsufficientDataError

Floats = npt.NDArray[np.float64]

# Prior on (log r, log alpha/mean T, log a, log b): centred where published fits lie, wide enough to vanish beside a few hundred customers.
PRIOR_MEAN = np.log([0.5, 0.5, 0.5, 2.0])
PRIOR_SD = np.array([1.0, 1.5, 1.0, 1.0])
_LOG_BOUND = 9.0
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(256)


@dataclass(frozen=True)
class Btyd:
    """A fitted or given model. ``modified`` says MBG; ``loglik`` and ``n_customers`` are of the data it was fitted on."""

    r: float
    alpha: float
    a: float
    b: float
    modified: bool = True
    loglik: float = float("nan")
    n_customers: int = 0

    def chances(self, frequency: Floats) -> Floats:
        """Times a customer could have left so far: ``k``."""
        return frequency + 1.0 if self.modified else frequency

    def p_alive(self, frequency: Floats, recency: Floats, T: Floats) -> Floats:
        """P(alive at T | history): FHL section 4.3 after dividing (6) by its first term; 1 in BG before any repeat."""
        return expit(-self._log_odds_gone(frequency, recency, T))

    def expected_purchases(self, t: float, frequency: Floats, recency: Floats, T: Floats) -> Floats:
        """E[purchases in (T, T + t] | history], FHL (10)."""
        return self.p_alive(frequency, recency, T) * self.purchases_if_alive(t, frequency, T)

    def purchases_if_alive(self, t: float, frequency: Floats, T: Floats) -> Floats:
        """E[purchases in (T, T + t] | history, alive at T]: FHL (10) without its denominator.

        Euler's transformation turns ``2F1(r + x, b + k; a + b + k - 1; z)`` into one whose upper parameters do not grow with ``x``.
        Depends on (x, T) only, and is computed once for each pair.
        """
        first, back = distinct(frequency, T)
        x, age = frequency[first], T[first]
        # a = 1 is a removable 0/0: step aside by less than the result can show
        a = self.a if abs(self.a - 1.0) > 1e-6 else 1.0 + 1e-6
        expected = self._euler_form(t, x, age, a=a)
        # where r - a is whole, 2F1 is a limit that SciPy may give as NaN
        lost = ~np.isfinite(expected)
        if lost.any():
            expected[lost] = self._by_quadrature(t, x[lost], age[lost])
        # nobody can buy more than without leaving at all
        return np.clip(expected, 0.0, (self.r + x) / (self.alpha + age) * t)[back]

    def _euler_form(self, t: float, x: Floats, age: Floats, *, a: float) -> Floats:
        lower = a + self.b + self.chances(x) - 1.0
        lower = np.where(np.abs(lower) < 1e-9, 1e-9, lower)
        z = t / (self.alpha + age + t)
        series = hyp2f1(a + self.b + float(self.modified) - 1.0 - self.r, a - 1.0, lower, z)
        with np.errstate(invalid="ignore"):  # 0 times infinity where b is huge: the caller turns to quadrature
            return lower / (a - 1.0) * (1.0 - (1.0 - z) ** (a - 1.0) * series)

    def _by_quadrature(self, t: float, x: Floats, age: Floats) -> Floats:
        """E[(1 - exp(-lambda p t)) / p] over lambda, then over p ~ Beta(a, b + k) by Gauss-Legendre on its quantiles."""
        p = np.maximum(betaincinv(self.a, (self.b + self.chances(x))[:, None], 0.5 * (_NODES + 1.0)), 1e-12)
        bought = -np.expm1(-(self.r + x)[:, None] * np.log1p(p * (t / (self.alpha + age))[:, None])) / p
        return 0.5 * bought @ _WEIGHTS

    def log_likelihood(self, frequency: Floats, recency: Floats, T: Floats) -> Floats:
        """Log-likelihood of each customer's history, FHL (6); timing of the purchases included, as in the paper."""
        x, k = frequency, self.chances(frequency)
        return (
            gammaln(self.r + x)
            - gammaln(self.r)
            + self.r * np.log(self.alpha)
            - (self.r + x) * np.log(self.alpha + T)
            + betaln(self.a, self.b + k)
            - betaln(self.a, self.b)
            + np.logaddexp(0.0, self._log_odds_gone(frequency, recency, T))
        )

    def _log_odds_gone(self, frequency: Floats, recency: Floats, T: Floats) -> Floats:
        k = self.chances(frequency)
        with np.errstate(divide="ignore"):
            left = np.where(k > 0, np.log(self.a) - np.log(np.maximum(self.b + k - 1.0, 1e-300)), -np.inf)
        return left + (self.r + frequency) * (np.log(self.alpha + T) - np.log(self.alpha + recency))


def fit_btyd(frequency: Floats, recency: Floats, T: Floats, *, modified: bool = True, prior_weight: float = 0.0) -> Btyd:
    """Maximum likelihood in log parameters with the analytic gradient.

    Parameters: ``prior_weight`` multiplies a weak log-normal prior (`PRIOR_MEAN`); 0 is plain maximum likelihood, 1 keeps the estimate
    sane with a handful of customers. Raises `InsufficientDataError` without customers.
    """
    frequency, recency, T = (np.asarray(values, dtype=float) for values in (frequency, recency, T))
    if not len(frequency):
        raise InsufficientDataError("no customer has bought yet: a purchase model needs at least one")
    scale = max(float(T.mean()), 1e-9)
    data = CountedHistories(frequency, recency, T, scale=scale, modified=modified)
    found = minimize(
        lambda theta: data.objective(theta, prior_weight=prior_weight),
        PRIOR_MEAN,
        jac=True,
        method="L-BFGS-B",
        bounds=[(-_LOG_BOUND, _LOG_BOUND)] * 4,
        options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-8},
    )
    r, alpha, a, b = (float(value) for value in np.exp(found.x))
    # in the caller's unit of time each of the x purchase densities is 1/scale of the scaled one
    loglik = data.log_likelihood(found.x)[0] - float(frequency.sum()) * np.log(scale)
    return Btyd(r, alpha * scale, a, b, modified=modified, loglik=float(loglik), n_customers=len(frequency))


class CountedHistories:
    """Equal histories counted once: one-time buyers of one day, the bulk of most companies, become a single row."""

    def __init__(self, frequency: Floats, recency: Floats, T: Floats, *, scale: float, modified: bool) -> None:
        first, back = distinct(frequency, recency, T)
        self.weight = np.bincount(back).astype(float)
        self.x, self.tx, self.T = frequency[first], recency[first] / scale, T[first] / scale
        self.x_code, self.x_values = pd.factorize(self.x)
        self.x_weight = np.bincount(self.x_code, weights=self.weight)
        self.k_values = self.x_values + 1.0 if modified else self.x_values
        self.total = self.weight.sum()

    def objective(self, theta: Floats, *, prior_weight: float) -> tuple[float, Floats]:
        """Minus the mean log posterior and its gradient in the log parameters."""
        value, gradient = self.log_likelihood(theta)
        deviation = (theta - PRIOR_MEAN) / PRIOR_SD
        value -= 0.5 * prior_weight * float(deviation @ deviation)
        gradient = gradient - prior_weight * deviation / PRIOR_SD
        return -value / self.total, -gradient / self.total

    def log_likelihood(self, theta: Floats) -> tuple[float, Floats]:
        """Total log-likelihood and its gradient in (log r, log alpha, log a, log b)."""
        r, alpha, a, b = np.exp(theta)
        x, k, n = self.x_values, self.k_values, self.x_weight
        age, last = alpha + self.T, alpha + self.tx
        log_age = np.log(age)
        log_gap = log_age - np.log(last)
        rx = r + self.x
        can_leave = k > 0
        below = np.where(can_leave, b + k - 1.0, 1.0)
        left = np.where(can_leave, np.log(a) - np.log(below), -np.inf)
        log_odds = left[self.x_code] + rx * log_gap
        # logaddexp and expit in one go, and in functions that NumPy runs on several numbers at once
        small = np.exp(-np.abs(log_odds))
        either = 1.0 + small
        gone = self.weight * np.where(log_odds > 0, 1.0, small) / either
        value = (
            n @ (gammaln(r + x) - gammaln(r) + r * np.log(alpha) + betaln(a, b + k) - betaln(a, b))
            - self.weight @ (rx * log_age)
            + self.weight @ (np.maximum(log_odds, 0.0) + np.log(either))
        )
        gone_by_x = np.bincount(self.x_code, weights=gone)
        d_r = n @ (digamma(r + x) - digamma(r) + np.log(alpha)) - self.weight @ log_age + gone @ log_gap
        older = rx / age
        d_alpha = self.total * r / alpha - self.weight @ older + gone @ (older - rx / last)
        both = digamma(a + b) - digamma(a + b + k)
        d_a = n @ both + gone_by_x.sum() / a
        d_b = n @ (both + digamma(b + k) - digamma(b)) - gone_by_x @ np.where(can_leave, 1.0 / below, 0.0)
        return float(value), np.array([d_r * r, d_alpha * alpha, d_a * a, d_b * b])


def distinct(*columns: Floats) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Index of one row per distinct combination, and for every row the position of its combination; in order of appearance."""
    spans = [float(column.max(initial=0.0)) + 1.0 for column in columns]
    whole = all((column == np.floor(column)).all() for column in columns) and np.prod(spans) < 2.0**62
    code = np.zeros(len(columns[0]), dtype=np.int64)
    for column, span in zip(columns, spans, strict=True):
        if whole:
            # whole days, as usual: one key
            code = code * int(span) + column.astype(np.int64)
        else:
            # dense after every step, so that the product of two counts of at most n each stays far inside 64 bits
            each, _ = pd.factorize(column)
            code, _ = pd.factorize(code * (int(each.max(initial=0)) + 1) + each)
    back, _ = pd.factorize(code)
    return np.flatnonzero(np.diff(np.maximum.accumulate(back), prepend=-1)), back
