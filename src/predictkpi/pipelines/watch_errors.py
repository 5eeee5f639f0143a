"""Does a champion err on what came true since it learnt as its backtest let expect?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from predictkpi.backtest.run import CANDIDATE, assemble, series_scale
from predictkpi.core import columns as c
from predictkpi.core.periods import shift
from predictkpi.core.types import Spec
from predictkpi.errors import InsufficientDataError
from predictkpi.pipelines.findings import Finding, MonitorRule, Severity
from predictkpi.protocol import MODEL, Predictor
from predictkpi.snapshot import Snapshot

ERROR = "matured error"

_MOST_ORIGINS = 6
_DAYS_APART = 7
# Folds are few: their spread is pulled towards a usual one of log errors, or of log ratios of predicted to actual totals, which counts for
# so many of them (Smyth, 2004, Linear models and empirical Bayes methods: a moderated t-statistic).
_ITS_WEIGHT = 4.0
_USUAL_SPREAD, _USUAL_SPREAD_OF_TOTALS = 0.2, 0.1
_OF_TOTALS = ("total_bias", "portfolio_error_30")
"""Metrics that are predicted over actual total, minus 1: too low is as wrong as too high."""


@dataclass(frozen=True)
class Matured:
    """Errors of one version on what came true after it learnt: metric (``brier_won_h30``) to value, and the outcomes judged."""

    metrics: Mapping[str, float]
    outcomes: int
    origins: int


def since_training(champion: Predictor, snapshot: Snapshot, *, trained: pd.Timestamp) -> Matured | None:
    """Predict again at days since the training, from what was known on each, and score what has come true; None where nothing has.

    This is what the version answered then, since a version never changes; logged predictions may be scored by `scored` instead.
    """
    spec = champion.spec
    days = origins(spec, trained, snapshot.as_of)
    if not days:
        return None
    predictions, outcomes, scales = [], [], {}
    for day in days:
        past = snapshot.at(day)
        predictions.append(champion.predict(past))
        outcomes.append(champion.outcomes(snapshot, as_of=day))
        scales[day] = series_scale(champion.training_table(past)) if spec.entity == "series" else pd.Series(dtype=float)
    return scored(spec, pd.concat(predictions), pd.concat(outcomes), scales)


def scored(spec: Spec, predictions: pd.DataFrame, outcomes: pd.DataFrame, scales: Mapping[pd.Timestamp, pd.Series]) -> Matured | None:
    """Errors by horizon of predictions (of one version) beside what came true; None where nothing has."""
    try:
        result = assemble(spec, (MODEL,), predictions.assign(**{CANDIDATE: MODEL}), outcomes, scales)
    except InsufficientDataError:
        return None
    judged = {name: value for name, value in result.metrics[MODEL].items() if _is_of_horizon(name) or name in _OF_TOTALS}
    return Matured({name: value for name, value in judged.items() if np.isfinite(value)}, result.n_outcomes, len(result.cutoffs))


def origins(spec: Spec, trained: pd.Timestamp, now: pd.Timestamp) -> list[pd.Timestamp]:
    """Days since the training of which the shortest horizon has come true, at most `_MOST_ORIGINS`, oldest first."""
    shortest = min(spec.horizons)
    if spec.time_unit == "month":
        newest = shift(now, -shortest, "M")
        days = [shift(newest, -back, "M") for back in range(_MOST_ORIGINS)]
    else:
        newest = now.normalize() - pd.Timedelta(days=shortest)
        apart = max(_DAYS_APART, (newest - trained).days // (_MOST_ORIGINS - 1))
        days = [newest - pd.Timedelta(days=back * apart) for back in range(_MOST_ORIGINS)]
    return sorted(day for day in days if day >= trained)


def judge_error(name: str, matured: Matured | None, folds: pd.DataFrame, rule: MonitorRule) -> Finding:
    """Is the error of any horizon larger than the folds of the backtest allow? ``folds``: ``fold, metric, value`` of the same candidate.

    A prediction interval for one more fold, of log errors, by the spread between folds; the level is shared among the horizons.
    """
    if matured is None:
        return Finding(ERROR, name, Severity.NOTE, "nothing that the champion predicted has come true yet")
    if matured.outcomes < rule.least_outcomes:
        return Finding(
            ERROR, name, Severity.NOTE, f"{matured.outcomes} outcomes have come true of the {rule.least_outcomes} needed to judge"
        )
    by_metric = {str(metric): part[c.VALUE].to_numpy(dtype=float) for metric, part in folds.groupby("metric")}
    common = [metric for metric in matured.metrics if len(by_metric.get(metric, ())) >= 2]
    if not common:
        return Finding(ERROR, name, Severity.NOTE, "its backtest had fewer than two folds to compare with")
    level = rule.error_level / len(common)
    scores = {metric: _score(metric, matured.metrics[metric], by_metric[metric], level) for metric in common}
    worst = max(common, key=lambda metric: scores[metric][0])
    score, usual, low, high = scores[worst]
    value = matured.metrics[worst]
    is_low = worst in _OF_TOTALS and value < usual
    limit = low if is_low else high
    figures: dict[str, float | str] = {"metric": worst, "error": value, "expected": usual, "low": low, "high": high}
    figures |= {"outcomes": float(matured.outcomes), "days_judged": float(matured.origins)}
    if score <= 1:
        return Finding(ERROR, name, Severity.NOTE, f"{worst} {value:.4g}, as the backtest let expect", figures=figures, threshold=limit)
    reason = (
        f"{worst} is {value:.4g} on {matured.outcomes} outcomes since the training; its backtest let expect {usual:.4g}, "
        f"{'at least' if is_low else 'at most'} {limit:.4g}"
    )
    way_out = f"look at drift and sources first; then `predictkpi retrain {name}`: a new model serves only if it is better"
    return Finding(ERROR, name, Severity.ALARM, reason, way_out, figures, limit)


def _score(metric: str, value: float, folds: np.ndarray, level: float) -> tuple[float, float, float, float]:
    """How far off, where above 1 is too far, and what was to be expected, at least and at most."""
    of_total = metric in _OF_TOTALS
    usual = _USUAL_SPREAD_OF_TOTALS if of_total else _USUAL_SPREAD
    offset = 1.0 if of_total else 0.0
    logs, n = np.log(np.maximum(folds + offset, 1e-9)), len(folds)
    freedom = n - 1 + _ITS_WEIGHT
    spread = np.sqrt(((n - 1) * logs.var(ddof=1) + _ITS_WEIGHT * usual**2) / freedom)
    reach = float(stats.t.ppf(1 - level / (2 if of_total else 1), freedom) * spread * np.sqrt(1 + 1 / n))
    middle, off = float(logs.mean()), float(np.log(max(value + offset, 1e-9)) - logs.mean())
    low, high = (float(np.exp(middle + side * reach)) - offset for side in (-1, 1))
    return (abs(off) if of_total else off) / reach, float(np.exp(middle)) - offset, low if of_total else 0.0, high


def _is_of_horizon(name: str) -> bool:
    return name.rpartition("_h")[2].isdecimal()
