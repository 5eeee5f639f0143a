"""SQL sources end to end, from a real SQLite and a real PostgreSQL database into a real store."""

from __future__ import annotations

import textwrap
import traceback

import pandas as pd
import pytest
import sqlalchemy as sa

from postgres.server import running_server
from predictkpi.errors import MappingError, SourceError
from predictkpi.pipelines.sync import sync
from predictkpi.sources import read_mapping
from predictkpi.sources.sql import SqlSource
from predictkpi.store import Store

NOW = pd.Timestamp("2024-06-01 12:00")
MAPPING = """
company: {name: Acme, currency: EUR}
source:
  kind: sql
  url_from: WAREHOUSE_URL
  batch_rows: 2
  queries:
    sales:
      select: SELECT id, day, customer, net, updated FROM sales;
      mark: updated
    clients: {select: "SELECT id, name, since FROM clients"}
feeds:
  - {table: orders, file: sales, columns: {order_id: id, ds: day, customer_id: customer, amount: net}, ignore: [updated]}
  - {table: customers, file: clients, columns: {customer_id: id, name: name, created_at: since}, known_at: always}
"""
TABLES = """
CREATE TABLE sales (id INTEGER, day TIMESTAMP, customer TEXT, net NUMERIC(12, 2), updated TIMESTAMP);
CREATE TABLE clients (id TEXT, name TEXT, since DATE);
INSERT INTO clients VALUES ('ann', 'Ann', '2023-01-01'), ('ben', NULL, '2023-01-02');
"""


class Desk:
    """A warehouse, a mapping that reads it, and a store."""

    def __init__(self, folder, url):
        self.url = url
        self.waits = []
        self.path = folder / "warehouse.yaml"
        mapping = MAPPING
        if url.startswith("sqlite"):  # which has no dates, only text
            mapping = mapping.replace("feeds:", "defaults: {dates: {format: ISO8601}}\nfeeds:")
        self.path.write_text(mapping)
        self.engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
        self.run(*TABLES.strip().split(";\n"))
        self.store = Store(f"sqlite:///{folder}/facts.db")
        self.store.migrate()

    def run(self, *statements):
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement.rstrip(";"))

    def sell(self, *rows):
        for id_, net, updated in rows:
            stamp = "NULL" if updated is None else f"'{updated}'"
            self.run(f"INSERT INTO sales VALUES ({id_}, '2024-01-0{id_ % 9 + 1} 10:30:00', 'ann', {net}, {stamp})")

    def source(self):
        return SqlSource(read_mapping(self.path), {"WAREHOUSE_URL": self.url}, wait=self.waits.append)

    def sync(self, *, now=NOW, source=None, **options):
        source = source or self.source()
        return sync(self.store, mapping=self.path, source=source, now=lambda: now, rows_at_once=1, **options)

    def orders(self):
        return self.store.snapshot().orders.set_index("order_id")["amount"].to_dict()


@pytest.fixture(params=["sqlite", "postgresql"])
def desk(request, tmp_path):
    url = f"sqlite:///{tmp_path}/warehouse.db" if request.param == "sqlite" else request.getfixturevalue("postgres").new_database()
    desk = Desk(tmp_path, url)
    yield desk
    desk.engine.dispose()
    desk.store.close()


def counts(report):
    return {feed.table: (feed.rows, feed.accepted, feed.unchanged, feed.rejected) for feed in report.feeds}


