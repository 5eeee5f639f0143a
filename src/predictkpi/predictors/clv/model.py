"""Customer lifetime value: purchase models, learnt shapes and a level of their own; see `forecast` for how they work together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import horizon_end
from predictkpi.core.types import Readiness, Spec, Status
from predictkpi.errors import InsufficientDataError, SettingsError
from predictkpi.features import rfm
from predictkpi.features.purchase_days import DAY, Floats
from predictkpi.predictors.clv import artifact
from predictkpi.predictors.clv.baseline import MeanSpendBaseline
from predictkpi.predictors.clv.explain import EXPLAINED_HORIZON, UsualCustomer, explain
from predictkpi.predictors.clv.forecast import CustomerForecast, Positions, Settings, kinds
from predictkpi.predictors.clv.ladder import MONTH_DAYS, Verdicts, company_readiness, long_predictions
from predictkpi.predictors.clv.learners import Boosting
from predictkpi.predictors.clv.level import DEFAULT_SPREAD
from predictkpi.predictors.clv.parts import CustomerParts
from predictkpi.predictors.clv.purchase_model import spent_of
from predictkpi.predictors.clv.reasons import title_of
from predictkpi.predictors.clv.simulate import Draws
from predictkpi.predictors.clv.spec import (
    ANNUAL_DISCOUNT,
    DISCOUNTED,
    EXPECTED_PURCHASES,
    MARGIN,
    MEAN,
    P_ALIVE,
    QUANTILES,
    SPEC,
    STATISTICS,
)
from predictkpi.predictors.clv.table import MARGIN_SHARE, build_clv_table, build_outcomes, build_training_table, check_clv_columns
from predictkpi.protocol import Predictor
from predictkpi.snapshot import Snapshot

# One purchase this many times the usual one, and most of what the customer ever spent: nobody can say whether it comes again.
_OUTLIER_RATIO = 100.0
_DROPOUTS: dict[str, bool | None] = {"auto": None, "mbg": True, "bg": False}


class ClvPredictor(Predictor):
    """Expected net revenue per customer with quantiles, P(alive) and expected purchases. Settings are explained in models/clv.yaml."""

    spec: ClassVar[Spec] = SPEC
    kind: ClassVar[Literal["model", "baseline"]] = "model"

    def __init__(
        self,
        *,
        dropout: Literal["auto", "mbg", "bg"] = "auto",
        prior_weight: float = 1.0,
        segment_shrinkage: float = 20.0,
        learn_from: int = 5000,
        rounds: int = 120,
        learning_rate: float = 0.05,
        leaves: int = 7,
        min_rows: int = 100,
        l2: float = 5.0,
        past_rows: int = 300_000,
        annual_discount: float = ANNUAL_DISCOUNT,
        draws: int = 256,
        random_state: int = 0,
    ) -> None:
        if dropout not in _DROPOUTS:
            raise SettingsError(f"clv: dropout={dropout!r}: must be one of {', '.join(_DROPOUTS)}")
        if draws < 32 or prior_weight < 0 or segment_shrinkage <= 0:
            given = f"draws={draws}, prior_weight={prior_weight}, segment_shrinkage={segment_shrinkage}"
            raise SettingsError(f"clv: {given}: need draws of at least 32, prior_weight not below 0, segment_shrinkage above 0")
        if annual_discount < 0:
            raise SettingsError(f"clv: annual_discount={annual_discount}: must not be below 0, which discounts nothing")
        self.dropout = dropout
        self.prior_weight = prior_weight
        self.segment_shrinkage = segment_shrinkage
        self.learn_from = learn_from
        self.rounds = rounds
        self.learning_rate = learning_rate
        self.leaves = leaves
        self.min_rows = min_rows
        self.l2 = l2
        self.past_rows = past_rows
        self.annual_discount = annual_discount
        self.draws = draws
        self.random_state = random_state

    def baseline(self) -> MeanSpendBaseline:
        """Mean spend a month so far, carried on."""
        return MeanSpendBaseline()

    def readiness(self, snapshot: Snapshot) -> Readiness:
        """See `Predictor.readiness`; the horizon's own limit is stated with each prediction."""
        return company_readiness(build_clv_table(snapshot))

    def training_table(self, snapshot: Snapshot) -> pd.DataFrame:
        """The cohort at ``snapshot.as_of``, and past ones with what they bought since; see `table.build_training_table`."""
        return build_training_table(snapshot, horizons=[months * MONTH_DAYS for months in SPEC.horizons], budget=self.past_rows)

    def inputs(self, snapshot: Snapshot, *, entity_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """See `Predictor.inputs`; the same columns as the newest cohort of the training table."""
        return build_clv_table(snapshot, entity_ids=entity_ids)

    @property
    def parts(self) -> CustomerParts:
        """See `Predictor.parts`."""
        return CustomerParts(past_rows=self.past_rows)

    def outcomes(self, later: Snapshot, *, as_of: pd.Timestamp) -> pd.DataFrame:
        """Net revenue (``mean``) and purchases (``expected_purchases``) that came true; see `Predictor.outcomes`."""
        return build_outcomes(later, as_of=as_of)

    def fit(self, table: pd.DataFrame) -> Self:
        """Raises `InsufficientDataError` when nobody has bought anything, `SchemaError` for another table."""
        check_clv_columns(table)
        now = table[table[c.AS_OF] == table[c.AS_OF].max()]
        self.readiness_ = company_readiness(now)
        bought = now[now[rfm.PURCHASES] > 0]
        if not len(bought):
            raise InsufficientDataError("clv: no customer has a purchase of positive net value, so there is no spend to learn from")
        self.usual_purchase_ = float(np.median(spent_of(bought) / bought[rfm.PURCHASES].to_numpy(float)))
        self.forecast_ = CustomerForecast.fit(table, self.settings())
        here = bought[self.forecast_.p_alive(bought) >= 0.5]
        self.usual_ = UsualCustomer.of(here if len(here) else bought)
        return self

    def predict_inputs(self, inputs: pd.DataFrame) -> pd.DataFrame:
        """See `Predictor.predict_inputs`. Rows may be of several ``as_of``; no answer depends on the other rows."""
        check_clv_columns(inputs)
        inputs = inputs.reset_index(drop=True)
        values = np.zeros((len(inputs), len(SPEC.horizons), len(STATISTICS)))
        for as_of in inputs[c.AS_OF].unique():
            rows = np.flatnonzero(inputs[c.AS_OF] == as_of)
            values[rows] = self._values(inputs.iloc[rows].reset_index(drop=True), days=horizon_days(pd.Timestamp(as_of)))
        return long_predictions(inputs, values, self._verdicts(inputs))

    @property
    def purpose(self) -> str:
        """See `Predictor.purpose`."""
        return "What each customer will still bring, for ranking, for budgets of retention and for customer value beside acquisition cost."

    @property
    def limits(self) -> tuple[str, ...]:
        """See `Predictor.limits`."""
        return (
            "Wide for one customer, narrow for many: decide on groups, not on a single account.",
            "Business that a customer has never done is not foreseen.",
            "Do not use it to deny service to a person.",
        )

    def explain(self, inputs: pd.DataFrame) -> pd.DataFrame:
        """Why the mean by 12 months differs from the usual customer's, in currency; see `explain`."""
        check_clv_columns(inputs)
        known = SPEC.horizons.index(EXPLAINED_HORIZON) + 1
        frames = [
            explain(self.forecast_, self.usual_, rows.reset_index(drop=True), horizon_days(pd.Timestamp(as_of))[:known])
            for as_of, rows in inputs.groupby(c.AS_OF, sort=False)
        ]
        return pd.concat(frames, ignore_index=True) if frames else super().explain(inputs)

    def reason_title(self, feature: str, language: str = "en") -> str:
        """See `Predictor.reason_title`."""
        return title_of(feature, language)

    def spend_draws(self, inputs: pd.DataFrame, *, days: Floats, draws: int | None = None) -> Iterator[tuple[Positions, Draws]]:
        """Simulated net revenue behind the quantiles, chunk by chunk; see `CustomerForecast.draws`. Rows are of one as_of."""
        yield from self.forecast_.draws(inputs, days, draws=draws or self.draws, seed=self.random_state)

    def level_in_words(self, days: float) -> str:
        """What the level of all customers over so many days comes from; see `level`."""
        level = self.forecast_.level(days)
        if level is None:
            return "level: customers' own histories alone, for want of past cohorts"
        return f"level: rule {level.rule}, all x {level.factor:.2f}; totals were off by {level.spread:.0%} (one standard deviation)"

    def level_spreads(self, days: Floats) -> Floats:
        """Standard deviation of the log of what all customers together bring within each of ``days``, over its expectation."""
        levels = [self.forecast_.level(float(horizon)) for horizon in days]
        return np.array([level.spread if level else DEFAULT_SPREAD for level in levels])

    def _values(self, inputs: pd.DataFrame, *, days: Floats) -> Floats:
        """``(n, n_horizons, n_statistics)`` for rows of one as_of."""
        at = {name: position for position, name in enumerate(STATISTICS)}
        known = self.forecast_.buyers(inputs, days)
        expected = self.forecast_.expected(inputs, days, known=known)
        out = np.zeros((len(inputs), len(days), len(STATISTICS)))
        out[:, :, at[MEAN]], out[:, :, at[EXPECTED_PURCHASES]] = expected.mean, expected.purchases
        out[:, :, at[P_ALIVE]] = expected.p_alive
        out[:, :, at[DISCOUNTED]] = discounted(expected.mean, days, self.annual_discount)
        out[:, :, at[MARGIN]] = expected.mean * inputs[MARGIN_SHARE].to_numpy(float)[:, None]
        levels, first = list(QUANTILES.values()), at[next(iter(QUANTILES))]
        for rows, draws in self.forecast_.draws(inputs, days, draws=self.draws, seed=self.random_state, known=known):
            out[rows, :, first : first + len(levels)] = np.maximum.accumulate(_quantiles(draws, levels), axis=1)
        return out

    def _verdicts(self, inputs: pd.DataFrame) -> Verdicts:
        verdicts = Verdicts(inputs)
        verdicts.company(self.readiness_)
        verdicts.horizons()
        buyers, fresh, refunds = kinds(inputs)
        rows = np.arange(len(inputs))
        verdicts.rows(np.isin(rows, fresh), Status.PRIOR, "no order yet: the mean of the segment and of accounts as old as this")
        verdicts.rows(np.isin(rows, refunds), Status.LIMITED, "no purchase, only refunds or orders of no value: nothing to expect")
        largest = inputs[rfm.LARGEST].to_numpy(dtype=float)
        outlier = (largest > _OUTLIER_RATIO * self.usual_purchase_) & (largest > 0.5 * inputs[rfm.GROSS].to_numpy(dtype=float))
        verdicts.rows(outlier, Status.LIMITED, f"one purchase over {_OUTLIER_RATIO:.0f} times the usual one decides the value")
        returned = (inputs[rfm.PURCHASES] > 0) & (inputs[rfm.TOTAL] <= 0)
        verdicts.rows(returned.to_numpy(dtype=bool), Status.LIMITED, "as much was refunded as bought")
        for name, places in self.forecast_.contracts.places(inputs.iloc[buyers]).items():
            contract = self.forecast_.contracts.by_segment[name]
            said = f"a contract with payments every {contract.period:.0f} days, by the shape of its segment's data"
            verdicts.notes.append((MEAN, np.isin(rows, buyers[places]), said))
            lapsed = buyers[places][~contract.is_active(inputs.iloc[buyers[places]])]
            verdicts.rows(np.isin(rows, lapsed), Status.LIMITED, "the contract has lapsed: no payment for more than one and a half periods")
        return verdicts

    def save(self, folder: Path) -> None:
        """See `Predictor.save`."""
        state: dict[str, Any] = {"usual_purchase": self.usual_purchase_, "usual": dict(self.usual_.parts)}
        state |= {"readiness": self.readiness_.model_dump(mode="json")}
        artifact.write_forecast(folder, self.forecast_, settings=vars_of(self), state=state)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """See `Predictor.load`."""
        settings, state, forecast = artifact.read_forecast(folder)
        with artifact.complete(folder):
            model = cls(**settings)
            model.forecast_ = forecast
            model.usual_purchase_ = float(state["usual_purchase"])
            model.usual_ = UsualCustomer(state["usual"])
            model.readiness_ = Readiness(**state["readiness"])
        return model

    def settings(self) -> Settings:
        """The settings of the fitted whole."""
        return Settings(
            modified=_DROPOUTS[self.dropout],
            prior_weight=self.prior_weight,
            segment_shrinkage=self.segment_shrinkage,
            learn_from=self.learn_from,
            boosting=Boosting(
                rounds=self.rounds,
                learning_rate=self.learning_rate,
                leaves=self.leaves,
                min_rows=self.min_rows,
                l2=self.l2,
                seed=self.random_state,
            ),
        )


def vars_of(model: ClvPredictor) -> dict[str, Any]:
    """The constructor's arguments as the model holds them."""
    return {name: value for name, value in vars(model).items() if not name.endswith("_")}


def horizon_days(as_of: pd.Timestamp) -> Floats:
    """Days from ``as_of`` to the end of each of the spec's horizons."""
    ends = [horizon_end(as_of, horizon, SPEC.time_unit) for horizon in SPEC.horizons]
    return np.array([(end - as_of) / DAY for end in ends])


def discounted(mean: Floats, days: Floats, annual_rate: float) -> Floats:
    """Present value of revenue expected by each of ``days`` (rising): each stretch between two of them counts at its middle."""
    steps, edges = np.diff(mean, axis=1, prepend=0.0), np.concatenate([[0.0], days])
    middle = (edges[:-1] + edges[1:]) / 2.0
    return np.cumsum(steps * (1.0 + annual_rate) ** (-middle / 365.25), axis=1)


def _quantiles(draws: Draws, levels: Sequence[float]) -> Floats:
    """Quantiles over the last axis, as a new last axis; rows of zeros, the bulk, are not sorted."""
    ordered = np.zeros((*draws.shape[:-1], len(levels)))
    some = (draws > 0).mean(axis=-1) > 1.0 - max(levels)
    if some.any():
        ordered[some] = np.moveaxis(np.quantile(draws[some], levels, axis=-1), 0, -1)
    return ordered
