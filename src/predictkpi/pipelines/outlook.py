"""Outlook: learn how far to listen to the open deals, and put the champions together into one outlook."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from predictkpi.core.types import ModelRef, Status
from predictkpi.errors import InsufficientDataError, NoChampionError
from predictkpi.outlook import Outlook, Trust, make_outlook, replay
from predictkpi.outlook.periods import Periods
from predictkpi.outlook.reasons import OPEN_DEALS, TITLE
from predictkpi.outlook.replay import ORIGINS
from predictkpi.outlook.scenarios import Scenario, WhatIf
from predictkpi.pipelines.candidates import make_model
from predictkpi.pipelines.rules import read_rule
from predictkpi.predictors.revenue.forecaster import SeriesForecaster
from predictkpi.protocol import MODEL, Predictor, worst
from predictkpi.registry import BACKTEST_FOLDER, CHAMPION, Registry, TrainingRecord
from predictkpi.snapshot import Snapshot

if TYPE_CHECKING:
    from predictkpi.store import Store

NAME = "outlook"
NEEDS = ("revenue", "close_time")
"""Predictors that the replay is about."""
_TRUST = "trust"
_AS_OF = "as_of"
_KIND = "revenue_kind"
_REPLAY = "replay.csv"
Progress = Callable[[int, int], None]


class OutlookRule(BaseModel):
    """``outlook.yaml`` of the models folder: ``origins`` is how many past months are replayed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    origins: int = Field(ORIGINS, ge=1, le=60)


@dataclass(frozen=True)
class Forecasters:
    """What an outlook is made of: fitted predictors, and how far the open deals are listened to.

    ``close_time`` is None where no model of the deals serves; no part then comes from open deals. ``models``: the versions that serve.
    """

    revenue: SeriesForecaster
    close_time: Predictor | None
    trust: Trust
    models: tuple[ModelRef, ...]

    @classmethod
    def of(cls, registry: Registry, as_of: pd.Timestamp) -> Self:
        """The champions; raises `NoChampionError` where revenue has none."""
        revenue, ref = registry.champion("revenue")
        trust = known_trust(registry, as_of)
        try:
            close_time, deals_ref = registry.champion("close_time")
        except NoChampionError:
            return cls(as_series(revenue), None, trust, (ref,))
        return cls(as_series(revenue), close_time, trust, (ref, deals_ref))

    def outlook(self, snapshot: Snapshot) -> Outlook:
        """The outlook at the snapshot's as_of; raises `InsufficientDataError` where no revenue is known.

        Asked for two days, what differs is what was known: models and trust are the same.
        """
        return make_outlook(snapshot, revenue=self.revenue, close_time=self.close_time, trust=self.trust)

    def step_title(self, step: str, language: str) -> str:
        """A step of `outlook.reasons` in plain words, in English or German."""
        return TITLE[language] if step == OPEN_DEALS else self.revenue.reason_title(step, language)

    def standing(self, outlook: Outlook, scope: str) -> tuple[Status, str]:
        """A scope's rung of the ladder, and why it is not a higher one. Raises `UnknownEntityError` for a scope that is not there."""
        outlook.place(scope)
        answer, ref = outlook.answers[scope], self.models[0]
        if ref.kind == "model":
            return answer.status, answer.reason
        return worst(answer.status, Status.BASELINE), ref.reason or answer.reason


def what_if(periods: Periods, scenario: Scenario, *, known: WhatIf | None = None) -> Periods:
    """The named sums under a scenario; targets and pace, which it leaves as they are, are not computed again.

    ``known`` holds what earlier scenarios of the same outlook have worked out. Raises as `WhatIf.under` does.
    """
    return periods.under((known or WhatIf(periods.outlook, periods.snapshot)).under(scenario))


