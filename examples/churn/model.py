"""The chance that a customer buys nothing in the months to come: a logistic regression per horizon, beside the share of all."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import Readiness, Spec, Statistic, Status
from predictkpi.errors import ArtifactError, InsufficientDataError
from predictkpi.predictors.churn.table import CHURNED, FEATURES, HORIZONS, build_inputs, build_outcomes, build_training_table
from predictkpi.protocol import Predictor
from predictkpi.snapshot import Snapshot

Floats = npt.NDArray[np.float64]
STATISTIC = "p_churn"
SPEC = Spec(
    name="churn",
    title={"en": "Customer churn", "de": "Kundenabwanderung"},
    entity="customer",
    horizons=HORIZONS,
    time_unit="month",
    statistics=(Statistic(name=STATISTIC, unit="probability", description="no purchase within the horizon"),),
    headline=STATISTIC,
    score="mean",  # a probability is the mean of what comes true: the family's deviance is least for the right one
)
NEEDED, FEWEST = 100, 30
"""Customers of a year ago: for status full, and to learn at all."""
_FILE = "churn.json"


class Churn(Predictor):
    """What model and baseline share: the cohort, its outcomes and one file of numbers per horizon."""

    spec: ClassVar[Spec] = SPEC

    learned_: dict[int, list[float]]
    status_: str
    reason_: str

    @abstractmethod
    def learn(self, x: Floats, y: Floats) -> list[float]:
        """Numbers learnt of one horizon from features ``(n, n_features)`` and churned or not ``(n,)``."""

    @abstractmethod
    def chance(self, learned: Sequence[float], x: Floats) -> Floats:
        """Chance to churn for each row of ``x``, from what `learn` gave."""

    def readiness(self, snapshot: Snapshot) -> Readiness:
        """See `Predictor.readiness`."""
        return _rung(len(build_inputs(snapshot.at(snapshot.as_of - pd.DateOffset(months=max(HORIZONS))))))

    def training_table(self, snapshot: Snapshot) -> pd.DataFrame:
        """See `table.build_training_table`."""
        return build_training_table(snapshot)

    def fit(self, table: pd.DataFrame) -> Self:
        """Raises `InsufficientDataError` with fewer than `FEWEST` customers a year ago."""
        longest = table[table[c.HORIZON] == max(HORIZONS)]
        readiness = _rung(int((longest[c.AS_OF] == longest[c.AS_OF].max()).sum()))
        if readiness.status is Status.INSUFFICIENT_DATA:
            raise InsufficientDataError(f"churn: {readiness.reason}")
        self.status_, self.reason_ = readiness.status.value, readiness.reason
        parts = {horizon: table[table[c.HORIZON] == horizon] for horizon in HORIZONS}
        self.learned_ = {
            horizon: self.learn(part[list(FEATURES)].to_numpy(float), part[CHURNED].to_numpy(float)) for horizon, part in parts.items()
        }
        return self

    def inputs(self, snapshot: Snapshot, *, entity_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """See `table.build_inputs`."""
        return build_inputs(snapshot, entity_ids)

    def predict_inputs(self, inputs: pd.DataFrame) -> pd.DataFrame:
        """See `Predictor.predict_inputs`; who is silent for longer was silent before, so chances never rise with the horizon."""
        x = inputs[list(FEATURES)].to_numpy(float)
        chances = np.column_stack([self.chance(self.learned_[horizon], x) for horizon in HORIZONS])
        chances = np.minimum.accumulate(chances, axis=1)
        rows = inputs[[c.ENTITY_ID, c.AS_OF]].loc[inputs.index.repeat(len(HORIZONS))].reset_index(drop=True)
        horizons = np.tile(np.array(HORIZONS, dtype=np.int64), len(inputs))
        told = {c.STATISTIC: STATISTIC, c.VALUE: chances.ravel(), c.STATUS: self.status_, c.REASON: self.reason_}
        return rows.assign(**{c.HORIZON: horizons, **told})

    def outcomes(self, later: Snapshot, *, as_of: pd.Timestamp) -> pd.DataFrame:
        """See `Predictor.outcomes`."""
        return build_outcomes(later, as_of=as_of, statistic=STATISTIC)

    def save(self, folder: Path) -> None:
        """One JSON file."""
        state = {"kind": self.kind, "status": self.status_, "reason": self.reason_, "learned": self.learned_}
        (folder / _FILE).write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """See `Predictor.load`."""
        try:
            state = json.loads((folder / _FILE).read_text(encoding="utf-8"))
            if state["kind"] != cls.kind:
                raise ArtifactError(f"{folder}: holds a churn {state['kind']}, expected a {cls.kind}")
            found = cls()
            found.status_, found.reason_ = str(state["status"]), str(state["reason"])
            found.learned_ = {horizon: [float(number) for number in state["learned"][str(horizon)]] for horizon in HORIZONS}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"{folder}: not a saved churn predictor: {error!r}") from error
        return found


class ChurnPredictor(Churn):
    """Logistic regression on how often, how long ago and for how much a customer bought. ``l2``: ridge on standardised features."""

    def __init__(self, *, l2: float = 1.0, random_state: int = 0) -> None:
        self.l2 = l2
        self.random_state = random_state

    def learn(self, x: Floats, y: Floats) -> list[float]:
        """Intercept and slopes of the raw features. One average customer of either kind is added: no chance is exactly 0 or 1."""
        from sklearn.linear_model import LogisticRegression

        mean, spread = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-9)
        z = np.vstack([(x - mean) / spread, np.zeros((2, x.shape[1]))])
        fitted = LogisticRegression(C=1.0 / self.l2, max_iter=1000, tol=1e-8).fit(z, np.append(y, [0.0, 1.0]))
        slopes = fitted.coef_[0] / spread
        return [float(fitted.intercept_[0] - slopes @ mean), *slopes.tolist()]

    def chance(self, learned: Sequence[float], x: Floats) -> Floats:
        """The logistic function of the features."""
        return 1.0 / (1.0 + np.exp(-(learned[0] + x @ np.asarray(learned[1:]))))

    def baseline(self) -> Predictor:
        """The share of all."""
        return ShareOfAll()


class ShareOfAll(Churn):
    """Everybody's chance is the share of past customers who bought nothing in as many months."""

    kind: ClassVar[Literal["model", "baseline"]] = "baseline"
    takes_model_table: ClassVar[bool] = True

    def learn(self, x: Floats, y: Floats) -> list[float]:
        """The share, one customer of either kind added."""
        return [float((y.sum() + 1.0) / (len(y) + 2.0))]

    def chance(self, learned: Sequence[float], x: Floats) -> Floats:
        """The same for all."""
        return np.full(len(x), learned[0])


def _rung(customers: int) -> Readiness:
    """By customers with a purchase a year ago, of whom the longest horizon is learnt."""
    have, need = {"customers_a_year_ago": customers}, {"customers_a_year_ago": NEEDED}
    if customers >= NEEDED:
        return Readiness(status=Status.FULL, have=have, need=need, reason="")
    reason = f"{customers} customers had bought something a year ago; {NEEDED} are needed, and {FEWEST} to learn at all"
    return Readiness(status=Status.LIMITED if customers >= FEWEST else Status.INSUFFICIENT_DATA, have=have, need=need, reason=reason)
