"""The loan pipeline's part of `close_time.py`: ours, baselines and peers on deals open at a cutoff (A) and created after it (B)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from deals.judging import (
    Floats,
    Landmarks,
    brier_sums,
    date_error_sums,
    date_quantiles,
    date_scores,
    deal_weights,
    integrated,
    probability_scores,
    saved,
)
from deals.loan_pipeline import CUTOFFS, END, FOLDER, loan_facts
from deals.peers import PEERS, Fitted, run_peer
from predictkpi.core import columns as c
from predictkpi.core.arrays import Columns
from predictkpi.predictors import predictor_class
from predictkpi.snapshot import Snapshot

HORIZONS = (7, 14, 30)
PROBABILITY_HORIZON = 30
LEVELS = (0.1, 0.5, 0.9)
OURS, OVERALL, BY_STAGE, CRM = "ours", "overall Aalen-Johansen", "landmark Aalen-Johansen", "CRM: stage rate x mean cycle"
BASELINES = {OVERALL: "baseline", BY_STAGE: "stage_curves", CRM: "stage_win_rate"}
ALL_LANDMARKS = {"landmark_rate": 1.0, "landmark_budget": 10**9}
"""Settings with which a training table holds every midnight of every deal while it was open."""


@dataclass
class Fold:
    """One cutoff: the sets, and each model's won incidences by set; ``notes`` says what a peer chose, or why it is missing."""

    cutoff: pd.Timestamp
    sets: dict[str, Landmarks]
    won: dict[str, dict[str, Floats]] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


def landmark_sets(table: pd.DataFrame, cutoff: pd.Timestamp) -> dict[str, Landmarks]:
    """A: deals open at the cutoff, judged there. B: deals created after it, at entry and at every midnight while open.

    ``table`` is a training table of all that is known by the data's end, with every landmark: features as known at each, outcomes since.
    """
    entered = table[table["is_entry"].to_numpy(bool)].set_index(c.ENTITY_ID)[c.AS_OF]
    enters_after = (table[c.ENTITY_ID].map(entered) > cutoff).to_numpy()
    return {"A": Landmarks.of(table[table[c.AS_OF] == cutoff]), "B": Landmarks.of(table[enters_after])}


def run_fold(full: Snapshot, table: pd.DataFrame, cutoff: pd.Timestamp, *, most_rows: int | None, tell: Callable[[str], None]) -> Fold:
    """Fit everything on what was known at the cutoff and predict both sets."""
    fold = Fold(cutoff, landmark_sets(table, cutoff))
    past = full.at(cutoff)
    model = predictor_class("close_time")()
    tell(OURS)
    started = time.process_time()
    learnt_from = model.training_table(past)
    model.fit(learnt_from)
    fold.won[OURS] = {name: model.daily(Columns.of(part.rows))[:, 0] for name, part in fold.sets.items()}
    fold.cpu_seconds[OURS] = time.process_time() - started
    for title, key in BASELINES.items():
        started = time.process_time()
        baseline = model.baselines()[key].fit(learnt_from)
        fold.won[title] = {name: baseline.daily(Columns.of(part.rows))[:, 0] for name, part in fold.sets.items()}
        fold.cpu_seconds[title] = time.process_time() - started
    inputs = model.inputs(past)
    for peer in PEERS:
        tell(peer.title)
        found: Fitted = run_peer(peer, learnt_from, inputs, fold.sets, HORIZONS, most_rows=most_rows)
        fold.notes[peer.title] = found.missing or found.chosen
        if not found.missing:
            fold.won[peer.title], fold.cpu_seconds[peer.title] = found.won, found.cpu_seconds
    return fold


def scores(fold: Fold) -> list[dict[str, object]]:
    """One row per set and model: integrated Brier score and what ours saves of it, with 95 % limits by a paired bootstrap over deals."""
    rows: list[dict[str, object]] = []
    for name, landmarks in fold.sets.items():
        sums = {title: brier_sums(landmarks, won[name], HORIZONS) for title, won in fold.won.items()}
        weights = deal_weights(int(landmarks.deal.max()) + 1)
        drawn = {title: integrated(*pair, HORIZONS, weights) for title, pair in sums.items()}
        counts = [int((sums[OURS][1][:, number] > 0).sum()) for number in range(len(HORIZONS))]
        for title in fold.won:
            row = {"cutoff": f"{fold.cutoff:%Y-%m-%d}", "set": name, "model": title, "ibs": float(drawn[title][0])}
            row |= {"deals_by_horizon": counts, "cpu_seconds": fold.cpu_seconds[title], "note": fold.notes.get(title, "")}
            rows.append(row | (saved(drawn[OURS], drawn[title]) if title != OURS else {}))
    missing = [title for title in fold.notes if title not in fold.won]
    return rows + [{"cutoff": f"{fold.cutoff:%Y-%m-%d}", "set": "", "model": title, "note": fold.notes[title]} for title in missing]


def honesty(fold: Fold) -> list[dict[str, object]]:
    """Calibration and portfolio of P(won by 30 days), one landmark a deal: set A, and set B at entry."""
    rows = []
    for name, landmarks in fold.sets.items():
        first = landmarks.rows["is_entry"].to_numpy(bool) if name == "B" else np.ones(len(landmarks.rows), bool)
        for title, won in fold.won.items():
            found = probability_scores(landmarks.chosen(first), won[name][first], PROBABILITY_HORIZON)
            rows.append({"cutoff": f"{fold.cutoff:%Y-%m-%d}", "set": name, "model": title} | found)
    return rows


def dates(fold: Fold) -> list[dict[str, object]]:
    """Close dates of deals won in the window: see `date_quantiles`.

    The CRM's is the middle of the one day it names, or the data's end if that is earlier; it has no interval.
    """
    rows = []
    for name, landmarks in fold.sets.items():
        quantiles = {title: date_quantiles(landmarks, fold.won[title][name], LEVELS) for title in (OURS, OVERALL)}
        day = np.minimum((fold.won[CRM][name] <= 0).sum(axis=1) - 0.5, landmarks.observed)
        quantiles[CRM] = np.column_stack([day, day, day])
        among = landmarks.is_won & ~np.isnan(np.concatenate(list(quantiles.values()), axis=1)).any(axis=1)
        weights = deal_weights(int(landmarks.deal.max()) + 1)
        drawn = {}
        for title, found in quantiles.items():
            total, number = date_error_sums(landmarks, found[:, 1], among)
            drawn[title] = (weights @ total)[:, 0] / np.maximum((weights @ number)[:, 0], 1.0)
        for title, found in quantiles.items():
            row = {"cutoff": f"{fold.cutoff:%Y-%m-%d}", "set": name, "model": title} | date_scores(landmarks, found)
            rows.append(row | (saved(drawn[OURS], drawn[title]) if title != OURS else {}))
    return rows


def loan_part(data: Path, *, quick: bool, tell: Callable[[str], None]) -> dict[str, list[dict[str, object]]]:
    """Tables ``scores``, ``honesty`` and ``dates`` over all cutoffs."""
    full = Snapshot(loan_facts(data / FOLDER), END)
    table = predictor_class("close_time")(**ALL_LANDMARKS).training_table(full)
    found: dict[str, list[dict[str, object]]] = {"scores": [], "honesty": [], "dates": []}
    for cutoff in CUTOFFS[:1] if quick else CUTOFFS:
        fold = run_fold(full, table, cutoff, most_rows=1500 if quick else None, tell=lambda step, day=cutoff: tell(f"{day:%d %b}: {step}"))
        found["scores"] += scores(fold)
        found["honesty"] += honesty(fold)
        found["dates"] += dates(fold)
    return found
