"""Other tools of the field on our landmarks: cause-specific Cox, random survival forest and boosting of scikit-survival; hazardous.

All get the same constant-rate landmarks as our model and the same features (every column that a training table shares with the inputs),
numbers standardised with a flag where one is missing, categories one-hot with rare ones put together. The scikit-survival models know one
cause at a time: one is fitted per cause, the other counted as censoring, and the two cumulative hazards make the incidences.

Budget of each: the settings listed in `PEERS`, of which the one with the lowest integrated Brier score of won on `HELD_OUT` of the
training deals is fitted again on all; settings stop being tried once `SECONDS` of CPU are used. Durations are whole days (rounded up),
since the forest keeps a curve over every distinct time. Tools whose time grows faster than their rows, or is long, learn from at most
``most_rows`` landmarks, drawn at random, which keeps their rate constant: a tenth of all landmarks or more on the loan pipeline.
"""

from __future__ import annotations

import importlib
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from deals.judging import Landmarks, brier_sums, integrated
from predictkpi.core import columns as c

Floats = npt.NDArray[np.float64]
HELD_OUT = 0.3
SECONDS = 240.0
RARE = 50
"""Landmarks below which a category is put together with the other rare ones."""
LEVELS = 100
CAUSES = (1, 2)


class Encoder:
    """Landmark features as numbers: standardised, flagged where missing, one-hot."""

    def __init__(self, rows: pd.DataFrame, inputs: pd.DataFrame) -> None:
        shared = [name for name in inputs.columns if name in rows.columns and name not in (c.ENTITY_ID, c.AS_OF)]
        is_number = {name: pd.api.types.is_numeric_dtype(rows[name]) for name in shared}
        self.numbers = {name: self._scale(rows[name]) for name in shared if is_number[name] and rows[name].nunique() > 1}
        self.flagged = [name for name in self.numbers if rows[name].isna().mean() > 0.005]
        counts = {name: rows[name].value_counts() for name in shared if not is_number[name]}
        kept = {name: count.index[count >= RARE].tolist() for name, count in counts.items()}
        self.categories = {name: values for name, values in kept.items() if values and rows[name].nunique() > 1}

    @staticmethod
    def _scale(values: pd.Series) -> tuple[float, float]:
        return float(values.median()), float(values.std()) or 1.0

    def matrix(self, rows: pd.DataFrame) -> Floats:
        """(n, n_features)."""
        columns = [((rows[name].fillna(middle) - middle) / size).clip(-5, 5) for name, (middle, size) in self.numbers.items()]
        columns += [rows[name].isna().astype(float) for name in self.flagged]
        for name, values in self.categories.items():
            columns += [(rows[name] == value).astype(float) for value in values]
            columns.append((~rows[name].isin(values) & rows[name].notna()).astype(float))
        matrix = np.column_stack([column.to_numpy(float) for column in columns])
        return matrix + 0.0


@dataclass
class Peer:
    """One tool: what must be installed, the settings tried, and how it is fitted.

    ``fit(settings, X, days, event)`` returns a function from X to won incidences before day 0..``last`` (n, last + 1).
    """

    title: str
    module: str
    settings: list[dict[str, Any]]
    fit: Callable[..., Callable[[Floats, int], Floats]]
    most_rows: int | None = None


@dataclass
class Fitted:
    """A peer's answer: won incidences by set of landmarks, what was chosen, CPU seconds; or why it has none."""

    won: dict[str, Floats] = field(default_factory=dict)
    chosen: str = ""
    cpu_seconds: float = 0.0
    missing: str = ""


def run_peer(
    peer: Peer,
    table: pd.DataFrame,
    inputs: pd.DataFrame,
    sets: dict[str, Landmarks],
    horizons: tuple[int, ...],
    *,
    most_rows: int | None = None,
    seed: int = 0,
) -> Fitted:
    """Choose settings on held-out training deals, fit on all, predict the sets. A tool that is not installed says so in ``missing``."""
    try:
        importlib.import_module(peer.module)
    except ImportError as error:
        return Fitted(missing=f"{peer.module} cannot be imported ({error}); `make bench` installs it from requirements/bench.txt")
    started = time.process_time()
    rng = np.random.default_rng(seed)
    rows = table[table["is_sampled"].to_numpy(bool)].reset_index(drop=True)
    most = min(limit for limit in (len(rows), peer.most_rows, most_rows) if limit is not None)
    rows = rows.iloc[np.sort(rng.choice(len(rows), most, replace=False))].reset_index(drop=True)
    encoder = Encoder(rows, inputs)
    deals = rows[c.ENTITY_ID].unique()
    held = rows[c.ENTITY_ID].isin(deals[rng.random(len(deals)) < HELD_OUT]).to_numpy()
    last = max(horizons)
    scores: list[float] = []
    for settings in peer.settings:
        if scores and time.process_time() - started > SECONDS:
            break
        predict = _learn(peer, settings, encoder, rows[~held])
        judged = Landmarks.of(rows[held])
        scores.append(float(integrated(*brier_sums(judged, predict(encoder.matrix(judged.rows), last), horizons), horizons)[0]))
    best = peer.settings[int(np.argmin(scores))]
    predict = _learn(peer, best, encoder, rows)
    won = {name: _in_parts(predict, encoder, landmarks.rows, last) for name, landmarks in sets.items()}
    chosen = ", ".join(f"{key} {value}" for key, value in best.items())
    return Fitted(won, f"{chosen} (of {len(scores)} tried, {len(rows):,} landmarks)", time.process_time() - started)


