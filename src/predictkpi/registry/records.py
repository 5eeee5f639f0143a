"""What is written down about a training, before MLflow hears of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True)
class DatasetRecord:
    """What a training learnt from: ``digest`` of the data, the instant before which it was known, ``rows`` by table.

    ``newest_load`` is the newest load of the store by then: later ones may have brought corrections of the same past.
    """

    digest: str
    as_of: str
    newest_load: int
    rows: Mapping[str, int]


@dataclass(frozen=True)
class ChildRecord:
    """One candidate at one cutoff: a run of its own below the training's."""

    name: str
    params: Mapping[str, object]
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class TrainingRecord:
    """What is written down about one training.

    ``params`` and ``tags`` are shown as text. ``fold_metrics`` has columns ``as_of, metric, value`` and is logged by fold number.
    ``tables`` (file name -> frame, kept as CSV), ``figures`` (file name -> PNG bytes) and ``texts`` (path -> text) become artifacts,
    ``children`` runs below the run, ``dataset`` its input.
    """

    params: Mapping[str, object]
    metrics: Mapping[str, float] = field(default_factory=dict)
    fold_metrics: pd.DataFrame | None = None
    tags: Mapping[str, object] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    figures: Mapping[str, bytes] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    children: Sequence[ChildRecord] = ()
    dataset: DatasetRecord | None = None


@dataclass(frozen=True)
class RunRecord:
    """A run as it was logged: its predictor's name, parameters and our own tags, all text."""

    run_id: str
    predictor: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
