"""Readers and writers at the same moment, on both databases."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from predictkpi.core.types import Company
from predictkpi.errors import ConflictError
from predictkpi.store import Counts, Store
from predictkpi.tables import TABLES

NOW = pd.Timestamp("2024-06-01")
COMPANY = Company(name="Acme", currency="EUR", time_zone="Europe/Berlin")
TABLES_OF_A_LOAD = ("customers", "orders")


def rows(*numbers: int) -> dict[str, pd.DataFrame]:
    """A customer and an order for each number."""
    ids = [f"n{number}" for number in numbers]
    known = {"known_at": pd.Timestamp("2024-01-01").as_unit("us")}
    made = {
        "customers": pd.DataFrame({"customer_id": ids}).assign(**known),
        "orders": pd.DataFrame({"order_id": ids, "customer_id": ids, "amount": 1.0}).assign(ds=known["known_at"], **known),
    }
    typed = {name: TABLES[name].empty().dtypes.to_dict() for name in made}
    return {name: frame.reindex(columns=list(typed[name])).astype(typed[name]) for name, frame in made.items()}


def write(load, frames: dict[str, pd.DataFrame]) -> None:
    for name, frame in frames.items():
        load.write(name, frame, load.plan(name, frame, origin=lambda labels: pd.Series("row", index=labels)))


def seen(store: Store) -> tuple[int, ...]:
    counts, snapshot = store.counts(), store.snapshot()
    return *(counts[name] for name in TABLES_OF_A_LOAD), *(len(snapshot.table(name)) for name in TABLES_OF_A_LOAD), len(store.loads())


def test_readers__see_the_store_as_before_until_the_load_is_committed(store, database_url):
    """Other connections read at every moment of a load, and a snapshot taken before it stays what it was after it."""
    store.load(rows(1), company=COMPANY, now=NOW)
    reader = Store(database_url)
    taken_before = reader.snapshot()
    with store.begin_load(company=COMPANY, now=NOW) as load:
        assert seen(reader) == (1, 1, 1, 1, 1)
        for name, frame in rows(2, 3).items():
            write(load, {name: frame})
            assert seen(reader) == (1, 1, 1, 1, 1)
        load.finish(Counts(accepted=4))
        assert seen(reader) == (1, 1, 1, 1, 1)
    assert seen(reader) == (3, 3, 3, 3, 2)
    assert [len(taken_before.table(name)) for name in TABLES_OF_A_LOAD] == [1, 1]
    reader.close()


def test_readers__are_never_in_between(store, database_url):
    """Readers that run all the time while loads come in see both tables of a load, or neither."""
    store.load(rows(0), company=COMPANY, now=NOW)
    is_done = threading.Event()

    def watch() -> set[tuple[int, ...]]:
        reader, found = Store(database_url), set()
        while not is_done.is_set():
            counts, snapshot = reader.counts(), reader.snapshot(NOW)
            found |= {tuple(counts[name] for name in TABLES_OF_A_LOAD), tuple(len(snapshot.table(name)) for name in TABLES_OF_A_LOAD)}
        reader.close()
        return found

    with ThreadPoolExecutor() as pool:
        watching = pool.submit(watch)
        for number in range(1, 9):
            store.load(rows(number), company=COMPANY, now=NOW)
        is_done.set()
        found = watching.result()
    assert all(customers == orders for customers, orders in found)


def test_writers__the_second_waits_and_builds_on_the_first(store, database_url):
    """Both bring customer n1: whoever comes second finds it unchanged, as if it had come later."""
    second = Store(database_url)
    with ThreadPoolExecutor() as pool:
        with store.begin_load(company=COMPANY, now=NOW) as load:
            waiting = pool.submit(second.load, rows(1, 2), company=COMPANY, now=NOW)
            write(load, rows(1))
            load.finish(Counts(accepted=2))
            assert not waiting.done()
        counts = waiting.result()
    assert {name: (found.accepted, found.unchanged) for name, found in counts.items()} == {"customers": (1, 1), "orders": (1, 1)}
    assert second.loads()["accepted"].tolist() == [2, 2]
    second.close()


def test_writers__the_second_gives_up_after_its_wait(store, database_url):
    impatient = Store(database_url, wait_seconds=0.1)
    with store.begin_load(company=COMPANY, now=NOW) as load:
        with pytest.raises(ConflictError, match="is being written by another load; try again"):
            impatient.load(rows(1), company=COMPANY, now=NOW)
        write(load, rows(1))
        load.finish(Counts(accepted=2))
    assert impatient.load(rows(1), company=COMPANY, now=NOW)["orders"].unchanged == 1
    impatient.close()


def test_migrate__waits_for_nobody_where_there_is_nothing_to_do(store, database_url):
    """Every command migrates first; none may wait for a running load to do so."""
    other = Store(database_url, wait_seconds=0.1)
    with store.begin_load(company=COMPANY, now=NOW):
        other.migrate()
    other.close()


def test_migrate__by_two_at_once(database_url):
    stores = [Store(database_url) for _ in range(2)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(Store.migrate, stores))
    assert stores[0].counts() == stores[1].counts() == dict.fromkeys(TABLES, 0)
    for store in stores:
        store.close()