def learn_trust(
    store: Store,
    registry: Registry,
    *,
    as_of: pd.Timestamp | None,
    models_dir: Path,
    now: pd.Timestamp,
    on_progress: Progress | None = None,
) -> Trust:
    """Replay the company's past with and without its open deals, write down what that taught, and return it.

    ``outlook.yaml`` of ``models_dir`` says how many months. The kind of revenue predictor that serves, model or baseline, is replayed; the
    model where none serves yet.

    A company whose history is too short for a replay gets `Trust.none` with the reason. Raises `InsufficientDataError` where the store is
    empty.
    """
    if store.is_empty:
        raise InsufficientDataError("the store is empty: load data with `predictkpi ingest`, or look around with `predictkpi demo`")
    origins = read_rule(OutlookRule, models_dir / f"{NAME}.yaml").origins
    snapshot = store.snapshot(as_of)
    kind = _champions(registry).get("revenue", {}).get("kind") or MODEL
    revenue, close_time = _series_predictor(models_dir, kind), make_model("close_time", models_dir)
    trust, replayed = _learnt(snapshot, revenue, close_time, origins, on_progress)
    metrics = {f"month_{month.horizon}.{name}": getattr(month, name) for month in trust.months for name in ("weight", "deal_yield", "gain")}
    record = TrainingRecord(
        params={_AS_OF: snapshot.as_of.isoformat(), "origins": origins},
        metrics=metrics,
        tags={_AS_OF: snapshot.as_of.isoformat(), _TRUST: json.dumps(trust.to_json()), _KIND: revenue.kind, "verdict": trust.verdict},
        tables={_REPLAY: replayed} if replayed is not None else {},
    )
    registry.log_training(NAME, record, run_name=f"{NAME} {now:%Y-%m-%d %H:%M}")
    return trust


def known_trust(registry: Registry, as_of: pd.Timestamp) -> Trust:
    """What the replay taught that knew most, and nothing from ``as_of`` on; `Trust.none` says so where there is none.

    A replay of another kind of revenue predictor (model or baseline) than the one that serves does not count. Where champions learnt from
    data after ``as_of``, the reason names them.
    """
    champions = _champions(registry)
    trust = _replayed_trust(registry, as_of, champions)
    later = [
        f"{name} version {row['version']} learnt from data up to {row['as_of'][:10]}"
        for name, row in champions.items()
        if _knew_more(row, as_of)
    ]
    if not later:
        return trust
    return replace(trust, reason=f"{trust.reason}; the models knew more than this day: {', '.join(later)}")


def _champions(registry: Registry) -> dict[str, dict[str, Any]]:
    """By predictor, the row of `Registry.versions` that serves."""
    return {name: row for name in NEEDS for row in registry.versions(name) if CHAMPION in row["aliases"]}


def _knew_more(row: Mapping[str, Any], as_of: pd.Timestamp) -> bool:
    return bool(row["as_of"]) and pd.Timestamp(row["as_of"]) > as_of


def kept_replay(registry: Registry, as_of: pd.Timestamp) -> pd.DataFrame | None:
    """The rows (`REPLAY_COLUMNS`) of the replay that knew most, and nothing from ``as_of`` on; None where none is kept."""
    runs = [(pd.Timestamp(tags[_AS_OF]), run_id) for run_id, tags in registry.runs_of(NAME) if _AS_OF in tags]
    known = [(at, run_id) for at, run_id in runs if at <= as_of]
    text = registry.read_text(max(known, key=lambda run: run[0])[1], f"{BACKTEST_FOLDER}/{_REPLAY}") if known else None
    return None if text is None else pd.read_csv(io.StringIO(text), parse_dates=[_AS_OF])


def _replayed_trust(registry: Registry, as_of: pd.Timestamp, champions: Mapping[str, Mapping[str, Any]]) -> Trust:
    runs = [tags for tags in registry.tags_of_runs(NAME) if _TRUST in tags]
    known = [tags for tags in runs if pd.Timestamp(tags[_AS_OF]) <= as_of]
    if not known and runs:
        return Trust.none(f"no past months were replayed with what was known then: `predictkpi train --as-of {as_of:%Y-%m-%d}` does it")
    if not known:
        return Trust.none("no past months were replayed yet: `predictkpi train` does it")
    newest = max(known, key=lambda tags: pd.Timestamp(tags[_AS_OF]))  # of equal ones the first, which ran last
    kind, serves = newest.get(_KIND, MODEL), champions.get("revenue", {}).get("kind")
    if serves and serves != kind:
        return Trust.none(f"a {serves} of revenue serves, and the past months were replayed with a {kind}")
    try:
        return Trust.from_json(json.loads(newest[_TRUST]))
    except (KeyError, TypeError, ValueError) as error:
        cause = f"{type(error).__name__}: {error}"
        return Trust.none(f"the record of the replay cannot be read ({cause}): `predictkpi train` writes a new one")


def as_series(predictor: Predictor) -> SeriesForecaster:
    """The revenue predictor as what gives sample paths."""
    if not isinstance(predictor, SeriesForecaster):
        raise TypeError(f"an outlook needs sample paths of revenue, which {type(predictor).__name__} does not give")
    return predictor


def _series_predictor(models_dir: Path, kind: str) -> SeriesForecaster:
    """The unfitted model of revenue, or its baseline."""
    model = make_model("revenue", models_dir)
    return as_series(model if kind == MODEL else next(iter(model.baselines().values())))


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
