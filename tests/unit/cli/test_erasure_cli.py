"""`predictkpi erase` and `retain` from the command line."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from predictkpi.cli.app import app
from predictkpi.core.types import Company
from predictkpi.errors import SettingsError, UnknownEntityError
from predictkpi.store import Store
from predictkpi.tables import TABLES


@pytest.fixture
def store(tmp_path, registry, monkeypatch):
    url = f"sqlite:///{tmp_path}/facts.db"
    monkeypatch.setenv("PREDICTKPI_DATABASE_URL", url)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.tracking_uri)
    monkeypatch.setenv("PREDICTKPI_ARTIFACT_ROOT", str(tmp_path / "artifacts"))
    monkeypatch.setenv("PREDICTKPI_MODELS_DIR", str(tmp_path))
    store = Store(url)
    store.migrate()
    customers = TABLES["customers"].empty()
    rows = pd.DataFrame({"customer_id": ["a", "b"], "name": ["A", "B"]}).reindex(columns=customers.columns)
    store.load({"customers": rows.astype(customers.dtypes.to_dict())}, company=Company(), now=pd.Timestamp("2024-06-01"))
    yield store
    store.close()


def run(*arguments: str, **options):
    return CliRunner().invoke(app, list(arguments), **options)


def test_erase__asks_first_and_shows_what_it_would_do(store):
    refused = run("erase", "customer", "a", input="n\n")
    assert refused.exit_code == 1
    assert "Would be deleted" in refused.stdout
    assert "for good?" in refused.stderr
    assert store.counts()["customers"] == 2
    done = run("erase", "customer", "a", input="y\n")
    assert done.exit_code == 0, done.stderr
    assert store.counts()["customers"] == 1


def test_erase__dry_run_changes_nothing_and_yes_does_not_ask(store):
    assert run("erase", "customer", "a", "--dry-run").exit_code == 0
    assert store.counts()["customers"] == 2
    done = run("erase", "person", "B", "--yes")
    assert (done.exit_code, store.counts()["customers"]) == (0, 2)
    assert store.snapshot().customers["name"].tolist()[1].startswith("erased person")


def test_erase__list_is_written_and_replayed(store, tmp_path):
    run("erase", "customer", "a", "--yes")
    assert run("erase", "--export", str(tmp_path / "list.json")).exit_code == 0
    assert [row["kind"] for row in json.loads((tmp_path / "list.json").read_text())] == ["customer"]
    again = run("erase", "--replay", "--list", str(tmp_path / "list.json"))
    assert again.exit_code == 0, again.stderr
    assert "nothing was found" in again.stderr
    assert "1 rows" in run("audit").stdout


@pytest.mark.parametrize(
    "arguments", [[], ["customer"], ["customer", "a", "--replay"], ["--replay", "--export", "x"], ["customer", "a", "--list", "x"]]
)
def test_erase__says_what_it_needs(store, arguments):
    assert isinstance(run("erase", *arguments).exception, SettingsError)


def test_erase__of_nobody_is_an_error(store):
    assert isinstance(run("erase", "customer", "nobody", "--yes").exception, UnknownEntityError)


def test_retain__lists_tables_and_periods(store):
    store.write_audit(pd.Timestamp("2001-01-01"), "test", "old", {})
    planned = run("retain", "--dry-run")
    assert planned.exit_code == 0, planned.stderr
    assert len(store.audit()) == 1
    assert "audit_log" in run("retain").stdout
    assert len(store.audit()) == 0
