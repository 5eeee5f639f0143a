"""A Spark session at a master (``local[2]``, ``spark://host:7077``, ``yarn``, ``k8s://...``) or a Connect address (``sc://host:15002``)."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

from predictkpi.engines.places import told_by
from predictkpi.errors import SettingsError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

HOW = "install the extra on this machine and on every executor: pip install 'predictkpi[spark]'; Spark also needs Java 17 or newer"
_PANDAS = "PySpark does not yet fully support pandas"
_ALWAYS = {
    "spark.sql.session.timeZone": "UTC",  # instants are naive and must stay as they are
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.caseSensitive": "true",  # "Call" and "call" are two kinds of activity, each with columns of its own
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}
_BY_DEFAULT = {
    "spark.app.name": "predictkpi",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "FATAL",  # what fails is told in a line of our own
    "spark.executorEnv.PYTHONWARNINGS": f"ignore:{_PANDAS}:FutureWarning",
}


def open_session(master: str, settings: Mapping[str, str] | None = None) -> tuple[SparkSession, bool]:
    """A session there, and whether it is new: the one of a notebook is used as it is, and is not to be closed.

    ``settings`` are Spark's own, by name. Raises `SettingsError` with the way out where there is none to be had.
    """
    warnings.filterwarnings("ignore", message=_PANDAS, category=FutureWarning)
    try:
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise SettingsError(f"--engine spark: PySpark is not installed; {HOW}") from error
    wanted = _BY_DEFAULT | dict(settings or {}) | _ALWAYS
    is_remote = master.startswith("sc://")
    if not is_remote and master.startswith("local"):
        # Executors on this machine run what this process runs, and not the first Python on the PATH; nobody else is to reach them.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        os.environ.setdefault("PYTHONWARNINGS", wanted["spark.executorEnv.PYTHONWARNINGS"])
    builder = SparkSession.builder.remote(master) if is_remote else SparkSession.builder.master(master)
    for name, value in wanted.items():
        if not is_remote or name.startswith("spark.sql."):
            builder = builder.config(name, value)
    try:
        is_new = SparkSession.getActiveSession() is None
        session = builder.getOrCreate()
        session.range(1).count()
    except (PySparkException, Py4JError, RuntimeError, OSError, ImportError) as error:
        raise SettingsError(f"no Spark session at {master}: {told_by(error)}; {HOW}") from error
    return session, is_new
