"""One small export through all rules of money and time, to the revenue that comes out.

Berlin books, euros, fiscal year from October. Exported on 15 May 2024, so May is running. Worked out by hand:

======== ============================================================ =======
month    what is in it                                                revenue
======== ============================================================ =======
2024-01  100; 50 USD at 0.9 of 1 January                                  145
2024-02  nothing: a gap inside the books                                    0
2024-03  200; 30 booked at 23:30 UTC on 29 February, Berlin's 1 March     230
2024-04  credit note of 30                                                -30
======== ============================================================ =======
"""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.kpis import get_kpi
from predictkpi.pipelines.ingest import ingest
from predictkpi.store import Store

T = pd.Timestamp
ORDERS = """id,at,customer,net,currency
1,2024-01-10 10:00,a,100,EUR
2,2024-01-20 10:00,a,50,usd
3,2024-02-29 23:30,b,30,EUR
4,2024-03-05 10:00,b,200,
5,2024-04-02 10:00,b,-30,EUR
6,2024-05-03 10:00,a,999,EUR
7,2024-03-03 10:00,a,5,GBP
8,2023-12-31 10:00,a,5,USD
"""
MAPPING = """
company: {currency: EUR, time_zone: Europe/Berlin, fiscal_year_starts: 10}
exported_at: 2024-05-15
defaults: {dates: {format: "%Y-%m-%d %H:%M", time_zone: UTC}}
feeds:
  - table: orders
    file: orders.csv
    columns: {order_id: id, ds: at, customer_id: customer, amount: net, currency: currency}
  - {table: fx_rates, file: rates.csv, columns: {ds: day, currency: code, rate: rate}, dates: {format: "%Y-%m-%d"}}
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("money")
    (folder / "orders.csv").write_text(ORDERS)
    (folder / "rates.csv").write_text("day,code,rate\n2024-01-01,USD,0.9\n2024-02-01,USD,0.5\n")
    (folder / "mapping.yaml").write_text(MAPPING)
    store = Store(f"sqlite:///{folder}/facts.db")
    store.migrate()
    report = ingest(store, mapping=folder / "mapping.yaml", source=folder, now=T("2024-05-16"))
    yield report, store.snapshot()
    store.close()


def revenue(snapshot, freq="M"):
    series = get_kpi("revenue").series(snapshot, freq=freq)
    return dict(zip(series["ds"].dt.strftime("%Y-%m-%d"), series["value"], strict=True))


def test_money__without_a_rate_is_rejected_and_no_later_rate_is_used(loaded):
    found = loaded[0].rejects
    assert list(zip(found["row"], found["reason"], strict=True)) == [
        (8, "no exchange rate into EUR on or before 2024-03-03"),
        (9, "no exchange rate into EUR on or before 2023-12-31"),
    ]


def test_time__closed_months_only_and_a_gap_inside_is_a_true_zero(loaded):
    assert revenue(loaded[1]) == {"2024-01-01": 145.0, "2024-02-01": 0.0, "2024-03-01": 230.0, "2024-04-01": -30.0}


def test_time__quarters_follow_the_fiscal_year(loaded):
    assert revenue(loaded[1], "Q") == {"2024-01-01": 375.0}
    assert revenue(loaded[1].at(T("2024-04-01")), "Y") == {}


def test_time__outside_the_loaded_range_nothing_is_stated(loaded):
    assert revenue(loaded[1].at(T("2024-03-31"))) == {"2024-01-01": 145.0, "2024-02-01": 0.0}
    assert revenue(loaded[1].at(T("2024-01-31"))) == {}


def test_time__an_instant_is_the_companys_own(loaded):
    booked = loaded[1].orders.set_index("order_id")["ds"]
    assert booked["3"] == T("2024-03-01 00:30")
    assert booked["5"] == T("2024-04-02 12:00")
