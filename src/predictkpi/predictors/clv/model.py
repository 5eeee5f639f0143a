"""Customer lifetime value by MBG/NBD (how often) and Gamma-Gamma (how much); see `btyd`, `gamma_gamma`, `accounts`, `simulate`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import horizon_end
from predictkpi.core.types import Readiness, Spec, Status
from predictkpi.errors import ArtifactError, InsufficientDataError, SettingsError
from predictkpi.features import rfm
from predictkpi.features.purchase_days import DAY
from predictkpi.predictors.clv.accounts import AccountPrior, fit_account_prior
from predictkpi.predictors.clv.artifact import read_state, write_state
from predictkpi.predictors.clv.baseline import MeanSpendBaseline
from predictkpi.predictors.clv.btyd import Btyd, fit_btyd
from predictkpi.predictors.clv.gamma_gamma import GammaGamma, fit_gamma_gamma
from predictkpi.predictors.clv.ladder import Verdicts, company_readiness, long_predictions
from predictkpi.predictors.clv.simulate import SharedDraws
from predictkpi.predictors.clv.spec import EXPECTED_PURCHASES, MEAN, P_ALIVE, QUANTILES, SPEC, STATISTICS
from predictkpi.predictors.clv.table import ACCOUNT_DAYS, build_clv_table, build_outcomes, check_clv_columns
from predictkpi.protocol import Predictor
from predictkpi.snapshot import Snapshot

Floats = npt.NDArray[np.float64]

# A customer who sent back (nearly) everything still bought: their purchases keep this share of their gross value.
_LEAST_NET_SHARE = 0.05
# One purchase this many times the usual one, and most of what the customer ever spent: nobody can say whether it comes again.
_OUTLIER_RATIO = 100.0


class ClvPredictor(Predictor):
    """Expected net revenue per customer with quantiles, P(alive) and expected purchases.

    Parameters: ``dropout`` "mbg" (may leave after the first purchase too) or "bg"; ``prior_weight`` of the weak priors that hold the
    estimates in place with few customers; ``segment_shrinkage`` customers' worth of company mean in each segment (accounts without an
    order); ``draws`` simulated futures behind the quantiles.
    """

    spec: ClassVar[Spec] = SPEC
    kind: ClassVar[Literal["model", "baseline"]] = "model"

    def __init__(
        self,
        *,
        dropout: Literal["mbg", "bg"] = "mbg",
        prior_weight: float = 1.0,
        segment_shrinkage: float = 20.0,
        draws: int = 256,
        random_state: int = 0,
    ) -> None:
        if dropout not in ("mbg", "bg"):
            raise SettingsError(f"clv: dropout={dropout!r}: must be mbg or bg")
        if draws < 32 or prior_weight < 0 or segment_shrinkage <= 0:
            given = f"draws={draws}, prior_weight={prior_weight}, segment_shrinkage={segment_shrinkage}"
            raise SettingsError(f"clv: {given}: need draws of at least 32, prior_weight not below 0, segment_shrinkage above 0")
        self.dropout = dropout
        self.prior_weight = prior_weight
        self.segment_shrinkage = segment_shrinkage
        self.draws = draws
        self.random_state = random_state
        self._shared: SharedDraws | None = None

    def baseline(self) -> MeanSpendBaseline:
        """Mean spend a month so far, carried on."""
        return MeanSpendBaseline()

    def readiness(self, snapshot: Snapshot) -> Readiness:
        """See `Predictor.readiness`; the horizon's own limit is stated with each prediction."""
        return company_readiness(build_clv_table(snapshot))

    def training_table(self, snapshot: Snapshot) -> pd.DataFrame:
        """The cohort at ``snapshot.as_of``: a purchase model learns from histories alone and needs no later outcomes."""
        return build_clv_table(snapshot)

    def inputs(self, snapshot: Snapshot, *, entity_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """See `Predictor.inputs`; the same columns as the training table."""
        return build_clv_table(snapshot, entity_ids=entity_ids)

    def outcomes(self, later: Snapshot, *, as_of: pd.Timestamp) -> pd.DataFrame:
        """Net revenue (``mean``) and purchases (``expected_purchases``) that came true; see `Predictor.outcomes`."""
        return build_outcomes(later, as_of=as_of)

    def fit(self, table: pd.DataFrame) -> Self:
        """Raises `InsufficientDataError` when nobody has bought anything, `SchemaError` for another table."""
        check_clv_columns(table)
        self._shared = None
        self.readiness_ = company_readiness(table)
        bought = table[table[rfm.PURCHASES] > 0]
        if not len(bought):
            raise InsufficientDataError("clv: no customer has a purchase of positive net value, so there is no spend to learn from")
        x, tx, age = (bought[name].to_numpy(dtype=float) for name in (rfm.FREQUENCY, rfm.RECENCY, rfm.T))
        self.btyd_ = fit_btyd(x, tx, age, modified=self.dropout == "mbg", prior_weight=self.prior_weight)
        spent = _spent(bought)
        purchases = bought[rfm.PURCHASES].to_numpy(dtype=float)
        self.spend_ = fit_gamma_gamma(purchases, spent / purchases, prior_weight=self.prior_weight)
        self.net_share_ = float(np.clip(bought[rfm.TOTAL].sum() / spent.sum(), _LEAST_NET_SHARE, 1.0))
        self.usual_purchase_ = float(np.median(spent / purchases))
        value = pd.Series(spent / purchases, index=bought.index).reindex(table.index)
        self.accounts_ = fit_account_prior(table, value, shrinkage=self.segment_shrinkage)
        return self

    def predict_inputs(self, inputs: pd.DataFrame) -> pd.DataFrame:
        """See `Predictor.predict_inputs`. Rows may be of several ``as_of``; no answer depends on the other rows."""
        check_clv_columns(inputs)
        inputs = inputs.reset_index(drop=True)
        values = np.zeros((len(inputs), len(SPEC.horizons), len(STATISTICS)))
        for as_of in inputs[c.AS_OF].unique():
            rows = np.flatnonzero(inputs[c.AS_OF] == as_of)
            values[rows] = self._values(inputs.iloc[rows].reset_index(drop=True), days=_horizon_days(pd.Timestamp(as_of)))
        return long_predictions(inputs, values, self._verdicts(inputs))

    def spend_draws(self, inputs: pd.DataFrame, *, as_of: pd.Timestamp) -> Iterator[tuple[npt.NDArray[np.intp], Floats]]:
        """Simulated net revenue behind the quantiles, chunk by chunk: ``(positions, (n, n_horizons, draws))``.

        Refund-only rows are left out. Draws of different customers are not independent: see `simulate`.
        """
        if self._shared is None:
            self._shared = SharedDraws(self.btyd_, self.spend_, draws=self.draws, random_state=self.random_state)
        days = _horizon_days(as_of)
        buyers, fresh, _ = _kinds(inputs)
        known = inputs.iloc[buyers]
        x, tx, age = (known[name].to_numpy(dtype=float) for name in (rfm.FREQUENCY, rfm.RECENCY, rfm.T))
        for rows, draws in self._shared.of_customers(frequency=x, recency=tx, T=age, spent=_spent(known), days=days):
            yield buyers[rows], draws * self.net_share_
        new = inputs.iloc[fresh]
        age = new[ACCOUNT_DAYS].to_numpy(dtype=float)
        for rows, draws in self._shared.of_accounts(age=age, segment=new[c.SEGMENT], prior=self.accounts_, days=days):
            yield fresh[rows], draws * self.net_share_

    def _values(self, inputs: pd.DataFrame, *, days: Floats) -> Floats:
        """``(n, n_horizons, n_statistics)`` for rows of one as_of; refund-only customers stay at 0."""
        at = {name: position for position, name in enumerate(STATISTICS)}
        out = np.zeros((len(inputs), len(days), len(STATISTICS)))
        buyers, fresh, _ = _kinds(inputs)
        known, new = inputs.iloc[buyers], inputs.iloc[fresh]
        x, tx, T = (known[name].to_numpy(dtype=float) for name in (rfm.FREQUENCY, rfm.RECENCY, rfm.T))
        alive = self.btyd_.p_alive(x, tx, T)
        purchases = known[rfm.PURCHASES].to_numpy(dtype=float)
        value = self.spend_.expected_value(purchases, _spent(known) / purchases) * self.net_share_
        age = new[ACCOUNT_DAYS].to_numpy(dtype=float)
        value_new = self.spend_.mean_value * self.accounts_.value_ratios(new[c.SEGMENT]) * self.net_share_
        for h, t in enumerate(days):
            count = alive * self.btyd_.purchases_if_alive(float(t), x, T)
            out[buyers, h, at[EXPECTED_PURCHASES]] = count
            out[buyers, h, at[MEAN]] = count * value
            out[buyers, h, at[P_ALIVE]] = alive
            count = self.accounts_.expected_purchases(float(t), age=age, segment=new[c.SEGMENT], btyd=self.btyd_)
            out[fresh, h, at[EXPECTED_PURCHASES]] = count
            out[fresh, h, at[MEAN]] = count * value_new
            out[fresh, h, at[P_ALIVE]] = self.accounts_.p_first_purchase(float(t), age=age, segment=new[c.SEGMENT])
        levels, first = list(QUANTILES.values()), at[next(iter(QUANTILES))]
        for rows, draws in self.spend_draws(inputs, as_of=inputs[c.AS_OF].iloc[0]):
            out[rows, :, first : first + len(levels)] = _quantiles(draws, levels)
        return out

    def _verdicts(self, inputs: pd.DataFrame) -> Verdicts:
        verdicts = Verdicts(inputs)
        verdicts.company(self.readiness_)
        verdicts.horizons()
        _, fresh, refunds = _kinds(inputs)
        rows = np.arange(len(inputs))
        verdicts.rows(np.isin(rows, fresh), Status.PRIOR, "no order yet: the mean of the segment and of accounts as old as this")
        verdicts.rows(np.isin(rows, refunds), Status.LIMITED, "no purchase, only refunds or orders of no value: nothing to expect")
        largest = inputs[rfm.LARGEST].to_numpy(dtype=float)
        outlier = (largest > _OUTLIER_RATIO * self.usual_purchase_) & (largest > 0.5 * inputs[rfm.GROSS].to_numpy(dtype=float))
        verdicts.rows(outlier, Status.LIMITED, f"one purchase over {_OUTLIER_RATIO:.0f} times the usual one decides the value")
        returned = (inputs[rfm.PURCHASES] > 0) & (inputs[rfm.TOTAL] <= 0)
        verdicts.rows(returned.to_numpy(dtype=bool), Status.LIMITED, "as much was refunded as bought")
        return verdicts

    def save(self, folder: Path) -> None:
        """See `Predictor.save`."""
        settings = {name: getattr(self, name) for name in ("dropout", "prior_weight", "segment_shrinkage", "draws", "random_state")}
        state = {
            "btyd": asdict(self.btyd_),
            "spend": asdict(self.spend_),
            "accounts": self.accounts_.to_state(),
            "net_share": self.net_share_,
            "usual_purchase": self.usual_purchase_,
            "readiness": self.readiness_.model_dump(mode="json"),
        }
        write_state(folder, kind=self.kind, settings=settings, state=state)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """See `Predictor.load`."""
        settings, state = read_state(folder, kind=cls.kind)
        try:
            model = cls(**settings)
            model._restore(state)
        except (KeyError, TypeError, ValueError, SettingsError) as error:
            raise ArtifactError(f"{folder}: the saved CLV model is damaged: {error!r}") from error
        return model

    def _restore(self, state: dict[str, Any]) -> None:
        self.btyd_ = Btyd(**state["btyd"])
        self.spend_ = GammaGamma(**state["spend"])
        self.accounts_ = AccountPrior(**state["accounts"])
        self.net_share_ = float(state["net_share"])
        self.usual_purchase_ = float(state["usual_purchase"])
        self.readiness_ = Readiness(**state["readiness"])


def _horizon_days(as_of: pd.Timestamp) -> Floats:
    ends = [horizon_end(as_of, horizon, SPEC.time_unit) for horizon in SPEC.horizons]
    return np.array([(end - as_of) / DAY for end in ends])


def _kinds(inputs: pd.DataFrame) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Positions of customers with a purchase, of accounts without an order, and of customers with refunds only."""
    bought = (inputs[rfm.PURCHASES] > 0).to_numpy()
    ordered = (inputs[rfm.ORDERS] > 0).to_numpy()
    return np.flatnonzero(bought), np.flatnonzero(~bought & ~ordered), np.flatnonzero(~bought & ordered)


def _spent(bought: pd.DataFrame) -> Floats:
    """Net of refunds, held above 0 as Gamma-Gamma needs; `net_share_` takes back in total what this adds."""
    total, gross = bought[rfm.TOTAL].to_numpy(dtype=float), bought[rfm.GROSS].to_numpy(dtype=float)
    return np.maximum(total, _LEAST_NET_SHARE * gross)


def _quantiles(draws: Floats, levels: Sequence[float]) -> Floats:
    """Quantiles over the last axis, as a new last axis; rows of zeros, the bulk, are not sorted."""
    ordered = np.zeros((*draws.shape[:-1], len(levels)))
    some = (draws > 0).mean(axis=-1) > 1.0 - max(levels)
    if some.any():
        ordered[some] = np.moveaxis(np.quantile(draws[some], levels, axis=-1), 0, -1)
    return ordered
