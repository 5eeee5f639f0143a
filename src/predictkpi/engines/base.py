"""What an engine promises: inputs, training tables and predictions of everybody, as the predictor itself would make them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np
import pandas as pd

from predictkpi.core.types import ModelRef
from predictkpi.protocol import Predictor

Finish = Callable[[pd.DataFrame], pd.DataFrame]
"""Makes of `Predictor.predict_inputs` what may be told of a registered version: columns `columns.PREDICTION_COLUMNS`."""


class Predictions(ABC):
    """What a registered version says of everybody, worked out when it is asked for."""

    @abstractmethod
    def chunks(self) -> Iterator[pd.DataFrame]:
        """The finished predictions in pieces, an entity's rows in one; all is worked out before the first comes, the rest is fetched."""

    @abstractmethod
    def hashes(self) -> np.ndarray:
        """One number an input row, for `digests.digest_of_rows`."""

    @abstractmethod
    def write(self, folder: str) -> tuple[int, int]:
        """Write them as Parquet files into ``folder``, in place of any that are there; how many entities and rows."""


class Engine(ABC):
    """Answers for one set of facts and one instant."""

    name: ClassVar[str]

    def check(self, predictor: Predictor, model: ModelRef) -> None:
        """Raise `SettingsError` now, before hours of work, for a version that this engine cannot ask."""
        return

    @abstractmethod
    def inputs(self, predictor: Predictor) -> pd.DataFrame:
        """`Predictor.inputs` of everybody, in any order."""

    @abstractmethod
    def training_table(self, predictor: Predictor) -> pd.DataFrame:
        """`Predictor.training_table`, in any order of entities."""

    @abstractmethod
    def predictions(self, predictor: Predictor, model: ModelRef, finish: Finish) -> Predictions:
        """What the registered version ``model``, which is ``predictor`` once loaded, says of everybody."""
