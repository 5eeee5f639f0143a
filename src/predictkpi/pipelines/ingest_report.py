"""What became of an ingest, for whoever shows it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from predictkpi.core.types import Company
from predictkpi.sources.states import MISMATCH_COLUMNS
from predictkpi.store import Counts

REJECT_COLUMNS = ["file", "row", "table", "field", "value", "reason"]
NO_REJECTS = pd.DataFrame(columns=REJECT_COLUMNS)


@dataclass(frozen=True)
class FeedReport:
    """What became of one feed: ``rows = not_selected + records`` and ``records = accepted + unchanged + rejected``."""

    table: str
    file: str
    rows: int
    not_selected: int
    counts: Counts

    @property
    def records(self) -> int:
        """Rows that were offered to the store."""
        return self.counts.records

    @property
    def accepted(self) -> int:
        """Records that became versions."""
        return self.counts.accepted

    @property
    def unchanged(self) -> int:
        """Records that said what was known already."""
        return self.counts.unchanged

    @property
    def rejected(self) -> int:
        """Records that are in the list of rejects, each with its reason."""
        return self.counts.rejected


@dataclass(frozen=True)
class IngestReport:
    """What became of one ingest. ``rejects`` has one row a rejected record, columns `REJECT_COLUMNS`.

    ``mismatches`` lists each field in which a deal does not stand as its last event says, where a feed of live states was compared.
    ``withdrawn`` counts the records of which it is news that they are deleted.
    ``records`` holds, on the same index, each rejected row as the source gave it (JSON; empty for a line that was no row).
    """

    load_id: int
    company: Company
    feeds: list[FeedReport]
    rejects: pd.DataFrame
    warnings: list[str] = field(default_factory=list)
    records: pd.Series = field(default_factory=lambda: pd.Series(dtype="str"))
    mismatches: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=MISMATCH_COLUMNS))
    withdrawn: int = 0
