"""Spark: facts spread over parts by customer or deal, features by pandas functions on them, predictions by the registered model as a UDF.

::

    facts --spread--> parts --contributed--> sums (added up by Spark, a small frame) --shared--> object sent to every part
                      parts --inputs(shared)--> rows of entities --spark_udf of the version--> one row an entity --explode--> predictions

Every step is a pure function of a part, so an executor that is lost is made good by another one: nothing of the result changes. Series of
revenue are few and add up with one another: their sums come to the driver, and what is fitted series by series goes out by Fugue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.digests import hashes_of_rows
from predictkpi.core.types import Company, ModelRef
from predictkpi.engines.base import Engine, Finish, Predictions
from predictkpi.engines.local import InMemory
from predictkpi.engines.places import telling, way_out
from predictkpi.engines.spread import PART, brought, for_spark, snapshot_of, spread, typed
from predictkpi.errors import SettingsError
from predictkpi.parts import AT, COUNT, KEY, SUM, SUM_COLUMNS, WHAT, Parts, added_up, fields_told, no_sums
from predictkpi.protocol import Predictor
from predictkpi.snapshot import MemoryFacts, Snapshot

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ROWS_A_PART = 250_000
"""Facts of a part: it is worked on in the memory of one Python process."""
ROWS_A_CHUNK = 1_000_000
"""Predictions that come to this machine at a time, about."""
ANSWER = ((c.HORIZON, "array<long>"), (c.STATISTIC, "array<string>"), (c.VALUE, "array<double>"), (c.STATUS, "array<string>"))
"""Fields of what the registered version answers for one entity as a UDF; the reasons come last, empty where there is none."""
_SUMS = f"{WHAT} string, {KEY} string, {AT} bigint, {COUNT} double, {SUM} double"
_HASH = "hash_"
_SPARK_TYPES = {"f": "double", "i": "bigint", "b": "boolean", "M": "timestamp_ntz"}
_TOLD = {c.AS_OF: "timestamp_ntz", c.HORIZON: "bigint", c.VALUE: "double"}
_LONG = ", ".join(f"{name} {_TOLD.get(name, 'string')}" for name in c.PREDICTION_COLUMNS)
UdfOf = Callable[["SparkSession", ModelRef], Any]
"""The registered version as a Spark UDF over a struct of inputs, with the fields of `ANSWER` and the reasons as its result."""


class SparkEngine(Engine):
    """Of facts that Spark can read, by table, as known before ``as_of``. ``n_parts`` follows from their number where it is not given."""

    name = "spark"

    def __init__(
        self,
        spark: SparkSession,
        facts: Mapping[str, DataFrame],
        *,
        company: Company,
        as_of: pd.Timestamp,
        udf_of: UdfOf,
        n_parts: int | None = None,
    ) -> None:
        self._spark, self._facts, self._company, self._as_of, self._udf_of = spark, facts, company, as_of, udf_of
        self._n_parts = n_parts
        self._apart: dict[str, Apart] = {}

    @cached_property
    def n_parts(self) -> int:
        """As many as keep a part small, and twice as many as there are cores at least."""
        if self._n_parts is not None:
            return self._n_parts
        with telling("Spark"):
            rows = sum(table.count() for table in self._facts.values())
        return max(2 * _cores(self._spark), -(-rows // ROWS_A_PART))

    def inputs(self, predictor: Predictor) -> pd.DataFrame:
        """See `Engine.inputs`."""
        apart = self._of(predictor)
        if apart.is_empty or not apart.parts.are_whole:
            return apart.parts.inputs(apart.nothing, apart.shared)
        return _collected(apart.inputs, apart.sample)

    def training_table(self, predictor: Predictor) -> pd.DataFrame:
        """See `Engine.training_table`."""
        apart = self._of(predictor)
        parts, shared = apart.parts, apart.shared
        counts = apart.added_up(lambda part: parts.counted(part, shared))
        sample = parts.training_rows(apart.nothing, shared, counts)
        if apart.is_empty or not parts.are_whole:
            return sample
        return _collected(apart.mapped(lambda part: parts.training_rows(part, shared, counts), _schema_of(sample)), sample)

    def predictions(self, predictor: Predictor, model: ModelRef, finish: Finish) -> Predictions:
        """See `Engine.predictions`."""
        apart = self._of(predictor)
        if apart.parts.are_whole and not apart.is_empty:
            return OnSpark(apart, self._udf_of(self._spark, model), finish)
        inputs = apart.parts.inputs(apart.nothing, apart.shared)
        if not apart.is_empty:
            apart.parts.fit_ahead(predictor, inputs, self._spark)
        return OfSeries(predictor, inputs, finish, self._spark)

    def check(self, predictor: Predictor, model: ModelRef) -> None:
        """See `Engine.check`: a baseline that serves in a model's place has no parts."""
        self._parts_of(predictor)

    def _parts_of(self, predictor: Predictor) -> Parts[Any]:
        if predictor.parts is None:
            raise SettingsError(f"{predictor.spec.name}: a {predictor.kind} serves, which needs all facts at once: score it without Spark")
        return predictor.parts

    def _of(self, predictor: Predictor) -> Apart:
        parts = self._parts_of(predictor)
        if predictor.spec.name not in self._apart:
            self._apart[predictor.spec.name] = Apart(self._facts, parts, self.n_parts, self._company, self._as_of)
        return self._apart[predictor.spec.name]


