"""On which past days a search for settings stands, and on which newer ones its find is held against the current settings."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from predictkpi.backtest.cutoffs import FoldRule, choose_cutoffs
from predictkpi.core.types import Status
from predictkpi.errors import InsufficientDataError
from predictkpi.protocol import Predictor
from predictkpi.snapshot import Snapshot


@dataclass(frozen=True)
class Days:
    """``held_out`` cutoffs, and before the oldest of them the search's own: ``past`` is all that the search may know, outcomes included."""

    past: Snapshot
    search: tuple[pd.Timestamp, ...]
    held_out: tuple[pd.Timestamp, ...]


def choose_days(rule: FoldRule, model: Predictor, snapshot: Snapshot) -> Days:
    """The backtest's cutoffs are held out, fewer where the search would have fewer than they; it lives wholly before the oldest of them.

    So a search never sees the days on which training judges a model. To learn only from days before would not be enough: losses of older
    folds are measured on the very months that newer ones are judged on.
    """

    def usable(past: Snapshot) -> bool:
        return model.readiness(past).status in (Status.FULL, Status.LIMITED)

    newest = choose_cutoffs(rule, model.spec, snapshot, is_usable=usable).dates
    for count in sorted({len(newest), min(len(newest), 2), min(len(newest), 1)} - {0}, reverse=True):
        held_out = newest[-count:]
        past = snapshot.at(held_out[0])
        search = choose_cutoffs(rule, model.spec, past, is_usable=usable).dates
        if len(search) >= count:
            return Days(past, search, held_out)
    raise InsufficientDataError(
        f"{model.spec.name}: the history is too short to search on past days and to compare on newer ones: "
        f"{len(newest)} past days can be judged at all ({model.readiness(snapshot).reason or 'as models/evaluation.yaml places them'})"
    )
