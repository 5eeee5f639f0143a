"""The lens: facts as they were known before one instant. The only view a KPI or a predictor ever gets.

A fact is never changed: a correction is a new version with a later ``known_at``. `Snapshot.table` gives the newest version
of each row known before ``as_of``; `Snapshot.history` gives every version. What was known later cannot be had: asking raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.arrays import Columns
from predictkpi.core.types import Company
from predictkpi.errors import FutureAccessError, UnknownNameError
from predictkpi.tables import table_schema
from predictkpi.tables.attributes import OWNERS, widened


class Facts(Protocol):
    """Where versions of facts come from: the store, or frames in memory."""

    company: Company

    def read(self, table: str, *, known_before: pd.Timestamp) -> pd.DataFrame:
        """Every version with ``known_at < known_before``: schema columns and ``known_at``, oldest version first."""
        ...


class MemoryFacts:
    """Facts held as DataFrames; tables that are not given are empty."""

    def __init__(self, tables: Mapping[str, pd.DataFrame], company: Company | None = None) -> None:
        self.company = company or Company()
        self._tables = {table_schema(name).name: frame.sort_values(c.KNOWN_AT, kind="stable") for name, frame in tables.items()}

    def read(self, table: str, *, known_before: pd.Timestamp) -> pd.DataFrame:
        """See `Facts.read`."""
        frame = self._tables.get(table)
        if frame is None:
            return table_schema(table).empty()
        return frame[frame[c.KNOWN_AT] < known_before]


class Foreign(NamedTuple):
    """Keys of entities of another part, the column that holds them, and the tables that have rows of theirs."""

    column: str
    keys: frozenset[str]
    tables: frozenset[str]


class Snapshot:
    """All tables as known strictly before ``as_of``."""

    def __init__(self, facts: Facts, as_of: pd.Timestamp) -> None:
        self.as_of = pd.Timestamp(as_of)
        self.company = facts.company
        self.base: Snapshot | None = None
        """The snapshot that `with_rows` was asked of: what all entities share must come from there."""
        self.added: Mapping[str, Columns] = {}
        """By table, what `with_rows` added to ``base``: schema columns and ``known_at``, oldest first."""
        self.foreign: Foreign | None = None
        """In a snapshot of a part of the facts, entities whose rows are there only to end versions of the part's own: see `parts`."""
        self._facts = facts
        self._history: dict[str, pd.DataFrame] = {}
        self._tables: dict[str, pd.DataFrame] = {}

    def __repr__(self) -> str:
        return f"Snapshot(as_of={self.as_of.isoformat()})"

    def history(self, name: str) -> pd.DataFrame:
        """Every version known before ``as_of``, oldest first; one flagged ``is_deleted`` states a deletion. Do not modify."""
        if name not in self._history:
            frame = self._facts.read(name, known_before=self.as_of)
            late = frame[c.KNOWN_AT] >= self.as_of
            if late.any():
                raise FutureAccessError(f"{name}: {int(late.sum())} rows were known only at or after {self.as_of.isoformat()}")
            self._history[name] = frame
        return self._history[name]

    def living(self, name: str) -> pd.DataFrame:
        """`history` without the records that are known to be deleted: no version of them, and no statement of a deletion."""
        frame = self.history(name)
        if c.IS_DELETED not in frame:
            return frame
        flags = frame[c.IS_DELETED]
        key = pd.MultiIndex.from_frame(frame[list(table_schema(name).key)])
        gone = key[flags & ~key.duplicated(keep="last")]
        return frame[~flags & ~key.isin(gone)].drop(columns=c.IS_DELETED)

    def table(self, name: str) -> pd.DataFrame:
        """The newest known version of each row that had happened before ``as_of``, sorted by key. Do not modify.

        Planned tables (targets) also hold rows of the future; `history` also holds bookings dated ahead.
        """
        if name not in self._tables:
            schema = table_schema(name)
            newest = self.living(name).drop_duplicates(list(schema.key), keep="last")
            if schema.happened_at and not schema.planned:
                happened = newest[schema.happened_at]
                newest = newest[happened.isna() | (happened < self.as_of)]
            if self.foreign is not None and name in self.foreign.tables:
                newest = newest[~newest[self.foreign.column].isin(self.foreign.keys)]
            self._tables[name] = newest.sort_values(list(schema.key), ignore_index=True)
        return self._tables[name]

    def at(self, as_of: pd.Timestamp) -> Snapshot:
        """The view of an earlier instant; raises `FutureAccessError` for a later one."""
        as_of = pd.Timestamp(as_of)
        if as_of > self.as_of:
            raise FutureAccessError(f"a snapshot of {self.as_of.isoformat()} cannot show {as_of.isoformat()}")
        if as_of == self.as_of:
            return self
        if self.base:
            return self.base.at(as_of).with_rows(self.added)
        earlier = Snapshot(_Narrowed(self), as_of)
        earlier.foreign = self.foreign
        return earlier

    def frozen_at(self, known_before: pd.Timestamp) -> Snapshot:
        """As of the same instant, as if nothing had been learnt since an earlier one; raises `FutureAccessError` for a later one."""
        known_before = pd.Timestamp(known_before)
        if known_before > self.as_of:
            raise FutureAccessError(f"a snapshot of {self.as_of.isoformat()} knows nothing up to {known_before.isoformat()}")
        if self.base:
            return self.base.frozen_at(known_before).with_rows(
                {name: _known_before(rows, known_before) for name, rows in self.added.items()}
            )
        return Snapshot(_Narrowed(self, known_before), self.as_of)

    def with_rows(self, rows: Mapping[str, pd.DataFrame | Columns]) -> Snapshot:
        """This snapshot plus rows that only the caller knows (a deal in a request); they must be known before ``as_of``.

        Costs nothing of what is stored: frames are put together only for the tables that are asked for.
        """
        schemas = {name: table_schema(name) for name in rows}
        added = {schema.name: _known_before(schema.typed(rows[name]), self.as_of) for name, schema in schemas.items()}
        richer = Snapshot(_Extended(self, added), self.as_of)
        richer.base, richer.added = self, added
        return richer

    def sharing(self, other: Snapshot, *, but: str) -> Snapshot:
        """This snapshot with what another of the same instant has read already, except of one table."""
        if other.as_of != self.as_of or other.base is not None:
            raise ValueError(f"{other} is no plain snapshot as of {self.as_of.isoformat()}")
        shared = Snapshot(self._facts, self.as_of)
        shared._history = {name: frame for name, frame in other._history.items() if name != but}
        shared._tables = {name: frame for name, frame in other._tables.items() if name != but}
        return shared

    @property
    def customers(self) -> pd.DataFrame:
        """Newest known customers."""
        return self.table("customers")

    @property
    def orders(self) -> pd.DataFrame:
        """Newest known orders booked before ``as_of``."""
        return self.table("orders")

    @property
    def deals(self) -> pd.DataFrame:
        """Newest known deals."""
        return self.table("deals")

    @property
    def deal_events(self) -> pd.DataFrame:
        """Newest known version of every event that happened before ``as_of``."""
        return self.table("deal_events")

    @property
    def activities(self) -> pd.DataFrame:
        """Newest known activities that took place before ``as_of``."""
        return self.table("activities")

    def attributes(self, name: str) -> pd.DataFrame:
        """A company's own fields of that table, newest known, typed: one row an id (the index), one column an attribute."""
        if name not in OWNERS:
            raise UnknownNameError.among("table with attributes", name, known=OWNERS)
        held = self.table("attributes")
        return widened(held[held[c.TABLE] == name])

    @property
    def spend(self) -> pd.DataFrame:
        """Newest known spend of the days before ``as_of``."""
        return self.table("spend")

    @property
    def targets(self) -> pd.DataFrame:
        """Newest known targets, also of periods to come."""
        return self.table("targets")


