"""How a predictor's inputs are made of parts of the facts: what lets the same features be built on one machine and on many.

Facts are split by an entity's key. What entities share (track records, totals of the company) is added up over the parts::

    part --contributed()--> sums --shared()--> small object --inputs(part, ...)--> the part's rows of `Predictor.inputs`
                                                            --counted(part, ...), training_rows(part, ...)--> those of its training table

Whatever the parts are, their rows together are those of the whole, up to the rounding of sums: a test of every predictor holds that.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.snapshot import Foreign, Snapshot
from predictkpi.tables import table_schema

WHAT, KEY, AT, COUNT, SUM = "what", "key", "at", "count", "sum"
SUM_COLUMNS = {WHAT: "str", KEY: "str", AT: "int64", COUNT: "float64", SUM: "float64"}
"""Columns of contributions: rows of the same ``what``, ``key`` and ``at`` (microseconds since 1970) are added up."""

_FIELD = "field of"

Shared = TypeVar("Shared")


@dataclass(frozen=True)
class Own:
    """Which rows of a table go with an entity: those whose column ``on`` holds its key, or what ``through`` says belongs to the key.

    ``through`` names a table and its column that holds what ``on`` holds, beside the key: ``Own("customers", on="customer_id",
    through=("deals", "customer_id"))`` are the customers of a part's deals. ``of`` narrows attributes to those of one table.
    """

    table: str
    on: str
    through: tuple[str, str] | None = None
    of: str | None = None


class Parts(ABC, Generic[Shared]):
    """See the module. ``key`` splits the tables ``own``; every part is given ``everywhere`` whole. No entity is in two parts."""

    key: ClassVar[str]
    own: ClassVar[tuple[Own, ...]]
    everywhere: ClassVar[tuple[str, ...]] = ()
    are_whole: ClassVar[bool] = True
    """Whether entities lie in parts; else `inputs` and `training_rows` come of what is shared alone, asked once with a part of no facts."""

    @abstractmethod
    def contributed(self, part: Snapshot) -> pd.DataFrame:
        """What a part adds to what all share: columns `SUM_COLUMNS`."""

    @abstractmethod
    def shared(self, sums: pd.DataFrame, company: Snapshot) -> Shared:
        """What all share, out of the sums of all parts; ``company`` is a snapshot for its instant and settings, its tables are not read."""

    @abstractmethod
    def inputs(self, part: Snapshot, shared: Shared) -> pd.DataFrame:
        """Rows of `Predictor.inputs` of the part's entities, in any order."""

    def counted(self, part: Snapshot, shared: Shared) -> pd.DataFrame:
        """What a part adds to what a training table needs to know of all; columns `SUM_COLUMNS`."""
        return no_sums()

    def fit_ahead(self, predictor: Any, inputs: pd.DataFrame, engine: Any) -> None:
        """Where entities do not lie in parts: work out on a Fugue engine what ``predictor`` will need entity by entity for these inputs."""
        return

    @abstractmethod
    def training_rows(self, part: Snapshot, shared: Shared, counts: pd.DataFrame) -> pd.DataFrame:
        """Rows of `Predictor.training_table` of the part's entities, in any order; ``counts`` are the sums of `counted`."""


def no_sums() -> pd.DataFrame:
    """Nothing contributed."""
    return pd.DataFrame({name: pd.Series([], dtype=kind) for name, kind in SUM_COLUMNS.items()})


def contribution(what: str, *, key: Any = "", at: Any = 0, count: Any = 0.0, total: Any = 0.0, rows: int | None = None) -> pd.DataFrame:
    """Rows of contributions of one ``what``; what is not given is empty or 0, one value stands for all rows."""
    columns = {WHAT: what, KEY: key, AT: at, COUNT: count, SUM: total}
    n = len(key) if rows is None and not isinstance(key, str) else rows or (1 if rows is None else 0)
    return pd.DataFrame(columns, index=pd.RangeIndex(n)).astype(SUM_COLUMNS)


