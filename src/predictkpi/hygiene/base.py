"""What every check of the books shares: its declaration, and the frame of findings it gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.hygiene.books import DealBooks

MONEY, DETAIL, CHECK, ENTITY = "money", "detail", "check", "entity"
FINDING_COLUMNS = [CHECK, ENTITY, c.ENTITY_ID, c.NAME, MONEY, DETAIL]


@dataclass(frozen=True)
class Result:
    """What a check found: ``findings`` (`FINDING_COLUMNS`, most money first) among ``examined`` rows, by the ``threshold`` in force."""

    findings: pd.DataFrame
    examined: int
    threshold: str

    @property
    def count(self) -> int:
        """Rows found."""
        return len(self.findings)

    @property
    def money(self) -> float:
        """Their money in the reporting currency; rows without an amount add nothing."""
        return float(self.findings[MONEY].sum())


class Check(ABC):
    """One check: what it looks at, and how to mend what it finds. Stateless; CLI and docs read it here and nowhere else."""

    name: ClassVar[str]
    title: ClassVar[dict[str, str]]
    looks_at: ClassVar[str]
    """The rows that are examined."""
    at_stake: ClassVar[str]
    """What the money is."""
    way_out: ClassVar[str]
    entity: ClassVar[Literal["deal", "customer", "field"]]

    @abstractmethod
    def run(self, books: DealBooks) -> Result:
        """Look through the books."""

    def result(self, rows: pd.DataFrame, *, examined: int, threshold: str) -> Result:
        """Findings from rows indexed by the entity's id, with ``name, money, detail``."""
        found = rows.rename_axis(c.ENTITY_ID).reset_index().sort_values([MONEY, c.ENTITY_ID], ascending=[False, True], ignore_index=True)
        found = found.assign(**{CHECK: self.name, ENTITY: self.entity})[FINDING_COLUMNS]
        text = {name: "str" for name in FINDING_COLUMNS if name != MONEY}
        return Result(found.astype(text | {MONEY: "float64"}), examined, threshold)


def deal_rows(deals: pd.DataFrame, detail: pd.Series | str) -> pd.DataFrame:
    """Rows for `Check.result` from rows of the books' deals; the money is the deal's amount."""
    return pd.DataFrame({c.NAME: deals[c.NAME], MONEY: deals[c.AMOUNT], DETAIL: detail}, index=deals.index)