def _learn(peer: Peer, settings: dict[str, Any], encoder: Encoder, rows: pd.DataFrame) -> Callable[[Floats, int], Floats]:
    days = np.maximum(np.ceil(rows["duration"].to_numpy(float)), 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return peer.fit(settings, encoder.matrix(rows), days, rows["event"].to_numpy(int))


def _in_parts(predict: Callable[[Floats, int], Floats], encoder: Encoder, rows: pd.DataFrame, last: int, size: int = 5000) -> Floats:
    parts = [predict(encoder.matrix(rows.iloc[low : low + size]), last) for low in range(0, len(rows), size)]
    return np.concatenate(parts) if parts else np.zeros((0, last + 1))


def from_hazards(increments: Floats) -> Floats:
    """Won incidences (n, days) from daily increments of the cumulative hazards (2, n, days), the first at day 0."""
    total = increments.sum(axis=0)
    survival = np.exp(-np.cumsum(total, axis=1))
    before = np.concatenate([np.ones((len(total), 1)), survival[:, :-1]], axis=1)
    share = np.divide(increments[0], total, out=np.zeros_like(total), where=total > 0)
    return np.cumsum((before - survival) * share, axis=1)


def cause_specific(make: Callable[[dict[str, Any]], Any]) -> Callable[..., Callable[[Floats, int], Floats]]:
    """A `Peer.fit` from a scikit-survival estimator: one model a cause."""

    def fit(settings: dict[str, Any], X: Floats, days: Floats, event: npt.NDArray[np.int64]) -> Callable[[Floats, int], Floats]:
        from sksurv.util import Surv

        models = [make(settings).fit(X, Surv.from_arrays(event == cause, days)) for cause in CAUSES]

        def predict(X_new: Floats, last: int) -> Floats:
            return from_hazards(np.stack([_increments(model, X_new, last) for model in models]))

        return predict

    return fit


def _increments(model: Any, X: Floats, last: int) -> Floats:
    """Daily increments of a model's cumulative hazard at days 0..last; flat beyond the last time seen."""
    hazard = np.asarray(model.predict_cumulative_hazard_function(X, return_array=True), dtype=float)
    padded = np.concatenate([np.zeros((len(X), 1)), hazard], axis=1)
    at = padded[:, np.searchsorted(model.unique_times_, np.arange(last + 1), side="right")]
    return np.maximum(np.diff(at, axis=1, prepend=0.0), 0.0)


def _cox(settings: dict[str, Any]) -> Any:
    from sksurv.linear_model import CoxPHSurvivalAnalysis

    return CoxPHSurvivalAnalysis(alpha=settings["alpha"], n_iter=50)


def _forest(settings: dict[str, Any]) -> Any:
    from sksurv.ensemble import RandomSurvivalForest

    return RandomSurvivalForest(n_estimators=60, max_features="sqrt", n_jobs=1, random_state=0, **settings)


def _boosting(settings: dict[str, Any]) -> Any:
    from sksurv.ensemble import GradientBoostingSurvivalAnalysis

    return GradientBoostingSurvivalAnalysis(subsample=0.5, min_samples_leaf=50, max_features="sqrt", random_state=0, **settings)


def fit_hazardous(settings: dict[str, Any], X: Floats, days: Floats, event: npt.NDArray[np.int64]) -> Callable[[Floats, int], Floats]:
    """`hazardous.SurvivalBoost`, both causes at once.

    It bins all features anew in every round, with weights, which scikit-learn does slowly for many distinct values: features are
    rounded to `LEVELS` quantiles, fewer than its 255 bins.
    """
    from hazardous import SurvivalBoost

    edges = [np.unique(np.quantile(column, np.linspace(0, 1, LEVELS + 1)[1:-1])) for column in X.T]

    def binned(values: Floats) -> Floats:
        return np.column_stack([np.searchsorted(cuts, column, side="right") for cuts, column in zip(edges, values.T, strict=True)]).astype(
            float
        )

    model = SurvivalBoost(show_progressbar=False, min_samples_leaf=50, random_state=0, **settings)
    model.fit(binned(X), pd.DataFrame({"event": event, "duration": days}))

    def predict(X_new: Floats, last: int) -> Floats:
        found = model.predict_cumulative_incidence(binned(X_new), times=np.arange(last + 1, dtype=float))[:, 1, :]
        return np.maximum.accumulate(np.where(np.arange(last + 1) > 0, found, 0.0), axis=1)

    return predict


PEERS = [
    Peer("Cox, one a cause", "sksurv", [{"alpha": a} for a in (1.0, 30.0, 300.0)], cause_specific(_cox)),
    Peer(
        "random survival forest",
        "sksurv",
        [{"min_samples_leaf": 100, "max_depth": 8}, {"min_samples_leaf": 40, "max_depth": 12}],
        cause_specific(_forest),
    ),
    Peer(
        "gradient boosting (sksurv)",
        "sksurv",
        [{"n_estimators": 100, "learning_rate": 0.1, "max_depth": 3}, {"n_estimators": 150, "learning_rate": 0.1, "max_depth": 2}],
        cause_specific(_boosting),
        most_rows=4000,
    ),
    Peer(
        "hazardous SurvivalBoost",
        "hazardous",
        [
            {"ipcw_strategy": "alternating", "n_iter": 60, "learning_rate": 0.1, "max_leaf_nodes": 7},
            {"ipcw_strategy": "kaplan-meier", "n_iter": 60, "learning_rate": 0.1, "max_leaf_nodes": 7},
            {"ipcw_strategy": "kaplan-meier", "n_iter": 60, "learning_rate": 0.05, "max_leaf_nodes": 31},
        ],
        fit_hazardous,
        most_rows=6000,
    ),
]
