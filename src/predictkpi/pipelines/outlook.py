"""Outlook: learn how far to listen to the open deals, and put the champions together into one outlook."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from predictkpi.core.types import Status
from predictkpi.errors import InsufficientDataError, NoChampionError
from predictkpi.outlook import Outlook, Trust, make_outlook, replay
from predictkpi.outlook.replay import ORIGINS
from predictkpi.pipelines.candidates import make_model
from predictkpi.predictors.revenue.forecaster import SeriesForecaster
from predictkpi.protocol import Predictor
from predictkpi.registry import Registry, TrainingRecord
from predictkpi.snapshot import Snapshot

if TYPE_CHECKING:
    from predictkpi.store import Store

NAME = "outlook"
_TRUST = "trust"
_AS_OF = "as_of"
Progress = Callable[[int, int], None]


def learn_trust(
    store: Store,
    registry: Registry,
    *,
    as_of: pd.Timestamp | None,
    models_dir: Path,
    now: pd.Timestamp,
    origins: int = ORIGINS,
    on_progress: Progress | None = None,
) -> Trust:
    """Replay the company's past with and without its open deals, write down what that taught, and return it.

    A company whose history is too short for a replay gets `Trust.none` with the reason. Raises `InsufficientDataError` where the store is
    empty.
    """
    if store.is_empty:
        raise InsufficientDataError("the store is empty: load data with `predictkpi ingest`, or look around with `predictkpi demo`")
    snapshot = store.snapshot(as_of)
    revenue, close_time = _series_model(models_dir), make_model("close_time", models_dir)
    trust, replayed = _learnt(snapshot, revenue, close_time, origins, on_progress)
    metrics = {f"month_{month.horizon}.{name}": getattr(month, name) for month in trust.months for name in ("weight", "deal_yield", "gain")}
    record = TrainingRecord(
        params={_AS_OF: snapshot.as_of.isoformat(), "origins": origins},
        metrics=metrics,
        tags={_AS_OF: snapshot.as_of.isoformat(), _TRUST: json.dumps(trust.to_json()), "verdict": trust.verdict},
        tables={"replay.csv": replayed} if replayed is not None else {},
    )
    registry.log_training(NAME, record, run_name=f"{NAME} {now:%Y-%m-%d %H:%M}")
    return trust


def known_trust(registry: Registry, as_of: pd.Timestamp) -> Trust:
    """What the newest replay taught that knew nothing from ``as_of`` on; `Trust.none` says so where there is none."""
    for tags in registry.tags_of_runs(NAME):
        if _TRUST in tags and pd.Timestamp(tags[_AS_OF]) <= as_of:
            return Trust.from_json(json.loads(tags[_TRUST]))
    return Trust.none("no past months were replayed yet: `predictkpi train` does it")


def outlook_of(registry: Registry, snapshot: Snapshot) -> Outlook:
    """The outlook that the champions give at the snapshot's as_of; without the close-time champion, no part comes from open deals.

    Raises `NoChampionError` where revenue has none, `InsufficientDataError` where no revenue is known.
    """
    revenue = as_series(registry.champion("revenue")[0])
    try:
        close_time: Predictor | None = registry.champion("close_time")[0]
    except NoChampionError:
        close_time = None
    return make_outlook(snapshot, revenue=revenue, close_time=close_time, trust=known_trust(registry, snapshot.as_of))


def as_series(predictor: Predictor) -> SeriesForecaster:
    """The revenue predictor as what gives sample paths."""
    if not isinstance(predictor, SeriesForecaster):
        raise TypeError(f"an outlook needs sample paths of revenue, which {type(predictor).__name__} does not give")
    return predictor


def _series_model(models_dir: Path) -> SeriesForecaster:
    return as_series(make_model("revenue", models_dir))


def _learnt(
    snapshot: Snapshot, revenue: SeriesForecaster, close_time: Predictor, origins: int, on_progress: Progress | None
) -> tuple[Trust, pd.DataFrame | None]:
    start = snapshot.at(snapshot.as_of - pd.DateOffset(months=origins))
    for predictor in (revenue, close_time):
        readiness = predictor.readiness(start)
        if readiness.status not in (Status.FULL, Status.LIMITED):
            return Trust.none(f"{predictor.spec.name} {origins} months ago: {readiness.reason or readiness.status.value}"), None
    replayed = replay(snapshot, revenue=revenue, close_time=close_time, origins=origins, on_progress=on_progress)
    return Trust.learn(replayed), replayed
