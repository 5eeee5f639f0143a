"""Facts spread over parts: one wide Spark frame that holds the rows of several tables, each with the part its entity is in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import Company
from predictkpi.engines.places import telling
from predictkpi.parts import Own, Parts, foreign_of, may_move
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.tables import table_schema

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

PART, TABLE, IS_OWN = "part_", "table_", "is_own_"
_DTYPES = {"string": "str", "number": "float64", "instant": "datetime64[us]"}


def spread(facts: Mapping[str, DataFrame], parts: Parts[Any], n: int) -> DataFrame | None:
    """Rows of all own tables, columns of all of them, each with the one of ``n`` parts that `PART` numbers; None without any table.

    As `parts.split` has it: `IS_OWN` is false for versions that are in a part only because they follow or precede one of its own.
    """
    from pyspark.sql import functions as f

    found: DataFrame | None = None
    for own in parts.own:
        if own.table not in facts:
            continue
        rows = facts[own.table] if own.of is None else facts[own.table].where(f.col(c.TABLE) == own.of)
        named = _by_own_key(rows, own, n) if own.through is None else _by_key_of_another(rows, own, facts, parts.key, n)
        if named is not None:
            named = named.withColumn(TABLE, f.lit(own.table))
            found = named if found is None else found.unionByName(named, allowMissingColumns=True)
    return found


def _part_of(key: str, n: int) -> Column:
    """The part of a key; a missing one counts as empty text, so that its row is in one part and goes with nobody."""
    from pyspark.sql import functions as f

    return f.pmod(f.xxhash64(f.coalesce(f.col(key), f.lit(""))), f.lit(n)).cast("int")


def _by_own_key(rows: DataFrame, own: Own, n: int) -> DataFrame:
    from pyspark.sql import functions as f

    named = rows.withColumn(PART, _part_of(own.on, n))
    if not may_move(own):
        return named.withColumn(IS_OWN, f.lit(True))
    record = list(table_schema(own.table).key)
    places = named.select(*record, PART).distinct()
    moved = places.groupBy(*record).count().where("count > 1").select(*record)
    elsewhere = places.join(moved, record).withColumnRenamed(PART, "there_")
    others = named.join(elsewhere, record).where(f.col("there_") != f.col(PART)).withColumn(PART, f.col("there_")).drop("there_")
    return named.withColumn(IS_OWN, f.lit(True)).unionByName(others.withColumn(IS_OWN, f.lit(False)))


def _by_key_of_another(rows: DataFrame, own: Own, facts: Mapping[str, DataFrame], key: str, n: int) -> DataFrame | None:
    """Rows with the part of every entity that they belong to through another table, once a part."""
    from pyspark.sql import functions as f

    there, column = own.through or ("", "")
    if there not in facts:
        return None
    pairs = facts[there].select(f.col(column).alias("on_"), _part_of(key, n).alias(PART)).where("on_ IS NOT NULL").distinct()
    return rows.join(pairs, rows[own.on] == pairs["on_"]).drop("on_").withColumn(IS_OWN, f.lit(True))


def snapshot_of(
    rows: pd.DataFrame, parts: Parts[Any], everywhere: Mapping[str, pd.DataFrame], company: Company, as_of: pd.Timestamp
) -> Snapshot:
    """The snapshot of one part, out of its rows of `spread`."""
    tables = {str(name): typed(of_table, str(name)) for name, of_table in rows.groupby(TABLE)}
    found = Snapshot(MemoryFacts({**everywhere, **tables}, company), as_of)
    others = rows[~rows[IS_OWN].to_numpy(bool)]
    found.foreign = foreign_of(parts, others[parts.key].fillna("")) if len(others) else None
    return found


def typed(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """Rows of a table in the dtypes of a store, oldest version first; the flag of deletions only where one is set."""
    schema = table_schema(name)
    dtypes = {column.name: _DTYPES[column.kind] for column in schema.columns} | {c.KNOWN_AT: "datetime64[us]"}
    frame = pd.DataFrame({column: _as(rows[column], dtype) for column, dtype in dtypes.items()})
    deleted = rows[c.IS_DELETED].to_numpy(bool)
    if deleted.any():
        frame[c.IS_DELETED] = deleted
    order = [c.KNOWN_AT, *schema.key, *([c.IS_DELETED] if c.IS_DELETED in frame else [])]
    return frame.sort_values(order, kind="stable", ignore_index=True)


def _as(values: pd.Series, dtype: str) -> pd.Series:
    if dtype == "str":
        return pd.Series(pd.array(values.to_numpy(object, na_value=None), dtype="str"), index=values.index)
    return values.astype(dtype)


def for_spark(made: pd.DataFrame) -> pd.DataFrame:
    """A frame with its text as objects: PySpark 4 does not take the text of pandas 3."""
    texts = [name for name, kind in made.dtypes.items() if kind == "str"]
    return made.assign(**{str(name): made[name].to_numpy(object, na_value=None) for name in texts})


def brought(rows: DataFrame) -> pd.DataFrame:
    """Rows of Spark on this machine; raises `SourceError` with the line that says why a part of the work could not be done."""
    with telling("Spark"):
        found: Any = rows.toPandas()
    return cast(pd.DataFrame, found)
