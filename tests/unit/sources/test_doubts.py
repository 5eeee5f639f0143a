"""What an ingest loads and yet warns of, and values that lie out of every range."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.errors import MappingError, PredictKpiError, SourceError
from predictkpi.pipelines.ingest import ingest
from predictkpi.store import Store

NOW = pd.Timestamp("2024-06-01 12:00")
ORDERS = """
defaults: {dates: {format: "%Y-%m-%d"}}
feeds:
  - {table: orders, file: orders.csv, columns: {order_id: id, ds: day, customer_id: customer, amount: net, currency: currency}}
"""
DEALS = """
defaults: {dates: {format: "%Y-%m-%d %H:%M", time_zone: America/New_York}}
company: {time_zone: Europe/Berlin}
feeds:
  - {table: deals, file: events.csv, unique: first, columns: {deal_id: id}, ignore: "*"}
  - {table: deal_events, file: events.csv, columns: {deal_id: id, ds: day, stage: stage, amount: amount, expected_close_on: close}}
"""


@pytest.fixture
def load(tmp_path):
    """``load(mapping, name=text, ...)``: an ingest of these CSV files into the test's one store."""
    store = Store(f"sqlite:///{tmp_path}/facts.db")
    store.migrate()

    def load(mapping, *, now=NOW, **files):
        for name, text in files.items():
            (tmp_path / f"{name}.csv").write_text(text)
        (tmp_path / "mapping.yaml").write_text(mapping)
        return ingest(store, mapping=tmp_path / "mapping.yaml", source=tmp_path, now=now)

    load.store = store
    yield load
    store.close()


def orders(*lines: str) -> str:
    return "\n".join(["id,day,customer,net,currency", *lines]) + "\n"


def events(*lines: str) -> str:
    return "\n".join(["id,day,stage,amount,close", *lines]) + "\n"


def reasons(report) -> list[str]:
    return [f"{row.field}={row.value}: {row.reason}" for row in report.rejects.itertuples()]


def test_rejects__instants_that_no_calendar_of_ours_holds(load):
    report = load(
        DEALS,
        events=events(
            "a,2024-01-02 10:00,won,1,2024-03-01 00:00",
            "a,2024-01-03 10:00,lost,1,9999-12-31 23:00",
            "a,0214-01-03 10:00,open,1,",
            "a,2024-01-04 10:00,open,1,2261-12-31 17:59",
            "a,2024-01-05 10:00,open,1,2261-12-31 18:00",
        ),
    )
    assert [line.split(":")[0] for line in reasons(report)] == ["close=9999-12-31 23", "day=0214-01-03 10", "close=2261-12-31 18"]
    assert all("date out of range: not within 1900-01-01 to 2261-12-31" in line for line in reasons(report))
    assert load.store.snapshot().deal_events["expected_close_on"].max() == pd.Timestamp("2261-12-31 23:59")


@pytest.mark.parametrize(
    ("constant", "message"),
    [
        ("amount: inf", "number out of range"),
        ("amount: nan", "number out of range"),
        ("amount: 1e15", "number out of range"),
        ("ds: 0214-01-01", "date out of range"),
        ("ds: 9999-12-31", "date out of range"),
    ],
)
def test_refused__constants_out_of_range(load, constant, message):
    name = constant.split(":")[0]
    mapped = {"amount": ", amount: net", "ds": " ds: day,"}[name]
    mapping = ORDERS.replace(mapped, "").replace("file: orders.csv,", f"file: orders.csv, ignore: '*', constants: {{{constant}}},")
    with pytest.raises(MappingError, match=message):
        load(mapping, orders=orders("1,2024-01-02,ann,1,"))


def test_rejects__numbers_too_large_before_or_after_conversion(load):
    mapping = ORDERS + "  - {table: fx_rates, file: rates.csv, columns: {ds: day, currency: code, rate: rate}}\n"
    lines = ["1,2024-01-02,ann,1e200,", "2,2024-01-02,ann,-1e15,", "3,2024-01-02,ann,1e10,USD", "4,2024-01-02,ann,1e4,usd"]
    report = load(mapping, orders=orders(*lines), rates="day,code,rate\n2024-01-01,usd,1e10\n2024-01-01,GBP,1e300\n")
    assert sorted(reasons(report)) == [
        "amount=1e+20: number out of range once in EUR: not below 1e+15",
        "net=-1e15: number out of range: not below 1e+15",
        "net=1e200: number out of range: not below 1e+15",
        "rate=1e300: number out of range: not below 1e+15",
    ]
    assert load.store.snapshot().orders["amount"].tolist() == [1e14]


