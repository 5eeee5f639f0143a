"""Shifted beta-geometric: how long a customer keeps renewing where leaving is seen, as with subscriptions.

Sources: Fader & Hardie (2007), "How to project customer retention", Journal of Interactive Marketing 21(1), cited below as FH07 with the
paper's equation numbers; Fader & Hardie (2010), "Customer-base valuation in a contractual setting", Marketing Science 29(1), FH10, for
what a customer who has already renewed is worth.

At the end of every period a customer leaves with probability ``theta``, the same all their life; ``theta ~ Beta(alpha, beta)`` over
customers. A customer who has *survived* ``n`` periods has renewed n times. All periods are of equal length, counted from 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import betaln, hyp2f1

from predictkpi.errors import InsufficientDataError

Floats = npt.NDArray[np.float64]

# Prior on (log alpha, log beta): around published fits, gone beside a few hundred customers.
PRIOR_MEAN = np.log([0.8, 2.0])
PRIOR_SD = np.array([1.0, 1.0])
_LOG_BOUND = 9.0


@dataclass(frozen=True)
class ShiftedBetaGeometric:
    """A fitted or given model. ``loglik`` and ``n_decisions`` (renewals and losses) are of the data it was fitted on."""

    alpha: float
    beta: float
    loglik: float = float("nan")
    n_decisions: float = 0.0

    def p_lost_in(self, period: npt.ArrayLike) -> Floats:
        """P(a new customer leaves at the end of ``period``), FH07 (5)."""
        t = np.asarray(period, dtype=float)
        return np.exp(betaln(self.alpha + 1.0, self.beta + t - 1.0) - betaln(self.alpha, self.beta))

    def survival(self, periods: npt.ArrayLike, *, survived: npt.ArrayLike = 0.0) -> Floats:
        """P(``periods`` more are survived | ``survived`` so far); FH07 (6) for a new customer."""
        n, k = np.asarray(survived, dtype=float), np.asarray(periods, dtype=float)
        return np.exp(betaln(self.alpha, self.beta + n + k) - betaln(self.alpha, self.beta + n))

    def retention(self, period: npt.ArrayLike) -> Floats:
        """P(renewing at the end of ``period`` | a customer until then): FH07 (6) at ``period`` over (6) one before. Rises with tenure."""
        t = np.asarray(period, dtype=float)
        return (self.beta + t - 1.0) / (self.alpha + self.beta + t - 1.0)

    def expected_renewals(self, periods: int, *, survived: npt.ArrayLike, discount: float = 0.0) -> Floats:
        """Expected renewals of customers with ``survived`` (n,) at their next ``periods`` decisions.

        With ``discount``, the rate of one period, the first counts in full: it is due now, and each later one a period further on.
        """
        n = np.asarray(survived, dtype=float)
        total, stays = np.zeros_like(n), np.ones_like(n)
        for ahead in range(periods):
            stays = stays * self.retention(n + ahead + 1.0)
            total += stays * (1.0 + discount) ** -ahead
        return total

    def residual_lifetime(self, *, survived: npt.ArrayLike, discount: float) -> Floats:
        """Discounted expected residual lifetime, FH10 (6): `expected_renewals` without an end. Raises `ValueError` unless discount > 0."""
        if discount <= 0:
            raise ValueError(f"discount={discount}: must be above 0, the sum over an endless future may not exist otherwise")
        n = np.asarray(survived, dtype=float) + 1.0
        return self.retention(n) * hyp2f1(1.0, self.beta + n, self.alpha + self.beta + n, 1.0 / (1.0 + discount))


def renewals_and_losses(periods: npt.ArrayLike, is_lost: npt.ArrayLike, entered: npt.ArrayLike | None = None) -> tuple[Floats, Floats]:
    """What `fit_shifted_beta_geometric` learns from: ``(renewed, lost)`` at the end of period 1, 2, ..., counted over customers.

    Parameters: ``periods`` (n,) periods survived, so that one lost in their first period has 0; ``is_lost`` (n,) whether they left at the
    end of the next one, else it is not over yet; ``entered`` (n,) periods survived before records begin, of which nothing is learnt.
    Raises `ValueError` for negative or broken counts.
    """
    survived, gone = np.asarray(periods, dtype=np.int64), np.asarray(is_lost, dtype=bool)
    before = np.zeros_like(survived) if entered is None else np.asarray(entered, dtype=np.int64)
    if (before < 0).any() or (survived < before).any():
        raise ValueError("periods must be at least entered, and that at least 0: a customer cannot be known for fewer periods than none")
    length = int(survived.max(initial=-1)) + 1
    # renewed at t: entered < t <= survived
    starts, ends = np.bincount(before, minlength=length), np.bincount(survived, minlength=length)
    renewed = (np.cumsum(starts - ends))[:length].astype(float)
    lost = np.bincount(survived[gone], minlength=length).astype(float)
    return renewed, lost


def fit_shifted_beta_geometric(renewed: npt.ArrayLike, lost: npt.ArrayLike, *, prior_weight: float = 0.0) -> ShiftedBetaGeometric:
    """Maximum likelihood in log parameters with the analytic gradient.

    Parameters: ``renewed`` and ``lost`` (n_periods,) numbers of customers at the end of each period; numbers may be broken (shares).
    Customers still there, or only known from some period on, are right: every decision counts on its own. ``prior_weight`` as in
    `btyd.fit_btyd`. Raises `InsufficientDataError` without a decision, `ValueError` for unlike or negative counts.
    """
    stayed, left = np.asarray(renewed, dtype=float), np.asarray(lost, dtype=float)
    if stayed.shape != left.shape or stayed.ndim != 1 or (stayed < 0).any() or (left < 0).any():
        raise ValueError(f"renewed has shape {stayed.shape}, lost {left.shape}: both must be flat, alike and hold no negative count")
    total = float(stayed.sum() + left.sum())
    if not total:
        raise InsufficientDataError("no customer has come to the end of a period yet: a retention model needs at least one")

    def objective(theta: Floats) -> tuple[float, Floats]:
        value, gradient = log_likelihood(theta, stayed, left)
        deviation = (theta - PRIOR_MEAN) / PRIOR_SD
        value -= 0.5 * prior_weight * float(deviation @ deviation)
        return -value / total, -(gradient - prior_weight * deviation / PRIOR_SD) / total

    bounds, options = [(-_LOG_BOUND, _LOG_BOUND)] * 2, {"maxiter": 500, "ftol": 1e-14, "gtol": 1e-9}
    found = minimize(objective, PRIOR_MEAN, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    alpha, beta = (float(value) for value in np.exp(found.x))
    return ShiftedBetaGeometric(alpha, beta, loglik=log_likelihood(found.x, stayed, left)[0], n_decisions=total)


def log_likelihood(theta: Floats, renewed: Floats, lost: Floats) -> tuple[float, Floats]:
    """Log-likelihood of the decisions and its gradient in (log alpha, log beta); equals FH07's, whose terms telescope into decisions."""
    alpha, beta = np.exp(theta)
    before = beta + np.arange(len(renewed))
    both = renewed + lost
    value = renewed @ np.log(before) + lost.sum() * np.log(alpha) - both @ np.log(alpha + before)
    shared = both @ (1.0 / (alpha + before))
    gradient = np.array([lost.sum() - alpha * shared, beta * (renewed @ (1.0 / before) - shared)])
    return float(value), gradient
