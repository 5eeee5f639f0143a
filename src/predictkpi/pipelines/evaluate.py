"""Evaluate: model and baselines side by side on any data in the store and any past cutoffs; nothing is registered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from predictkpi.backtest.cutoffs import choose_cutoffs
from predictkpi.backtest.gate import GateDecision, decide
from predictkpi.backtest.run import BacktestResult, Progress, run_backtest
from predictkpi.core import columns as c
from predictkpi.core.types import Status
from predictkpi.errors import InsufficientDataError, SettingsError
from predictkpi.pipelines.candidates import fold_rule, make_candidates, make_model

if TYPE_CHECKING:
    from predictkpi.store import Store


@dataclass(frozen=True)
class Evaluation:
    """A backtest at chosen cutoffs and what the gate would say to it."""

    result: BacktestResult
    decision: GateDecision
    note: str

    def as_dict(self) -> dict[str, Any]:
        """For machines: metrics by candidate, the decision's figures, cutoffs and the pairs that were not scored."""
        unscored = self.result.unscored.assign(**{c.AS_OF: self.result.unscored[c.AS_OF].map(lambda day: pd.Timestamp(day).isoformat())})
        return {
            "predictor": self.result.spec.name,
            "cutoffs": [cutoff.isoformat() for cutoff in self.result.cutoffs],
            "note": self.note,
            "metrics": {name: {key: _plain(value) for key, value in values.items()} for name, values in self.result.metrics.items()},
            "improvement": {key: getattr(self.decision, key) for key in ("improvement", "low", "high")},
            "n_outcomes": self.decision.n_outcomes,
            "would_promote": self.decision.promote,
            "reason": self.decision.reason,
            "unscored": unscored.to_dict("records"),
        }


def evaluate(
    store: Store,
    predictor: str,
    cutoffs: Sequence[pd.Timestamp],
    *,
    models_dir: Path,
    as_of: pd.Timestamp | None = None,
    on_progress: Progress | None = None,
) -> Evaluation:
    """Backtest model and baselines of one predictor; without cutoffs, at those that training would choose.

    Raises `SettingsError` for a cutoff that does not lie before the end of the data, `InsufficientDataError` where nothing can be judged.
    """
    model = make_model(predictor, models_dir)
    if store.is_empty:
        raise InsufficientDataError("the store is empty: load data with `predictkpi ingest`, or look around with `predictkpi demo`")
    snapshot, note = store.snapshot(as_of), ""
    if not cutoffs:
        chosen = choose_cutoffs(
            fold_rule(model.spec, models_dir),
            model.spec,
            snapshot,
            is_usable=lambda past: model.readiness(past).status in (Status.FULL, Status.LIMITED),
        )
        cutoffs, note = chosen.dates, chosen.note
    for cutoff in cutoffs:
        if cutoff >= snapshot.as_of:
            raise SettingsError(f"cutoff {cutoff:%Y-%m-%d} does not lie before {snapshot.as_of:%Y-%m-%d}, where the data ends")
        readiness = model.readiness(snapshot.at(cutoff))
        if readiness.status not in (Status.FULL, Status.LIMITED):
            raise InsufficientDataError(f"{predictor} cannot learn from what was known before {cutoff:%Y-%m-%d}: {readiness.reason}")
    if not cutoffs:
        raise InsufficientDataError(f"{predictor}: no past cutoff to test on: {note or model.readiness(snapshot).reason}")
    result = run_backtest(make_candidates(predictor, models_dir), snapshot, cutoffs, on_progress)
    return Evaluation(result, decide(result), note)


def _plain(value: float) -> float | None:
    """JSON knows no NaN."""
    return None if pd.isna(value) else float(value)
