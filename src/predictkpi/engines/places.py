"""Where Spark finds facts: Parquet or Delta folders with a folder a table, or the tables of a database by JDBC."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.errors import SettingsError, SourceError
from predictkpi.snapshot import Snapshot
from predictkpi.tables import TABLES, table_schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

FORMS = "parquet:FOLDER, delta:FOLDER or jdbc:URL"
ROWS_A_READ = 500_000
"""Rows that one task reads of a database's table, about."""
_NUMBER = "version_id"
_DATED = tuple(name for name, schema in TABLES.items() if not schema.planned and name != "fx_rates")
"""Tables whose newest row says where the data end, as for the store."""
_ABSENT = ("PATH_NOT_FOUND", "UNABLE_TO_INFER_SCHEMA", "DELTA_TABLE_NOT_FOUND")
_CAUSE, _LONGEST = "Caused by: ", 300
_SPARK_TYPES = {"string": "string", "number": "double", "instant": "timestamp_ntz"}


def export_facts(snapshot: Snapshot, folder: Path, *, on_table: Callable[[str, int, int], None] | None = None) -> dict[str, int]:
    """Write what a snapshot knows, every version of it, as Parquet: ``folder/<table>/facts.parquet``; tables without rows are left out.

    Returns the rows of each; ``on_table`` hears which one is next, how many are done, and of how many.
    """
    counts = {}
    for done, name in enumerate(TABLES):
        if on_table:
            on_table(name, done, len(TABLES))
        rows = snapshot.history(name)
        if len(rows):
            (folder / name).mkdir(parents=True, exist_ok=True)
            rows.to_parquet(folder / name / "facts.parquet", index=False, coerce_timestamps="us")
            counts[name] = len(rows)
    return counts


def read_facts(
    spark: SparkSession, place: str, *, known_before: pd.Timestamp, credentials: tuple[str, str] | None = None
) -> dict[str, DataFrame]:
    """By table, versions known before that instant, with `known_at` and ``is_deleted``; a table that is not there is left out.

    ``place``: ``parquet:FOLDER`` or ``delta:FOLDER`` with a folder a table (of Parquet also a file a table), or ``jdbc:URL`` of a store.

    Raises `SettingsError` for a place of no known form, and `SourceError` for one that cannot be read or lacks a column.
    """
    form, _, where = place.partition(":")
    if form not in ("parquet", "delta", "jdbc") or not where:
        raise SettingsError(f"{place!r} is no place of facts: write {FORMS}")
    found = {}
    for name in TABLES:
        table = (
            _database_table(spark, place, name, credentials)
            if form == "jdbc"
            else _folder_table(spark, form, f"{where.rstrip('/')}/{name}")
        )
        if table is not None:
            found[name] = _typed(table, name, place).where(f"{c.KNOWN_AT} < timestamp_ntz'{known_before.isoformat(sep=' ')}'")
    if not found:
        raise SourceError(f"{place}: holds none of the tables {', '.join(TABLES)}")
    return found


def check_newest(facts: Mapping[str, DataFrame], place: str, *, end: pd.Timestamp) -> None:
    """Raise `SourceError` where the facts end before the day on which the store's do, which is before ``end``."""
    from pyspark.sql import functions as f

    tables = [facts[name] for name in _DATED if name in facts]
    with telling(place):
        found = [table.agg(f.max(c.KNOWN_AT)).collect()[0][0] for table in tables]
    newest = max((instant for instant in found if instant is not None), default=None)
    if newest is None or pd.Timestamp(newest).normalize() + pd.Timedelta(days=1) != end:
        last = "hold nothing" if newest is None else f"end on {newest:%Y-%m-%d}"
        raise SourceError(
            f"{place}: the facts {last}, those of the store before {end:%Y-%m-%d}: export them anew, or say as of when with --as-of"
        )


