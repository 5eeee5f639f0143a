"""Scoreboard: everything that was predicted (for everybody, as an answer, in the shadow) against what has come true by now.

Beside it stand those who could have spoken in its place, each knowing no more than was known on the day of the prediction: every baseline
of the predictor, learnt again as of that day, and what the CRM showed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from predictkpi.backtest.board import CALIBRATION_COLUMNS, FIGURE_COLUMNS, PENDING_COLUMNS, Board
from predictkpi.backtest.judged import IN_WORDS, choose_days, left_out, pending
from predictkpi.backtest.run import CANDIDATE, series_scale
from predictkpi.backtest.scoreboard import ALL, MEASURES, SAVED, calibration_points, compare
from predictkpi.backtest.scores import QUANTILES
from predictkpi.core import columns as c
from predictkpi.core.answers import unpacked
from predictkpi.core.periods import future_periods
from predictkpi.core.types import Role, Spec
from predictkpi.errors import InsufficientDataError, NotFoundError, RegistryError
from predictkpi.kpis.deals import OUTCOME, deal_table
from predictkpi.outlook.items import Items
from predictkpi.outlook.replay import HORIZON, booked_so_far
from predictkpi.outlook.weighted import weighted_pipeline
from predictkpi.pipelines.candidates import make_model
from predictkpi.predictors import predictor_names
from predictkpi.protocol import MODEL, Predictor
from predictkpi.registry import CHAMPION, Registry
from predictkpi.snapshot import Snapshot

if TYPE_CHECKING:
    from predictkpi.store import Store

WEIGHTED = "weighted_pipeline"
JUDGED_STATISTICS = {*QUANTILES, "cif_lost", "close_q10", "close_q50", "close_q90"}
_LONG = [c.ENTITY_ID, c.AS_OF, c.HORIZON, c.STATISTIC, c.VALUE]
_SUPERSEDED = "a later answer about the same on that day counts"
Progress = Callable[[str, int, int], None]
Learnt = Mapping[tuple[str, str], pd.Timestamp]


@dataclass
class _Gathered:
    """Of one predictor, over the judged days: what was said by (role, version), by rivals, and what came true."""

    said: dict[tuple[str, str], list[pd.DataFrame]] = field(default_factory=dict)
    superseded: dict[tuple[str, str], int] = field(default_factory=dict)
    rivals: dict[str, list[pd.DataFrame]] = field(default_factory=dict)
    outcomes: list[pd.DataFrame] = field(default_factory=list)
    scales: dict[pd.Timestamp, pd.Series] = field(default_factory=dict)
    without_rivals: int = 0


def scoreboard(
    store: Store,
    *,
    predictors: Sequence[str],
    models_dir: Path,
    now: pd.Timestamp,
    as_of: pd.Timestamp | None = None,
    learnt: Learnt | None = None,
    on_progress: Progress | None = None,
) -> list[Board]:
    """Judge what was predicted by what was known before ``as_of`` (default: everything); nothing is written.

    ``learnt``: see `learnt_until`. What a version said of a day before it learnt is no forecast, and is not judged.

    One day a month, or week, is judged, see `choose_days`; of more than `judged.MOST_ENTITIES` entities a part stands for all, but every
    served answer counts.
    ``on_progress(predictor, days done, days in all)``. Raises `InsufficientDataError` where the store is empty, `UnknownNameError` for a
    predictor that is not in the catalogue.
    """
    models = {name: make_model(name, models_dir) for name in predictors}
    if store.is_empty:
        raise InsufficientDataError("the store is empty: load data with `predictkpi ingest`, or look around with `predictkpi demo`")
    snapshot = store.snapshot(as_of)
    tell = on_progress or (lambda predictor, done, total: None)
    return [_board(store, model, snapshot, now, learnt or {}, tell) for model in models.values()]


def learnt_until(registry: Registry, predictors: Sequence[str]) -> Learnt:
    """(predictor, version) -> the instant before which everything was known that a registered version has learnt."""
    rows = [row for name in predictors for row in registry.versions(name)]
    return {(row["predictor"], row["version"]): pd.Timestamp(row["as_of"]) for row in rows if row["as_of"]}


def keep(store: Store, registry: Registry, boards: Sequence[Board]) -> list[str]:
    """Write boards to the store, and their figures as metrics to the run of each version; what MLflow did not take, in words."""
    troubles = []
    for board in boards:
        store.write_scoreboard(board.predictor, board.text(), as_of=board.as_of, now=board.made_at)
        for version, rows in board.figures.groupby(c.MODEL_VERSION):
            try:
                registry.log_scores(board.predictor, str(version), _metrics(rows), as_of=board.as_of)
            except (NotFoundError, RegistryError) as error:
                troubles.append(f"{board.predictor} {version}: its figures are not in MLflow: {error}")
    return troubles


def kept_boards(store: Store) -> dict[str, Board]:
    """The newest board of each predictor of the catalogue, in its order."""
    texts = store.read_scoreboards()
    return {name: Board.of(texts[name]) for name in predictor_names() if name in texts}


def _board(store: Store, model: Predictor, snapshot: Snapshot, now: pd.Timestamp, learnt: Learnt, on_progress: Progress) -> Board:
    spec = model.spec
    days, left_out, knew = days_of(store, spec, learnt, until=snapshot.as_of)
    gathered, dates = _Gathered(), sorted(days[c.AS_OF].unique())
    for done, as_of in enumerate(dates):
        on_progress(spec.name, done, len(dates))
        _gather(gathered, store, model, snapshot, days[days[c.AS_OF] == as_of])
    on_progress(spec.name, len(dates), len(dates))
    figures, waiting, calibration = [], [], []
    outcomes = pd.concat(gathered.outcomes, ignore_index=True) if gathered.outcomes else pd.DataFrame(columns=c.OUTCOME_COLUMNS)
    for (role, version), parts in sorted(gathered.said.items()):
        said, who = pd.concat(parts, ignore_index=True), {c.ROLE: role, c.MODEL_VERSION: version}
        waits = pending(spec, said, outcomes)
        if gathered.superseded.get((role, version)):
            waits.loc[len(waits)] = [_SUPERSEDED, ALL, gathered.superseded[role, version], pd.NaT]
        waiting.append(waits.assign(**who))
        figures.append(compare(spec, said, _rivals(gathered, role), outcomes, gathered.scales).assign(**who))
        calibration.append(calibration_points(spec, said, outcomes).assign(**who))
    return Board(
        spec.name,
        snapshot.as_of,
        now,
        _stacked(figures, FIGURE_COLUMNS),
        _stacked(waiting, PENDING_COLUMNS),
        _notes(left_out, IN_WORDS[spec.time_unit], knew, gathered),
        _stacked(calibration, CALIBRATION_COLUMNS),
    )


def days_of(store: Store, spec: Spec, learnt: Learnt, *, until: pd.Timestamp) -> tuple[pd.DataFrame, int, int]:
    """The days that are judged, see `choose_days`; how many are left out, and how many no forecast, since the version knew more."""
    every = store.predicted_days(spec.name)
    every = every[every[c.AS_OF] <= until]
    knew = [learnt.get((spec.name, version), as_of) > as_of for version, as_of in zip(every[c.MODEL_VERSION], every[c.AS_OF], strict=True)]
    is_forecast = ~np.array(knew, dtype=bool)
    days, left_out = choose_days(every[is_forecast], spec)
    return days, left_out, int((~is_forecast).sum())


def _stacked(frames: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True)[columns] if filled else pd.DataFrame(columns=columns)


def _notes(left_out: int, period: str, knew: int, gathered: _Gathered) -> tuple[str, ...]:
    notes = []
    if knew:
        notes.append(f"not judged: what versions said of days before they learnt, since they knew what came after (such days: {knew})")
    if left_out:
        notes.append(f"{left_out} more days were predicted: of each version one day a {period} is judged")
    if gathered.without_rivals:
        notes.append(f"on {gathered.without_rivals} of the days no baseline could learn yet")
    return tuple(notes)


def _gather(gathered: _Gathered, store: Store, model: Predictor, snapshot: Snapshot, rows: pd.DataFrame) -> None:
    """What was said of one day, and what came true since."""
    as_of = pd.Timestamp(rows[c.AS_OF].iloc[0])
    outcomes = model.outcomes(snapshot, as_of=as_of)
    out = left_out(outcomes[c.ENTITY_ID])
    served: set[str] = set()
    for version, role in rows[[c.MODEL_VERSION, c.ROLE]].itertuples(index=False, name=None):
        said, superseded = _said(store, model.spec.name, version, role, as_of)
        if role == Role.SERVED:  # few, and all of them count
            served |= set(said[c.ENTITY_ID])
        else:
            said = said[~said[c.ENTITY_ID].isin(out)]
        gathered.said.setdefault((role, version), []).append(_judged(model, said))
        gathered.superseded[role, version] = gathered.superseded.get((role, version), 0) + superseded
    nobodys = out.difference(list(served))
    outcomes = outcomes[~outcomes[c.ENTITY_ID].isin(nobodys)]
    gathered.outcomes.append(outcomes)
    if not (outcomes[c.IS_MATURE].astype(bool) & (outcomes[c.STATISTIC] == model.spec.headline)).any():
        return  # nothing to judge yet, so nobody need learn
    found = 0
    for name, frame in _others(model, snapshot.at(as_of), gathered.scales):
        gathered.rivals.setdefault(name, []).append(_judged(model, frame[~frame[c.ENTITY_ID].isin(nobodys)]))
        found += 1
    gathered.without_rivals += not found


def _judged(model: Predictor, frame: pd.DataFrame) -> pd.DataFrame:
    return frame.loc[frame[c.STATISTIC].isin(JUDGED_STATISTICS | {model.spec.headline}), _LONG]


def _said(store: Store, predictor: str, version: str, role: str, as_of: pd.Timestamp) -> tuple[pd.DataFrame, int]:
    """Long rows of one version and day, one an entity, horizon and statistic; and how many served answers a later one replaces."""
    if role != Role.SERVED:
        return store.read_predictions(predictor=predictor, model_version=version, as_of=as_of), 0
    answers = store.read_answers(predictor, model_version=version, as_of=as_of)
    rows = unpacked(answers).drop_duplicates([c.ENTITY_ID, c.AS_OF, c.HORIZON, c.STATISTIC], keep="last")
    return rows, len(answers) - answers[c.ENTITY_ID].nunique()


def _others(model: Predictor, past: Snapshot, scales: dict[pd.Timestamp, pd.Series]) -> Iterator[tuple[str, pd.DataFrame]]:
    """What baselines that learn from ``past`` alone say of it, and the weighted pipeline; none that has too little to learn from."""
    baselines = model.baselines()
    shared = model.training_table(past) if sum(baseline.takes_model_table for baseline in baselines.values()) > 1 else None
    for name, baseline in baselines.items():
        try:
            table = shared if shared is not None and baseline.takes_model_table else baseline.training_table(past)
            said = baseline.fit(table).predict(past)
        except InsufficientDataError:
            continue
        scales.setdefault(past.as_of, series_scale(table))
        yield name, said
    if model.spec.name == "revenue" and len(past.deals):
        yield WEIGHTED, weighted_revenue(past)


def weighted_revenue(past: Snapshot) -> pd.DataFrame:
    """The company's revenue as a CRM's report has it: what is booked of the running month, and the weighted pipeline of each.

    It is a point: every quantile of it would be the same. Only for the months ahead in which open deals can matter.
    """
    deals = deal_table(past)
    is_open = deals[OUTCOME].isna()
    months = future_periods(past.as_of, HORIZON, "M")
    value = weighted_pipeline(past, deals.loc[is_open, c.DEAL_ID], months).sum(axis=0)
    value[0] += booked_so_far(Items.of(past), past.as_of)
    one = {c.ENTITY_ID: c.TOTAL, c.AS_OF: past.as_of, c.HORIZON: np.arange(1, HORIZON + 1), c.VALUE: value}
    return pd.concat([pd.DataFrame(one | {c.STATISTIC: name}) for name in ("mean", "q50")], ignore_index=True)


def _rivals(gathered: _Gathered, role: str) -> Mapping[str, pd.DataFrame]:
    """By name; a shadow is also compared with whoever was the champion on the same days."""
    rivals = {name: pd.concat(parts, ignore_index=True) for name, parts in gathered.rivals.items()}
    champions = [part for (other, _), parts in sorted(gathered.said.items()) if other == Role.CHAMPION for part in parts]
    if role == Role.SHADOW and champions:
        keys = [c.ENTITY_ID, c.AS_OF, c.HORIZON, c.STATISTIC]
        rivals[CHAMPION] = pd.concat(champions, ignore_index=True).drop_duplicates(keys, keep="last")
    return rivals


def _metrics(rows: pd.DataFrame) -> dict[str, float]:
    """``champion.loss``, ``champion.loss_h30``, ``shadow.champion.saved``, ...: by role, rival and measure; rivals over all horizons."""
    found: dict[str, float] = {}
    for row in rows.to_dict("records"):
        who = row[c.ROLE] if row[CANDIDATE] == MODEL else f"{row[c.ROLE]}.{row[CANDIDATE]}"
        if row[CANDIDATE] != MODEL and row[c.HORIZON] != ALL:
            continue
        within = "" if row[c.HORIZON] == ALL else f"_h{row[c.HORIZON]}"
        found |= {f"{who}.{name}{within}": float(row[name]) for name in (c.N, *MEASURES, *SAVED) if pd.notna(row[name])}
    return found
