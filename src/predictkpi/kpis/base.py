"""What every KPI shares: its declaration, and the way from rows of a snapshot to one value per member and complete period.

A KPI declares what it is and implements `Kpi.compute`, a small computation over a `View`. `Kpi.series` does the rest: it
checks names, lays the values on a grid of members and complete periods, and says how far each value can be trusted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.periods import FREQS, Freq, complete_periods, cutoff_of, pandas_freq, period_start
from predictkpi.core.types import Status
from predictkpi.errors import UnknownNameError
from predictkpi.features.event_order import in_event_order
from predictkpi.snapshot import Snapshot

CUSTOMER_DIMENSIONS = (c.SEGMENT, c.REGION, c.INDUSTRY, c.CHANNEL)
SELLER_DIMENSIONS = (c.OWNER, c.TEAM, c.SOURCE)
"""Dimensions that an order has from the deal it comes from."""
UNKNOWN = "unknown"
"""Member of rows whose dimension is empty, or whose customer is missing."""

IS_PARTIAL = "is_partial"
"""Flag of `Kpi.compute` for a period that the loaded facts cover only in part."""

CELL = [c.MEMBER, c.DS]
Family = Literal["revenue", "customers", "sales_cycle", "pipeline"]


@dataclass(frozen=True)
class View:
    """A snapshot, seen in periods of ``freq`` and in the members of one dimension (None: the total)."""

    snapshot: Snapshot
    freq: Freq
    by: str | None

    @property
    def _fiscal_year_starts(self) -> int:
        return self.snapshot.company.fiscal_year_starts

    def starts(self, instants: pd.Series) -> pd.Series:
        """First instant of the period each instant falls into."""
        return period_start(instants, self.freq, fiscal_year_starts=self._fiscal_year_starts)

    def ends(self, starts: pd.DatetimeIndex) -> pd.DatetimeIndex:
        """Exclusive end of each period, given by its start."""
        return (starts.to_period(pandas_freq(self.freq, fiscal_year_starts=self._fiscal_year_starts)) + 1).start_time

    def periods(self, first: pd.Timestamp) -> pd.DatetimeIndex:
        """Starts of the complete periods from the one holding ``first`` on."""
        return complete_periods(first, self.snapshot.as_of, self.freq, fiscal_year_starts=self._fiscal_year_starts)

    def members(self, frame: pd.DataFrame) -> pd.Series:
        """The member each row belongs to: from the frame's own column, else from its deal or customer, else `UNKNOWN`."""
        if self.by is None:
            return pd.Series(c.TOTAL, index=frame.index, dtype="str")
        if self.by in frame.columns:
            found = frame[self.by]
        elif self.by in SELLER_DIMENSIONS:
            found = frame[c.DEAL_ID].map(self._of_deals(self.by))
        else:
            found = frame[c.CUSTOMER_ID].map(self.snapshot.customers.set_index(c.CUSTOMER_ID)[self.by])
        found = found.astype("str")
        return found.where(found.notna() & (found != ""), UNKNOWN)

    def _of_deals(self, dimension: str) -> pd.Series:
        """The dimension's value by deal, as it stands at ``as_of``."""
        if dimension in self.snapshot.deals:
            return self.snapshot.deals.set_index(c.DEAL_ID)[dimension]
        newest = in_event_order(self.snapshot.deal_events).drop_duplicates(c.DEAL_ID, keep="last")
        return newest.set_index(c.DEAL_ID)[dimension]

    def group(self, frame: pd.DataFrame, happened_at: str) -> Any:
        """A pandas groupby of the rows by member and by the period that holds ``happened_at``."""
        return frame.groupby([self.members(frame).rename(c.MEMBER), self.starts(frame[happened_at]).rename(c.DS)])

    def coverage(self, instants: pd.Series) -> tuple[pd.Timestamp, pd.Timestamp]:
        """The span ``[start, end)`` that facts at these instants speak for; there must be at least one.

        Whole months, or whole periods where those are shorter: a feed begins and stops with a month more often than with its first row.
        """
        unit = self.freq if self.freq in ("D", "W") else "M"
        first, last = (instants.agg(end).to_period(pandas_freq(unit)) for end in ("min", "max"))
        return first.start_time, (last + 1).start_time

    def fill(self, cells: pd.DataFrame) -> pd.DataFrame:
        """Cells (indexed by member and ds) on the full grid of their members and complete periods; new cells are NaN."""
        cutoff = cutoff_of(self.snapshot.as_of, self.freq, fiscal_year_starts=self._fiscal_year_starts)
        complete = cells[cells.index.get_level_values(c.DS) <= cutoff]
        if complete.empty:
            return complete
        members = complete.index.get_level_values(c.MEMBER).unique().sort_values()
        periods = self.periods(complete.index.get_level_values(c.DS).min())
        return complete.reindex(pd.MultiIndex.from_product([members, periods], names=CELL))


