"""Score: the champions' predictions for everybody, written to the store in one go, and unseen beside them those of the challengers."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.digests import digest_of_rows
from predictkpi.core.types import ModelRef, Role, Status
from predictkpi.engines import Engine, LocalEngine
from predictkpi.errors import InsufficientDataError, NoChampionError, PredictKpiError, SettingsError
from predictkpi.protocol import Predictor, worst
from predictkpi.registry import CHALLENGER, Registry
from predictkpi.snapshot import Snapshot

if TYPE_CHECKING:
    from predictkpi.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoreReport:
    """What was written for one predictor: entities and rows, by which version in which role, as of when."""

    predictor: str
    model: ModelRef
    as_of: pd.Timestamp
    entities: int
    rows: int
    role: Role = Role.CHAMPION


@dataclass(frozen=True)
class ShadowTrouble:
    """A challenger that could not shadow, and why; the champion's predictions are written all the same."""

    predictor: str
    reason: str


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
    return stated(predictor.predict(snapshot, entity_ids=entity_ids, horizons=horizons), model)


def served_by(engine: Engine, predictor: Predictor, model: ModelRef) -> pd.DataFrame:
    """`served` of everybody, worked out by an engine; sorted by entity and horizon."""
    chunks = list(engine.predictions(predictor, model, partial(stated, model=model)).chunks())
    found = pd.concat(chunks or [pd.DataFrame(columns=c.PREDICTION_COLUMNS)])
    return found.sort_values([c.ENTITY_ID, c.HORIZON], kind="stable", ignore_index=True)


def stated(predictions: pd.DataFrame, model: ModelRef) -> pd.DataFrame:
    """Predictions of a registered version as they may be told: see `served`."""
    frame = predictions.assign(**{c.PREDICTOR: model.predictor, c.MODEL_VERSION: model.version})[c.PREDICTION_COLUMNS]
    if model.kind == "model":
        return frame
    lowered = {status.value: worst(status, Status.BASELINE).value for status in Status}
    status = frame[c.STATUS].astype(str)
    is_lowered = status != status.map(lowered)
    reason = frame[c.REASON].astype(object).where(~is_lowered, model.reason)
    return frame.assign(**{c.STATUS: status.map(lowered), c.REASON: reason.astype("str")})


def score(
    store: Store,
    registry: Registry,
    *,
    predictors: Sequence[str],
    as_of: pd.Timestamp | None = None,
    now: pd.Timestamp | None = None,
    engine: Engine | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> list[ScoreReport]:
    """Write the champions' predictions as of ``as_of`` (default: the end of the data) to the store; ``now`` says when (default: now).

    ``engine``: where they are worked out, as of the same instant; this machine by default. Writing the same version and as_of again
    replaces equal rows by equal rows. Raises `NoChampionError` before anything is written,
    `InsufficientDataError` where the store is empty.
    """
    if store.is_empty:
        raise InsufficientDataError("the store is empty: load data with `predictkpi ingest`, or look around with `predictkpi demo`")
    champions = [registry.champion(name) for name in predictors]
    snapshot = store.snapshot(as_of)
    engine = engine or LocalEngine(snapshot)
    for predictor, model in champions:
        engine.check(predictor, model)
    reports = []
    for done, (predictor, model) in enumerate(champions):
        if on_progress:
            on_progress(model.predictor, done, len(champions))
        reports.append(_write(store, engine, predictor, model, snapshot.as_of, Role.CHAMPION, now))
    if on_progress:
        on_progress("", len(champions), len(champions))
    return reports


def shadow(
    store: Store,
    registry: Registry,
    *,
    predictors: Sequence[str],
    as_of: pd.Timestamp | None = None,
    now: pd.Timestamp | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> tuple[list[ScoreReport], list[ShadowTrouble]]:
    """Write what the challengers would say of everybody: kept for the scoreboard, and shown nowhere else.

    A predictor without a challenger, or whose challenger is its champion, is passed over. One that cannot be loaded or fails is told of
    and keeps the others from nothing.
    """
    snapshot = store.snapshot(as_of)
    reports, troubles = [], []
    for done, name in enumerate(predictors):
        if on_progress:
            on_progress(f"{name}, in the shadow", done, len(predictors))
        with ThreadPoolExecutor(1, thread_name_prefix="predictkpi-shadow") as pool:
            asking = pool.submit(_shadow_of, store, registry, name, snapshot, now)
            error = asking.exception()
        if error is None:
            found = asking.result()
            reports += [found] if found else []
        elif isinstance(error, PredictKpiError):
            troubles.append(ShadowTrouble(name, str(error)))
        else:
            log.error("the challenger of %s fails", name, exc_info=error)
            troubles.append(ShadowTrouble(name, f"it fails with {type(error).__name__}; the log has the cause"))
    if on_progress:
        on_progress("", len(predictors), len(predictors))
    return reports, troubles


def _shadow_of(store: Store, registry: Registry, name: str, snapshot: Snapshot, now: pd.Timestamp | None) -> ScoreReport | None:
    """None without a challenger, or where it is the champion."""
    try:
        if registry.champion_version(name, alias=CHALLENGER) == registry.champion_version(name):
            return None
        predictor, model = registry.champion(name, alias=CHALLENGER)
    except NoChampionError:
        return None
    return _write(store, LocalEngine(snapshot), predictor, model, snapshot.as_of, Role.SHADOW, now)


def _write(
    store: Store, engine: Engine, predictor: Predictor, model: ModelRef, as_of: pd.Timestamp, role: Role, now: pd.Timestamp | None
) -> ScoreReport:
    found, counts = engine.predictions(predictor, model, partial(stated, model=model)), Counter[str]()
    digest, chunks = digest_of_rows(found.hashes()), iter(found.chunks())
    first = next(chunks, None)  # worked out before the store is asked to write: nobody else can while it does

    def counted() -> Iterator[pd.DataFrame]:
        for chunk in chain([] if first is None else [first], chunks):
            counts.update(entities=chunk[c.ENTITY_ID].nunique(), rows=len(chunk))
            yield chunk

    store.write_predictions(counted(), role=role, inputs_digest=digest, now=pd.Timestamp.now() if now is None else now)
    return ScoreReport(model.predictor, model, as_of, counts["entities"], counts["rows"], role)


def score_to_folder(
    registry: Registry,
    engine: Engine,
    *,
    predictors: Sequence[str],
    folder: str,
    as_of: pd.Timestamp,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> list[ScoreReport]:
    """Write the champions' predictions as Parquet, a folder a predictor, and nothing to the store: see `Predictions.write`."""
    if not folder.strip("/ "):
        raise SettingsError(f"{folder!r} is no folder for predictions: name one")
    champions = [registry.champion(name) for name in predictors]
    for predictor, model in champions:
        engine.check(predictor, model)
    reports = []
    for done, (predictor, model) in enumerate(champions):
        name = model.predictor
        if on_progress:
            on_progress(name, done, len(champions))
        found = engine.predictions(predictor, model, partial(stated, model=model))
        entities, rows = found.write(f"{folder.rstrip('/')}/{name}")
        reports.append(ScoreReport(name, model, as_of, entities, rows))
    return reports
