"""Rows in = accepted + unchanged + rejected, over generated broken files; and a second load of the same file changes nothing."""

from __future__ import annotations

import csv
import shutil
import tempfile
from functools import cache
from pathlib import Path

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from predictkpi.errors import SourceError
from predictkpi.pipelines.ingest import ingest
from predictkpi.pipelines.replay import replay
from predictkpi.store import Store

NOW = pd.Timestamp("2024-06-01")
MAPPING = """
defaults: {dates: {format: "%Y-%m-%d"}}
feeds:
  - table: orders
    file: orders.csv
    when: {kind: [order, "", refund, gone]}
    deleted: {kind: [gone]}
    columns: {order_id: id, ds: day, customer_id: customer, amount: net, currency: currency}
    known_at: learnt
  - table: customers
    file: orders.csv
    unique: first
    columns: {customer_id: customer, created_at: day}
"""
HEADER = ["id", "day", "customer", "net", "currency", "kind", "learnt"]
CELLS = {
    "id": ["1", "2", "3", "", " 1 ", "ü;", "1\0"],
    "day": ["2024-01-01", "2024-02-30", "", "01/02/2024", "2030-01-01", "2024-03-01"],
    "customer": ["ann", "ben", "", 'a "quoted"\nname'],
    "net": ["1", "-2.5", "x", "", "1e400", "inf"],
    "currency": ["EUR", "", "USD", "eur", "EU\0"],
    "kind": ["order", "refund", "", "other", "gone", "gone"],
    "learnt": ["", "2024-01-01", "2024-04-01", "2024-05-01", "2029-01-01", "soon"],
}
good = st.fixed_dictionaries({name: st.sampled_from(cells[:1] * 3 + cells) for name, cells in CELLS.items()}).map(
    lambda row: list(row.values())
)
ragged = st.lists(st.sampled_from(["", "a", "1"]), min_size=1, max_size=9)
rows = st.lists(st.one_of(good, good, good, good, ragged), min_size=1, max_size=25)


@cache
def _empty_database() -> Path:
    path = Path(tempfile.mkdtemp(), "empty.db")
    store = Store(f"sqlite:///{path}")
    store.migrate()
    store.close()
    return path


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=rows)
def test_ingest__every_row_is_accounted_for(rows):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "orders.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([HEADER, *rows])
        (folder / "mapping.yaml").write_text(MAPPING, encoding="utf-8")
        shutil.copy(_empty_database(), folder / "facts.db")
        store = Store(f"sqlite:///{folder}/facts.db")
        try:
            _check(store, folder, written=sum(any(cell.strip() for cell in row) for row in rows))
        finally:
            store.close()


def _check(store: Store, folder: Path, *, written: int) -> None:
    try:
        report = ingest(store, mapping=folder / "mapping.yaml", source=folder, now=NOW)
    except SourceError:
        assert store.is_empty
        assert set(store.counts().values()) == {0}
        return
    for feed in report.feeds:
        assert feed.rows == written
        assert feed.rows == feed.not_selected + feed.accepted + feed.unchanged + feed.rejected
        own = report.rejects[report.rejects["table"] == feed.table]
        assert feed.rejected == len(own) == own["row"].nunique()
        assert store.counts()[feed.table] == feed.accepted - (report.withdrawn if feed.table == "orders" else 0)
    assert (report.rejects["reason"] != "").all()
    assert len(store.rejects(limit=1000)) == len(report.rejects)

    facts = store.counts()
    replayed = replay(store, mapping=folder / "mapping.yaml", now=NOW)
    assert replayed.waiting == len(report.rejects) == replayed.settled + replayed.held_back + replayed.left
    assert replayed.counts.records == replayed.counts.accepted + replayed.counts.unchanged + replayed.counts.rejected
    assert sum(store.counts().values()) <= sum(facts.values()) + replayed.counts.accepted

    seen = _seen(store)
    again = ingest(store, mapping=folder / "mapping.yaml", source=folder, now=NOW + pd.Timedelta(days=1))
    for first, second in zip(report.feeds, again.feeds, strict=True):
        assert (second.rows, second.accepted, second.rejected) == (first.rows, 0, first.rejected)
        assert second.unchanged == first.accepted + first.unchanged
    pd.testing.assert_frame_equal(_seen(store), seen)


def _seen(store: Store) -> pd.DataFrame:
    """Which orders are there at some instants, deletions considered."""
    instants = pd.to_datetime(["2024-01-15", "2024-04-15", "2024-05-15", NOW, NOW + pd.Timedelta(hours=1), NOW + pd.Timedelta(days=2)])
    return pd.concat([store.snapshot(instant).orders.assign(as_of=instant) for instant in instants])
