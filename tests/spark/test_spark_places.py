"""Where Spark finds facts: folders of Parquet, a database by JDBC, and what is said where there is nothing to be read."""

from __future__ import annotations

import socket

import pandas as pd
import pytest

from postgres.server import running_server
from predictkpi.core import columns as c
from predictkpi.engines.places import check_newest, export_facts, read_facts
from predictkpi.engines.session import open_session
from predictkpi.engines.spread import brought, typed
from predictkpi.errors import SettingsError, SourceError
from predictkpi.store import Store
from predictkpi.tables import TABLES

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def spark(cluster):
    """A session without executors of its own."""
    session, _ = open_session("local[1]")
    yield session
    session.stop()


def versions(spark, place, before, **more):
    """Every table's versions in the order of a store."""
    return {name: typed(brought(table), name) for name, table in read_facts(spark, place, known_before=before, **more).items()}


def assert_facts(found, snapshot):
    expected = {name: snapshot.history(name) for name in TABLES}
    assert set(found) == {name for name, rows in expected.items() if len(rows)}
    for name, rows in found.items():
        key = [*TABLES[name].key, c.KNOWN_AT]
        held = expected[name].sort_values(key, ignore_index=True)
        pd.testing.assert_frame_equal(rows.sort_values(key, ignore_index=True), held[list(rows)], check_dtype=False)


def test_folder__of_exported_facts_holds_what_was_known_by_then(spark, snapshot, tmp_path):
    export_facts(snapshot, tmp_path)
    then = snapshot.at(snapshot.as_of - pd.Timedelta(days=400))
    assert_facts(versions(spark, f"parquet:{tmp_path}", then.as_of), then)


def test_facts__that_end_before_the_stores_are_refused(spark, snapshot, tmp_path):
    export_facts(snapshot.at(snapshot.as_of - pd.Timedelta(days=3)), tmp_path)
    facts = read_facts(spark, f"parquet:{tmp_path}", known_before=snapshot.as_of)
    with pytest.raises(SourceError, match=r"the facts end on .*: export them anew, or say as of when with --as-of"):
        check_newest(facts, str(tmp_path), end=snapshot.as_of)


def test_database__is_read_by_jdbc(spark, driver, company, postgres_programs):
    if not driver.exists():
        pytest.skip("no JDBC driver at hand (Debian: apt-get install libpostgresql-jdbc-java)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with running_server(postgres_programs, {"listen_addresses": "127.0.0.1", "port": str(port)}) as server:
        store = Store(server.new_database())
        store.migrate()
        store.load(company.tables, company=company.company, now=company.end)
        place = f"jdbc:postgresql://127.0.0.1:{port}/{store.url.database}"
        snapshot = store.snapshot()
        found = versions(spark, place, snapshot.as_of, credentials=("tester", ""))
        assert_facts({name: rows for name, rows in found.items() if len(rows)}, snapshot)
        with pytest.raises(SourceError, match=r"cannot be read by JDBC: .*is the driver in --spark-conf spark.jars"):
            read_facts(spark, place.replace(str(store.url.database), "nowhere"), known_before=snapshot.as_of, credentials=("tester", ""))


@pytest.mark.parametrize("place", ["/lake", "csv:/lake", "parquet:"])
def test_place__of_no_known_form_is_refused(spark, place):
    with pytest.raises(SettingsError, match="is no place of facts: write parquet:FOLDER, delta:FOLDER or jdbc:URL"):
        read_facts(spark, place, known_before=pd.Timestamp("2025-01-01"))


def test_folder__without_tables_or_with_a_column_missing_is_refused(spark, tmp_path):
    with pytest.raises(SourceError, match="holds none of the tables customers, orders"):
        read_facts(spark, f"parquet:{tmp_path}", known_before=pd.Timestamp("2025-01-01"))
    pd.DataFrame({c.ORDER_ID: ["O-1"]}).to_parquet(tmp_path / "orders.parquet")
    with pytest.raises(SourceError, match=r"table orders: missing columns \['amount', 'currency'.*available are \['order_id'\]"):
        read_facts(spark, f"parquet:{tmp_path}", known_before=pd.Timestamp("2025-01-01"))


def test_delta__without_its_jars_says_what_is_missing(spark, tmp_path):
    with pytest.raises(SourceError, match=r"Delta needs its jars: --spark-conf spark\.jars="):
        read_facts(spark, f"delta:{tmp_path}", known_before=pd.Timestamp("2025-01-01"))
