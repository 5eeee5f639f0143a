"""MLflow's door to a saved predictor: ``loader_module`` of every registered model. Data in, data out; no pickle on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from predictkpi.protocol import Predictor
from predictkpi.registry.artifact import read_artifact


class PyfuncPredictor:
    """What ``mlflow.pyfunc.load_model`` returns inside: ``predict`` takes a frame made by `Predictor.inputs`."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def predict(self, frame: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Long predictions of `Predictor.predict_inputs`; there are no parameters to give."""
        return self.predictor.predict_inputs(frame)


def _load_pyfunc(path: str) -> PyfuncPredictor:
    """The entry point MLflow calls with the folder of the artifact's data."""
    return PyfuncPredictor(read_artifact(Path(path)))
