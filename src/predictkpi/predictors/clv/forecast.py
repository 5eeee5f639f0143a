"""The fitted whole behind `model`: purchase model, learnt shapes, level, contracts and accounts, asked for any number of days."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.features import rfm
from predictkpi.features.purchase_days import Floats
from predictkpi.predictors.clv.accounts import AccountPrior, fit_account_prior
from predictkpi.predictors.clv.blend import MOST_COHORTS, Blend, Cohort
from predictkpi.predictors.clv.contracts import Contract, Contracts, find_contracts
from predictkpi.predictors.clv.cutoffs import span_of
from predictkpi.predictors.clv.learners import Boosting
from predictkpi.predictors.clv.level import Level
from predictkpi.predictors.clv.purchase_model import PurchaseModel, histories, spent_of
from predictkpi.predictors.clv.simulate import Draws, SharedDraws, scaled
from predictkpi.predictors.clv.table import ACCOUNT_DAYS, SPENT

Positions = npt.NDArray[np.intp]
FEWEST_LEARNERS = 300
"""Customers with a purchase, now and in past cohorts, below which boosters only learn noise, however often each has bought."""
FEWEST_IN_COHORT = 30
"""Customers of a past cohort, some of whom came back: fewer say nothing about the others."""
LARGE_PURCHASE = 10.0
"""Median purchases that one may count for in what accounts of a segment are worth: a giant order says nothing about them."""
REACH = 2.0
"""A level learnt over a span holds for horizons up to so many times as long; for longer ones its logarithm fades."""


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


@dataclass(frozen=True)
class Buyers:
    """Customers with a purchase: their ``rows``, purchases that the purchase model expects ``(n, n_horizons)``, the ``value`` of one
    ``(n,)``, and the ``tempo`` ``(n, n_horizons)`` that shape and level make of it; in contracts, the contract's purchases, and 1."""

    rows: pd.DataFrame
    counts: Floats
    value: Floats
    tempo: Floats

    @property
    def purchases(self) -> Floats:
        """All told: ``(n, n_horizons)``."""
        return self.counts * self.tempo

    @property
    def mean(self) -> Floats:
        """Expected net revenue: ``(n, n_horizons)``."""
        return self.purchases * self.value[:, None]

    def chosen(self, places: Positions | npt.NDArray[np.bool_]) -> Buyers:
        """Some of them."""
        return Buyers(self.rows.iloc[places], self.counts[places], self.value[places], self.tempo[places])


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
        each = spent_of(bought) / bought[rfm.PURCHASES].to_numpy(float)
        value = pd.Series(np.minimum(each, LARGE_PURCHASE * np.median(each)), index=bought.index).reindex(now.index)
        accounts = fit_account_prior(now, value, shrinkage=settings.segment_shrinkage)
        contracts = Contracts(find_contracts(bought, prior_weight=settings.prior_weight))
        free = bought[~bought[c.SEGMENT].isin(contracts.by_segment)].reset_index(drop=True)
        past = table[(table[c.AS_OF] < as_of) & table[c.ENTITY_ID].isin(free[c.ENTITY_ID])]
        cohorts = _cohorts(past, replace(settings, modified=model.btyd.modified))
        enough = free[rfm.FREQUENCY].sum() >= settings.learn_from and len(free) >= FEWEST_LEARNERS
        blends = {
            span: Blend.fit(span, list(of_span.values()), free, model, settings.boosting)
            for span, of_span in cohorts.items()
            if enough and _can_teach(list(of_span.values()))
        }
        levels = {span: _level(span, of_span, as_of) for span, of_span in cohorts.items()}
        return cls(model, accounts, contracts, blends, levels)

    def level(self, days: float) -> Level | None:
        """The level that holds over so many days; None where no past cohort says anything."""
        return self.levels[span_of(days, list(self.levels))] if self.levels else None

    def expected(self, inputs: pd.DataFrame, days: Floats, *, known: Buyers | None = None) -> Expected:
        """For rows of one as_of; refund-only customers stay at 0. ``known`` is `buyers` of the same rows, where that is at hand."""
        shape = len(inputs), len(days)
        found = Expected(np.zeros(shape), np.zeros(shape), np.zeros(shape))
        buyers, fresh, _ = kinds(inputs)
        known, new = known or self.buyers(inputs, days), inputs.iloc[fresh]
        found.purchases[buyers], found.mean[buyers] = known.purchases, known.mean
        found.p_alive[buyers] = self.p_alive(known.rows)[:, None]
        found.purchases[fresh], found.mean[fresh], found.p_alive[fresh] = self._of_accounts(new, days)
        return found

    def draws(
        self, inputs: pd.DataFrame, days: Floats, *, draws: int, seed: int, known: Buyers | None = None
    ) -> Iterator[tuple[Positions, Draws]]:
        """Simulated net revenue with the means of `expected`, chunk by chunk: ``(positions, (n, n_horizons, draws))``; ``days`` rise.

        Refund-only rows are left out. Draws of different customers are not independent: see `simulate` and `groups`.
        """
        if (draws, seed) not in self._shared:
            self._shared[draws, seed] = SharedDraws(self.model.btyd, self.model.spend, draws=draws, random_state=seed)
        shared = self._shared[draws, seed]
        buyers, fresh, _ = kinds(inputs)
        known = known or self.buyers(inputs, days)
        bound = np.zeros(len(buyers), bool)
        for name, places in self.contracts.places(known.rows).items():
            bound[places] = True
            yield from self._contract_draws(shared, self.contracts.by_segment[name], known.chosen(places), buyers[places], days)
        free, known = buyers[~bound], known.chosen(~bound)
        frequency, _, age = histories(known.rows)
        alive, spent = self.p_alive(known.rows), spent_of(known.rows)
        for rows, drawn in shared.of_customers(frequency=frequency, alive=alive, T=age, spent=spent, days=days, tempo=known.tempo):
            yield free[rows], _with_mean(drawn, known.mean[rows])
        new = inputs.iloc[fresh]
        age, (_, mean, _) = new[ACCOUNT_DAYS].to_numpy(dtype=float), self._of_accounts(new, days)
        for rows, drawn in shared.of_accounts(age=age, segment=new[c.SEGMENT], prior=self.accounts, days=days):
            yield fresh[rows], _with_mean(drawn, mean[rows])

    def _of_accounts(self, new: pd.DataFrame, days: Floats) -> tuple[Floats, Floats, Floats]:
        """Of accounts without an order: expected purchases, net revenue, and the chance of a first purchase, ``(n, n_horizons)`` each."""
        age, segment = new[ACCOUNT_DAYS].to_numpy(float), new[c.SEGMENT]
        value = self.model.spend.mean_value * self.accounts.value_ratios(segment) * self.model.net_share
        counts = [self.accounts.expected_purchases(float(t), age=age, segment=segment, btyd=self.model.btyd) for t in days]
        first = [self.accounts.p_first_purchase(float(t), age=age, segment=segment) for t in days]
        return np.stack(counts, axis=1), np.stack(counts, axis=1) * value[:, None], np.stack(first, axis=1)

    def _contract_draws(
        self, shared: SharedDraws, contract: Contract, known: Buyers, at: Positions, days: Floats
    ) -> Iterator[tuple[Positions, Draws]]:
        survived, spent = known.rows[rfm.FREQUENCY].to_numpy(float), spent_of(known.rows)
        active, due = contract.is_active(known.rows), contract.due(known.rows, days)
        for rows, drawn in shared.of_contracts(contract, survived=survived, is_active=active, due=due, spent=spent):
            yield at[rows], _with_mean(drawn, known.mean[rows])

    def p_alive(self, known: pd.DataFrame) -> Floats:
        """Chance that each row with a purchase still is a customer: ``(n,)``; in contracts 0 or 1."""
        alive = self.model.p_alive(known)
        for name, rows in self.contracts.places(known).items():
            alive[rows] = self.contracts.by_segment[name].is_active(known.iloc[rows])
        return alive

    def buyers(self, inputs: pd.DataFrame, days: Floats) -> Buyers:
        """What is expected of the rows with a purchase; ``days`` rise."""
        rows = inputs.iloc[kinds(inputs)[0]]
        counts, value = self.model.counts(rows, days), self.model.value(rows)
        tempo = np.ones(counts.shape)
        for span, at in _by_span(days, list(self.levels)).items():
            fading = np.minimum(REACH * span / days[at], 1.0)
            tempo[:, at] *= self.levels[span].factor ** fading
        for span, at in _by_span(days, list(self.blends)).items():
            expected = self.model.counts(rows, np.array([float(span)]))[:, 0] * value
            tempo[:, at] *= self.blends[span].ratio(rows, expected, value)[:, None]
        # shapes and levels of two spans may disagree: no more time brings less
        whole = np.maximum.accumulate(counts * tempo, axis=1)
        tempo = np.divide(whole, counts, out=tempo, where=counts > 0)
        for name, places in self.contracts.places(rows).items():
            counts[places] = self.contracts.by_segment[name].counts(rows.iloc[places], days)
            tempo[places] = 1.0
        return Buyers(rows, counts, value, tempo)