class Kpi(ABC):
    """One KPI: what it means, and how it is computed. Stateless; API, CLI, dashboard and docs read it here and nowhere else."""

    name: ClassVar[str]
    title: ClassVar[dict[str, str]]
    formula: ClassVar[str]
    family: ClassVar[Family]
    """Where it stands in a list of all KPIs."""
    unit: ClassVar[Literal["currency", "share", "days", "months", "ratio", "count"]]
    better: ClassVar[Literal["up", "down", "none"]]
    counts: ClassVar[Literal["orders", "customers", "deals", "entries"]]
    """What ``n`` counts; entries are rows of a table that belong to nobody."""
    needs: ClassVar[tuple[str, ...]]
    """Tables without which there is no value. Dimensions of customers also use that table, but do without it."""
    dimensions: ClassVar[tuple[str, ...]]
    fixed_freq: ClassVar[Freq | None] = None
    """The only period length that makes sense; it wins over the one asked for."""
    least_n: ClassVar[int] = 10
    """Below this ``n`` a value is `Status.LIMITED`; 0 for sums."""
    when_empty: ClassVar[float] = np.nan
    """Value of a period inside the covered range that no row falls into."""
    covered_by: ClassVar[str | None] = None
    """The table whose last fact's month ends the covered range; what comes after it is missing. None: the range ends at ``as_of``."""
    over_time: ClassVar[Literal["sums", "holds", "apart", "matures"]] = "holds"
    """A sum adds up over periods; a level or ratio holds for each shorter one; a value that counts something else in a longer period stands
    apart; a cohort's value still moves after its period's end."""
    settles_with: ClassVar[str | None] = None
    """A table in whose first year values tell of the beginning of the records and not of the company: everybody looks new, a rolling year
    is not whole yet. Trends and alerts leave that year out."""
    is_change: ClassVar[bool] = False
    """Whether a share is a relative change, from -1 up and without a top, and not a part of a whole."""

    @property
    def grain(self) -> str:
        """What one value speaks of."""
        length = {None: "period of any length", "M": "month", "Q": "fiscal quarter"}[self.fixed_freq]
        return f"one value a {length} and member of a dimension"

    @abstractmethod
    def compute(self, view: View) -> pd.DataFrame:
        """Values for the cells that rows fall into: index ``(member, ds)``, columns ``value, n``; if need be also ``low, high``
        (95 % interval, empty where it has no bound) and `IS_PARTIAL`.

        ``ds`` are period starts; the running period may be among them. The earliest cell begins the covered range.
        """

    def series(self, snapshot: Snapshot, *, freq: Freq = "M", by: str | None = None) -> pd.DataFrame:
        """One row per member and complete period: `columns.KPI_COLUMNS`, sorted by member and ``ds``.

        Every member has the same periods: from the first with data to the cutoff of ``as_of``. Without ``by`` there is one member,
        the total. ``low`` and ``high`` are a 95 % interval, NaN for a KPI that has none. Raises `UnknownNameError` for a dimension or a
        period length that this KPI does not know. Without data: no rows.
        """
        if by is not None and by not in self.dimensions:
            raise UnknownNameError.among(f"dimension of {self.name}", by, known=self.dimensions)
        if freq not in FREQS:
            raise UnknownNameError.among("period length", freq, known=FREQS)
        view = View(snapshot, self.fixed_freq or freq, by)
        cells = view.fill(self.compute(view))
        value = self.filled(view, cells)
        n = cells[c.N].fillna(0).astype("int64")
        is_thin = n < self.least_n
        if IS_PARTIAL in cells:
            is_thin |= cells[IS_PARTIAL].eq(True)
        status = np.where(value.isna(), Status.INSUFFICIENT_DATA.value, np.where(is_thin, Status.LIMITED.value, Status.FULL.value))
        bounds = cells.reindex(columns=[c.LOW, c.HIGH]).astype("float64").where(value.notna())
        rows = bounds.assign(**{c.VALUE: value, c.N: n, c.STATUS: pd.Series(status, index=cells.index, dtype="str")}).reset_index()
        rows = rows.astype({c.MEMBER: "str", c.DS: "datetime64[us]"})
        return rows.assign(**{c.KPI: self.name, c.DIMENSION: by or c.TOTAL}).astype({c.KPI: "str", c.DIMENSION: "str"})[c.KPI_COLUMNS]

    def filled(self, view: View, cells: pd.DataFrame) -> pd.Series:
        """The values of a full grid of cells, where periods inside the covered range that no row falls into have their value too."""
        value = cells[c.VALUE].astype("float64")
        if self.covered_by is None or cells.empty:
            return value.fillna(self.when_empty)
        covered_to = (view.snapshot.table(self.covered_by)[c.DS].max().to_period("M") + 1).start_time
        return value.mask(value.isna() & (starts_of(cells) < covered_to), self.when_empty)


def no_cells() -> pd.DataFrame:
    """What `Kpi.compute` returns where there is nothing to compute from."""
    index = pd.MultiIndex.from_arrays([pd.Index([], dtype="str"), pd.DatetimeIndex([], dtype="datetime64[us]")], names=CELL)
    return pd.DataFrame({c.VALUE: pd.Series([], index=index, dtype="float64"), c.N: pd.Series([], index=index, dtype="int64")})


def starts_of(cells: pd.DataFrame) -> pd.DatetimeIndex:
    """The ``ds`` of each cell."""
    return cast(pd.DatetimeIndex, cells.index.get_level_values(c.DS))