class Apart:
    """One predictor's facts in parts, and what the parts share. Kept by Spark once made, on disk where memory is short."""

    def __init__(self, facts: Mapping[str, DataFrame], parts: Parts[Any], n: int, company: Company, as_of: pd.Timestamp) -> None:
        self.parts = parts
        rows = spread(facts, parts, n)
        self._rows = None if rows is None else rows.repartition(n, PART).persist()
        self._attributes = facts.get("attributes")
        self._everywhere = {name: typed(brought(facts[name]), name) for name in parts.everywhere if name in facts}
        self._company, self._as_of = company, as_of

    @property
    def is_empty(self) -> bool:
        """Whether there is no table to be in parts: nobody to predict."""
        return self._rows is None

    @property
    def nothing(self) -> Snapshot:
        """A part without any facts."""
        return Snapshot(MemoryFacts(self._everywhere, self._company), self._as_of)

    @cached_property
    def shared(self) -> Any:
        """See `Parts.shared`."""
        return self.parts.shared(added_up([self.added_up(self.parts.contributed), self._fields()]), self.nothing)

    def _fields(self) -> pd.DataFrame:
        """See `parts.fields_told`."""
        from pyspark.sql import functions as f

        if self._attributes is None:
            return no_sums()
        newest = self._attributes.groupBy(c.TABLE, c.NAME, c.KIND).agg(f.max(c.KNOWN_AT).alias(c.KNOWN_AT))
        return fields_told(brought(newest))

    @cached_property
    def sample(self) -> pd.DataFrame:
        """Inputs without a row."""
        return self.parts.inputs(self.nothing, self.shared)

    @cached_property
    def inputs(self) -> DataFrame:
        """Inputs of everybody, each with its part and the hash of its row."""
        parts, shared = self.parts, self.shared

        def work(part: Snapshot) -> pd.DataFrame:
            made = parts.inputs(part, shared)
            return made.assign(**{_HASH: hashes_of_rows(made).view(np.int64)})

        return self.mapped(work, _schema_of(self.sample.assign(**{_HASH: np.zeros(0, np.int64)})), with_part=True).persist()

    def mapped(self, work: Callable[[Snapshot], pd.DataFrame], schema: str, *, with_part: bool = False) -> DataFrame:
        """The rows that ``work`` makes of each part."""
        everywhere, company, as_of, parts = self._everywhere, self._company, self._as_of, self.parts

        def of_part(key: tuple[int], rows: pd.DataFrame) -> pd.DataFrame:
            made = for_spark(work(snapshot_of(rows, parts, everywhere, company, as_of)))
            return made.assign(**{PART: np.int32(key[0])}) if with_part else made

        assert self._rows is not None
        return self._rows.groupBy(PART).applyInPandas(of_part, f"{schema}, {PART} int" if with_part else schema)

    def added_up(self, work: Callable[[Snapshot], pd.DataFrame]) -> pd.DataFrame:
        """Contributions of all parts, added up where they lie, and brought here."""
        from pyspark.sql import functions as f

        if self.is_empty:
            return no_sums()
        sums = self.mapped(work, _SUMS).groupBy(WHAT, KEY, AT).agg(f.sum(COUNT).alias(COUNT), f.sum(SUM).alias(SUM))
        return added_up([brought(sums).astype(SUM_COLUMNS)])


