"""What only a server can do to a store: be away, be restarted, refuse. (All else runs on both databases: tests/unit/store.)"""

from __future__ import annotations

import pandas as pd
import pytest
from typer.testing import CliRunner

from postgres.server import running_server
from predictkpi.core.types import Company
from predictkpi.errors import PredictKpiError, SettingsError, StoreError
from predictkpi.store import Store

NOW = pd.Timestamp("2024-06-01")


@pytest.fixture
def store(postgres):
    store = Store(postgres.new_database())
    store.migrate()
    yield store
    store.close()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_store__takes_every_spelling_of_the_scheme(postgres, scheme):
    store = Store(postgres.new_database().replace("postgresql", scheme, 1))
    store.migrate()
    assert store.is_empty
    assert store.url.drivername == "postgresql+psycopg"
    store.close()


def test_store__unreachable_server_is_a_store_error_without_the_password(tmp_path):
    store = Store(f"postgresql://user:secret@/facts?host={tmp_path}")
    for attempt in (store.migrate, store.counts, store.facts, lambda: store.load({}, company=Company(), now=NOW)):
        with pytest.raises(StoreError, match="No such file or directory") as caught:
            attempt()
        assert "secret" not in str(caught.value)
    store.close()


def test_store__unknown_database_is_a_store_error(postgres):
    with pytest.raises(StoreError, match='database "nowhere" does not exist'):
        Store(postgres.url("nowhere")).migrate()


def test_store__other_databases_are_refused():
    with pytest.raises(SettingsError, match="mysql"):
        Store("mysql://user@host/facts")


def test_cli__unreachable_server_is_one_line(tmp_path, monkeypatch):
    from predictkpi.cli.app import app

    monkeypatch.setenv("PREDICTKPI_DATABASE_URL", f"postgresql://user@/facts?host={tmp_path}")
    result = CliRunner().invoke(app, ["rejects"])
    assert isinstance(result.exception, PredictKpiError)


def test_store__survives_a_restart_of_the_server(postgres_programs):
    """The pool's dead connections are replaced; what was committed before the crash is there."""
    with running_server(postgres_programs) as server:
        store = Store(server.new_database())
        store.migrate()
        store.load({}, company=Company(name="Acme"), now=NOW)
        server.stop()
        with pytest.raises(StoreError):
            store.counts()
        server.start()
        assert store.company == Company(name="Acme")
        store.close()


def test_load__with_the_server_gone_in_the_middle_leaves_no_trace(postgres_programs):
    with running_server(postgres_programs) as server:
        store = Store(server.new_database())
        store.migrate()
        with pytest.raises(StoreError), store.begin_load(company=Company(), now=NOW) as load:
            server.stop()
            load.is_first("customers")
        server.start()
        assert store.is_empty
        assert store.loads().empty
        store.close()
