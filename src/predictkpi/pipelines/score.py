"""Score: the champions' predictions for everybody, written to the store in one go, for the service and for export to read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import ModelRef, Status
from predictkpi.errors import InsufficientDataError
from predictkpi.protocol import Predictor, worst
from predictkpi.registry import Registry
from predictkpi.snapshot import Snapshot

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


def served(
    predictor: Predictor,
    model: ModelRef,
    snapshot: Snapshot,
    *,
    entity_ids: Sequence[str] | None = None,
    horizons: Sequence[int] | None = None,
) -> pd.DataFrame:
    """What a registered version answers: its predictions with the version on every row.

    Where a baseline serves in place of a model, no row claims a rung above ``baseline``, and the reason is the registry's.
    """
    frame = predictor.predict(snapshot, entity_ids=entity_ids, horizons=horizons).assign(**{c.MODEL_VERSION: model.version})
    if model.kind == "model":
        return frame
    lowered = {status.value: worst(status, Status.BASELINE).value for status in Status}
    stated = frame[c.STATUS].astype(str)
    is_lowered = stated != stated.map(lowered)
    reason = frame[c.REASON].astype(object).where(~is_lowered, model.reason)
    return frame.assign(**{c.STATUS: stated.map(lowered), c.REASON: reason.astype("str")})


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
        frame = served(predictor, model, snapshot)
        store.write_predictions(frame)
        reports.append(ScoreReport(model.predictor, model, snapshot.as_of, frame[c.ENTITY_ID].nunique(), len(frame)))
    if on_progress:
        on_progress("", len(champions), len(champions))
    return reports
