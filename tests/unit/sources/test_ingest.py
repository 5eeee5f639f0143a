"""Files through a mapping into a real store: what is loaded, what is counted, what is refused."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import pandas as pd
import pytest

from predictkpi.errors import MappingError, PredictKpiError
from predictkpi.pipelines.ingest import ingest
from predictkpi.store import Store

NOW = pd.Timestamp("2024-06-01 12:00")
ORDERS = """
company: {name: Acme, currency: EUR}
defaults: {dates: {format: "%Y-%m-%d"}}
feeds:
  - table: orders
    file: orders.csv
    columns: {order_id: id, ds: day, customer_id: customer, amount: net, currency: currency}
"""
DEALS = """
defaults: {dates: {format: "%Y-%m-%d"}}
feeds:
  - {table: deals, file: deals.csv, columns: {deal_id: id, created_at: created}}
  - {table: deal_events, file: events.csv, columns: {deal_id: id, ds: day, stage: stage, amount: amount}}
"""


class Desk:
    """A folder of files, a store, and the way from one to the other."""

    def __init__(self, folder):
        self.folder = folder
        self.store = Store(f"sqlite:///{folder}/store/facts.db")
        self.store.migrate()

    def put(self, name, text):
        (self.folder / name).write_text(textwrap.dedent(text).lstrip())

    def orders(self, *lines):
        self.put("orders.csv", "\n".join(["id,day,customer,net,currency", *lines]) + "\n")

    def ingest(self, mapping, *, now=NOW, **options):
        (self.folder / "mapping.yaml").write_text(mapping)
        return ingest(self.store, mapping=self.folder / "mapping.yaml", source=self.folder, now=now, **options)

    def rejected(self, mapping=ORDERS, **options):
        """The rejects of an ingest as ``row field=value: reason``."""
        report = self.ingest(mapping, **options)
        counted = sum(feed.rejected for feed in report.feeds)
        assert counted == len(report.rejects) == len(self.store.rejects(limit=1000))
        assert all(feed.rows == feed.not_selected + feed.records for feed in report.feeds)
        return [f"{r.row} {r.field}={r.value}: {r.reason}" for r in report.rejects.itertuples()]

    def refused(self, mapping=ORDERS, **options) -> str:
        """The message of an ingest that fails; nothing may have been loaded."""
        before = self.store.counts()
        with pytest.raises(PredictKpiError) as caught:
            self.ingest(mapping, **options)
        assert self.store.counts() == before
        return str(caught.value)


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    desk.store.close()


def counts(report):
    return [(feed.table, feed.rows, feed.not_selected, feed.accepted, feed.unchanged, feed.rejected) for feed in report.feeds]


# what is loaded


def test_ingest__loads_converts_and_tells_how_far_it_is(desk):
    desk.orders("1,2024-01-02,ann,10.5,EUR", "2,2024-01-03,ben,-3,")
    heard = []
    report = desk.ingest(ORDERS, on_progress=lambda *what: heard.append(what))
    assert counts(report) == [("orders", 2, 0, 2, 0, 0)]
    orders = desk.store.snapshot().orders
    assert orders["amount"].tolist() == [10.5, -3.0]
    assert orders["currency"].tolist() == ["EUR", "EUR"]
    assert orders["known_at"].tolist() == orders["ds"].tolist()
    assert [what for what, _, _ in heard] == ["reading orders.csv", "checking orders", "writing orders"]
    assert heard[-1][1:] == (2, 2)


def test_ingest__same_file_again_changes_nothing(desk):
    desk.orders("1,2024-01-02,ann,10.5,EUR", "2,2024-01-03,ben,-3,")
    desk.ingest(ORDERS)
    before = desk.store.counts()
    assert counts(desk.ingest(ORDERS, now=NOW + pd.Timedelta(days=30))) == [("orders", 2, 0, 0, 2, 0)]
    assert desk.store.counts() == before


def test_ingest__late_correction_is_a_new_version_and_the_past_stays(desk):
    desk.orders("1,2024-01-02,ann,10,EUR")
    desk.ingest(ORDERS)
    past = desk.store.snapshot(NOW).orders
    desk.orders("1,2024-01-02,ann,12,EUR", "2,2024-02-01,ben,5,EUR")
    later = NOW + pd.Timedelta(days=1)
    assert counts(desk.ingest(ORDERS, now=later)) == [("orders", 2, 0, 2, 0, 0)]
    pd.testing.assert_frame_equal(desk.store.snapshot(later).orders, past)
    assert desk.store.snapshot().orders["amount"].tolist() == [12.0, 5.0]
    assert desk.store.snapshot().orders["known_at"].tolist() == [later, later]


def test_ingest__select_join_respell_and_constants(desk):
    desk.put(
        "deals.csv",
        "id,product,stage,created,close\n1,Pro ,Closed,2024-01-01,2024-02-01\n2,Basic,open,2024-01-05,\n3,Gone,n/a,2024-01-06,2024-02-02\n",
    )
    desk.put("products.csv", "product,price,owner\nPro X,100,ann\nBasic,50,ben\n")
    report = desk.ingest("""