def _by_span(days: Floats, spans: Sequence[int]) -> dict[int, list[int]]:
    """Which of ``days`` (their positions) each span stands for."""
    found: dict[int, list[int]] = {}
    for position, horizon in enumerate(days if spans else ()):
        found.setdefault(span_of(float(horizon), spans), []).append(position)
    return found


def kinds(inputs: pd.DataFrame) -> tuple[Positions, Positions, Positions]:
    """Positions of customers with a purchase, of accounts without an order, and of customers with refunds only."""
    bought = (inputs[rfm.PURCHASES] > 0).to_numpy()
    ordered = (inputs[rfm.ORDERS] > 0).to_numpy()
    return np.flatnonzero(bought), np.flatnonzero(~bought & ~ordered), np.flatnonzero(~bought & ordered)


def _cohorts(past: pd.DataFrame, settings: Settings) -> dict[int, dict[pd.Timestamp, Cohort]]:
    """Cohorts by span and cutoff, newest first: customers with a purchase, where enough of them have come back within the span."""
    past = past[past[rfm.PURCHASES] > 0]
    found: dict[int, dict[pd.Timestamp, Cohort]] = {}
    models: dict[pd.Timestamp, PurchaseModel] = {}
    for span in sorted(int(name.removeprefix(SPENT)) for name in past if name.startswith(SPENT)):
        over = past[past[f"{SPENT}{span}"].notna()]
        for cutoff in sorted(over[c.AS_OF].unique(), reverse=True):
            rows = over[over[c.AS_OF] == cutoff].reset_index(drop=True)
            if len(rows) < FEWEST_IN_COHORT:
                continue
            if cutoff not in models:
                models[cutoff] = PurchaseModel.fit(rows, modified=settings.modified, prior_weight=settings.prior_weight)
            cohort = Cohort.of(rows, models[cutoff], span)
            if cohort.spent.sum() > 0:
                found.setdefault(span, {})[pd.Timestamp(cutoff)] = cohort
    return found


def _can_teach(cohorts: Sequence[Cohort]) -> bool:
    """Whether the cohorts that a blend learns from hold enough different customers, and enough that came back."""
    rows = pd.concat([cohort.rows.assign(came=cohort.spent > 0) for cohort in cohorts[:MOST_COHORTS]])
    return rows[c.ENTITY_ID].nunique() >= FEWEST_LEARNERS and rows.loc[rows["came"], c.ENTITY_ID].nunique() >= FEWEST_IN_COHORT


def _level(span: int, past: Mapping[pd.Timestamp, Cohort], as_of: pd.Timestamp) -> Level:
    ratios, errors = [cohort.ratio for cohort in past.values()], [cohort.ratio_error for cohort in past.values()]
    return Level.find(span, list(past), ratios, errors, as_of)


def _with_mean(drawn: Draws, mean: Floats) -> Draws:
    """Draws ``(n, n_horizons, draws)`` scaled to a mean ``(n, n_horizons)``; where all are 0 they stay 0."""
    simulated = drawn.mean(axis=-1, dtype=float)
    return scaled(drawn, np.divide(mean, simulated, out=np.ones_like(mean), where=simulated > 0)[..., None])
