"""A BentoML service of the close-time champion: one row of features in, its long predictions out. Runs in BentoML's own environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bentoml
import pandas as pd

from predictkpi.registry.artifact import read_artifact


@bentoml.service(workers=1)
class CloseTime:
    """One worker, as ours."""

    def __init__(self) -> None:
        self.predictor = read_artifact(Path(os.environ["CLOSE_TIME"]))

    @bentoml.api
    def predict(self, dataframe_split: dict[str, Any]) -> list[dict[str, Any]]:
        """See `load.peers.as_bodies`."""
        frame = pd.DataFrame(dataframe_split["data"], columns=dataframe_split["columns"])
        frame["as_of"] = pd.to_datetime(frame["as_of"]).astype("datetime64[us]")
        texts = [name for name in frame if name not in ("as_of",) and not pd.api.types.is_numeric_dtype(frame[name])]
        found = self.predictor.predict_inputs(frame.astype(dict.fromkeys(texts, "str")))
        return found[["horizon", "statistic", "value", "status"]].astype(object).where(found["value"].notna(), None).to_dict("records")
