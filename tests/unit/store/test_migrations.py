from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

import predictkpi.store
from predictkpi.core.types import Company
from predictkpi.errors import StoreError
from predictkpi.store import Store
from predictkpi.store.schema import METADATA
from predictkpi.store.versions import content_hash
from predictkpi.tables import TABLES

COMPANY = Company(name="Acme", currency="EUR", time_zone="Europe/Berlin")


def test_migrations__make_the_schema_that_the_code_expects(store):
    engine = sa.create_engine(store.url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
        assert set(METADATA.tables) < set(sa.inspect(connection).get_table_names())
        if engine.dialect.name == "sqlite":
            assert connection.execute(sa.text("PRAGMA journal_mode")).scalar() == "wal"
        for name, table in METADATA.tables.items():
            found = {(i["name"], tuple(i["column_names"])) for i in sa.inspect(connection).get_unique_constraints(name)}
            expected = {(u.name, tuple(u.columns.keys())) for u in table.constraints if isinstance(u, sa.UniqueConstraint)}
            assert found == expected
    engine.dispose()


def upgrade(engine: sa.Engine, revision: str) -> None:
    """As `Store.migrate`, but no further than that."""
    config = Config()
    config.set_main_option("script_location", str(Path(predictkpi.store.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def test_migrations__keep_the_instants_of_a_store_that_held_them_as_text(database_url):
    """Before 1970 and to the microsecond; loading the same again then changes nothing."""
    instants = ["1969-12-31 23:59:58.750000", "2024-02-29 10:11:12.123456", "2024-03-01 00:00:00.000000"]
    deals = pd.DataFrame({"deal_id": ["a", "b", "c"], "created_at": [None, *instants[1:]], "known_at": instants})
    deals = deals.reindex(columns=list(TABLES["deals"].empty())).astype(TABLES["deals"].empty().dtypes.to_dict())
    store = Store(database_url)
    Path(store.url.database).parent.mkdir(exist_ok=True)
    engine = sa.create_engine(store.url)
    upgrade(engine, "0005")
    columns = "loaded_at, mapping, source, is_refused, records, accepted, unchanged, rejected"
    load = f"INSERT INTO loads ({columns}) VALUES (:at, '', '', :refused, 0, 0, 0, 0)"
    fact = "INSERT INTO deals (deal_id, created_at, known_at, load_id, content_hash) VALUES (:deal_id, :created_at, :known_at, 1, :hash)"
    hashes = content_hash(deals, TABLES["deals"])
    with engine.begin() as connection:
        connection.execute(sa.text(load), [{"at": instants[number], "refused": number == 2} for number in (1, 2)])
        connection.execute(sa.text("INSERT INTO company VALUES (1, 'Acme', 'EUR', 'Europe/Berlin', 1)"))
        for row, known_at, created_at, value in zip(deals["deal_id"], instants, [None, *instants[1:]], hashes, strict=True):
            connection.execute(sa.text(fact), {"deal_id": row, "created_at": created_at, "known_at": known_at, "hash": value})
        gone = "INSERT INTO withdrawals VALUES (1, 'deals', 'deal_id', 'b', :yes, '2024-03-02 09:00:00.000000', 1)"
        connection.execute(sa.text(gone), {"yes": True})
        connection.execute(
            sa.text("INSERT INTO predictions VALUES (1, 'clv', 'a', :at, 12, 'mean', 1.5, '1', 'full', '')"), {"at": instants[1]}
        )
    engine.dispose()

    store.migrate()
    held = store.facts().read("deals", known_before=pd.Timestamp("2024-03-02"))
    pd.testing.assert_frame_equal(held, deals)
    assert store.default_as_of() == pd.Timestamp("2024-03-03")
    assert store.loads()["loaded_at"].tolist() == [pd.Timestamp(instants[number]) for number in (2, 1)]
    assert store.snapshot().deals["deal_id"].tolist() == ["a", "c"]
    assert len(store.read_predictions(predictor="clv", model_version="1", as_of=pd.Timestamp(instants[1]))) == 1
    again = store.load({"deals": deals.drop(columns="known_at")}, company=COMPANY, now=pd.Timestamp("2024-06-01"))["deals"]
    assert (again.accepted, again.unchanged) == (0, 3)
    store.close()


def test_migrations__take_what_was_predicted_before_as_the_champions(database_url):
    store = Store(database_url)
    if store.url.get_backend_name() == "sqlite":
        Path(store.url.database).parent.mkdir(exist_ok=True)
    engine = sa.create_engine(store.url)
    upgrade(engine, "0007")
    row = "INSERT INTO predictions (predictor, entity_id, as_of, horizon, statistic, value, model_version, status, reason) VALUES "
    days = {1: "2024-03-01", 2: "2024-03-02"}
    at = {day: pd.Timestamp(text).value // 1000 if engine.dialect.name == "sqlite" else text for day, text in days.items()}
    with engine.begin() as connection:
        for entity, version, day in (("a", "2", 1), ("b", "2", 1), ("a", "1", 2), ("a", "3", 2)):
            connection.execute(
                sa.text(row + "('clv', :entity, :at, 12, 'mean', 1.5, :version, 'full', '')"),
                {"entity": entity, "version": version, "at": at[day]},
            )
    engine.dispose()
    store.migrate()
    found = store.predicted_days("clv")
    assert list(found.itertuples(index=False, name=None)) == [
        (version, "champion", pd.Timestamp(days[day])) for version, day in (("2", 1), ("1", 2), ("3", 2))
    ]
    assert store.scored_version("clv", until=pd.Timestamp("2024-03-02")) == "3"
    store.close()


def test_migrate__of_a_store_that_a_newer_version_has_upgraded_says_so_and_changes_nothing(store):
    engine = sa.create_engine(store.url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match=r"newer version of predictkpi \(its schema is 9999\)"):
        store.migrate()
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() == "9999"
    engine.dispose()
