"""A predictor small enough to read at a glance: next months' orders per customer are the mean of the past ones."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import horizon_end
from predictkpi.core.types import Readiness, Spec, Statistic, Status
from predictkpi.protocol import Predictor

SPEC = Spec(
    name="toy",
    title={"en": "Toy", "de": "Spielzeug"},
    entity="customer",
    horizons=(1, 2),
    time_unit="month",
    statistics=(Statistic(name="mean", unit="currency", description="net revenue"),),
    headline="mean",
    score="mean",
)


class Toy(Predictor):
    """Mean monthly spend of each customer, times ``factor``."""

    spec = SPEC

    def __init__(self, *, factor: float = 1.0, random_state: int = 0) -> None:
        self.factor = factor
        self.random_state = random_state

    def readiness(self, snapshot):
        n = len(snapshot.orders)
        status = Status.FULL if n >= 20 else Status.INSUFFICIENT_DATA
        return Readiness(status=status, have={"orders": n}, need={"orders": 20}, reason="" if n >= 20 else f"{n} orders of 20")

    def training_table(self, snapshot):
        orders = snapshot.orders
        months = max((snapshot.as_of - orders[c.DS].min()).days / 30.4375, 1.0)
        return orders.groupby(c.CUSTOMER_ID)[c.AMOUNT].sum().div(months).rename("rate").reset_index()

    def fit(self, table):
        self.rates_ = dict(zip(table[c.CUSTOMER_ID], table["rate"], strict=True))
        return self

    def inputs(self, snapshot, *, entity_ids=None):
        ids = sorted(set(snapshot.orders[c.CUSTOMER_ID])) if entity_ids is None else list(entity_ids)
        return pd.DataFrame({c.ENTITY_ID: pd.Series(ids, dtype="str"), c.AS_OF: snapshot.as_of})

    def rate(self, entity_id):
        return self.rates_.get(entity_id, 0.0) * self.factor

    def predict_inputs(self, inputs):
        rows = [
            (row.entity_id, row.as_of, horizon, "mean", self.rate(row.entity_id) * horizon, Status.FULL.value, "")
            for row in inputs.itertuples()
            for horizon in SPEC.horizons
        ]
        return pd.DataFrame(rows, columns=[c.ENTITY_ID, c.AS_OF, c.HORIZON, c.STATISTIC, c.VALUE, c.STATUS, c.REASON])

    def outcomes(self, later, *, as_of):
        ids, orders, rows = self.inputs(later.at(as_of))[c.ENTITY_ID], later.orders, []
        for horizon in SPEC.horizons:
            end = horizon_end(as_of, horizon, "month")
            spent = orders[(orders[c.DS] >= as_of) & (orders[c.DS] < end)].groupby(c.CUSTOMER_ID)[c.AMOUNT].sum()
            rows += [(i, as_of, horizon, "mean", float(spent.get(i, 0.0)), end <= later.as_of) for i in ids]
        return pd.DataFrame(rows, columns=c.OUTCOME_COLUMNS)

    def save(self, folder: Path):
        (folder / "rates.json").write_text(json.dumps({"factor": self.factor, "rates": self.rates_}))

    @classmethod
    def load(cls, folder: Path):
        saved = json.loads((folder / "rates.json").read_text())
        loaded = cls(factor=saved["factor"])
        loaded.rates_ = saved["rates"]
        return loaded

    def baseline(self):
        return ToyBaseline()


class ToyBaseline(Toy):
    """The same mean for everybody."""

    kind = "baseline"

    def rate(self, entity_id):
        return sum(self.rates_.values()) / len(self.rates_)

    def baseline(self):
        return self
