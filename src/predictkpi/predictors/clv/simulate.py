"""Predictive draws of a customer's net revenue, exact under MBG/NBD and Gamma-Gamma.

Given alive at T, the posteriors are conjugate and independent: ``lambda ~ Gamma(r + x, alpha + T)``, ``p ~ Beta(a, b + k)``, and the
spend's ``nu ~ Gamma(q + p n, gamma + spent)`` after ``n`` purchases.
Every customer is run through the *same* scrambled Sobol points, the same unit-rate purchase times and the same purchase sizes, so an
answer does not depend on who else is asked for, and no random number is drawn per customer. The price: draws of two customers are not
independent, and must not be added up to an interval of their total.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import betaincinv, gammaincinv

from predictkpi.predictors.clv.accounts import AccountPrior
from predictkpi.predictors.clv.btyd import Btyd
from predictkpi.predictors.clv.contracts import Contract
from predictkpi.predictors.clv.gamma_gamma import GammaGamma

Floats = npt.NDArray[np.float64]
Draws = npt.NDArray[np.float32]
"""Simulated amounts, the bulk of the work: in single precision, since a ten-millionth of an amount does not matter."""

# A purchase is a day, so two years hold at most this many.
_MOST_PURCHASES = 740
_CHUNK = 4096


class SharedDraws:
    """The random numbers every customer shares, and the fitted models they run through."""

    def __init__(self, btyd: Btyd, spend: GammaGamma, *, draws: int, random_state: int) -> None:
        from scipy.stats import qmc  # half a second that only simulation needs

        self._btyd, self._spend, self.draws = btyd, spend, draws
        # an equal number of points in every stretch of each axis, also where `draws` is no power of two
        points = qmc.Sobol(5, rng=np.random.default_rng(random_state)).random_base2(int(np.ceil(np.log2(draws))))[:draws]
        ranks = points.argsort(axis=0).argsort(axis=0)
        points = (ranks + 0.5) / draws
        self.u_alive, self._u_rate, self._u_leave, self._u_turn, self._u_spend = points.T
        rng = np.random.default_rng([random_state, 1])
        self._times = np.cumsum(rng.standard_exponential((draws, _MOST_PURCHASES)), axis=1)
        sizes = np.cumsum(rng.standard_gamma(spend.p, (draws, _MOST_PURCHASES + 1)), axis=1)
        self._sizes = np.concatenate([np.zeros((draws, 1)), sizes], axis=1)

    def of_customers(
        self, *, frequency: Floats, alive: Floats, T: Floats, spent: Floats, days: Floats, tempo: Floats
    ) -> Iterator[tuple[slice, Draws]]:
        """Draws for customers with a purchase: ``(rows, (n_rows, n_horizons, draws))``, chunk by chunk.

        ``alive`` (n,) is the chance of still being a customer, ``spent`` (n,) all purchases so far; ``days`` (n_horizons,) rise. With a
        ``tempo`` (n, n_horizons) of 2, a customer goes through what the model says of 2 days in one.
        """
        x_values, code = np.unique(frequency, return_inverse=True)
        rate, turns, worth = self._by_frequency(x_values)
        for rows in _chunks(len(frequency)):
            out = np.zeros((self.draws, rows.stop - rows.start, len(days)), np.float32)
            speed, wealth, codes, p_alive = self._btyd.alpha + T[rows], self._spend.gamma + spent[rows], code[rows], alive[rows]
            for s in range(self.draws):
                on = np.flatnonzero(self.u_alive[s] < p_alive)
                which = codes[on]
                reach = (rate[which, s] / speed[on])[:, None] * (days * tempo[rows][on])
                count = np.minimum(np.searchsorted(self._times[s], reach), turns[which, s][:, None])
                out[s, on] = self._sizes[s][count] * (wealth[on] / worth[which, s])[:, None]
            yield rows, np.moveaxis(out, 0, 2)

    def of_contracts(
        self, contract: Contract, *, survived: Floats, is_active: npt.NDArray[np.bool_], due: npt.NDArray[np.int64], spent: Floats
    ) -> Iterator[tuple[slice, Draws]]:
        """The same for customers of a contract with ``survived`` renewals (n,), of which ``due`` (n, n_horizons) more may come."""
        values, code = np.unique(survived, return_inverse=True)
        leave = betaincinv(contract.model.alpha, (contract.model.beta + values)[:, None], self._u_leave)
        renewals = self._turns(np.clip(leave, 1e-12, 1.0 - 1e-12)) - 1
        _, _, worth = self._by_frequency(values)
        for rows in _chunks(len(survived)):
            which, wealth = code[rows], (self._spend.gamma + spent[rows]) * is_active[rows]
            out = np.zeros((self.draws, rows.stop - rows.start, due.shape[1]), np.float32)
            for s in range(self.draws):
                count = np.minimum(due[rows], renewals[which, s][:, None])
                out[s] = self._sizes[s][np.minimum(count, _MOST_PURCHASES)] * (wealth / worth[which, s])[:, None]
            yield rows, np.moveaxis(out, 0, 2)

    def of_accounts(self, *, age: Floats, segment: pd.Series, prior: AccountPrior, days: Floats) -> Iterator[tuple[slice, Draws]]:
        """The same for accounts without a purchase; the wait for the first one takes the place of being alive."""
        rate = gammaincinv(self._btyd.r, self._u_rate) / self._btyd.alpha
        leave = np.clip(betaincinv(self._btyd.a, self._btyd.b, self._u_leave), 1e-12, 1.0 - 1e-12)
        turns = self._turns(leave)
        worth = self._spend.gamma / np.maximum(gammaincinv(self._spend.q, self._u_spend), 1e-12)
        ratio, p_soon = prior.value_ratios(segment), prior.p_soon(age=age, segment=segment)
        for rows in _chunks(len(age)):
            out = np.zeros((self.draws, rows.stop - rows.start, len(days)), np.float32)
            for s in range(self.draws):
                wait = prior.waits(float(self.u_alive[s]), p_soon=p_soon[rows])
                left = days - wait[:, None]
                again = np.searchsorted(self._times[s], np.maximum(left, 0.0) * rate[s])
                bought = np.minimum(1 + again, turns[s]) if self._btyd.modified else 1 + np.minimum(again, turns[s])
                out[s] = np.where(left > 0, self._sizes[s][bought] * worth[s], 0.0) * ratio[rows][:, None]
            yield rows, np.moveaxis(out, 0, 2)

    def _by_frequency(self, x: Floats) -> tuple[Floats, npt.NDArray[np.int64], Floats]:
        """Unit-scale rate, purchases until leaving, and unit-scale nu: ``(n_values, draws)`` each; x is a small whole number."""
        k = self._btyd.chances(x)
        rate = gammaincinv((self._btyd.r + x)[:, None], self._u_rate)
        leave = np.clip(betaincinv(self._btyd.a, (self._btyd.b + k)[:, None], self._u_leave), 1e-12, 1.0 - 1e-12)
        worth = gammaincinv((self._spend.q + self._spend.p * (x + 1.0))[:, None], self._u_spend)
        return rate, self._turns(leave), np.maximum(worth, 1e-12)

    def _turns(self, leave: Floats) -> npt.NDArray[np.int64]:
        """The purchase after which the customer leaves: geometric, 1 or more."""
        turns = 1.0 + np.floor(np.log(self._u_turn) / np.log1p(-leave))
        return np.minimum(turns, _MOST_PURCHASES).astype(np.int64)


def scaled(drawn: Draws, factor: Floats) -> Draws:
    """Draws times a factor that broadcasts against them."""
    return np.multiply(drawn, factor, dtype=np.float32, casting="same_kind")


def _chunks(n: int) -> Iterator[slice]:
    for start in range(0, n, _CHUNK):
        yield slice(start, min(start + _CHUNK, n))