def test_sql__reads_all_first_and_then_what_is_at_the_mark_or_after_it(desk):
    desk.sell((1, "10.50", "2024-05-01 10:00:00"), (2, "20", "2024-05-02 10:00:00.250000"), (3, "-3", "2024-05-02 10:00:00.250000"))
    assert counts(desk.sync()) == {"orders": (3, 3, 0, 0), "customers": (2, 2, 0, 0)}
    assert desk.orders() == {"1": 10.5, "2": 20, "3": -3}
    customers = desk.store.snapshot().customers.set_index("customer_id")
    assert customers.loc["ben", "created_at"] == pd.Timestamp("2023-01-02")
    assert customers["name"].isna().tolist() == [False, True]
    # another row of the same instant, and one without
    desk.sell((4, "4", "2024-05-02 10:00:00.250000"), (5, "5", None))
    later = NOW + pd.Timedelta(days=1)
    assert counts(desk.sync(now=later))["orders"] == (4, 2, 2, 0)
    assert desk.orders() == {"1": 10.5, "2": 20, "3": -3, "4": 4, "5": 5}
    known = desk.store.snapshot().orders.set_index("order_id")["known_at"]
    assert known["1"] == pd.Timestamp("2024-01-02 10:30")
    assert known["4"] == later
    assert counts(desk.sync(now=later))["orders"] == (4, 0, 4, 0)


def test_sql__a_correction_is_a_new_version(desk):
    desk.sell((1, "10", "2024-05-01 10:00:00"), (2, "20", "2024-05-02 10:00:00"))
    desk.sync()
    desk.run("UPDATE sales SET net = 11, updated = '2024-05-03 10:00:00' WHERE id = 1")
    assert counts(desk.sync(now=NOW + pd.Timedelta(days=1)))["orders"] == (2, 1, 1, 0)
    assert desk.orders() == {"1": 11, "2": 20}
    assert desk.store.snapshot(NOW).orders["amount"].tolist() == [10, 20]


def test_sql__a_query_that_fails_midway_resumes_at_the_last_batch(desk):
    desk.sell(*[(number, number, f"2024-05-0{number} 10:00:00") for number in range(1, 8)])
    text = desk.path.read_text()
    desk.path.write_text(text.replace("FROM clients", "FROM client"))
    with pytest.raises(SourceError, match=r"clients: .*client"):
        desk.sync()
    desk.path.write_text(text)
    assert counts(desk.sync()) == {"customers": (2, 2, 0, 0), "orders": (7, 7, 0, 0)}
    broken = text.replace("batch_rows: 2", "batch_rows: 3").replace(
        "net, updated FROM", "CASE id WHEN 7 THEN 'x' ELSE '1' END AS net, updated FROM"
    )
    desk.path.write_text(broken)
    report = desk.sync(now=NOW + pd.Timedelta(days=1), from_start=True)
    assert counts(report)["orders"] == (7, 5, 1, 1)
    assert report.rejects["value"].tolist() == ["x"]


def test_sql__a_column_may_tell_which_rows_are_deleted(desk):
    desk.sell((1, "10", "2024-05-01 10:00:00"), (2, "20", "2024-05-02 10:00:00"))
    text = desk.path.read_text().replace("file: sales,", "file: sales, deleted: {customer: empty},")
    desk.path.write_text(text)
    assert counts(desk.sync())["orders"] == (2, 2, 0, 0)
    desk.run("UPDATE sales SET customer = NULL, updated = '2024-05-03 10:00:00' WHERE id = 1")
    later = NOW + pd.Timedelta(days=1)
    report = desk.sync(now=later)
    assert (counts(report)["orders"], report.withdrawn) == ((2, 1, 1, 0), 1)
    assert desk.orders() == {"2": 20}
    assert desk.store.snapshot(later).orders["order_id"].tolist() == ["1", "2"]
    assert desk.sync(now=later + pd.Timedelta(days=1)).withdrawn == 0


class Disturbed:
    """A source that does something after so many batches."""

    id_column = None

    def __init__(self, source, after, disturb):
        self.source, self.after, self.disturb = source, after, disturb

    def batches(self, marks, *, until):
        for number, batch in enumerate(self.source.batches(marks, until=until), start=1):
            yield batch
            if number == self.after:
                self.disturb()


