"""The fitted whole behind `model`: purchase model, learnt shapes, level, contracts and accounts, asked for any number of days."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.features import rfm
from predictkpi.features.purchase_days import Floats
from predictkpi.predictors.clv.accounts import AccountPrior, fit_account_prior
from predictkpi.predictors.clv.blend import Blend, Cohort
from predictkpi.predictors.clv.contracts import Contract, Contracts, find_contracts
from predictkpi.predictors.clv.cutoffs import span_of
from predictkpi.predictors.clv.learners import Boosting
from predictkpi.predictors.clv.level import Level
from predictkpi.predictors.clv.purchase_model import PurchaseModel, histories, spent_of
from predictkpi.predictors.clv.simulate import SharedDraws
from predictkpi.predictors.clv.table import ACCOUNT_DAYS, SPENT

Positions = npt.NDArray[np.intp]
FEWEST_LEARNERS = 300
"""Customers with a purchase, below which boosters only learn noise, however often each has bought."""


@dataclass(frozen=True)
class Settings:
    """As of models/clv.yaml: ``modified`` None leaves MBG or BG to the likelihood; no shape is learnt below ``learn_from`` repeats."""

    modified: bool | None
    prior_weight: float
    segment_shrinkage: float
    learn_from: int
    boosting: Boosting


@dataclass(frozen=True)
class Expected:
    """What each customer is expected to bring: ``purchases`` and ``mean`` (n, n_horizons), ``p_alive`` (n, n_horizons)."""

    purchases: Floats
    mean: Floats
    p_alive: Floats


@dataclass
class CustomerForecast:
    """``blends`` and ``levels`` by span in days; both are empty where no past cohort could be learnt from."""

    model: PurchaseModel
    accounts: AccountPrior
    contracts: Contracts
    blends: Mapping[int, Blend]
    levels: Mapping[int, Level]
    _shared: dict[tuple[int, int], SharedDraws] = field(default_factory=dict)

    @classmethod
    def fit(cls, table: pd.DataFrame, settings: Settings) -> CustomerForecast:
        """From a table of `build_training_table` whose newest cohort has at least one purchase."""
        as_of = table[c.AS_OF].max()
        now = table[table[c.AS_OF] == as_of].reset_index(drop=True)
        bought = now[now[rfm.PURCHASES] > 0]
        model = PurchaseModel.fit(bought, modified=settings.modified, prior_weight=settings.prior_weight)
        value = pd.Series(spent_of(bought) / bought[rfm.PURCHASES].to_numpy(float), index=bought.index).reindex(now.index)
        accounts = fit_account_prior(now, value, shrinkage=settings.segment_shrinkage)
        contracts = Contracts(find_contracts(bought, prior_weight=settings.prior_weight))
        free = bought[~bought[c.SEGMENT].isin(contracts.by_segment)].reset_index(drop=True)
        cohorts = _cohorts(table[table[c.AS_OF] < as_of], contracts, replace(settings, modified=model.btyd.modified))
        enough = free[rfm.FREQUENCY].sum() >= settings.learn_from and len(free) >= FEWEST_LEARNERS
        blends = {span: Blend.fit(span, list(past.values()), free, model, settings.boosting) for span, past in cohorts.items() if enough}
        levels = {span: _level(span, past, as_of) for span, past in cohorts.items()}
        return cls(model, accounts, contracts, blends, levels)

    def level(self, days: float) -> Level | None:
        """The level that holds over so many days; None where no past cohort says anything."""
        return self.levels[span_of(days, list(self.levels))] if self.levels else None

    def expected(self, inputs: pd.DataFrame, days: Floats) -> Expected:
        """For rows of one as_of; refund-only customers stay at 0."""
        shape = len(inputs), len(days)
        found = Expected(np.zeros(shape), np.zeros(shape), np.zeros(shape))
        buyers, fresh, _ = kinds(inputs)
        known, new = inputs.iloc[buyers], inputs.iloc[fresh]
        counts, value, tempo = self._of_buyers(known, days)
        found.purchases[buyers], found.mean[buyers] = counts * tempo, counts * tempo * value[:, None]
        found.p_alive[buyers] = self._alive(known)[:, None]
        age, segment = new[ACCOUNT_DAYS].to_numpy(float), new[c.SEGMENT]
        value_new = self.model.spend.mean_value * self.accounts.value_ratios(segment) * self.model.net_share
        for h, t in enumerate(days):
            count = self.accounts.expected_purchases(float(t), age=age, segment=segment, btyd=self.model.btyd)
            found.purchases[fresh, h], found.mean[fresh, h] = count, count * value_new
            found.p_alive[fresh, h] = self.accounts.p_first_purchase(float(t), age=age, segment=segment)
        return found

    def draws(self, inputs: pd.DataFrame, days: Floats, *, draws: int, seed: int) -> Iterator[tuple[Positions, Floats]]:
        """Simulated net revenue with the means of `expected`, chunk by chunk: ``(positions, (n, n_horizons, draws))``; ``days`` rise.

        Refund-only rows are left out. Draws of different customers are not independent: see `simulate` and `groups`.
        """
        shared = self._shared.setdefault((draws, seed), SharedDraws(self.model.btyd, self.model.spend, draws=draws, random_state=seed))
        buyers, fresh, _ = kinds(inputs)
        bound = np.zeros(len(inputs), bool)
        for name, places in self.contracts.places(inputs.iloc[buyers]).items():
            at = buyers[places]
            bound[at] = True
            yield from self._contract_draws(shared, self.contracts.by_segment[name], inputs.iloc[at], at, days)
        buyers = buyers[~bound[buyers]]
        known = inputs.iloc[buyers]
        frequency, _, age = histories(known)
        counts, value, tempo = self._of_buyers(known, days)
        mean = counts * tempo * value[:, None]
        alive, spent = self._alive(known), spent_of(known)
        for rows, drawn in shared.of_customers(frequency=frequency, alive=alive, T=age, spent=spent, days=days, tempo=tempo):
            yield buyers[rows], _with_mean(drawn * self.model.net_share, mean[rows])
        new = inputs.iloc[fresh]
        age = new[ACCOUNT_DAYS].to_numpy(dtype=float)
        for rows, drawn in shared.of_accounts(age=age, segment=new[c.SEGMENT], prior=self.accounts, days=days):
            yield fresh[rows], drawn * self.model.net_share

    def _contract_draws(
        self, shared: SharedDraws, contract: Contract, known: pd.DataFrame, at: Positions, days: Floats
    ) -> Iterator[tuple[Positions, Floats]]:
        mean = contract.counts(known, days) * self.model.value(known)[:, None]
        survived, spent = known[rfm.FREQUENCY].to_numpy(float), spent_of(known)
        active, due = contract.is_active(known), contract.due(known, days)
        for rows, drawn in shared.of_contracts(contract, survived=survived, is_active=active, due=due, spent=spent):
            yield at[rows], _with_mean(drawn * self.model.net_share, mean[rows])

    def _alive(self, known: pd.DataFrame) -> Floats:
        alive = self.model.p_alive(known)
        for name, rows in self.contracts.places(known).items():
            alive[rows] = self.contracts.by_segment[name].is_active(known.iloc[rows])
        return alive

    def _of_buyers(self, known: pd.DataFrame, days: Floats) -> tuple[Floats, Floats, Floats]:
        """Purchases that the purchase model expects ``(n, n_horizons)``, the value of one ``(n,)``, and what shape and level make of it.

        For contractual segments the purchases are those of the contract, and nothing is made of them.
        """
        counts, value = self.model.counts(known, days), self.model.value(known)
        factor = np.ones(counts.shape)
        for h, horizon in enumerate(days):
            level = self.level(float(horizon))
            factor[:, h] = level.factor if level else 1.0
            if self.blends:
                factor[:, h] *= self._ratio(known, float(horizon), value)
        # shapes and levels of two spans may disagree: no more time brings less
        whole = np.maximum.accumulate(counts * factor, axis=1)
        factor = np.divide(whole, counts, out=factor, where=counts > 0)
        for name, rows in self.contracts.places(known).items():
            counts[rows] = self.contracts.by_segment[name].counts(known.iloc[rows], days)
            factor[rows] = 1.0
        return counts, value, factor

    def _ratio(self, known: pd.DataFrame, horizon: float, value: Floats) -> Floats:
        blend = self.blends[span_of(horizon, list(self.blends))]
        expected = self.model.counts(known, np.array([float(blend.span)]))[:, 0] * value
        return blend.ratio(known, expected, value)


def kinds(inputs: pd.DataFrame) -> tuple[Positions, Positions, Positions]:
    """Positions of customers with a purchase, of accounts without an order, and of customers with refunds only."""
    bought = (inputs[rfm.PURCHASES] > 0).to_numpy()
    ordered = (inputs[rfm.ORDERS] > 0).to_numpy()
    return np.flatnonzero(bought), np.flatnonzero(~bought & ~ordered), np.flatnonzero(~bought & ordered)


def _cohorts(past: pd.DataFrame, contracts: Contracts, settings: Settings) -> dict[int, dict[pd.Timestamp, Cohort]]:
    """Cohorts by span and cutoff, newest first: customers with a purchase outside contracts, where some have come back within the span."""
    past = past[(past[rfm.PURCHASES] > 0) & ~past[c.SEGMENT].isin(contracts.by_segment)]
    found: dict[int, dict[pd.Timestamp, Cohort]] = {}
    models: dict[pd.Timestamp, PurchaseModel] = {}
    for span in sorted(int(name.removeprefix(SPENT)) for name in past if name.startswith(SPENT)):
        over = past[past[f"{SPENT}{span}"].notna()]
        for cutoff in sorted(over[c.AS_OF].unique(), reverse=True):
            rows = over[over[c.AS_OF] == cutoff].reset_index(drop=True)
            if cutoff not in models:
                models[cutoff] = PurchaseModel.fit(rows, modified=settings.modified, prior_weight=settings.prior_weight)
            cohort = Cohort.of(rows, models[cutoff], span)
            if cohort.spent.sum() > 0:
                found.setdefault(span, {})[pd.Timestamp(cutoff)] = cohort
    return found


def _level(span: int, past: Mapping[pd.Timestamp, Cohort], as_of: pd.Timestamp) -> Level:
    ratios, errors = [cohort.ratio for cohort in past.values()], [cohort.ratio_error for cohort in past.values()]
    return Level.find(span, list(past), ratios, errors, as_of)


def _with_mean(drawn: Floats, mean: Floats) -> Floats:
    """Draws ``(n, n_horizons, draws)`` scaled to a mean ``(n, n_horizons)``; where all are 0 they stay 0."""
    simulated = drawn.mean(axis=-1)
    return drawn * np.divide(mean, simulated, out=np.ones_like(mean), where=simulated > 0)[..., None]