def test_warns__of_a_lonely_first_fact(load):
    lines = [f"{number},2024-01-{number % 28 + 1:02},ann,1," for number in range(150)]
    assert load(ORDERS, orders=orders(*lines)).warnings == []
    (warning,) = load(ORDERS, orders=orders(*lines, "x,1924-01-02,ann,1,")).warnings
    assert "orders: the first ds is 1924-01-02, but 99 % are from 2024-01-01 on" in warning


def test_warns__of_stages_that_are_not_spelt_as_closed(load):
    lines = ["a,2024-01-02 10:00,Closed Won,1,", "b,2024-01-02 10:00,Neu,1,"]
    warnings = load(DEALS, events=events(*lines)).warnings
    assert warnings == [
        "deal_events: no deal has ever the stage 'won' or 'lost'; stages found: 'Closed Won', 'Neu'; map them under values",
        "deal_events: 'Closed Won' count as open, for only 'won' and 'lost' are closed; "
        "stages found: 'Closed Won', 'Neu'; map them under values",
    ]
    lines = ["c,2024-01-02 10:00,won,1,", "d,2024-01-02 10:00,lost,1,"]
    assert load(DEALS, events=events(*lines)).warnings == []
    assert load(DEALS, events=events("e,2024-05-30 10:00,Neu,1,")).warnings == []  # the store has won and lost ones


def test_warns__of_value_keys_that_the_file_does_not_have(load):
    mapping = ORDERS.replace("file: orders.csv,", "file: orders.csv, values: {currency: {Euro: EUR, dollar: USD}},")
    report = load(mapping, orders=orders("1,2024-01-02,ann,1,euro", "2,2024-01-02,ann,1,Euro", "3,2024-01-02,ann,1,"))
    assert report.warnings == ["orders.csv: currency: values names 'dollar', which the file does not have"]


def test_warns__of_old_facts_learnt_from_a_later_load(load):
    load(ORDERS, orders=orders("1,2024-01-02,ann,1,"))
    old = orders(*(f"o{number},2024-02-{number + 1:02},ann,1," for number in range(10)))
    (warning,) = load(ORDERS, orders=old).warnings
    assert "orders: 10 new rows happened more than 31 days before they count as known" in warning
    assert "known_at" in warning
    assert "exported_at" in warning


@pytest.mark.parametrize("stated", ["exported_at", "known_at", "recent"])
def test_warns_not__of_facts_whose_time_of_knowing_is_stated(load, stated):
    load(ORDERS, orders=orders("1,2024-01-02,ann,1,"))
    month = "05" if stated == "recent" else "02"
    later = orders(*(f"o{number},2024-{month}-{number + 10:02},ann,1," for number in range(10)))
    mapping = ORDERS + "exported_at: 2024-05-01\n" if stated == "exported_at" else ORDERS
    mapping = mapping.replace("file: orders.csv,", "file: orders.csv, known_at: day,") if stated == "known_at" else mapping
    assert load(mapping, orders=later).warnings == []


def test_warns__of_a_load_that_changes_much(load):
    load(ORDERS, orders=orders(*(f"{number},2024-01-02,ann,1," for number in range(10))))
    changed = [f"{number},2024-01-02,ann,2," for number in range(10)]
    assert load(ORDERS, orders=orders(*changed[:2])).warnings == []
    (warning,) = load(ORDERS, now=NOW + pd.Timedelta(days=1), orders=orders(*changed)).warnings
    assert "orders: 8 of 10 stored rows are changed by this load" in warning
    assert "delete the database" in warning


def test_refused__day_and_month_swapped_but_for_an_odd_cell(load):
    lines = [f"{day},{day:02}.03.2024,ann,1," for day in range(1, 32)]
    with pytest.raises(SourceError, match=r"20 of 32 values do not parse as %m\.%d\.%Y, 31 would parse as %d\.%m\.%Y"):
        load(ORDERS.replace("%Y-%m-%d", "%m.%d.%Y"), orders=orders(*lines, "x,n/a,ann,1,"))
    assert load.store.is_empty


def test_refused__nothing_good_names_an_example(load):
    with pytest.raises(PredictKpiError, match=r"mostly for net: not a number .*; an example: 'ten'"):
        load(ORDERS, orders=orders("1,2024-01-02,ann,ten,", "2,2024-01-02,ann,ten,"))
