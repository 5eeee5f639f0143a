"""An engine on Spark for a store's facts: they are exported for it, or lie where its executors read them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from predictkpi.engines import Engine
from predictkpi.errors import SettingsError

if TYPE_CHECKING:
    from predictkpi.registry import Registry
    from predictkpi.store import Store


@contextmanager
def spark_engine(
    store: Store,
    registry: Registry,
    *,
    master: str,
    as_of: pd.Timestamp | None = None,
    facts: str | None = None,
    credentials: tuple[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Engine]:
    """For the instant ``as_of`` (default: the end of the store's data); a session that it opens is closed with it.

    ``facts``: see `read_facts`; by default what the store knows, written as Parquet to a folder of this machine that is gone afterwards,
    which only a local master can read. ``credentials``: user and password of a database. ``settings``: Spark's own, by name. Company and
    end of the data are those that the store states; facts that end before are refused. Raises `SettingsError` or `SourceError`.
    """
    from predictkpi.engines.places import check_newest, export_facts, read_facts
    from predictkpi.engines.session import open_session
    from predictkpi.engines.spark import SparkEngine

    if facts is None and not master.startswith("local"):
        raise SettingsError(
            f"the executors of {master} do not see the folders of this machine: write the facts where they do "
            "(`predictkpi export-facts FOLDER`) and say so: --facts parquet:FOLDER, or delta:FOLDER, or jdbc:URL"
        )
    snapshot = store.snapshot(as_of)
    spark, is_ours = open_session(master, settings)
    try:
        with tempfile.TemporaryDirectory(prefix="predictkpi-facts-") as folder:
            if facts is None:
                export_facts(snapshot, Path(folder))
            place = f"parquet:{folder}" if facts is None else facts
            tables = read_facts(spark, place, known_before=snapshot.as_of, credentials=credentials)
            if facts is not None and snapshot.as_of == store.default_as_of():
                check_newest(tables, place, end=snapshot.as_of)
            yield SparkEngine(spark, tables, company=snapshot.company, as_of=snapshot.as_of, udf_of=registry.spark_udf)
    finally:
        if is_ours:
            spark.stop()
