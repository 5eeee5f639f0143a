"""A backup taken while a load is under way, put back elsewhere: the same facts, KPIs and predictions, and nothing of the load."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from predictkpi.kpis import get_kpi
from predictkpi.predictors import predictor_class
from predictkpi.registry import Registry, TrainingRecord, data_digest
from predictkpi.store import Store


def pg_program(name: str) -> str:
    """As docs/deployment.md calls it."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not at hand: install PostgreSQL's client programs")
    return found


def backed_up(store: Store, folder: Path) -> Path:
    """The commands of docs/deployment.md."""
    if store.url.get_backend_name() == "sqlite":
        with closing(sqlite3.connect(store.url.database)) as connection:
            connection.execute("VACUUM INTO ?", [str(folder / "backup.db")])
        return folder / "backup.db"
    url = store.url.set(drivername="postgresql").render_as_string(hide_password=False)
    subprocess.run([pg_program("pg_dump"), "--format=custom", f"--file={folder}/backup.dump", url], check=True)
    return folder / "backup.dump"


def restored(backup: Path, request: pytest.FixtureRequest) -> Store:
    if backup.suffix == ".db":
        return Store(f"sqlite:///{shutil.copy(backup, backup.with_name('restored.db'))}")
    url = request.getfixturevalue("postgres").new_database()
    subprocess.run([pg_program("pg_restore"), f"--dbname={url}", "--no-owner", "--exit-on-error", str(backup)], check=True)
    return Store(url)


def test_backup__taken_during_a_load_is_the_store_before_it(store, company, tmp_path, request):
    store.load(company.tables, company=company.company, now=company.end)
    predictor = predictor_class("clv")().baseline()
    snapshot = store.snapshot()
    predictor.fit(predictor.training_table(snapshot))
    said = predictor.predict(snapshot).assign(predictor="clv", model_version="1")
    store.write_predictions(said)
    store.write_audit(company.end, "test", "clv", {})
    with store.begin_load(company=company.company, now=company.end) as load:
        load.withdraw("customers", "customer_id", company.tables["customers"]["customer_id"].head(5).tolist())
        backup = backed_up(store, tmp_path)
    other = restored(backup, request)
    other.migrate()
    assert other.newest_load == store.newest_load - 1
    assert other.counts() == store.counts()
    found = other.snapshot(snapshot.as_of)
    assert data_digest(found) == data_digest(snapshot)
    revenue = get_kpi("revenue")
    pd.testing.assert_frame_equal(revenue.series(found, freq="M", by=None), revenue.series(snapshot, freq="M", by=None))
    pd.testing.assert_frame_equal(predictor.predict(found), predictor.predict(snapshot))
    which = {"predictor": "clv", "model_version": "1", "as_of": snapshot.as_of}
    pd.testing.assert_frame_equal(other.read_predictions(**which), store.read_predictions(**which))
    assert len(other.audit()) == 1
    other.load(company.tables, company=company.company, now=company.end)  # the numbers of loads and versions go on
    assert other.newest_load >= store.newest_load
    other.close()


def test_backup__of_a_local_registry_put_back_in_its_place_serves_the_same_champion(company, tmp_path):
    place, away = tmp_path / "mlflow", tmp_path / "backup"
    snapshot = company.snapshot()
    predictor = predictor_class("clv")().baseline()
    predictor.fit(predictor.training_table(snapshot))
    registry = Registry(f"sqlite:///{place}/tracking.db", place / "artifacts")
    run_id = registry.log_training("clv", TrainingRecord(params={}), run_name="test")
    registry.promote("clv", registry.register(predictor, run_id=run_id, inputs=predictor.inputs(snapshot)).version)
    away.mkdir()
    with closing(sqlite3.connect(place / "tracking.db")) as connection:
        connection.execute("VACUUM INTO ?", [str(away / "tracking.db")])
    shutil.copytree(place / "artifacts", away / "artifacts")
    shutil.rmtree(place)
    place.mkdir()
    shutil.copy(away / "tracking.db", place / "tracking.db")
    shutil.copytree(away / "artifacts", place / "artifacts")
    champion, ref = Registry(f"sqlite:///{place}/tracking.db", place / "artifacts").champion("clv")
    assert (ref.version, ref.kind) == ("1", "baseline")
    pd.testing.assert_frame_equal(champion.predict(snapshot), predictor.predict(snapshot))
