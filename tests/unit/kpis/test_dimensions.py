"""Each KPI by any dimension of its tables. Two reps, three deals, five orders; the sums are in the tests."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.kpis import get_kpi, kpi_names
from predictkpi.kpis.attainment import attainments
from predictkpi.kpis.base import CUSTOMER_DIMENSIONS, SELLER_DIMENSIONS
from predictkpi.snapshot import Snapshot

OF_TABLES = {
    "orders": (*CUSTOMER_DIMENSIONS, *SELLER_DIMENSIONS, c.PRODUCT),
    "deals": (*CUSTOMER_DIMENSIONS, c.SOURCE, c.PRODUCT, c.REGION, c.TEAM),
    "deal_events": (c.OWNER,),
    "spend": (c.CHANNEL,),
}
"""What tells members apart; the stage of a deal does while it is open."""
STAGED = {"time_in_stage", "stage_conversion", "open_pipeline", "slip_rate"}


@pytest.mark.parametrize("name", kpi_names())
def test_kpi__names_every_dimension_of_its_tables(name):
    kpi = get_kpi(name)
    expected = {dimension for table in kpi.needs if table != "targets" for dimension in OF_TABLES[table]}
    if kpi.counts == "customers":
        expected &= set(CUSTOMER_DIMENSIONS)  # a customer has many products, and may have many reps
    if "spend" in kpi.needs:
        expected &= {c.CHANNEL}
    assert set(kpi.dimensions) == expected | ({c.STAGE} if name in STAGED else set())


@pytest.fixture
def facts(facts_of):
    """Ann won d1 (100) and d3 is Ben's open one; d2 was Ann's and is Ben's since it was won (200)."""
    customers = [{"customer_id": "A", "industry": "steel", "channel": "web"}, {"customer_id": "B", "industry": "food"}]
    deals = [
        {"deal_id": "d1", "customer_id": "A", "created_at": "2023-01-01", "team": "north", "source": "web"},
        {"deal_id": "d2", "customer_id": "B", "created_at": "2023-01-01", "team": "south", "source": "fair"},
        {"deal_id": "d3", "customer_id": "B", "created_at": "2023-01-05", "team": "south"},
    ]
    events = [
        {"deal_id": "d1", "ds": "2023-01-01", "stage": "New", "amount": 100.0, "owner": "ann"},
        {"deal_id": "d1", "ds": "2023-01-11", "stage": "won", "amount": 100.0, "owner": "ann"},
        {"deal_id": "d2", "ds": "2023-01-01", "stage": "New", "amount": 200.0, "owner": "ann"},
        {"deal_id": "d2", "ds": "2023-01-21", "stage": "won", "amount": 200.0, "owner": "ann"},
        {"deal_id": "d2", "ds": "2023-02-15", "stage": "won", "amount": 200.0, "owner": "ben"},
        {"deal_id": "d3", "ds": "2023-01-05", "stage": "New", "amount": 50.0, "owner": "ben", "expected_close_on": "2023-02-10"},
        {"deal_id": "d3", "ds": "2023-02-05", "stage": "Offer", "amount": 60.0, "owner": "ben", "expected_close_on": "2023-02-10"},
    ]
    orders = [
        {"ds": "2023-01-12", "customer_id": "A", "amount": 100.0, "deal_id": "d1"},
        {"ds": "2023-01-22", "customer_id": "B", "amount": 150.0, "deal_id": "d2"},
        {"ds": "2023-01-23", "customer_id": "B", "amount": 50.0, "deal_id": "d2"},
        {"ds": "2023-01-24", "customer_id": "B", "amount": 7.0},
        {"ds": "2023-01-25", "customer_id": "A", "amount": 1.0, "deal_id": "of nobody"},
    ]
    targets = [
        {"kpi": "revenue", "scope": scope, "freq": "M", "ds": "2023-01-01", "value": value, "known_at": "2022-12-01"}
        for scope, value in (("total", 300.0), ("region=unknown", 280.0), ("team=south", 200.0), ("owner=ann", 200.0))
    ]
    return facts_of(customers=customers, deals=deals, deal_events=events, orders=orders, targets=targets)


def by_member(facts, name, by, *, as_of, ds):
    series = get_kpi(name).series(Snapshot(facts, pd.Timestamp(as_of)), by=by)
    found = series[series[c.DS] == pd.Timestamp(ds)].dropna(subset=c.VALUE)
    return dict(zip(found[c.MEMBER], found[c.VALUE], strict=True))


@pytest.mark.parametrize(
    ("by", "as_of", "expected"),
    [
        ("owner", "2023-02-01", {"ann": 300.0, "unknown": 8.0}),
        ("owner", "2023-03-01", {"ann": 100.0, "ben": 200.0, "unknown": 8.0}),  # d2 was handed over in February
        ("team", "2023-02-01", {"north": 100.0, "south": 200.0, "unknown": 8.0}),
        ("source", "2023-02-01", {"web": 100.0, "fair": 200.0, "unknown": 8.0}),
        ("industry", "2023-02-01", {"steel": 101.0, "food": 207.0}),
    ],
)
def test_revenue__by_what_the_deal_of_an_order_tells(facts, by, as_of, expected):
    assert by_member(facts, "revenue", by, as_of=as_of, ds="2023-01-01") == expected


@pytest.mark.parametrize(
    ("name", "by", "ds", "expected"),
    [
        ("open_pipeline", "stage", "2023-01-01", {"New": 50.0, "Offer": 0.0}),
        ("open_pipeline", "stage", "2023-02-01", {"New": 0.0, "Offer": 60.0}),
        ("slip_rate", "stage", "2023-02-01", {"New": 1.0}),
        ("sales_cycle_mean", "industry", "2023-01-01", {"steel": 10.0, "food": 20.0}),
        ("sales_cycle_mean", "channel", "2023-01-01", {"web": 10.0, "unknown": 20.0}),
        ("sales_cycle_mean", "source", "2023-01-01", {"web": 10.0, "fair": 20.0}),
    ],
)
def test_deals__by_stage_and_by_what_their_customer_has(facts, name, by, ds, expected):
    assert by_member(facts, name, by, as_of="2023-03-01", ds=ds) == expected


def test_targets__of_company_region_team_and_owner_are_attained(facts):
    found = attainments(Snapshot(facts, pd.Timestamp("2023-02-01"))).set_index(c.SCOPE)
    assert found["actual"].to_dict() == {"owner=ann": 300.0, "region=unknown": 308.0, "team=south": 200.0, "total": 308.0}
    assert found["light"].to_dict() == dict.fromkeys(found.index, "green")