def _folder_table(spark: SparkSession, form: str, folder: str) -> DataFrame | None:
    """``folder`` itself or, of Parquet, the file of that name; None where there is neither."""
    from py4j.protocol import Py4JError
    from pyspark.errors import AnalysisException, PySparkException

    for place in (folder, f"{folder}.parquet") if form == "parquet" else (folder,):
        try:
            table = spark.read.format(form).load(place)
            table.columns  # noqa: B018  a Connect address does not look before it is asked
            return table
        except (PySparkException, Py4JError) as error:
            if not isinstance(error, AnalysisException) or error.getCondition() not in _ABSENT:
                raise SourceError(f"{place}: {told_by(error)}{way_out(form)}") from error
    return None


def _database_table(spark: SparkSession, place: str, name: str, credentials: tuple[str, str] | None) -> DataFrame:
    reader = spark.read.format("jdbc").option("url", place).option("preferTimestampNTZ", "true").option("fetchsize", "50000")
    if place.startswith("jdbc:postgresql:"):
        reader = reader.option("driver", "org.postgresql.Driver")  # Java's own search does not see jars that came with the session
    for option, value in zip(("user", "password"), credentials or (), strict=False):
        reader = reader.option(option, value)
    withdrawn = f"(SELECT 1 AS one FROM withdrawals WHERE \"table\" = '{name}') AS found"  # noqa: S608  a name of ours
    bounds = f"(SELECT min({_NUMBER}) AS low, max({_NUMBER}) AS high FROM {name}) AS bounds"  # noqa: S608  names of ours
    with telling(f"{name}: cannot be read by JDBC", "; is the driver in --spark-conf spark.jars=...?"):
        is_withdrawn = bool(reader.option("dbtable", withdrawn).load().limit(1).count())
        low, high = reader.option("dbtable", bounds).load().collect()[0]
        ranges = {} if low is None else {"partitionColumn": _NUMBER, "lowerBound": str(low), "upperBound": str(high + 1)}
        reader = reader.options(numPartitions=str(max((high - low) // ROWS_A_READ, 1)), **ranges) if ranges else reader
        table = reader.option("dbtable", name).load()
    if is_withdrawn:
        raise SourceError(
            f"{name}: records of it were deleted, which only Parquet tells Spark: `predictkpi export-facts FOLDER`, --facts parquet:FOLDER"
        )
    return table


def _typed(table: DataFrame, name: str, place: str) -> DataFrame:
    """The schema's columns in their types, and ``is_deleted``, false where it is not there."""
    from pyspark.sql import functions as f

    schema = table_schema(name)
    types: Mapping[str, str] = {column.name: _SPARK_TYPES[column.kind] for column in schema.columns} | {c.KNOWN_AT: "timestamp_ntz"}
    missing = sorted(set(types) - set(table.columns))
    if missing:
        raise SourceError(f"{place}: table {name}: missing columns {missing}; available are {sorted(table.columns)}")
    deleted = f.coalesce(f.col(c.IS_DELETED), f.lit(False)) if c.IS_DELETED in table.columns else f.lit(False)
    return table.select(*(f.col(column).cast(kind).alias(column) for column, kind in types.items()), deleted.alias(c.IS_DELETED))


@contextmanager
def telling(what: str, way_out: str = "; --spark-conf spark.log.level=ERROR shows more") -> Iterator[None]:
    """Raise `SourceError` with the line that says what was wrong, in place of whatever Spark and its bridge raise."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise SourceError(f"{what}: {told_by(error)}{way_out}") from error


def told_by(error: Exception) -> str:
    """The line that says what is wrong, and Java's innermost cause; py4j's own first line names an object of the bridge."""
    lines = [line.removeprefix(": ") for line in str(error).strip().splitlines() if not line.startswith("An error occurred while calling")]
    first = (lines or [type(error).__name__])[0][:_LONGEST]
    causes = [line.removeprefix(_CAUSE)[:_LONGEST] for line in lines if line.startswith(_CAUSE)]
    return f"{first.rstrip(' :')}, because of {causes[-1]}" if causes and causes[-1] not in first else first


def way_out(form: str) -> str:
    """What is missing where a form cannot be read or written, as the end of a sentence."""
    return "; Delta needs its jars: --spark-conf spark.jars=..., or --spark-conf spark.jars.packages=..." if form == "delta" else ""
