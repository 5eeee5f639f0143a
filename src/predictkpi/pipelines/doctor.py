"""Doctor: every check of the catalogue on one snapshot, with count and money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from predictkpi.hygiene import DealBooks, Result, check_names, get_check
from predictkpi.hygiene.base import FINDING_COLUMNS, MONEY
from predictkpi.snapshot import Snapshot

SUMMARY_COLUMNS = ["check", "title", "count", "examined", "money", "threshold", "examples", "at_stake", "way_out"]
EXAMPLES_SHOWN = 3


@dataclass(frozen=True)
class Diagnosis:
    """The results by name of the check, in catalogue order."""

    as_of: pd.Timestamp
    results: dict[str, Result]

    @property
    def findings(self) -> pd.DataFrame:
        """All rows found, check by check, most money first: `FINDING_COLUMNS`."""
        return pd.concat([result.findings for result in self.results.values()], ignore_index=True)[FINDING_COLUMNS]

    def summary(self, language: str = "en") -> pd.DataFrame:
        """One row a check: `SUMMARY_COLUMNS`. ``money`` is empty where no row found has an amount."""
        rows = []
        for name, result in self.results.items():
            check = get_check(name)
            money = result.money if result.findings[MONEY].notna().any() else float("nan")
            examples = ", ".join(result.findings["entity_id"].head(EXAMPLES_SHOWN))
            titles = (name, check.title[language], result.count, result.examined, money, result.threshold, examples)
            rows.append((*titles, check.at_stake, check.way_out))
        return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)


def diagnose(snapshot: Snapshot, *, checks: Sequence[str] | None = None) -> Diagnosis:
    """Run these checks (by default all of them); raises `UnknownNameError` for one that the catalogue does not list."""
    chosen = [get_check(name) for name in (check_names() if checks is None else checks)]
    books = DealBooks(snapshot)
    return Diagnosis(snapshot.as_of, {check.name: check.run(books) for check in chosen})
