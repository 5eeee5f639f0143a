"""MLflow's door to a saved predictor: ``loader_module`` of every registered model. Data in, data out; no pickle on the way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.errors import SchemaError
from predictkpi.protocol import Predictor
from predictkpi.registry.artifact import read_artifact

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

LAYOUT = "layout"
Layout = Literal["long", "entity"]
PARAMS = {LAYOUT: "long"}
"""Parameters of ``predict`` and what they are by default, for the signature of a registered model."""
LISTED = [c.HORIZON, c.STATISTIC, c.VALUE, c.STATUS, c.REASON]

SPARK_TYPES = "horizon array<long>, statistic array<string>, value array<double>, status array<string>, reason array<string>"
"""`LISTED` as the result type of ``mlflow.pyfunc.spark_udf``."""


def signature_of(inputs: pd.DataFrame, predictions: pd.DataFrame) -> ModelSignature:
    """What MLflow checks of a frame before `PyfuncPredictor.predict` sees it.

    Columns named by the company's own words (``stage.Demo.times``: a stage, a kind of activity, a field) may be absent, as any of
    them may be when a predictor is asked: words come and go after a version was registered.
    """
    from mlflow.models import ModelSignature, infer_signature
    from mlflow.types.schema import ColSpec, Schema

    told = infer_signature(inputs, predictions, params=PARAMS)
    inputs_told = Schema([ColSpec(each.type, each.name, required=each.required and "." not in str(each.name)) for each in told.inputs])
    return ModelSignature(inputs=inputs_told, outputs=told.outputs, params=told.params)


class PyfuncPredictor:
    """What ``mlflow.pyfunc.load_model`` returns inside: ``predict`` takes a frame made by `Predictor.inputs`.

    Its parameter ``layout``: "long" gives `Predictor.predict_inputs`; "entity" gives a row an input row with lists of the same, for
    engines that want an answer of as many rows as they ask (``mlflow.pyfunc.spark_udf``); a missing reason is empty there.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def predict(self, frame: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """See the class."""
        is_long = (params or PARAMS).get(LAYOUT, "long") == "long"
        return self.predictor.predict_inputs(frame) if is_long else _by_entity(frame, self.predictor.predict_inputs(_as_made(frame)))


def _as_made(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame as `Predictor.inputs` makes it: instants in microseconds, text as ``str``."""
    instants = {str(name): "datetime64[us]" for name, kind in frame.dtypes.items() if kind.kind == "M"}
    texts = {str(name): "str" for name, kind in frame.dtypes.items() if kind.kind == "O"}
    return frame.astype(instants | texts)


def _by_entity(frame: pd.DataFrame, told: pd.DataFrame) -> pd.DataFrame:
    """Lists of an entity's horizons, statistics, values, statuses and reasons, in the order in which the entities were asked."""
    told = told.assign(**{c.REASON: told[c.REASON].fillna("")})
    lists = told.groupby([c.ENTITY_ID, c.AS_OF], sort=False)[LISTED].agg(list)
    asked = pd.MultiIndex.from_arrays([frame[c.ENTITY_ID].astype("str"), frame[c.AS_OF].astype("datetime64[us]")])
    left_out = asked[~asked.isin(lists.index)]
    if len(left_out):
        raise SchemaError(f"the model says nothing of {len(left_out)} of {len(asked)} entities; first: {left_out[0][0]}")
    return lists.reindex(asked).reset_index(drop=True)


def _load_pyfunc(path: str) -> PyfuncPredictor:
    """The entry point MLflow calls with the folder of the artifact's data."""
    return PyfuncPredictor(read_artifact(Path(path)))
