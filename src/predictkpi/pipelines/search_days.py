"""On which past days a search for settings stands, and on which newer ones its find is held against the current settings."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from predictkpi.backtest.cutoffs import FoldRule, choose_cutoffs
from predictkpi.core.types import Status
from predictkpi.errors import InsufficientDataError
from predictkpi.protocol import Predictor
from predictkpi.snapshot import Snapshot

HELD_OUT = 2


@dataclass(frozen=True)
class Days:
    """``held_out`` cutoffs, and before the oldest of them the search's own: ``past`` is all that the search may know, outcomes included."""

    past: Snapshot
    search: tuple[pd.Timestamp, ...]
    held_out: tuple[pd.Timestamp, ...]


def choose_days(rule: FoldRule, model: Predictor, snapshot: Snapshot) -> Days:
    """The newest cutoffs are held out, two where the history is long enough. The search lives wholly before the oldest of them.

    To learn only from days before would not be enough: losses of older folds are measured on the very months that newer ones are judged on.
    """

    def usable(past: Snapshot) -> bool:
        return model.readiness(past).status in (Status.FULL, Status.LIMITED)

    newest = choose_cutoffs(rule, model.spec, snapshot, is_usable=usable).dates
    found: list[Days] = []
    for held_out in dict.fromkeys((newest[-HELD_OUT:], newest[-1:])):
        if held_out:
            past = snapshot.at(held_out[0])
            found.append(Days(past, choose_cutoffs(rule, model.spec, past, is_usable=usable).dates, held_out))
    wide = next((days for days in found if len(days.search) > 1), None) or next((days for days in found if days.search), None)
    if wide is None:
        raise InsufficientDataError(
            f"{model.spec.name}: the history is too short to search on past days and to compare on newer ones: "
            f"{len(newest)} past days can be judged at all ({model.readiness(snapshot).reason or 'as models/evaluation.yaml places them'})"
        )
    return wide
