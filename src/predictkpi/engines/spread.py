"""Facts spread over parts: one wide Spark frame that holds the rows of several tables, each with the part its entity is in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import Company
from predictkpi.parts import Own, Parts
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.tables import table_schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

PART, TABLE = "part_", "table_"
_DTYPES = {"string": "str", "number": "float64", "instant": "datetime64[us]"}


def spread(facts: Mapping[str, DataFrame], parts: Parts[Any], n: int) -> DataFrame:
    """Rows of all own tables of a predictor's parts, columns of all of them, by the ``n`` parts that `PART` numbers."""
    from pyspark.sql import functions as f

    found: DataFrame | None = None
    for own in parts.own:
        if own.table not in facts:
            continue
        rows = facts[own.table] if own.of is None else facts[own.table].where(f.col(c.TABLE) == own.of)
        keyed = rows.withColumn("key_", f.col(own.on)) if own.through is None else _joined(rows, own, facts, parts.key)
        if keyed is None:
            continue
        named = keyed.where("key_ IS NOT NULL").withColumn(PART, f.pmod(f.xxhash64("key_"), f.lit(n)).cast("int"))
        named = named.drop("key_")
        if own.through is not None:  # a customer of several deals of a part is in it once
            named = named.dropDuplicates()
        named = named.withColumn(TABLE, f.lit(own.table))
        found = named if found is None else found.unionByName(named, allowMissingColumns=True)
    if found is None:
        raise ValueError("there are no facts to spread")
    return found


def _joined(rows: DataFrame, own: Own, facts: Mapping[str, DataFrame], key: str) -> DataFrame | None:
    """Rows with the key of every entity that they belong to through another table."""
    from pyspark.sql import functions as f

    there, column = own.through or ("", "")
    if there not in facts:
        return None
    pairs = facts[there].select(f.col(column).alias("on_"), f.col(key).alias("key_")).dropna().distinct()
    return rows.join(pairs, rows[own.on] == pairs["on_"]).drop("on_")


def snapshot_of(rows: pd.DataFrame, everywhere: Mapping[str, pd.DataFrame], company: Company, as_of: pd.Timestamp) -> Snapshot:
    """The snapshot of one part, out of its rows of `spread`."""
    tables = {str(name): typed(of_table, str(name)) for name, of_table in rows.groupby(TABLE)}
    return Snapshot(MemoryFacts({**everywhere, **tables}, company), as_of)


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
    """Rows of Spark on this machine."""
    found: Any = rows.toPandas()
    return cast(pd.DataFrame, found)
