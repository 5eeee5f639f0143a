"""A real Spark on this machine: a driver and two executors, each a process of its own."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from once import made_once
from predictkpi.pipelines.open_store import open_registry, open_store
from predictkpi.predictors.close_time.model import CloseTimePredictor
from predictkpi.predictors.clv.model import ClvPredictor
from predictkpi.predictors.revenue.model import RevenueForecaster
from predictkpi.registry.records import TrainingRecord
from predictkpi.settings import Settings

DRIVER = Path("/usr/share/java/postgresql.jar")
"""Java's driver of PostgreSQL, where Debian keeps it."""
if DRIVER.exists():  # of the process: its Java begins with the first session, and takes no driver after that
    os.environ.setdefault("PYSPARK_SUBMIT_ARGS", f"--jars {DRIVER} pyspark-shell")
TWO_EXECUTORS = "local-cluster[2,1,1024]"
SMALL = (ClvPredictor(rounds=20, past_rows=3000, draws=64), CloseTimePredictor(rounds=20), RevenueForecaster(draws=200, origins=2))


@pytest.fixture(scope="module")
def settings(company, tmp_path_factory) -> Settings:
    """The sample company in a store of this file's own, and a small champion of every predictor."""

    def make(folder: Path) -> None:
        settings = settings_in(folder)
        store, registry = open_store(settings), open_registry(settings)
        store.load(company.tables, company=company.company, now=company.end)
        snapshot = store.snapshot()
        for predictor in SMALL:
            fitted = predictor.fit(predictor.training_table(snapshot))
            run = registry.log_training(fitted.spec.name, TrainingRecord(params={}), run_name="small")
            registry.promote(fitted.spec.name, registry.register(fitted, run_id=run, inputs=fitted.inputs(snapshot)).version)
        store.close()

    trained, own = made_once(tmp_path_factory, "on-spark", make), tmp_path_factory.mktemp("on-spark")
    for name in ("store.db", "tracking.db"):
        with closing(sqlite3.connect(trained / name)) as there, closing(sqlite3.connect(own / name)) as here:
            there.backup(here)
    return settings_in(own)


def settings_in(folder: Path) -> Settings:
    """Store and registry below one folder."""
    places = {"database_url": f"sqlite:///{folder}/store.db", "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/tracking.db"}
    return Settings(**places, artifact_root=folder / "artifacts")


@pytest.fixture(scope="module")
def cluster():
    """What a cluster needs here; skips where it is not at hand."""
    pytest.importorskip("pyspark", reason="PySpark is not installed: make spark")
    if shutil.which("java") is None:
        pytest.skip("no Java at hand: Spark needs 17 or newer")
    return TWO_EXECUTORS


@pytest.fixture
def driver() -> Path:
    """See `DRIVER`."""
    return DRIVER