class OnSpark(Predictions):
    """Predictions that lie where they were made, until they are asked for."""

    def __init__(self, apart: Apart, answer: Any, finish: Finish) -> None:
        self._apart, self._answer, self._finish = apart, answer, finish

    @cached_property
    def _long(self) -> DataFrame:
        from pyspark.sql import functions as f

        names = [name for name, _ in ANSWER] + [c.REASON]
        inputs = self._apart.inputs
        told = inputs.withColumn("told", self._answer(f.struct(*(f.col(_quoted(name)) for name in self._apart.sample))))
        each = told.select(PART, c.ENTITY_ID, c.AS_OF, f.explode(f.arrays_zip(*(f.col(f"told.{name}") for name in names))).alias("one"))
        rows = each.select(PART, c.ENTITY_ID, c.AS_OF, *(f.col(f"one.{name}").alias(name) for name in names))
        finish = self._finish

        def finished(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
            for batch in batches:
                yield for_spark(finish(_dtyped(batch.drop(columns=PART)))).assign(**{PART: batch[PART].to_numpy()})

        return rows.mapInPandas(finished, f"{_LONG}, {PART} int").persist()

    def chunks(self) -> Iterator[pd.DataFrame]:
        """See `Predictions.chunks`: whole parts, about `ROWS_A_CHUNK` rows at a time."""
        from pyspark.sql import functions as f

        sizes = brought(self._long.groupBy(PART).count()).sort_values(PART)
        number = (sizes["count"].cumsum() // ROWS_A_CHUNK).to_numpy()
        for _, of_chunk in sizes.groupby(number):
            found = brought(self._long.where(f.col(PART).isin(of_chunk[PART].tolist())).drop(PART))
            yield _dtyped(found)[c.PREDICTION_COLUMNS]

    def hashes(self) -> np.ndarray:
        """See `Predictions.hashes`."""
        return brought(self._apart.inputs.select(_HASH))[_HASH].to_numpy(np.int64).view(np.uint64)

    def write(self, folder: str) -> tuple[int, int]:
        """See `Predictions.write` and `_write`."""
        _write(self._long.drop(PART), folder)
        return self._apart.inputs.count(), self._long.count()


class OfSeries(InMemory):
    """Predictions that are worked out on this machine, and written where Spark writes."""

    def __init__(self, predictor: Predictor, inputs: pd.DataFrame, finish: Finish, spark: SparkSession) -> None:
        super().__init__(predictor, inputs, finish)
        self._spark = spark

    def write(self, folder: str) -> tuple[int, int]:
        """See `Predictions.write` and `_write`."""
        (told,) = self.chunks()
        _write(self._spark.createDataFrame(for_spark(told), _LONG), folder)
        return told[c.ENTITY_ID].nunique(), len(told)


def _write(rows: DataFrame, folder: str) -> None:
    """As Parquet to any address that Spark knows; ``delta:FOLDER`` as a Delta table. Raises `SourceError` with the way out."""
    form, where = ("delta", folder.removeprefix("delta:")) if folder.startswith("delta:") else ("parquet", folder)
    with telling(f"{folder}: cannot be written", way_out(form)):
        rows.write.mode("overwrite").format(form).save(where)


def _collected(rows: DataFrame, sample: pd.DataFrame) -> pd.DataFrame:
    """Rows as a frame of the sample's columns and dtypes."""
    return brought(rows.select(*map(_quoted, sample))).astype(sample.dtypes.to_dict())


def _dtyped(rows: pd.DataFrame) -> pd.DataFrame:
    """Predictions in the dtypes in which a predictor makes them."""
    return rows.assign(**{name: pd.array(rows[name].to_numpy(object, na_value=None), "str") for name in _texts(rows)}).astype(
        {c.AS_OF: "datetime64[us]", c.HORIZON: "int64", c.VALUE: "float64"}
    )


def _texts(rows: pd.DataFrame) -> list[str]:
    return [name for name in rows if name not in _TOLD]


def _schema_of(sample: pd.DataFrame) -> str:
    """Spark's types for the columns of a frame."""
    return ", ".join(f"{_quoted(name)} {_SPARK_TYPES.get(kind.kind, 'string')}" for name, kind in sample.dtypes.items())


def _quoted(name: object) -> str:
    """A column's name as Spark takes any: kinds of activity and stages are the company's own words."""
    return "`" + str(name).replace("`", "``") + "`"


def _cores(spark: SparkSession) -> int:
    """Cores of the cluster, as far as it tells: a Connect address does not."""
    from pyspark.errors import PySparkException

    try:
        return int(spark.sparkContext.defaultParallelism)
    except PySparkException:
        return int(spark.conf.get("spark.default.parallelism", "8") or 8)
