"""Rejects go again through a mended mapping: without the file, with every row accounted for, and nothing twice."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd
import pytest

from predictkpi.cli.checks import export_rejects
from predictkpi.errors import MappingError, SourceError
from predictkpi.pipelines.ingest import ingest
from predictkpi.pipelines.replay import replay
from predictkpi.sources.records import as_records, of_records
from predictkpi.store import Store

NOW = pd.Timestamp("2024-06-01")
LATER = pd.Timestamp("2024-07-01")
BROKEN = """
feeds:
  - table: orders
    file: orders.csv
    dates: {format: "%Y-%m-%d"}
    columns: {order_id: id, ds: day, customer_id: customer, amount: net}
    ignore: [kind]
"""
MENDED = BROKEN.replace("ignore:", "decimal: ','\n    thousands: '.'\n    ignore:")
WITHOUT_ID = """
feeds:
  - table: orders
    file: orders.csv
    dates: {format: "%Y-%m-%d"}
    columns: {ds: day, customer_id: customer, amount: net}
    ignore: [id, kind]
"""
ORDERS = [
    "id,day,customer,net,kind",
    "1,2024-01-01,ann,10,a",
    '2,2024-01-02,ann,"1.234,5",a',
    '3,2024-01-03,ben,"7,5",b',
    "4,2024-01-04,ben,soon,b",
    "5,2024-01-05,ben",
]


@pytest.fixture
def store(database_url):
    store = Store(database_url)
    store.migrate()
    yield store
    store.close()


@pytest.fixture
def load(store, tmp_path):
    """Ingest these lines of orders.csv through this mapping; the file is gone afterwards."""

    def run(mapping: str, lines: list[str] = ORDERS, *, now: pd.Timestamp = NOW):
        (tmp_path / "orders.csv").write_text("\n".join(lines) + "\n")
        report = ingest(store, mapping=written(tmp_path, mapping), source=tmp_path, now=now)
        (tmp_path / "orders.csv").unlink()
        return report

    return run


def written(folder: Path, mapping: str) -> Path:
    path = folder / "mapping.yaml"
    path.write_text(mapping)
    return path


def amounts(store: Store) -> dict[str, float]:
    orders = store.snapshot(pd.Timestamp("2025-01-01")).orders
    return dict(zip(orders["order_id"], orders["amount"], strict=True))


def test_replay__accepts_what_the_mended_mapping_can_read_and_keeps_the_rest(store, load, tmp_path):
    load(BROKEN)
    assert (amounts(store), store.count_rejects()) == ({"1": 10.0}, 4)

    report = replay(store, mapping=written(tmp_path, MENDED), now=LATER)
    assert (report.waiting, report.settled, report.held_back, report.left) == (4, 3, 0, 1)
    assert (report.counts.records, report.counts.accepted, report.counts.unchanged, report.counts.rejected) == (3, 2, 0, 1)
    assert amounts(store) == {"1": 10.0, "2": 1234.5, "3": 7.5}
    waiting = store.rejects()
    assert waiting["row"].tolist() == [5, 6]
    assert waiting["load_id"].tolist() == [report.load_id, 1]
    book = store.loads().iloc[0]
    assert (book["source"], book["records"], book["accepted"], book["rejected"]) == ("rejects", 3, 2, 1)


def test_replay__is_known_from_then_on_and_never_before(store, load, tmp_path):
    load(BROKEN)
    before = store.snapshot(LATER).orders
    replay(store, mapping=written(tmp_path, MENDED), now=LATER)
    pd.testing.assert_frame_equal(store.snapshot(LATER).orders, before)
    assert len(store.snapshot(LATER + pd.Timedelta(days=1)).orders) == 3


DATED = BROKEN.replace("ignore: [kind]", "known_at: kind")
STATED = [
    "id,day,customer,net,kind",
    "1,2024-01-01,ann,10,2024-01-01",
    '2,2024-01-02,ann,"1,5",2024-01-02',
    '2,2024-01-02,ann,"2,5",2024-03-02',
    '2,2024-01-02,ann,"2,0",2024-02-02',
    '1,2024-01-01,ann,"9,5",2024-02-01',
]


def test_replay__is_known_from_then_on_whatever_the_rows_state(store, load, tmp_path):
    """Three states of order 2, none of which could be read: in February nobody knew any of them. Order 1 was known, and is held back."""
    load(DATED, STATED)
    days = [pd.Timestamp(day) for day in ("2024-01-15", "2024-02-15", "2024-05-01", NOW, LATER)]
    before = [store.snapshot(day).orders for day in days]
    report = replay(store, mapping=written(tmp_path, DATED.replace("known_at", "decimal: ','\n    known_at")), now=LATER)
    assert (report.waiting, report.settled, report.held_back, report.left) == (4, 3, 1, 0)
    assert (report.counts.records, report.counts.accepted) == (1, 1)
    for day, orders in zip(days, before, strict=True):
        pd.testing.assert_frame_equal(store.snapshot(day).orders, orders)
    assert amounts(store) == {"1": 10.0, "2": 2.5}


def test_replay__of_a_load_of_which_nothing_fitted_is_the_first_load(store, load, tmp_path):
    with pytest.raises(SourceError, match="all 4 records for orders were rejected"):
        load(DATED, [STATED[0], *STATED[2:]])
    replay(store, mapping=written(tmp_path, DATED.replace("known_at", "decimal: ','\n    known_at")), now=LATER)
    seen = [dict(zip(one["order_id"], one["amount"], strict=True)) for one in (store.snapshot(day).orders for day in (NOW, LATER))]
    assert seen == [{"1": 9.5, "2": 2.5}] * 2
    assert len(store.snapshot(LATER).history("orders")) == 4


def test_replay__twice_adds_nothing(store, load, tmp_path):
    load(BROKEN)
    replay(store, mapping=written(tmp_path, MENDED), now=LATER)
    facts = store.counts()
    again = replay(store, mapping=written(tmp_path, MENDED), now=LATER + pd.Timedelta(days=1))
    assert (again.waiting, again.settled, again.left, again.counts.accepted) == (2, 1, 1, 0)
    assert store.counts() == facts
    assert store.count_rejects() == 2


def test_replay__of_rows_that_two_loads_brought_offers_them_once(store, load, tmp_path):
    load(BROKEN)
    load(BROKEN, [ORDERS[0], "9,2024-01-01,zoe,1,a", *ORDERS[1:]], now=NOW + pd.Timedelta(days=1))
    report = replay(store, mapping=written(tmp_path, MENDED), now=LATER)
    assert (report.waiting, report.settled, report.left, report.counts.records) == (8, 6, 2, 3)
    assert amounts(store) == {"1": 10.0, "2": 1234.5, "3": 7.5, "9": 1.0}


def test_replay__an_old_row_does_not_overwrite_a_newer_one(store, load, tmp_path):
    load(BROKEN)
    load(BROKEN, [ORDERS[0], "2,2024-01-02,ann,99,a"], now=NOW + pd.Timedelta(days=1))
    report = replay(store, mapping=written(tmp_path, MENDED), now=LATER)
    assert (report.settled, report.held_back, report.left) == (2, 1, 1)
    assert amounts(store)["2"] == 99.0
    assert 3 in store.rejects()["row"].tolist()


def test_replay__rows_without_an_id_are_not_numbered_like_others(store, load, tmp_path):
    lines = [ORDERS[0], ",2024-01-01,ann,10,a", ',2024-01-01,ann,"2,5",a', ',2024-01-02,ann,"3,5",a', ',2024-01-02,ann,"3,5",a']
    load(WITHOUT_ID, lines)
    mended = written(tmp_path, WITHOUT_ID.replace("ignore:", "decimal: ','\n    ignore:"))
    report = replay(store, mapping=mended, now=LATER)
    assert (report.waiting, report.settled, report.held_back) == (3, 2, 1)
    assert sorted(amounts(store).values()) == [3.5, 3.5, 10.0]
    (tmp_path / "orders.csv").write_text("\n".join(lines) + "\n")
    whole = ingest(store, mapping=mended, source=tmp_path, now=LATER + pd.Timedelta(days=1))
    assert [(feed.accepted, feed.unchanged, feed.rejected) for feed in whole.feeds] == [(1, 3, 0)]


def test_replay__only_what_is_named(store, load, tmp_path):
    load(BROKEN)
    for chosen in ({"table": "spend"}, {"file": "other.csv"}, {"load_id": 7}):
        assert replay(store, mapping=written(tmp_path, MENDED), now=LATER, **chosen).waiting == 0
        assert store.rejects(**chosen).empty
    assert len(store.rejects(load_id=1, table="orders", file="orders.csv")) == 4
    assert amounts(store) == {"1": 10.0}


def test_replay__with_a_mapping_that_does_not_fit_changes_nothing(store, load, tmp_path):
    load(BROKEN, [line.replace("2024-01-0", "2024-01-2") for line in ORDERS])
    facts, waiting = store.counts(), store.rejects()
    with pytest.raises(MappingError, match="netto"):
        replay(store, mapping=written(tmp_path, BROKEN.replace("net}", "netto}")), now=LATER)
    with pytest.raises(SourceError, match="swapped"):
        replay(store, mapping=written(tmp_path, MENDED.replace("%Y-%m-%d", "%Y-%d-%m")), now=LATER)
    assert store.counts() == facts
    pd.testing.assert_frame_equal(store.rejects(), waiting)


def test_replay__of_an_attribute_brings_the_attribute_alone(store, load, tmp_path):
    mapping = """