def added_up(contributions: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """The sums of several contributions, sorted by what they are of."""
    found = pd.concat([no_sums(), *contributions], ignore_index=True)
    return found.groupby([WHAT, KEY, AT], as_index=False, dropna=False)[[COUNT, SUM]].sum()


def of_each(sums: pd.DataFrame) -> Mapping[str, pd.DataFrame]:
    """The sums by ``what``."""
    return {str(what): rows.reset_index(drop=True) for what, rows in sums.groupby(WHAT)}


def of(sums: Mapping[str, pd.DataFrame], what: str) -> pd.DataFrame:
    """One ``what`` of `of_each`, empty where nothing was contributed to it."""
    return sums.get(what, no_sums())


def fields_told(attributes: pd.DataFrame) -> pd.DataFrame:
    """Contributions that say as what kind the company's own fields were learnt, and when last; ``attributes``: all versions of all.

    Made of the whole table, not of parts: a field may be known of records alone that are in no part.
    """
    newest = attributes.groupby([c.TABLE, c.NAME, c.KIND], as_index=False)[c.KNOWN_AT].max()
    return added_up(
        contribution(f"{_FIELD} {table}", key=[json.dumps(pair) for pair in zip(rows[c.NAME], rows[c.KIND], strict=True)], at=_micros(rows))
        for table, rows in newest.groupby(c.TABLE)
    )


def kinds_of_fields(sums: Mapping[str, pd.DataFrame], table: str) -> dict[str, str]:
    """Kind of each own field of a table that was learnt last, sorted by name."""
    told = of(sums, f"{_FIELD} {table}").sort_values([AT, KEY])
    return dict(sorted(dict(json.loads(key) for key in told[KEY]).items()))


def _micros(rows: pd.DataFrame) -> Any:
    return rows[c.KNOWN_AT].to_numpy("datetime64[us]").astype("int64")


class Part(NamedTuple):
    """Rows of facts by table, and the entities of other parts whose rows are there only to end versions of the part's own."""

    tables: dict[str, pd.DataFrame]
    foreign: Foreign | None


def may_move(own: Own) -> bool:
    """Whether a later version of a row may say that it goes with another entity: an order that was booked for the wrong customer."""
    return own.through is None and own.on not in table_schema(own.table).key


def split(tables: Mapping[str, pd.DataFrame], parts: Parts[Any], n: int) -> list[Part]:
    """Versions of facts, table by table, in ``n`` parts by a hash of the key: what an engine does with many more.

    All versions of a row are in every part that one of them names. A row without a key is in one part, where it goes with nobody.
    """
    return [_part(tables, parts, number, n) for number in range(n)]


def _part(tables: Mapping[str, pd.DataFrame], parts: Parts[Any], number: int, n: int) -> Part:
    found = {name: tables[name] for name in parts.everywhere if name in tables}
    foreign: set[str] = set()
    for own in parts.own:
        if own.table not in tables:
            continue
        rows = tables[own.table] if own.of is None else tables[own.table][tables[own.table][c.TABLE] == own.of]
        if own.through is None:
            mine = is_in_part(rows[own.on], number, n)
        else:
            there = tables.get(own.through[0], pd.DataFrame(columns=[own.through[1], parts.key]))
            mine = rows[own.on].isin(there.loc[is_in_part(there[parts.key], number, n), own.through[1]].dropna())
        if may_move(own):
            record = pd.MultiIndex.from_frame(rows[list(table_schema(own.table).key)])
            others = record.isin(record[mine.to_numpy()]) & ~mine.to_numpy()
            foreign |= set(rows.loc[others, own.on].fillna(""))
            mine |= others
        found[own.table] = pd.concat([found[own.table], rows[mine]]) if own.table in found else rows[mine]
    return Part(found, foreign_of(parts, foreign))


def foreign_of(parts: Parts[Any], keys: Iterable[str]) -> Foreign | None:
    """None where there are no such keys."""
    found = frozenset(keys)
    return Foreign(parts.key, found, frozenset(own.table for own in parts.own if may_move(own))) if found else None


def is_in_part(keys: pd.Series, number: int, n: int) -> pd.Series:
    """Which keys are in that part of ``n``; a missing one counts as empty text."""
    return pd.Series(pd.util.hash_array(keys.fillna("").to_numpy(object)) % n == number, index=keys.index)
