"""Score: the champions' predictions for everybody, written to the store in one go, for the service and for export to read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import ModelRef
from predictkpi.errors import InsufficientDataError
from predictkpi.registry import Registry

if TYPE_CHECKING:
    from predictkpi.store import Store


@dataclass(frozen=True)
class ScoreReport:
    """What was written for one predictor: entities and rows, by which version, as of when."""

    predictor: str
    model: ModelRef
    as_of: pd.Timestamp
    entities: int
    rows: int


def score(
    store: Store,
    registry: Registry,
    *,
    predictors: Sequence[str],
    as_of: pd.Timestamp | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> list[ScoreReport]:
    """Write the champions' predictions as of ``as_of`` (default: the end of the data) to the store.

    Writing the same version and as_of again replaces equal rows by equal rows. Raises `NoChampionError` before anything is written,
    `InsufficientDataError` where the store is empty.
    """
    if store.is_empty:
        raise InsufficientDataError("the store is empty: load data with `predictkpi ingest`, or look around with `predictkpi demo`")
    champions = [registry.champion(name) for name in predictors]
    snapshot = store.snapshot(as_of)
    reports = []
    for done, (predictor, model) in enumerate(champions):
        if on_progress:
            on_progress(model.predictor, done, len(champions))
        frame = predictor.predict(snapshot).assign(**{c.MODEL_VERSION: model.version})
        store.write_predictions(frame)
        reports.append(ScoreReport(model.predictor, model, snapshot.as_of, frame[c.ENTITY_ID].nunique(), len(frame)))
    if on_progress:
        on_progress("", len(champions), len(champions))
    return reports
