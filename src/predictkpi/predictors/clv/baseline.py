"""Mean spend carried on: what a spreadsheet does for CLV. Every report shows it beside the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import horizon_end
from predictkpi.core.types import Readiness, Spec, Status
from predictkpi.errors import ArtifactError, InsufficientDataError
from predictkpi.features import rfm
from predictkpi.predictors.clv.artifact import read_state, write_state
from predictkpi.predictors.clv.ladder import MONTH_DAYS, Verdicts, company_readiness, long_predictions
from predictkpi.predictors.clv.level import DEFAULT_SPREAD
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
from predictkpi.predictors.clv.table import CLV_COLUMNS, MARGIN_SHARE, build_clv_table, build_outcomes, check_clv_columns
from predictkpi.protocol import Predictor
from predictkpi.snapshot import Snapshot

Floats = npt.NDArray[np.float64]

ACTUAL = "actual"
# by purchases so far: none, one, two or three, four and more
_BINS = np.array([1.0, 2.0, 4.0])
_N_BINS = len(_BINS) + 1
_FEWEST_IN_BIN = 30
_DRAWS = 256
_AT_ONCE = 4096


class MeanSpendBaseline(Predictor):
    """Spend per month since the first purchase (one month at least) times the months of the horizon.

    Customers without a purchase get the overall mean. Quantiles come from how actual and so predicted spend compared at an earlier
    ``as_of``, by number of purchases; ``p_alive`` is the share that bought again then.
    """

    spec: ClassVar[Spec] = SPEC
    kind: ClassVar[Literal["model", "baseline"]] = "baseline"

    def __init__(self, *, random_state: int = 0) -> None:
        self.random_state = random_state

    def readiness(self, snapshot: Snapshot) -> Readiness:
        """See `Predictor.readiness`."""
        return company_readiness(build_clv_table(snapshot))

    def training_table(self, snapshot: Snapshot) -> pd.DataFrame:
        """The cohort now (``horizon`` 0), and for each horizon the cohort that many months ago with what it bought since."""
        frames = [build_clv_table(snapshot).assign(**{c.HORIZON: 0, ACTUAL: np.nan, EXPECTED_PURCHASES: np.nan})]
        first = snapshot.orders[c.DS].min()
        for horizon in SPEC.horizons:
            then = snapshot.as_of - pd.DateOffset(months=horizon)
            if len(snapshot.orders) and then > first:
                table = build_clv_table(snapshot.at(then), with_margin=False)
                end = horizon_end(then, horizon, SPEC.time_unit)
                came_true = rfm.spend_in(snapshot.orders, start=then, end=end).reindex(table[c.ENTITY_ID]).fillna(0.0)
                known = {ACTUAL: came_true[rfm.TOTAL].to_numpy(), EXPECTED_PURCHASES: came_true[rfm.PURCHASES].to_numpy()}
                frames.append(table.assign(**{c.HORIZON: horizon} | known))
        return pd.concat(frames, ignore_index=True)

    def inputs(self, snapshot: Snapshot, *, entity_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """See `Predictor.inputs`."""
        return build_clv_table(snapshot, entity_ids=entity_ids)

    def outcomes(self, later: Snapshot, *, as_of: pd.Timestamp) -> pd.DataFrame:
        """See `Predictor.outcomes`."""
        return build_outcomes(later, as_of=as_of)

    def fit(self, table: pd.DataFrame) -> Self:
        """Raises `InsufficientDataError` when nobody has bought anything, `SchemaError` for another table."""
        check_clv_columns(table, needed=[*CLV_COLUMNS, c.HORIZON, ACTUAL, EXPECTED_PURCHASES])
        now = table[table[c.HORIZON] == 0]
        self.readiness_ = company_readiness(now)
        bought = now[now[rfm.PURCHASES] > 0]
        if not len(bought):
            raise InsufficientDataError("clv: no customer has a purchase of positive net value, so there is no spend to carry on")
        months = _months_since_first(bought).sum()
        # over all customers, also those without an order: an account is worth what accounts were worth
        share = len(bought) / len(now)
        self.monthly_spend_ = max(float(bought[rfm.TOTAL].sum() / months), 0.0) * share
        self.monthly_purchases_ = float(bought[rfm.PURCHASES].sum() / months) * share
        bought_again = (bought[rfm.FREQUENCY] > 0).mean()
        self.ratios_: dict[int, list[list[float]]] = {}
        self.again_: list[float] = [float(bought_again)] * _N_BINS
        for horizon in SPEC.horizons:
            past = table[table[c.HORIZON] == horizon]
            if len(past):
                self._learn_ratios(past, horizon)
        return self

    def predict_inputs(self, inputs: pd.DataFrame) -> pd.DataFrame:
        """See `Predictor.predict_inputs`."""
        check_clv_columns(inputs)
        inputs = inputs.reset_index(drop=True)
        values = np.zeros((len(inputs), len(SPEC.horizons), len(STATISTICS)))
        at = {name: position for position, name in enumerate(STATISTICS)}
        spend, purchases = self._monthly(inputs)
        bins = np.searchsorted(_BINS, inputs[rfm.PURCHASES].to_numpy(dtype=float), side="right")
        refunds = ((inputs[rfm.PURCHASES] <= 0) & (inputs[rfm.ORDERS] > 0)).to_numpy()
        for h, horizon in enumerate(SPEC.horizons):
            values[:, h, at[MEAN]] = spend * horizon
            values[:, h, at[DISCOUNTED]] = spend * horizon * discount_of_even_spend(horizon)
            values[:, h, at[MARGIN]] = spend * horizon * inputs[MARGIN_SHARE].to_numpy(dtype=float)
            values[:, h, at[EXPECTED_PURCHASES]] = purchases * horizon
            values[:, h, at[P_ALIVE]] = np.where(refunds, 0.0, np.array(self.again_)[bins])
            ratios = np.array(self._ratios_of(horizon))[bins]
            for q, name in enumerate(QUANTILES):
                values[:, h, at[name]] = spend * horizon * ratios[:, q]
        verdicts = Verdicts(inputs)
        verdicts.company(self.readiness_)
        verdicts.rows(np.ones(len(inputs), dtype=bool), Status.BASELINE, "mean spend so far, carried on")
        verdicts.rows(refunds, Status.BASELINE, "no purchase, only refunds or orders of no value: nothing to expect")
        verdicts.rows((inputs[rfm.ORDERS] <= 0).to_numpy(), Status.PRIOR, "no order yet: the mean of all customers")
        return long_predictions(inputs, values, verdicts)

    def spend_draws(
        self, inputs: pd.DataFrame, *, days: Floats, draws: int | None = None
    ) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]]:
        """Net revenue at evenly spaced probabilities, rising: ``(positions, (n, n_days, draws))``, chunk by chunk.

        Straight lines between 0 and the quantiles of a prediction, and beyond q90 up to where the mean is the predicted one.
        """
        n_draws = draws or _DRAWS
        spend, _ = self._monthly(inputs)
        bins = np.searchsorted(_BINS, inputs[rfm.PURCHASES].to_numpy(dtype=float), side="right")
        ratios = np.array([self._ratio_draws(float(until) / MONTH_DAYS, n_draws) for until in days])
        for start in range(0, len(inputs), _AT_ONCE):
            rows = np.arange(start, min(start + _AT_ONCE, len(inputs)))
            mean = spend[rows, None] * (days / MONTH_DAYS)
            yield rows, mean[:, :, None] * np.moveaxis(ratios[:, bins[rows]], 0, 1)

    def level_spreads(self, days: Floats) -> Floats:
        """`DEFAULT_SPREAD`: the baseline learns no level."""
        return np.full(len(days), DEFAULT_SPREAD)

    def _ratio_draws(self, months: float, draws: int) -> Floats:
        """What comes over what is predicted, ``(n_bins, draws)`` of mean 1, as over the shortest horizon that holds ``months``."""
        ratios = np.array(self._ratios_of(min((horizon for horizon in SPEC.horizons if horizon >= months), default=SPEC.horizons[-1])))
        at = np.array([0.0, *QUANTILES.values(), 1.0])
        values = np.column_stack([np.zeros(len(ratios)), ratios, ratios[:, -1]])
        missing = 1.0 - ((values[:, 1:] + values[:, :-1]) / 2.0) @ np.diff(at)
        values[:, -1] += np.maximum(missing, 0.0) / (at[-1] - at[-2]) * 2.0
        found = np.array([np.interp((np.arange(draws) + 0.5) / draws, at, row) for row in values])
        return found / found.mean(axis=1, keepdims=True)

    def save(self, folder: Path) -> None:
        """See `Predictor.save`."""
        state = {
            "monthly_spend": self.monthly_spend_,
            "monthly_purchases": self.monthly_purchases_,
            "again": self.again_,
            "ratios": {str(horizon): ratios for horizon, ratios in self.ratios_.items()},
            "readiness": self.readiness_.model_dump(mode="json"),
        }
        write_state(folder, kind=self.kind, settings={"random_state": self.random_state}, state=state)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """See `Predictor.load`."""
        settings, state = read_state(folder, kind=cls.kind)
        try:
            model = cls(**settings)
            model.monthly_spend_ = float(state["monthly_spend"])
            model.monthly_purchases_ = float(state["monthly_purchases"])
            model.again_ = [float(share) for share in state["again"]]
            model.ratios_ = {int(horizon): ratios for horizon, ratios in state["ratios"].items()}
            model.readiness_ = Readiness(**state["readiness"])
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{folder}: the saved CLV baseline is damaged: {error!r}") from error
        return model

    def _monthly(self, inputs: pd.DataFrame) -> tuple[Floats, Floats]:
        """Spend and purchases per month; 0 for refund-only customers and never below."""
        months = _months_since_first(inputs)
        bought, ordered = (inputs[rfm.PURCHASES] > 0).to_numpy(), (inputs[rfm.ORDERS] > 0).to_numpy()
        spend = np.where(bought, np.maximum(inputs[rfm.TOTAL].to_numpy(dtype=float), 0.0) / months, 0.0)
        purchases = np.where(bought, inputs[rfm.PURCHASES].to_numpy(dtype=float) / months, 0.0)
        return np.where(ordered, spend, self.monthly_spend_), np.where(ordered, purchases, self.monthly_purchases_)

    def _learn_ratios(self, past: pd.DataFrame, horizon: int) -> None:
        """Quantiles of actual over predicted spend by number of purchases; small bins take all customers' ratios."""
        spend, _ = self._monthly(past)
        actual = np.maximum(past[ACTUAL].to_numpy(dtype=float), 0.0)
        usable = spend > 0
        ratio = np.divide(actual, spend * horizon, out=np.zeros_like(actual), where=usable)
        bins = np.searchsorted(_BINS, past[rfm.PURCHASES].to_numpy(dtype=float), side="right")
        again = (past[EXPECTED_PURCHASES] > 0).to_numpy()
        ratios, shares = [], []
        for number in range(_N_BINS):
            chosen = usable & (bins == number)
            chosen = chosen if chosen.sum() >= _FEWEST_IN_BIN else usable
            ratios.append(
                [float(value) for value in np.quantile(ratio[chosen], list(QUANTILES.values()))] if chosen.any() else [0.0, 0.0, 0.0]
            )
            shares.append(float(again[chosen].mean()) if chosen.any() else self.again_[number])
        self.ratios_[horizon] = ratios
        self.again_ = shares

    def _ratios_of(self, horizon: int) -> list[list[float]]:
        """Ratios of this horizon, or of the longest one seen; with none, a customer may as well stop as double."""
        if horizon in self.ratios_:
            return self.ratios_[horizon]
        return self.ratios_[max(self.ratios_)] if self.ratios_ else [[0.0, 1.0, 2.0]] * _N_BINS


def discount_of_even_spend(months: int) -> float:
    """Present value over the sum of a spend that is the same every month, at `ANNUAL_DISCOUNT`."""
    years = (np.arange(months) + 0.5) / 12.0
    return float(np.mean((1.0 + ANNUAL_DISCOUNT) ** -years))


def _months_since_first(table: pd.DataFrame) -> Floats:
    return np.maximum(table[rfm.T].to_numpy(dtype=float) / MONTH_DAYS, 1.0)
