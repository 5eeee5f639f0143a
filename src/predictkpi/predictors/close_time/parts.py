"""Deals apart: what all of them share, and the rows of those whose facts are in one part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.features.deal_history import DealHistory
from predictkpi.features.deal_outcomes import Closes
from predictkpi.features.deal_records import DealRecords, contributed
from predictkpi.parts import AT, COUNT, Own, Parts, added_up, contribution, of, of_each
from predictkpi.predictors.close_time.landmarks import count_candidates, midnight_of, rate_of
from predictkpi.predictors.close_time.table import cohort_inputs, landmark_rows
from predictkpi.snapshot import Snapshot

FIRST_CLOSE, CANDIDATES = "first_close", "candidates"


@dataclass(frozen=True)
class SharedByDeals:
    """Track records, and when deals can first be seen closing (microseconds since 1970; None where none has closed)."""

    records: DealRecords
    start: int | None


class DealParts(Parts[SharedByDeals]):
    """By deal: its versions, events and activities, its customers, and the own fields of both. Settings: see `CloseTimePredictor`."""

    key = c.DEAL_ID
    own = (
        Own("deals", on=c.DEAL_ID),
        Own("deal_events", on=c.DEAL_ID),
        Own("activities", on=c.DEAL_ID),
        Own("customers", on=c.CUSTOMER_ID, through=("deals", c.CUSTOMER_ID)),
        Own("attributes", on=c.ENTITY_ID, of="deals"),
        Own("attributes", on=c.ENTITY_ID, through=("deals", c.CUSTOMER_ID), of="customers"),
    )

    def __init__(self, *, budget: int, max_rate: float, seed: int) -> None:
        self.budget, self.max_rate, self.seed = budget, max_rate, seed

    def contributed(self, part: Snapshot) -> pd.DataFrame:
        """See `deal_records.contributed`; and the first close that the part knows."""
        history = DealHistory(part)
        first = Closes(history).first_instant
        return added_up([contributed(history), *([] if first is None else [contribution(FIRST_CLOSE, at=first)])])

    def shared(self, sums: pd.DataFrame, company: Snapshot) -> SharedByDeals:
        """See `SharedByDeals`."""
        first = of(of_each(sums), FIRST_CLOSE)[AT]
        return SharedByDeals(DealRecords.of(sums), midnight_of(int(first.min()) if len(first) else None))

    def inputs(self, part: Snapshot, shared: SharedByDeals) -> pd.DataFrame:
        """See `table.cohort_inputs`."""
        return cohort_inputs(DealHistory(part, records=shared.records), None).frame()

    def counted(self, part: Snapshot, shared: SharedByDeals) -> pd.DataFrame:
        """Candidates for landmarks."""
        history = DealHistory(part, records=shared.records)
        return contribution(CANDIDATES, count=count_candidates(history, Closes(history), start=shared.start))

    def training_rows(self, part: Snapshot, shared: SharedByDeals, counts: pd.DataFrame) -> pd.DataFrame:
        """See `table.landmark_rows`."""
        history = DealHistory(part, records=shared.records)
        candidates = int(cast(float, of(of_each(counts), CANDIDATES)[COUNT].sum()))
        rate = rate_of(candidates, budget=self.budget, max_rate=self.max_rate)
        return landmark_rows(history, Closes(history), start=shared.start, rate=rate, seed=self.seed)
