"""Fits of many series on another machine, by Fugue, the backend that statsforecast is distributed by.

StatsForecast's own use of it answers in single precision, off by some 2e-8: the same models are handed to Fugue here, and their paths come
back as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from predictkpi.predictors.revenue.point import Fit, Floats, fitted

SERIES_A_PART = 20
_PATH = "number: int, step: int, value: double"


def fitted_elsewhere(fits: Sequence[Fit], engine: Any) -> dict[Fit, Floats]:
    """The paths of `point.fitted`; ``engine`` is what Fugue can run on: a Spark session, or None for this process."""
    import fugue.api as fa

    wanted = list(dict.fromkeys(fits))
    if not wanted:
        return {}
    asked = pd.DataFrame(wanted).assign(number=np.arange(len(wanted)), part=np.arange(len(wanted)) // SERIES_A_PART)
    n_parts = int(asked["part"].max()) + 1
    told = fa.transform(asked, _fit, schema=_PATH, partition={"by": "part", "num": n_parts}, engine=engine, as_local=True)
    paths = fa.as_pandas(told).sort_values(["number", "step"]).groupby("number")["value"]
    return {wanted[int(number)]: values.to_numpy(float) for number, values in paths}


def _fit(asked: pd.DataFrame) -> pd.DataFrame:
    found = [
        pd.DataFrame(
            {
                "number": row.number,
                "step": np.arange(row.horizon),
                "value": fitted(bytes(row.y), bytes(row.season), bool(row.log), int(row.horizon)),
            }
        )
        for row in asked.itertuples()
    ]
    return pd.concat(found, ignore_index=True).astype({"number": "int32", "step": "int32"})
