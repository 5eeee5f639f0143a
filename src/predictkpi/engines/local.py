"""This machine: the predictor is asked about everybody at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.digests import hashes_of_rows
from predictkpi.core.types import ModelRef
from predictkpi.engines.base import Engine, Finish, Predictions
from predictkpi.errors import SettingsError
from predictkpi.protocol import Predictor
from predictkpi.snapshot import Snapshot

_FILES = "part-*.parquet"


class LocalEngine(Engine):
    """Of one snapshot."""

    name = "local"

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def inputs(self, predictor: Predictor) -> pd.DataFrame:
        """See `Engine.inputs`."""
        return predictor.inputs(self._snapshot)

    def training_table(self, predictor: Predictor) -> pd.DataFrame:
        """See `Engine.training_table`."""
        return predictor.training_table(self._snapshot)

    def predictions(self, predictor: Predictor, model: ModelRef, finish: Finish) -> Predictions:
        """See `Engine.predictions`."""
        return InMemory(predictor, self.inputs(predictor), finish)


class InMemory(Predictions):
    """Of inputs that are at hand."""

    def __init__(self, predictor: Predictor, inputs: pd.DataFrame, finish: Finish) -> None:
        self._predictor, self._inputs, self._finish = predictor, inputs, finish

    def chunks(self) -> Iterator[pd.DataFrame]:
        """See `Predictions.chunks`: all in one."""
        yield self._finish(self._predictor.predict_inputs(self._inputs))

    def hashes(self) -> np.ndarray:
        """See `Predictions.hashes`."""
        return hashes_of_rows(self._inputs)

    def write(self, folder: str) -> tuple[int, int]:
        """See `Predictions.write`."""
        if folder.startswith("delta:"):
            raise SettingsError(f"{folder}: what is worked out on this machine is written as Parquet alone; Delta needs --engine spark")
        place, chunks = checked_folder(folder), list(self.chunks())
        place.mkdir(parents=True, exist_ok=True)
        for before in place.glob(_FILES):
            before.unlink()
        entities, rows = 0, 0
        for number, chunk in enumerate(chunks):
            chunk.to_parquet(place / f"part-{number:05}.parquet", index=False)
            entities, rows = entities + chunk[c.ENTITY_ID].nunique(), rows + len(chunk)
        return entities, rows


def checked_folder(folder: str) -> Path:
    """A folder that is not there yet, or holds nothing but predictions, which are replaced; raises `SettingsError` for any other."""
    place = Path(folder)
    if place.exists() and (not place.is_dir() or any(not found.match(_FILES) for found in place.iterdir())):
        raise SettingsError(f"{folder}: holds other files than predictions, and a folder of them is replaced as a whole; name another one")
    return place