class _Extended:
    """A snapshot's own rows and a few more, put together only for the tables that are asked for."""

    def __init__(self, snapshot: Snapshot, added: Mapping[str, Columns]) -> None:
        self.company = snapshot.company
        self._snapshot, self._added = snapshot, added

    def read(self, table: str, *, known_before: pd.Timestamp) -> pd.DataFrame:
        frame = self._snapshot.history(table)
        if table in self._added:
            frame = _joined(frame, self._added[table].frame()).sort_values(c.KNOWN_AT, kind="stable")
        return frame[frame[c.KNOWN_AT] < known_before]


def _joined(history: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([history, rows.assign(**{c.IS_DELETED: False}) if c.IS_DELETED in history else rows])


def _known_before(rows: Columns, instant: pd.Timestamp) -> Columns:
    """Those known by then, oldest first."""
    known = rows[c.KNOWN_AT]
    order = np.argsort(known, kind="stable")
    return rows.take(order[known[order] < instant.to_datetime64()])


class _Narrowed:
    """A snapshot's own rows as facts for an earlier snapshot, or for one that knows nothing from ``limit`` on."""

    def __init__(self, snapshot: Snapshot, limit: pd.Timestamp | None = None) -> None:
        self.company = snapshot.company
        self._snapshot, self._limit = snapshot, limit

    def read(self, table: str, *, known_before: pd.Timestamp) -> pd.DataFrame:
        frame = self._snapshot.history(table)
        return frame[frame[c.KNOWN_AT] < (known_before if self._limit is None else min(known_before, self._limit))]
