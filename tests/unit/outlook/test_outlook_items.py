"""Revenue split by the deal it came from, as seen from past origins."""

from __future__ import annotations

import pandas as pd

from predictkpi.outlook.items import Items, membership, past_split
from toy.books import AS_OF, books, deal, event

FIRST = pd.Timestamp("2024-01-01")


def order(name: str, day: str, amount: float, **more: object) -> dict:
    return {"order_id": name, "ds": pd.Timestamp(f"2024-{day}"), "customer_id": "C1", "amount": amount, "currency": "EUR", **more}


def sold(*orders: dict):
    """Two deals: D1 opened in January and won on 10 March, D2 opened on 5 April and won on 20 April."""
    return books(
        deals=[deal("D1", "01-15", team="North"), deal("D2", "04-05", team="South")],
        deal_events=[
            event("D1", "01-15", "Lead"),
            event("D1", "03-10", "won", amount=50.0),
            event("D2", "04-05", "Lead"),
            event("D2", "04-20", "won", amount=70.0),
        ],
        orders=list(orders),
    )


LINKED = (order("O1", "03-10", 50.0, deal_id="D1"), order("O2", "04-02", 7.0, deal_id="D1"), order("O3", "04-20", 70.0, deal_id="D2"))


def split(snapshot, horizons=3):
    return past_split(Items.of(snapshot), AS_OF, ["total"], horizons=horizons, first=FIRST)


def test_split__a_deal_open_at_the_origin_brings_revenue_from_open_deals():
    found = split(sold(*LINKED))
    march = list(found.origins).index(pd.Timestamp("2024-03-01"))
    assert found.from_open[0, march].tolist() == [50.0, 7.0, 0.0]
    assert found.from_rest[0, march].tolist() == [0.0, 70.0, 0.0]


def test_split__what_comes_after_the_win_is_no_longer_from_open_deals():
    found = split(sold(*LINKED))
    april = list(found.origins).index(pd.Timestamp("2024-04-01"))
    assert found.from_won[0, april, 0] == 7.0
    assert found.from_open[0, april, 0] == 0.0
    assert found.from_rest[0, april, 0] == 70.0, "a deal opened after the origin is not open at it"


def test_split__the_three_add_up_to_the_revenue_of_each_month():
    found = split(sold(*LINKED, order("O4", "05-03", 11.0)))
    for origin, sums in zip(found.origins, (found.from_open + found.from_won + found.from_rest)[0], strict=True):
        for step, value in enumerate(sums):
            month = origin + pd.DateOffset(months=step)
            assert value == {3: 50.0, 4: 77.0, 5: 11.0}.get(month.month if month < AS_OF else 0, 0.0)


def test_split__in_the_middle_of_a_month_only_what_comes_after_counts():
    snapshot = sold(*LINKED).at(pd.Timestamp("2024-06-12"))
    found = past_split(Items.of(snapshot), snapshot.as_of, ["total"], horizons=1, first=FIRST)
    march, april = (list(found.origins).index(pd.Timestamp(f"2024-0{month}-12")) for month in (3, 4))
    assert found.from_open[0, march, 0] == 0.0
    assert (found.from_open + found.from_won + found.from_rest)[0, april, 0] == 70.0


def test_items__orders_that_name_no_deal_are_told_apart_by_the_wins():
    items = Items.of(sold(*(row | {"deal_id": None} for row in LINKED)))
    assert not items.is_linked
    assert items.frame["amount"].sum() == 127.0, "revenue stays what it was"
    found = past_split(items, AS_OF, ["total"], horizons=2, first=FIRST)
    march = list(found.origins).index(pd.Timestamp("2024-03-01"))
    assert found.from_open[0, march].tolist() == [50.0, 0.0]


def test_membership__every_row_counts_once_in_each_dimension():
    rows = Items.of(sold(*LINKED, order("O4", "05-03", 11.0))).frame
    scopes = ["total", "team=North", "team=South", "team=unknown"]
    belongs = membership(rows, scopes)
    assert belongs[0].all()
    assert (belongs[1:].sum(axis=0) == 1).all()


def test_split__counts_an_order_from_when_it_was_recorded():
    """Booked on 28 March and recorded on 3 April: seen from 1 April it is still to come, in March."""
    late = order("O5", "03-28", 9.0, known_at=pd.Timestamp("2024-04-03"))
    found = split(sold(*LINKED, late))
    march, april = (list(found.origins).index(pd.Timestamp(f"2024-0{month}-01")) for month in (3, 4))
    assert found.from_rest[0, march, 0] == 9.0
    mid = past_split(
        Items.of(sold(*LINKED, late).at(pd.Timestamp("2024-06-30"))), pd.Timestamp("2024-06-30"), ["total"], horizons=1, first=FIRST
    )
    assert mid.from_rest[0, list(mid.origins).index(pd.Timestamp("2024-03-30")), 0] == 9.0
    assert found.from_rest[0, april, 0] == 70.0


def test_items__of_a_company_that_has_won_no_deal_are_all_without_one():
    snapshot = books(
        deals=[deal("D1", "01-15")],
        deal_events=[event("D1", "01-15", "Lead", amount=10.0)],
        orders=[order("O1", "03-10", 50.0), order("O2", "04-10", 30.0)],
    )
    found = split(snapshot)
    assert not found.from_open.any()
    assert found.from_rest[0].sum() > 0
    assert Items.of(books(orders=[order("O1", "03-10", 50.0)])).frame["amount"].tolist() == [50.0]
