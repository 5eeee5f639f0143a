"""The store is not held while predictions are worked out."""

from __future__ import annotations

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import ModelRef
from predictkpi.engines import Engine, Predictions
from predictkpi.pipelines.score import score
from predictkpi.store import Store


def test_score__writes_once_everything_is_worked_out(sample_store):
    store, other, seen = sample_store, Store(sample_store.url.render_as_string(), wait_seconds=1), []

    class Working(Predictions):
        def chunks(self):
            other.write_marks("somebody else", {"orders": "1"})  # raises where somebody is writing
            seen.append("worked out")
            row = {c.AS_OF: [store.snapshot().as_of], c.VALUE: [1.0], c.HORIZON: [1]}
            yield pd.DataFrame({name: ["x"] for name in c.PREDICTION_COLUMNS} | row)

        def hashes(self):
            return pd.Series([1], dtype="uint64").to_numpy()

        def write(self, folder):
            raise NotImplementedError

    class Here(Engine):
        name = "here"

        def inputs(self, predictor):
            raise NotImplementedError

        training_table = inputs

        def predictions(self, predictor, model, finish):
            return Working()

    class OneModel:
        def champion(self, name):
            return None, ModelRef(predictor=name, version="1", run_id="r", kind="model")

    (report,) = score(store, OneModel(), predictors=["clv"], engine=Here())
    assert (report.entities, report.rows, seen) == (1, 1, ["worked out"])
