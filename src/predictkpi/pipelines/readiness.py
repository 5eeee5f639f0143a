"""Readiness: per predictor what there is, what is needed, which rung of the ladder that gives, and what would lift it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from predictkpi.core.types import Status
from predictkpi.pipelines.candidates import make_model
from predictkpi.predictors import predictor_names
from predictkpi.snapshot import Snapshot

READINESS_COLUMNS = ["predictor", "status", "count", "have", "need", "is_enough", "reason", "lift"]


def readiness(snapshot: Snapshot, *, models_dir: Path) -> pd.DataFrame:
    """One row a predictor and count, in catalogue order: `READINESS_COLUMNS`.

    ``status`` and ``reason`` are the predictor's own, the same in each of its rows; ``lift`` says what this count lacks for status full,
    empty where it is enough.
    """
    rows = []
    for name in predictor_names():
        state = make_model(name, models_dir).readiness(snapshot)
        for count, need in state.need.items():
            have = state.have.get(count, 0)
            lift = "" if have >= need else f"{need - have:,} more {count.replace('_', ' ')} for {Status.FULL.value}"
            rows.append((name, state.status.value, count, have, need, have >= need, state.reason, lift))
    return pd.DataFrame(rows, columns=READINESS_COLUMNS)