exported_at: 2024-03-01
defaults: {dates: {format: "%Y-%m-%d"}}
feeds:
  - {table: deals, file: deals.csv, columns: {deal_id: id, created_at: created, product: product}, ignore: "*"}
  - table: deal_events
    file: deals.csv
    join: [{file: products.csv, on: product}]
    values: {product: {Pro: Pro X}, stage: {Closed: won, n/a: ""}, owner: {ann: Ann}}
    when: {stage: [won], close: present}
    columns: {deal_id: id, ds: close, stage: stage, amount: price, owner: owner}
  - table: deal_events
    file: deals.csv
    join: [{file: products.csv, on: product}]
    when: {close: empty}
    columns: {deal_id: id, amount: price, owner: owner}
    constants: {stage: Open, ds: exported_at}
""")
    assert counts(report) == [("deals", 3, 0, 3, 0, 0), ("deal_events", 3, 2, 1, 0, 0), ("deal_events", 3, 2, 1, 0, 0)]
    events = desk.store.snapshot().deal_events
    assert events["event_id"].tolist() == ["1@2024-02-01T00:00:00#1", "2@2024-03-01T00:00:00#1"]
    assert events["stage"].tolist() == ["won", "Open"]
    assert events["amount"].tolist() == [100.0, 50.0]
    assert events["owner"].tolist() == ["Ann", "ben"]
    assert "deals.csv: 1 rows have no match in products.csv on product: 'Gone'" in report.warnings
    assert any("1 rows meet the conditions of none of the 2 feeds of deal_events; the first is row 4" in text for text in report.warnings)


def test_ingest__customers_from_an_orders_file_are_one_record_each(desk):
    desk.orders("1,2024-01-02,ann,1,", "2,2024-01-03,ann,1,", "3,2024-01-03,ben,1,")
    mapping = (
        ORDERS
        + "  - {table: customers, file: orders.csv, unique: first, known_at: always, columns: {customer_id: customer, created_at: day}}\n"
    )
    assert counts(desk.ingest(mapping))[1] == ("customers", 3, 0, 2, 1, 0)
    assert desk.store.snapshot(pd.Timestamp("2024-01-03")).customers["customer_id"].tolist() == ["ann"]
    assert counts(desk.ingest(mapping))[1] == ("customers", 3, 0, 0, 3, 0)


def test_ingest__known_always_holds_for_the_first_load_only(desk):
    mapping = "feeds: [{table: customers, file: c.csv, known_at: always, columns: {customer_id: id, segment: s}}]"
    desk.put("c.csv", "id,s\na,small\n")
    desk.ingest(mapping)
    desk.put("c.csv", "id,s\na,big\nb,new\n")
    desk.ingest(mapping)
    assert desk.store.snapshot(NOW).customers.to_dict("list")["segment"] == ["small"]
    assert desk.store.snapshot().customers["segment"].tolist() == ["big", "new"]


def test_ingest__versions_in_a_file_are_ordered_by_its_known_at(desk):
    desk.put("c.csv", "id,s,changed\na,big,2024-03-01\na,small,2024-01-01\na,big,\n")
    mapping = """
