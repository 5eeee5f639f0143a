"""A Connect address: a server of Spark's own, asked by a command of ours that starts no Java."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.engines import LocalEngine
from predictkpi.pipelines.open_store import open_registry, open_store
from predictkpi.pipelines.score import served_by
from tracking.server import free_port

pytestmark = pytest.mark.long

SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"
START_SECONDS = 90


@contextmanager
def connect_server(log: Path, environment: dict[str, str]):
    """``sc://...`` of a server that is ended with all its workers."""
    import pyspark

    port = free_port()
    here = {"spark.connect.grpc.binding.address": "127.0.0.1", "spark.connect.grpc.binding.port": port, "spark.ui.enabled": "false"}
    options = [word for name, value in here.items() for word in ("--conf", f"{name}={value}")]
    command = [
        Path(pyspark.__file__).parent / "bin" / "spark-submit",
        "--master",
        "local[2]",
        "--class",
        SERVER,
        *options,
        "spark-internal",
    ]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True) as process,
    ):
        try:
            _wait(process, port, log)
            yield f"sc://127.0.0.1:{port}"
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                    os.killpg(process.pid, number)
                    process.wait(5)


def _wait(process, port, log):
    for _ in range(10 * START_SECONDS):
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        threading.Event().wait(0.1)
    raise AssertionError(f"no server within {START_SECONDS} s: {log.read_text(errors='replace')[-2000:]}")


def test_score__by_a_connect_address_is_that_of_this_machine(settings, cluster, tmp_path):
    pytest.importorskip("grpc", reason="PySpark's packages for Connect are not installed: make spark")
    environment = os.environ | {
        "PREDICTKPI_DATABASE_URL": settings.database_url,
        "MLFLOW_TRACKING_URI": settings.tracking_uri,
        "PREDICTKPI_ARTIFACT_ROOT": str(settings.artifact_root),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }

    def predictkpi(*words: str) -> str:
        program = [sys.executable, "-c", "from predictkpi.cli import main; main()"]
        done = subprocess.run([*program, *words], env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    predictkpi("export-facts", str(tmp_path / "facts"))
    with connect_server(tmp_path / "log", environment) as address:
        asked = ("--engine", "spark", "--master", address, "--facts", f"parquet:{tmp_path}/facts")
        predictkpi("score", "clv", *asked, "--out", str(tmp_path / "out"))
    store, registry = open_store(settings), open_registry(settings)
    expected = served_by(LocalEngine(store.snapshot()), *registry.champion("clv"))
    keys = [c.ENTITY_ID, c.HORIZON, c.STATISTIC]
    found, expected = (
        frame.astype(expected.dtypes.to_dict()).sort_values(keys, ignore_index=True)
        for frame in (pd.read_parquet(tmp_path / "out" / "clv"), expected)
    )
    pd.testing.assert_frame_equal(found[expected.columns.tolist()], expected, rtol=1e-9, atol=1e-9)
