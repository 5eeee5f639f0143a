"""Which past days a backtest stands on: the newest one whose outcomes are known by now, and from there back in steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from predictkpi.core.periods import shift
from predictkpi.core.types import Spec
from predictkpi.snapshot import Snapshot


class FoldRule(BaseModel):
    """How one predictor is backtested; ``step`` and ``gap`` count the predictor's own time unit (months or days)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folds: int = Field(4, ge=1, description="cutoffs wanted")
    step: int = Field(ge=1, description="distance between two cutoffs")
    gap: int = Field(ge=1, description="distance from the newest cutoff to the end of the data: horizons up to it are known in every fold")

    @classmethod
    def default(cls, spec: Spec) -> FoldRule:
        """For a predictor that models/evaluation.yaml does not name: the middle horizon is known in every fold."""
        step = 3 if spec.time_unit == "month" else 30
        return cls(folds=4, step=step, gap=sorted(spec.horizons)[len(spec.horizons) // 2])


@dataclass(frozen=True)
class Cutoffs:
    """Cutoffs, oldest first, and in ``note`` what had to give way on a short history (empty if nothing)."""

    dates: tuple[pd.Timestamp, ...]
    gap: int
    note: str = ""


def choose_cutoffs(rule: FoldRule, spec: Spec, snapshot: Snapshot, *, is_usable: Callable[[Snapshot], bool]) -> Cutoffs:
    """Place up to ``rule.folds`` cutoffs before ``snapshot.as_of``.

    ``is_usable`` says whether a model can be trained on a snapshot. If fewer than two cutoffs are usable at the wanted gap, the next
    shorter horizons of the predictor are tried as gap, so that a young company is judged on near horizons rather than not at all.
    """
    shorter = [horizon for horizon in sorted(spec.horizons, reverse=True) if horizon < rule.gap]
    best = Cutoffs((), rule.gap)
    for gap in [rule.gap, *shorter]:
        dates = _usable_dates(rule, gap, spec, snapshot, is_usable)
        if len(dates) > len(best.dates):
            best = Cutoffs(dates, gap)
        if len(dates) >= min(2, rule.folds):
            break
    return Cutoffs(best.dates, best.gap, _note(rule, best, spec))


def _usable_dates(
    rule: FoldRule, gap: int, spec: Spec, snapshot: Snapshot, is_usable: Callable[[Snapshot], bool]
) -> tuple[pd.Timestamp, ...]:
    dates: list[pd.Timestamp] = []
    for fold in range(rule.folds):
        date = _before(snapshot.as_of, gap + fold * rule.step, spec)
        if not is_usable(snapshot.at(date)):
            break
        dates.insert(0, date)
    return tuple(dates)


def _before(as_of: pd.Timestamp, count: int, spec: Spec) -> pd.Timestamp:
    if spec.time_unit == "month":
        return shift(as_of, -count, "M")
    return as_of.normalize() - pd.Timedelta(days=count)


def _note(rule: FoldRule, chosen: Cutoffs, spec: Spec) -> str:
    notes = []
    if len(chosen.dates) < rule.folds:
        notes.append(f"{len(chosen.dates)} of {rule.folds} folds: the history is too short for more")
    if chosen.gap < rule.gap:
        notes.append(f"the newest cutoff lies {chosen.gap} instead of {rule.gap} {spec.time_unit}s back")
    return "; ".join(notes)