def test_sql__interrupted_between_batches_goes_on_from_its_mark(desk):
    desk.sell(*[(number, number, f"2024-05-0{number} 10:00:00") for number in range(1, 8)])

    def interrupt():
        raise KeyboardInterrupt

    assert [batch.rows for batch in desk.source().batches({}, until=NOW)] == [2, 0, 2, 2, 2, 1, 0]
    with pytest.raises(KeyboardInterrupt):
        desk.sync(source=Disturbed(desk.source(), 4, interrupt))
    assert desk.orders() == {"1": 1, "2": 2, "3": 3, "4": 4}
    assert counts(desk.sync())["orders"] == (4, 3, 1, 0), "from the mark of the fourth order on"
    assert desk.orders() == {str(number): number for number in range(1, 8)}
    known = desk.store.snapshot().orders
    assert (known["known_at"] == known["ds"]).all(), "it is still one first load"


def test_sql__a_lost_connection_is_made_again_and_the_query_goes_on_from_its_mark(tmp_path, postgres):
    """The server ends the source's session in the middle of the result, as a failover or an administrator does."""
    desk = Desk(tmp_path, postgres.new_database())
    desk.sell(*[(number, number, f"2024-05-0{number} 10:00:00") for number in range(1, 8)])
    ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    report = desk.sync(source=Disturbed(desk.source(), 3, lambda: desk.run(ours)))
    assert desk.orders() == {str(number): number for number in range(1, 8)}
    assert counts(report)["orders"] == (8, 7, 1, 0)
    assert len(desk.waits) == 1
    desk.engine.dispose()
    desk.store.close()


def test_sql__a_database_that_stays_away_is_given_up(tmp_path, postgres_programs):
    with running_server(postgres_programs) as server:
        desk = Desk(tmp_path, server.new_database())
        desk.sell((1, 1, "2024-05-01 10:00:00"), (2, 2, "2024-05-02 10:00:00"), (3, 3, "2024-05-03 10:00:00"))
        with pytest.raises(SourceError, match="sales: ") as caught:
            desk.sync(source=Disturbed(desk.source(), 3, server.stop))
        server.start()
        assert [0.5 <= wait / 2**number <= 1 for number, wait in enumerate(desk.waits)] == [True] * 5
        assert "server" in str(caught.value) or "connection" in str(caught.value)
        assert counts(desk.sync())["orders"] == (2, 1, 1, 0)
        desk.engine.dispose()
        desk.store.close()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mark: updated", "mark: update", "did you mean 'updated'"),
        ("file: sales", "file: sale", "no query 'sale' .did you mean 'sales'"),
        ("url_from: WAREHOUSE_URL", "url_from: WAREHOUSE_URL\n  url: x", "source.url: no such option"),
        ("ignore: [updated]", "join: [{file: clients, on: id}]", "join in the source"),
    ],
)
def test_sql__mapping_and_source_do_not_fit(tmp_path, old, new, message):
    desk = Desk(tmp_path, f"sqlite:///{tmp_path}/warehouse.db")
    desk.path.write_text(desk.path.read_text().replace(old, new))
    with pytest.raises(MappingError, match=message):
        desk.sync()
    desk.engine.dispose()
    desk.store.close()


def test_sql__the_url_is_a_secret(tmp_path):
    path = tmp_path / "warehouse.yaml"
    path.write_text(textwrap.dedent(MAPPING))
    rules = read_mapping(path)
    assert "pass" not in repr(SqlSource(rules, {"WAREHOUSE_URL": "postgresql://me:pass@nowhere/db"}))
    for url in ("no url with pass", "strange://me:pass@nowhere/db", "postgresql://me:half@of:pass@nowhere/db"):
        with pytest.raises(SourceError, match="WAREHOUSE_URL holds no usable database URL") as caught:
            SqlSource(rules, {"WAREHOUSE_URL": url})
        assert "pass" not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(SourceError, match="set the environment variable WAREHOUSE_URL"):
        SqlSource(rules, {})
