"""The rolling-origin backtest: every candidate learns from what was known at a cutoff and is scored on what came true after it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from predictkpi.backtest.scores import Scored, score
from predictkpi.core import columns as c
from predictkpi.core.types import Spec
from predictkpi.errors import InsufficientDataError
from predictkpi.metrics.point import seasonal_naive_scale
from predictkpi.protocol import Predictor
from predictkpi.snapshot import Snapshot

CANDIDATE = "candidate"
KEY = [c.AS_OF, c.ENTITY_ID, c.HORIZON]
JUDGED = [*KEY, c.STATISTIC, c.VALUE]
"""What is held of a prediction until all candidates are judged: without the texts beside it, two fifths less memory."""
Factories = Mapping[str, Callable[[], Predictor]]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class BacktestResult:
    """What a backtest found; every candidate is scored on the same (as_of, entity, horizon) pairs.

    ``losses``: candidate, as_of, entity_id, horizon, loss, weight. ``metrics``: candidate -> name -> value over all folds;
    ``fold_metrics``: candidate, as_of, metric, value. ``predictions``: candidate and `JUDGED`; ``outcomes``:
    `columns.OUTCOME_COLUMNS`; both also hold what was not scored. ``unscored``: as_of, reason, n pairs. ``milliseconds``: candidate ->
    what a prediction took per entity, features and all; empty where no time was taken.
    """

    spec: Spec
    cutoffs: tuple[pd.Timestamp, ...]
    losses: pd.DataFrame
    metrics: dict[str, dict[str, float]]
    fold_metrics: pd.DataFrame
    predictions: pd.DataFrame
    outcomes: pd.DataFrame
    unscored: pd.DataFrame
    scored: dict[str, Scored]
    milliseconds: dict[str, float] = field(default_factory=dict)

    @property
    def n_outcomes(self) -> int:
        """Things that came true, per cutoff: customers or deals, or months.

        A month counts once however many series were judged in it, since they add up to one total; seen from two cutoffs it counts twice.
        """
        first = self.losses[self.losses[CANDIDATE] == self.losses[CANDIDATE].iloc[0]] if len(self.losses) else self.losses
        return len(first.drop_duplicates([c.AS_OF, c.HORIZON] if self.spec.entity == "series" else [c.AS_OF, c.ENTITY_ID]))

    @property
    def n_entities(self) -> int:
        """How many customers, deals or series were judged, at whatever cutoffs."""
        return self.losses[c.ENTITY_ID].nunique()


def run_backtest(
    candidates: Factories, snapshot: Snapshot, cutoffs: Sequence[pd.Timestamp], on_progress: Progress | None = None
) -> BacktestResult:
    """Fit and score every candidate at every cutoff.

    ``candidates`` maps a name to a factory of unfitted predictors; the first gives the outcomes, so its spec holds for all. A baseline
    that can (`Predictor.takes_model_table`) learns from the training table of the last model before it.
    ``on_progress(done, total)`` counts fits. Raises `InsufficientDataError` where not one prediction can be compared with an outcome.
    """
    first = next(iter(candidates.values()))()
    total, done = len(cutoffs) * len(candidates), 0
    predictions, outcomes = [], []
    scales: dict[pd.Timestamp, pd.Series] = {}
    seconds: dict[str, float] = {}
    entities: dict[str, int] = {}
    for cutoff in sorted(map(pd.Timestamp, cutoffs)):
        train = snapshot.at(cutoff)
        of_model: pd.DataFrame | None = None
        for name, make in candidates.items():
            predictor = make()
            table = of_model if of_model is not None and predictor.takes_model_table else predictor.training_table(train)
            of_model = table if predictor.kind == "model" else of_model
            predictor.fit(table)
            started = time.perf_counter()
            predictions.append(predictor.predict(train)[JUDGED].assign(**{CANDIDATE: name}))
            seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - started
            entities[name] = entities.get(name, 0) + predictions[-1][c.ENTITY_ID].nunique()
            scales[cutoff] = series_scale(table) if cutoff not in scales else scales[cutoff]
            done += 1
            if on_progress:
                on_progress(done, total)
        outcomes.append(first.outcomes(snapshot, as_of=cutoff))
    if not outcomes:
        raise InsufficientDataError(f"{first.spec.name}: no cutoff to test on")
    result = assemble(first.spec, tuple(candidates), pd.concat(predictions), pd.concat(outcomes), scales)
    return replace(result, milliseconds={name: 1000 * seconds[name] / max(entities[name], 1) for name in candidates})


def series_scale(table: pd.DataFrame) -> pd.Series:
    """`seasonal_naive_scale` of each series of a training table, by entity_id.

    Empty where the table holds no series: then the fold's own mean absolute outcome is the scale.
    """
    if not {c.UNIQUE_ID, c.DS, c.Y} <= set(table.columns):
        return pd.Series(dtype=float)

    ordered = table.dropna(subset=[c.Y]).sort_values(c.DS)
    return pd.Series({name: seasonal_naive_scale(y.to_numpy(float)) for name, y in ordered.groupby(c.UNIQUE_ID)[c.Y]}, dtype=float)


def assemble(
    spec: Spec,
    names: Sequence[str],
    predictions: pd.DataFrame,
    outcomes: pd.DataFrame,
    scales: Mapping[pd.Timestamp, pd.Series],
) -> BacktestResult:
    """Pair predictions with outcomes and score them. Pure."""
    actual = wide(outcomes[outcomes[c.IS_MATURE].astype(bool)])
    predicted = {name: wide(predictions[predictions[CANDIDATE] == name]) for name in names}
    pairs, unscored = _common_pairs(spec, outcomes, actual, predicted)
    if not len(pairs):
        raise InsufficientDataError(f"{spec.name}: nothing to score at the cutoffs: {_counts(unscored)}")
    actual = actual.reindex(pairs)
    scale = scale_of(pairs, scales, actual[spec.headline])
    scored = {name: score(spec, predicted[name].reindex(pairs), actual, scale) for name in names}
    folds = pairs.get_level_values(c.AS_OF)
    fold_rows = [
        {CANDIDATE: name, c.AS_OF: cutoff, "metric": metric, c.VALUE: value}
        for cutoff in folds.unique()
        for name in names
        for metric, value in _score_fold(spec, predicted[name], actual, scale, folds == cutoff).metrics.items()
    ]
    return BacktestResult(
        spec=spec,
        cutoffs=tuple(folds.unique()),
        losses=pd.concat([scored[name].losses.reset_index().assign(**{CANDIDATE: name}) for name in names], ignore_index=True),
        metrics={name: scored[name].metrics for name in names},
        fold_metrics=pd.DataFrame(fold_rows),
        predictions=predictions.reset_index(drop=True),
        outcomes=outcomes.reset_index(drop=True),
        unscored=unscored,
        scored=scored,
    )


def _score_fold(spec: Spec, predicted: pd.DataFrame, actual: pd.DataFrame, scale: pd.Series, chosen: np.ndarray) -> Scored:
    return score(spec, predicted.reindex(actual.index[chosen]), actual[chosen], scale[chosen])


def wide(long: pd.DataFrame) -> pd.DataFrame:
    """One row per pair, one column per statistic."""
    return long.pivot(index=KEY, columns=c.STATISTIC, values=c.VALUE).sort_index()


def _common_pairs(
    spec: Spec, outcomes: pd.DataFrame, actual: pd.DataFrame, predicted: Mapping[str, pd.DataFrame]
) -> tuple[pd.MultiIndex, pd.DataFrame]:
    """Pairs that every candidate can be scored on, and how many pairs fell out for which reason (the first one counts)."""
    judged = outcomes[outcomes[c.STATISTIC] == spec.headline]
    pairs = pd.MultiIndex.from_frame(judged[KEY])
    known = actual[spec.headline].dropna().index if spec.headline in actual else actual.index[:0]
    reasons = [("not yet mature", ~judged[c.IS_MATURE].to_numpy(bool)), ("no actual value", ~pairs.isin(known))]
    for name, frame in predicted.items():
        with_value = frame[spec.headline].dropna().index if spec.headline in frame else frame.index[:0]
        reasons.append((f"no prediction by {name}", ~pairs.isin(with_value)))
    left = np.ones(len(pairs), dtype=bool)
    rows = []
    for reason, out in reasons:
        counts = pairs[left & out].get_level_values(c.AS_OF).value_counts().sort_index()
        rows += [{c.AS_OF: as_of, c.REASON: reason, c.N: int(n)} for as_of, n in counts.items()]
        left &= ~out
    return pairs[left].sort_values(), pd.DataFrame(rows, columns=[c.AS_OF, c.REASON, c.N])


def scale_of(pairs: pd.MultiIndex, scales: Mapping[pd.Timestamp, pd.Series], headline: pd.Series) -> pd.Series:
    """Scale per pair: of its own series as known at the cutoff, else the mean absolute outcome of the entity in the fold; never 0."""
    known = pd.concat(dict(scales)) if any(map(len, scales.values())) else pd.Series(dtype=float)
    by_entity = pairs.droplevel(c.HORIZON)
    found = known.reindex(by_entity).to_numpy(float) if len(known) else np.full(len(pairs), np.nan)
    fallback = headline.abs().groupby(level=[c.AS_OF, c.ENTITY_ID]).transform("mean").to_numpy(float)
    values = np.where(np.nan_to_num(found) > 0, found, np.where(fallback > 0, fallback, 1.0))
    return pd.Series(values, index=pairs)


def _counts(unscored: pd.DataFrame) -> str:
    counts = unscored.groupby(c.REASON)[c.N].sum()
    return ", ".join(f"{n} {reason}" for reason, n in counts.items()) or "no outcomes at all"