feeds:
  - table: customers
    file: orders.csv
    columns: {customer_id: customer, region: kind}
    attributes: {net: {name: budget, kind: number}}
    known_at: always
    ignore: [id, day]
"""
    lines = [ORDERS[0], "1,2024-01-01,ann,10,north", '2,2024-01-01,ben,"7,5",north']
    load(mapping, lines)
    load(mapping, [ORDERS[0], "1,2024-01-01,ann,10,north", "2,2024-01-01,ben,,south"], now=NOW + pd.Timedelta(days=1))
    before = store.counts()
    waiting = store.rejects()
    assert waiting["table"].tolist() == ["attributes"]
    report = replay(store, mapping=written(tmp_path, mapping.replace("known_at", "decimal: ','\n    known_at")), now=LATER)
    assert (report.waiting, report.settled + report.held_back) == (1, 1)
    assert store.counts()["customers"] == before["customers"]
    assert store.snapshot(pd.Timestamp("2025-01-01")).customers.set_index("customer_id").loc["ben", "region"] == "south"


def test_export__gives_whole_rows_that_come_back(store, load, tmp_path):
    load(BROKEN)
    export_rejects(store, tmp_path / "rejects.csv", chosen={})
    export_rejects(store, tmp_path / "rejects.parquet", chosen={"table": "orders"})
    as_csv, as_parquet = pd.read_csv(tmp_path / "rejects.csv"), pd.read_parquet(tmp_path / "rejects.parquet")
    assert len(as_csv) == len(as_parquet) == 4
    back = of_records(as_csv["record"].dropna())
    assert back.iloc[0].to_dict() == {"id": "2", "day": "2024-01-02", "customer": "ann", "net": "1.234,5", "kind": "a"}
    assert as_csv["record"].isna().sum() == 1


def test_records__bring_back_every_kind_of_cell():
    rows = pd.DataFrame(
        {
            "text": pd.Series(["ü;\n", None, "x"], dtype="str"),
            "whole": pd.Series([1, None, 2**60], dtype="Int64"),
            "real": [0.1, None, -3.0],
            "instant": pd.to_datetime(["2024-01-01 10:00", None, "2024-02-01 00:00"]),
            "zoned": pd.to_datetime(["2024-01-01 10:00", None, "2024-02-01 00:00"], utc=True),
            "flag": pd.Series([True, None, False], dtype="object"),
            "mixed": pd.Series(["a", 1, dt.datetime(2024, 1, 1)], dtype="object"),
        }
    )
    back = of_records(as_records(rows))
    for name in rows:
        assert back[name].isna().tolist() == rows[name].isna().tolist()
        there = rows[name].notna()
        assert back[name][there].tolist() == rows[name][there].tolist()
    assert back["text"].dtype == "str"
    assert back["whole"].dtype == "Int64"
