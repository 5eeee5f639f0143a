"""Files that state which records are deleted: gone from later snapshots, kept in earlier ones, every row accounted for."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.errors import MappingError
from predictkpi.kpis import get_kpi
from predictkpi.pipelines.ingest import ingest
from predictkpi.pipelines.replay import replay

T = pd.Timestamp
FIRST, SECOND, THIRD = T("2024-06-01"), T("2024-07-01"), T("2024-08-01")
DEALS = """
company: {name: Acme, currency: EUR}
defaults: {dates: {format: "%Y-%m-%d"}}
feeds:
  - table: deals
    file: deals.csv
    deleted: {gone: [yes]}
    columns: {deal_id: id, name: name, created_at: created}
  - table: deal_events
    file: events.csv
    columns: {deal_id: deal, ds: day, stage: stage, amount: amount}
"""
ORDERS = """
company: {name: Acme, currency: EUR}
defaults: {dates: {format: "%Y-%m-%d"}}
feeds:
  - table: orders
    file: orders.csv
    deleted: {deleted_on: present}
    columns: {order_id: id, ds: day, customer_id: customer, amount: net}
    known_at: KNOWN_AT
"""
EVENTS = "deal,day,stage,amount\n1,2024-01-01,New,10\n2,2024-01-02,New,20\n2,2024-02-02,won,25\n3,2024-01-03,New,30\n"
OF_ORDERS = "id,day,customer,net,changed,deleted_on\n"


@pytest.fixture
def load(store, tmp_path):
    """``load(mapping, now, **files)`` ingests files of that text."""

    def run(mapping, now, **files):
        for name, text in files.items():
            (tmp_path / f"{name}.csv").write_text(text, newline="")
        (tmp_path / "mapping.yaml").write_text(mapping)
        return ingest(store, mapping=tmp_path / "mapping.yaml", source=tmp_path, now=now)

    return run


def deals(*rows):
    return "id,name,created,gone\n" + "".join(f"{row}\n" for row in rows)


def of(report, table):
    feed = next(feed for feed in report.feeds if feed.table == table)
    assert feed.rows == feed.not_selected + feed.accepted + feed.unchanged + feed.rejected
    return feed.accepted, feed.unchanged, feed.rejected


def tables(store, as_of):
    snapshot = store.snapshot(as_of)
    return [snapshot.table(name) for name in ("deals", "deal_events", "orders")]


ALL = deals("1,One,2024-01-01,no", "2,Two,2024-01-02,", "3,Three,2024-01-03,no")
WITHOUT_TWO = deals("1,One,2024-01-01,no", "2,,,yes", "3,Three,2024-01-03,no", "9,,,yes")


def test_deleted__is_gone_with_its_events_from_then_on_and_kept_before(store, load):
    load(DEALS, FIRST, deals=ALL, events=EVENTS)
    before = tables(store, SECOND)
    open_before = get_kpi("open_pipeline").series(store.snapshot(SECOND))
    report = load(DEALS, SECOND, deals=WITHOUT_TWO, events=EVENTS)
    assert of(report, "deals") == (1, 3, 0), "of what was never there nothing needs to be said"
    assert report.withdrawn == 1
    later = store.snapshot(THIRD)
    assert later.deals["deal_id"].tolist() == ["1", "3"]
    assert later.deal_events["deal_id"].tolist() == ["1", "3"]
    for one, two in zip(before, tables(store, SECOND), strict=True):
        pd.testing.assert_frame_equal(one, two, check_exact=True)
    pd.testing.assert_frame_equal(get_kpi("open_pipeline").series(store.snapshot(SECOND)), open_before, check_exact=True)


def test_deleted__again_changes_nothing_and_shown_again_it_is_back(store, load):
    load(DEALS, FIRST, deals=ALL, events=EVENTS)
    load(DEALS, SECOND, deals=WITHOUT_TWO, events=EVENTS)
    report = load(DEALS, SECOND + pd.Timedelta(days=1), deals=WITHOUT_TWO, events=EVENTS)
    assert of(report, "deals") == (0, 4, 0)
    assert report.withdrawn == 0
    report = load(DEALS, THIRD, deals=ALL, events=EVENTS)
    assert of(report, "deals") == (0, 3, 0), "nothing new is in the row itself"
    assert store.snapshot(THIRD).deals["deal_id"].tolist() == ["1", "3"]
    back = store.snapshot(THIRD + pd.Timedelta(days=1))
    assert back.deals["deal_id"].tolist() == ["1", "2", "3"]
    assert back.deal_events["deal_id"].tolist() == ["1", "2", "2", "3"]
    report = load(DEALS, THIRD + pd.Timedelta(days=2), deals=WITHOUT_TWO, events=EVENTS)
    assert report.withdrawn == 1
    assert store.snapshot(THIRD + pd.Timedelta(days=3)).deals["deal_id"].tolist() == ["1", "3"]


def amounts(store, *days):
    return [dict(zip(one["order_id"], one["amount"], strict=True)) for one in (store.snapshot(T(day)).orders for day in days)]


LOG = OF_ORDERS + (
    "1,2024-01-01,ann,10,2024-01-01,\n"
    "1,,,,2024-02-01,2024-02-01\n"
    "1,2024-01-01,ann,10,2024-03-01,\n"  # back as it was
    "1,,,,2024-04-01,2024-04-01\n"
    "1,2024-01-01,ann,12,2024-05-01,\n"  # back with another amount
    "2,2024-01-01,ben,5,2024-01-01,\n"
)


def test_deleted__in_a_log_of_changes_is_known_since_the_row_says(store, load):
    mapping = ORDERS.replace("KNOWN_AT", "changed")
    report = load(mapping, FIRST, orders=LOG)
    assert of(report, "orders") == (5, 1, 0)
    days = ("2024-01-15", "2024-02-15", "2024-03-15", "2024-04-15", "2024-05-15")
    expected = [{"1": 10, "2": 5}, {"2": 5}, {"1": 10, "2": 5}, {"2": 5}, {"1": 12, "2": 5}]
    assert amounts(store, *days) == expected
    history = store.snapshot(SECOND).history("orders")
    assert of(load(mapping, SECOND, orders=LOG), "orders") == (0, 6, 0)
    assert amounts(store, *days) == expected
    pd.testing.assert_frame_equal(store.snapshot(SECOND).history("orders"), history, check_exact=True)


def test_deleted__what_contradicts_or_comes_too_late_is_a_reject(store, load):
    mapping = ORDERS.replace("KNOWN_AT", "changed")
    load(mapping, FIRST, orders=OF_ORDERS + "1,2024-01-01,ann,10,2024-05-01,\n2,2024-01-02,ben,5,2024-01-02,\n")
    rows = (
        "1,,,,2024-03-01,x\n"  # seen later
        ",,,,2024-06-02,x\n"
        "2\0,,,,2024-06-02,x\n"
        "2,,,,2024-09-01,x\n"  # of the future
        "2,,,,soon,x\n"
        "3,2024-01-03,cat,7,2024-06-02,\n3,,,,2024-06-02,x\n"
        "2,,,,2024-06-02,x\n2,,,,2024-06-02,x\n"
    )
    report = load(mapping, SECOND, orders=OF_ORDERS + rows)
    assert of(report, "orders") == (2, 1, 6)
    found = report.rejects[["row", "field", "value", "reason"]]
    assert [(row, field, value) for row, field, value, _ in found.itertuples(index=False)] == [
        (2, "id", "1"),
        (3, "id", ""),
        (4, "id", r"2\x00"),
        (5, "id", "2"),
        (6, "changed", "soon"),
        (8, "id", "3"),
    ]
    wanted = ["older than the stored version, known since 2024-05-01", "required, but empty", "holds a NUL", "dated in the future"]
    wanted += ["not a date", "another row of this load shows the record"]
    assert [reason.startswith(text) for reason, text in zip(found["reason"], wanted, strict=True)] == [True] * 6
    assert amounts(store, "2024-08-01") == [{"1": 10, "3": 7}]
    assert len(store.rejects()) == 6


def test_deleted__a_file_loaded_late_does_not_rewrite_what_is_known(store, load):
    dated = "exported_at: EXPORTED\n" + ORDERS.replace("    known_at: KNOWN_AT\n", "    ignore: [changed]\n")
    full = OF_ORDERS + "1,2024-01-01,ann,10,,\n2,2024-01-02,ben,5,,\n"
    load(dated.replace("EXPORTED", "2024-03-01"), FIRST, orders=full)
    load(dated.replace("EXPORTED", "2024-05-01"), FIRST, orders=full.replace("ann,10", "ann,11"))
    report = load(dated.replace("EXPORTED", "2024-04-01"), FIRST, orders=OF_ORDERS + "1,,,,,x\n2,2024-01-02,ben,5,,\n")
    assert report.withdrawn == 1
    assert amounts(store, "2024-05-15", "2024-06-02") == [{"1": 11, "2": 5}, {"2": 5}], "known from the load on, as a late correction is"


def test_deleted__rejects_are_replayed(store, load, tmp_path):
    mapping = ORDERS.replace("KNOWN_AT", "changed")
    load(mapping, FIRST, orders=OF_ORDERS + "1,2024-01-01,ann,10,2024-05-01,\n2,2024-01-02,ben,5,2024-01-02,\n")
    load(mapping, SECOND, orders=OF_ORDERS + "1,,,,06/02/2024,x\n2,,,,06/03/2024,x\n3,2024-01-03,cat,1,2024-06-03,\n")
    load(mapping, SECOND, orders=OF_ORDERS + "2,2024-01-02,ben,6,2024-06-20,\n")
    (tmp_path / "mapping.yaml").write_text(mapping.replace("%Y-%m-%d", "%m/%d/%Y"))
    report = replay(store, mapping=tmp_path / "mapping.yaml", now=THIRD)
    assert (report.waiting, report.settled, report.held_back, report.left) == (2, 1, 1, 0)
    assert amounts(store, "2024-06-01", "2024-09-01") == [{"1": 10, "2": 5}, {"2": 6, "3": 1}]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("order_id: id, ", "", "map order_id"),
        ("deleted_on: present", "deleted_at: present", "did you mean 'deleted_on'"),
        ("deleted_on: present", "deleted_on: yes", "write a list of values"),
        ("table: orders", "table: spend", "rows of spend have no id"),
    ],
)
def test_deleted__mappings_that_cannot_be_are_refused(load, tmp_path, old, new, message):
    text = ORDERS.replace("    known_at: KNOWN_AT\n", "    ignore: [changed]\n").replace(old, new)
    if "spend" in new:
        text = text.replace("order_id: id, ds: day, customer_id: customer, amount: net", "ds: day, channel: customer, cost: net")
    with pytest.raises(MappingError, match=message):
        load(text, FIRST, orders=OF_ORDERS + "1,2024-01-01,ann,10,,\n")