defaults: {dates: {format: "%Y-%m-%d"}}
feeds: [{table: customers, file: c.csv, known_at: changed, columns: {customer_id: id, segment: s}}]
"""
    assert counts(desk.ingest(mapping)) == [("customers", 3, 0, 2, 1, 0)]
    assert desk.store.snapshot(pd.Timestamp("2024-02-01")).customers["segment"].tolist() == ["small"]
    assert counts(desk.ingest(mapping)) == [("customers", 3, 0, 0, 3, 0)]


def test_ingest__foreign_money_at_the_newest_rate_of_the_day_or_before(desk):
    desk.orders(
        "1,2024-01-15,ann,10,usd", "2,2024-02-15,ann,10,USD", "3,2023-12-31,ann,10,USD", "4,2024-02-15,ann,10,EUR", "5,2024-02-15,ann,1,GBP"
    )
    desk.put("rates.csv", "day,code,rate\n2024-02-01,USD,0.8\n2024-01-01,USD,0.9\n")
    mapping = ORDERS + "  - {table: fx_rates, file: rates.csv, columns: {ds: day, currency: code, rate: rate}}\n"
    assert desk.rejected(mapping) == [
        "4 currency=USD: no exchange rate into EUR on or before 2023-12-31",
        "6 currency=GBP: no exchange rate into EUR on or before 2024-02-15",
    ]
    assert desk.store.snapshot().orders["amount"].tolist() == [9.0, 8.0, 10.0]
    desk.orders("6,2024-03-01,ann,5,USD")
    desk.ingest(ORDERS)
    assert desk.store.snapshot().orders["amount"].tolist()[-1] == 4.0


@pytest.mark.parametrize("suffix", ["parquet", "xlsx"])
def test_ingest__parquet_and_excel(desk, suffix):
    frame = pd.DataFrame(
        {
            "id": [17, 18],
            "day": pd.to_datetime(["2024-01-02", "2024-01-03"]),
            "customer": [5, 6],
            "net": [1, 2.5],
            "currency": ["EUR", None],
        }
    )
    frame.to_parquet(desk.folder / "orders.parquet") if suffix == "parquet" else frame.to_excel(desk.folder / "orders.xlsx", index=False)
    mapping = ORDERS.replace("orders.csv", f"orders.{suffix}").replace('defaults: {dates: {format: "%Y-%m-%d"}}', "")
    assert counts(desk.ingest(mapping)) == [("orders", 2, 0, 2, 0, 0)]
    orders = desk.store.snapshot().orders
    assert orders["order_id"].tolist() == ["17", "18"]
    assert orders["customer_id"].tolist() == ["5", "6"]
    assert orders["ds"].tolist() == frame["day"].tolist()


# what is rejected, and counted


def test_rejects__wrong_dates_numbers_and_empty_cells(desk):
    desk.orders(
        "1,2024-01-02,ann,10,", "2,02.01.2024,ann,10,", "3,2024-01-02,ann,ten,", "4,2024-01-02,,10,", "5,,x,y,", "6,2024-01-02,a,1,,9"
    )
    assert desk.rejected() == [
        "3 day=02.01.2024: not a date of the format %Y-%m-%d",
        "4 net=ten: not a number (decimal '.', no thousands mark)",
        "5 customer_id=: required, but empty",
        "6 net=y: not a number (decimal '.', no thousands mark)",
        "7 =6,2024-01-02,a,1,,9: 6 fields where the header has 5",
    ]


def test_rejects__duplicate_keys_name_the_other_row(desk):
    desk.orders("1,2024-01-02,ann,10,", "1,2024-01-02,ann,10,", "1,2024-01-02,ann,11,")
    report = desk.ingest(ORDERS)
    assert counts(report) == [("orders", 3, 0, 1, 1, 1)]
    assert report.rejects.iloc[0].tolist() == [
        "orders.csv", 4, "orders", "order_id", "1", "same key as orders.csv row 2 with other content, and nothing says which holds"
    ]  # fmt: skip


def test_rejects__the_future(desk):
    desk.orders("1,2024-05-31,ann,1,", "2,2024-06-02,ann,1,")
    assert [line.split(":")[0] for line in desk.rejected()] == ["3 ds=2024-06-02"]
    desk.orders("3,2024-02-01,ann,1,", "4,2024-02-02,ann,1,")
    report = desk.ingest(ORDERS + "exported_at: 2024-02-01\n")
    assert report.rejects["row"].tolist() == [3]


def test_rejects__deals(desk):
    desk.put("deals.csv", "id,created\na,2024-02-01\nb,\n")
    desk.put(
        "events.csv",
        "id,day,stage,amount\na,2024-02-01,open,1\na,2024-01-31,won,1\na,2024-01-30,open,1\nb,2024-01-01,won,-5\nb,2024-01-01,lost,5\nc,2024-01-01,won,5\n",
    )
    assert desk.rejected(DEALS) == [
        "3 ds=2024-01-31: closed (won) before it was created on 2024-02-01 00:00:00",
        "4 ds=2024-01-30: changed before it was created on 2024-02-01 00:00:00",
        "5 amount=-5.0: must not be below 0",
        "7 deal_id=c: no such deal in this load or in the store",
    ]
    desk.put("events.csv", "id,day,stage,amount\nb,2024-03-01,won,1\n")
    assert counts(desk.ingest(DEALS[: DEALS.index("  - {table: deals,")] + DEALS[DEALS.index("  - {table: deal_events") :])) == [
        ("deal_events", 1, 0, 1, 0, 0)
    ]


def test_rejects__a_mere_date_on_the_day_of_creation_is_fine(desk):
    desk.put("deals.csv", "id,created\na,2024-02-01 15:30\n")
    desk.put("events.csv", "id,day,stage,amount\na,2024-02-01,won,1\n")
    mapping = DEALS.replace("file: deals.csv,", 'file: deals.csv, dates: {format: "%Y-%m-%d %H:%M"},')
    assert desk.rejected(mapping) == []


def test_rejects__a_few_swapped_dates_are_counted_with_a_hint(desk):
    desk.orders("1,2024-01-02,ann,1,", "2,2024-25-01,ann,1,", "3,2024-28-01,ann,1,", "4,2024-01-28,ann,1,")
    lines = desk.rejected()
    assert [line.split("=")[0] for line in lines] == ["3 day", "4 day"]
    assert all(line.endswith("most such values would parse as %Y-%d-%m: are day and month swapped?") for line in lines)


# what is refused


def test_refused__day_and_month_swapped_throughout(desk):
    """The days up to the twelfth would be loaded with the wrong month, so the file is refused as a whole."""
    desk.orders(*(f"{day},{day:02}.03.2024,ann,1," for day in range(1, 32)))
    message = desk.refused(ORDERS.replace("%Y-%m-%d", "%m.%d.%Y"))
    assert "19 of 31 values do not parse as %m.%d.%Y, 31 would parse as %d.%m.%Y: are day and month swapped?" in message
    assert desk.store.is_empty
    assert len(desk.store.rejects()) == 19 + 7  # and 06.03. to 12.03., read as the third of June and later, lie in the future
    assert desk.store.loads()["is_refused"].tolist() == [True]


def test_refused__a_feed_without_any_good_record_loads_nothing_else(desk):
    desk.orders("1,2024-01-02,ann,ten,", "2,2024-01-02,ann,ten,")
    desk.put("c.csv", "id\nann\n")
    mapping = ORDERS + "  - {table: customers, file: c.csv, columns: {customer_id: id}}\n"
    message = desk.refused(mapping)
    assert "orders.csv: all 2 records for orders were rejected, mostly for net: not a number" in message
    assert desk.store.rejects()["value"].tolist() == ["ten", "ten"]
    desk.orders("1,2024-01-02,ann,10,")
    desk.ingest(mapping)
    assert desk.store.counts()["customers"] == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("orders.csv", "order.csv", "no file 'order.csv'"),
        (
            "ds: day",
            "ds: Day",
            "orders from orders.csv: no column 'Day' (did you mean 'day'?); there are: id, day, customer, net, currency",
        ),
        (", currency: currency", "", "no feed uses the columns 'currency'"),
        ("file: orders.csv", "file: orders.csv\n    delimiter: ;", "The header looks delimited by ',': state delimiter"),
        ('dates: {format: "%Y-%m-%d"}', "", "'day' holds dates as text: state dates.format"),
        ("file: orders.csv", "file: orders.csv\n    constants: {product: x, deal_id: y}\n    known_at: never", "no column 'never'"),
        ("ds: day", "deal_id: day", "orders needs ds"),
        ("feeds:", "exported_at: 2030-01-01\nfeeds:", "is later than now"),
        ("file: orders.csv", "file: orders.csv\n    join: [{file: orders.csv, on: customer}]", "customer 'ann' is in rows 2, 3"),
        (
            "file: orders.csv",
            "file: orders.csv\n    join: [{file: orders.csv, on: id}]",
            "both have the columns currency, customer, day, net",
        ),
        ("file: orders.csv", "file: orders.csv\n    join: [{file: orders.csv, on: nr}]", "join on 'nr'"),
        ("file: orders.csv", "file: orders.csv\n    known_at: exported_at", "exported_at is not stated at the top"),
        (", amount: net, currency: currency}", "}\n    ignore: '*'\n    constants: {amount: x}", "amount: 'x' is no number"),
    ],
)
def test_refused__mapping_and_file_do_not_fit(desk, old, new, message):
    desk.orders("1,2024-01-02,ann,1,", "2,2024-01-02,ann,1,")
    assert message in desk.refused(ORDERS.replace(old, new))
    assert desk.store.is_empty
    assert desk.store.loads().empty


def test_refused__empty_and_latin_1_files(desk):
    desk.put("orders.csv", "id,day,customer,net,currency\n")
    assert "orders.csv: the file is empty" in desk.refused()
    (desk.folder / "orders.csv").write_bytes("id,day,customer,net,currency\n1,2024-01-02,Müller,1,\n".encode("latin-1"))
    assert "byte 43 (0xfc) in line 2" in desk.refused()
    desk.ingest(ORDERS.replace("dates:", "encoding: latin-1, dates:"))
    assert desk.store.snapshot().orders["customer_id"].tolist() == ["Müller"]


def test_refused__two_currencies_without_a_rate(desk):
    desk.orders("1,2024-01-02,ann,1,EUR", "2,2024-01-02,ann,1,USD")
    assert desk.rejected() == ["3 currency=USD: no exchange rate into EUR on or before 2024-01-02"]
    desk.orders("1,2024-01-02,ann,1,USD")
    assert "mostly for currency: no exchange rate into EUR" in desk.refused()


def test_refused__another_currency_than_the_stores(desk):
    desk.orders("1,2024-01-02,ann,1,EUR")
    desk.ingest(ORDERS)
    with pytest.raises(MappingError, match=r"company\.currency is 'USD', but the store's facts are stated in 'EUR'"):
        desk.ingest(ORDERS.replace("EUR", "USD"))
    assert counts(desk.ingest(ORDERS.replace("company: {name: Acme, currency: EUR}", ""))) == [("orders", 1, 0, 0, 1, 0)]


def test_ingest__killed_while_writing_leaves_the_store_as_it_was(desk):
    desk.orders("1,2024-01-02,ann,1,EUR")
    desk.ingest(ORDERS)
    desk.orders("1,2024-01-02,ann,2,EUR", "2,2024-01-02,ann,2,EUR")
    script = """
import os, signal, sys
from pathlib import Path
import pandas as pd
from predictkpi.pipelines.ingest import ingest
from predictkpi.store import Store

def die(what, done, total):
    if what == "writing orders":
        os.kill(os.getpid(), signal.SIGKILL)

folder = Path(sys.argv[1])
store = Store(f"sqlite:///{folder}/store/facts.db")
ingest(store, mapping=folder / "mapping.yaml", source=folder, now=pd.Timestamp("2024-07-01"), on_progress=die)
"""
    killed = subprocess.run([sys.executable, "-c", script, str(desk.folder)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert desk.store.counts()["orders"] == len(desk.store.loads()) == 1
    assert counts(desk.ingest(ORDERS)) == [("orders", 2, 0, 2, 0, 0)]


def test_ingest__no_row_meets_the_conditions(desk):
    desk.orders("1,2024-01-02,ann,1,EUR")
    mapping = ORDERS.replace("file: orders.csv", "file: orders.csv\n    when: {currency: [JPY]}")
    report = desk.ingest(mapping)
    assert counts(report) == [("orders", 1, 1, 0, 0, 0)]
    assert report.warnings == ["orders.csv: no row meets the conditions of `when` for orders"]
