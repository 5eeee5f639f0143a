"""A record that its source deleted: gone from then on, still there before, in every view."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.core.types import Company
from predictkpi.snapshot import Snapshot
from predictkpi.store import Store
from predictkpi.tables import table_schema

T = pd.Timestamp
COMPANY = Company(name="Acme", currency="EUR")


def frame(name, *rows):
    empty = table_schema(name).empty()
    return pd.DataFrame([dict(row) for row in rows]).reindex(columns=list(empty)).astype(empty.dtypes.to_dict())


def order(order_id, amount, known_at):
    return {"order_id": order_id, "ds": T("2024-01-02"), "customer_id": "c", "amount": amount, "known_at": T(known_at)}


@pytest.fixture
def store(database_url):
    store = Store(database_url)
    store.migrate()
    orders = frame("orders", order("1", 10.0, "2024-01-03"), order("1", 12.0, "2024-01-20"), order("2", 5.0, "2024-01-03"))
    store.load({"orders": orders}, company=COMPANY, now=T("2024-02-01"))
    yield store
    store.close()


def say(store, at, *, gone):
    with store.begin_load(company=COMPANY, now=T(at)) as load:
        return load.withdraw("orders", "order_id", ["1"], is_withdrawn=gone)


def amounts(snapshot):
    return dict(zip(snapshot.orders["order_id"], snapshot.orders["amount"], strict=True))


def test_deleted__from_then_on_and_never_before(store):
    before = store.snapshot(T("2024-03-01")).orders
    assert say(store, "2024-03-01", gone=True) == 1
    pd.testing.assert_frame_equal(store.snapshot(T("2024-03-01")).orders, before, check_exact=True)
    assert amounts(store.snapshot(T("2024-03-01 00:00:01"))) == {"2": 5.0}
    assert list(store.snapshot(T("2024-04-01")).orders) == list(before)


def test_deleted__history_shows_when(store):
    say(store, "2024-03-01", gone=True)
    history = store.snapshot(T("2024-04-01")).history("orders")
    own = history[history["order_id"] == "1"]
    assert own["is_deleted"].tolist() == [False, False, True]
    assert own["known_at"].tolist() == [T("2024-01-03"), T("2024-01-20"), T("2024-03-01")]
    assert own["amount"].tolist() == [10.0, 12.0, 12.0]


def test_deleted__an_earlier_view_of_a_later_snapshot_is_that_of_the_day(store):
    say(store, "2024-03-01", gone=True)
    say(store, "2024-05-01", gone=False)
    late = store.snapshot(T("2024-06-01"))
    for as_of in ("2024-01-10", "2024-02-15", "2024-03-15", "2024-05-02"):
        pd.testing.assert_frame_equal(late.at(T(as_of)).orders, store.snapshot(T(as_of)).orders, check_exact=True)
    assert [amounts(late.at(T(as_of))) for as_of in ("2024-02-15", "2024-03-15", "2024-05-02")] == [
        {"1": 12.0, "2": 5.0}, {"2": 5.0}, {"1": 12.0, "2": 5.0},
    ]  # fmt: skip


def test_deleted__a_record_that_comes_back_is_a_new_version(store):
    say(store, "2024-03-01", gone=True)
    store.load({"orders": frame("orders", order("1", 15.0, "2024-04-01"))}, company=COMPANY, now=T("2024-04-02"))
    assert amounts(store.snapshot(T("2024-03-15"))) == {"2": 5.0}
    assert amounts(store.snapshot(T("2024-04-03"))) == {"1": 15.0, "2": 5.0}


def test_deleted__rows_that_only_a_caller_knows_are_there(store):
    say(store, "2024-03-01", gone=True)
    richer = store.snapshot(T("2024-04-01")).with_rows({"orders": frame("orders", order("9", 1.0, "2024-03-31"))})
    assert isinstance(richer, Snapshot)
    assert amounts(richer) == {"2": 5.0, "9": 1.0}
