"""Gamma-Gamma: what a customer spends per purchase.

Source: Fader & Hardie (2013), "The Gamma-Gamma model of monetary value" (FH), equation numbers below. Each purchase is worth
``Gamma(p, nu)`` with the customer's own ``nu ~ Gamma(q, gamma)``. The paper fits repeat purchases; here all purchases count, the first
one too, which ranked customers better on every data set tried.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import digamma, gammaln

from predictkpi.errors import InsufficientDataError

Floats = npt.NDArray[np.float64]

# Prior on (log p, log q, log gamma/mean value): the neighbourhood of published fits.
PRIOR_MEAN = np.log([3.0, 4.0, 1.0])
PRIOR_SD = np.array([1.0, 0.75, 1.0])
# Below q = 1 the population has no mean. A little above it the mean is one of a few giants: stop where it is still usable.
_BOUNDS = [(-5.0, 7.0), (float(np.log(1.2)), 7.0), (-7.0, 9.0)]


@dataclass(frozen=True)
class GammaGamma:
    """A fitted or given model; gamma is in currency. ``loglik`` and ``n_customers`` are of the data it was fitted on."""

    p: float
    q: float
    gamma: float
    loglik: float = float("nan")
    n_customers: int = 0

    @property
    def mean_value(self) -> float:
        """Mean value of a purchase over the population, FH (3)."""
        return self.p * self.gamma / (self.q - 1.0)

    def expected_value(self, purchases: Floats, mean_value: Floats) -> Floats:
        """E[value of a future purchase | mean of ``purchases`` so far], FH (5); without purchases the population's mean."""
        return self.p * (self.gamma + purchases * mean_value) / (self.p * purchases + self.q - 1.0)

    def log_likelihood(self, purchases: Floats, mean_value: Floats) -> Floats:
        """Log density of each customer's mean value, FH (1a)."""
        px = self.p * purchases
        return (
            gammaln(px + self.q)
            - gammaln(px)
            - gammaln(self.q)
            + self.q * np.log(self.gamma)
            + (px - 1.0) * np.log(mean_value)
            + px * np.log(purchases)
            - (px + self.q) * np.log(self.gamma + purchases * mean_value)
        )


def fit_gamma_gamma(purchases: Floats, mean_value: Floats, *, prior_weight: float = 0.0) -> GammaGamma:
    """Maximum likelihood in log parameters with the analytic gradient.

    Parameters: ``purchases`` (n,) at least 1; ``mean_value`` (n,) above 0; ``prior_weight`` as in `btyd.fit_btyd`. Raises
    `InsufficientDataError` without customers.
    """
    x, z = np.asarray(purchases, dtype=float), np.asarray(mean_value, dtype=float)
    if not len(x):
        raise InsufficientDataError("no customer has a purchase of positive net value: a spend model needs at least one")
    # the geometric mean as unit of money: one giant order does not move it
    scale = float(np.exp(np.log(z).mean()))
    objective = SpendObjective(x, z / scale, prior_weight=prior_weight)
    options = {"maxiter": 500, "ftol": 1e-13, "gtol": 1e-8}
    found = minimize(objective, PRIOR_MEAN, jac=True, method="L-BFGS-B", bounds=_BOUNDS, options=options)
    p, q, gamma = (float(value) for value in np.exp(found.x))
    model = GammaGamma(p, q, gamma * scale)
    return GammaGamma(p, q, gamma * scale, loglik=float(model.log_likelihood(x, z).sum()), n_customers=len(x))


class SpendObjective:
    """Minus the mean log posterior and its gradient in (log p, log q, log gamma); gamma functions once per number of purchases."""

    def __init__(self, x: Floats, z: Floats, *, prior_weight: float) -> None:
        self.x, self.spent, self.prior_weight = x, x * z, prior_weight
        self.values, self.code = np.unique(x, return_inverse=True)
        self.count = np.bincount(self.code).astype(float)
        self.log_spent_by_x = np.bincount(self.code, weights=np.log(self.spent))
        self.minus_log_z = -float(np.log(z).sum())

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        """Value and gradient at ``theta``."""
        p, q, gamma = np.exp(theta)
        x, n = self.values, self.count
        log_after = np.log(gamma + self.spent)
        log_after_by_x = np.bincount(self.code, weights=log_after)
        shape = p * x + q
        value = (
            n @ (gammaln(shape) - gammaln(p * x) - gammaln(q) + q * np.log(gamma))
            + p * (x @ self.log_spent_by_x)
            + self.minus_log_z
            - shape @ log_after_by_x
        )
        up = digamma(shape)
        d_p = x @ (n * (up - digamma(p * x)) + self.log_spent_by_x - log_after_by_x)
        d_q = n @ (up - digamma(q) + np.log(gamma)) - log_after_by_x.sum()
        d_gamma = n.sum() * q / gamma - ((p * self.x + q) / (gamma + self.spent)).sum()
        deviation = (theta - PRIOR_MEAN) / PRIOR_SD
        value -= 0.5 * self.prior_weight * float(deviation @ deviation)
        gradient = np.array([d_p * p, d_q * q, d_gamma * gamma]) - self.prior_weight * deviation / PRIOR_SD
        return -float(value) / len(self.x), -gradient / len(self.x)
