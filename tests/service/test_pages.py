"""GET /v1/deals and /v1/customers: every row once, whatever the sort; filters; cursors; what is known of one."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from starlette.requests import Request
from starlette.responses import Response

from predictkpi.core import columns as c
from predictkpi.core.access import RowScope
from predictkpi.errors import UnknownEntityError
from predictkpi.service.api import customer_pages, deal_pages
from predictkpi.service.deal_rows import deal_rows
from predictkpi.service.paging import Rows

DEALS, CUSTOMERS = "/v1/deals", "/v1/customers"


def sorts(module):
    return module.Sort.__args__


def walk(get, path, **asked):
    items, page = [], get(path, **asked)
    while True:
        items += page["items"]
        if page["next"] is None:
            return items
        page = get(path, **asked, cursor=page["next"])


def flat(item):
    return item | (item["prediction"] or {})


def in_order(values, *, descending):
    there = [value for value in values if value is not None]
    assert values[: len(there)] == there, "missing values come last"
    assert there == sorted(there, reverse=descending)


@pytest.mark.parametrize("sort", sorts(deal_pages))
def test_deals__every_sort_shows_each_open_deal_once(get, open_deals, sort):
    items = walk(get, DEALS, sort=sort, limit=60)
    assert sorted(item["deal_id"] for item in items) == sorted(open_deals.index)
    in_order([flat(item).get(sort.removeprefix("-")) for item in items], descending=sort.startswith("-"))


@pytest.mark.parametrize("sort", sorts(customer_pages))
def test_customers__every_sort_shows_each_customer_once(get, snapshot, sort):
    items = walk(get, CUSTOMERS, sort=sort, limit=100)
    assert sorted(item["customer_id"] for item in items) == sorted({*snapshot.customers[c.CUSTOMER_ID], *snapshot.orders[c.CUSTOMER_ID]})
    in_order([flat(item).get(sort.removeprefix("-")) for item in items], descending=sort.startswith("-"))


def test_deal_rows__say_in_short_what_the_whole_answer_says(get, snapshot, open_deals):
    page = get(DEALS, limit=3, sort="-expected_value")
    assert (page["total"], page["model"]["name"], page["reason"]) == (len(open_deals), "close_time", "")
    for row in page["items"]:
        whole = get(f"{DEALS}/{row['deal_id']}/close-time")
        last, by_90 = whole["predictions"][-1], next(item for item in whole["predictions"] if item["horizon"] == 90)
        told = row["prediction"]
        assert told["chance_90"] == by_90["values"]["cif_won"]
        assert {name: told[name] for name in ("p_win", "p_slip", "expected_value")} == pytest.approx(
            {name: last["values"][name] for name in ("p_win", "p_slip", "expected_value")}
        )
        assert {name: told[name] for name in ("close_q10", "close_q50", "close_q90")} == {
            name: last["dates"][name] for name in ("close_q10", "close_q50", "close_q90")
        }
        newest = open_deals.loc[row["deal_id"]]
        assert (row["stage"], row["owner"], row["state"], row["label"]) == (newest[c.STAGE], newest[c.OWNER], "open", whole["label"])


def test_customer_rows__say_in_short_what_the_whole_answer_says(get, snapshot):
    for row in get(CUSTOMERS, limit=2, sort="rank")["items"] + get(CUSTOMERS, limit=2, sort="-rank")["items"]:
        whole = get(f"{CUSTOMERS}/{row['customer_id']}/clv")
        values = next(item for item in whole["predictions"] if item["horizon"] == 12)["values"]
        told = row["prediction"]
        assert {name: told[name] for name in values if name in told} == {name: values[name] for name in values if name in told}
        assert (told["rank"], told["decile"]) == (whole["rank"], whole["decile"])
        own = snapshot.orders[snapshot.orders[c.CUSTOMER_ID] == row["customer_id"]]
        assert (row["orders"], row["revenue"]) == (len(own), pytest.approx(own[c.AMOUNT].sum()))


def test_state__closed_and_all(get, snapshot, open_deals):
    closed, everything = walk(get, DEALS, state="closed", limit=500), walk(get, DEALS, state="all", limit=500)
    assert len(everything) == len(snapshot.deals)
    assert len(closed) == len(everything) - len(open_deals)
    assert {item["state"] for item in closed} == {"won", "lost"}
    assert all(item["prediction"] is None and item["closed_at"] == item["stage_since"] is not None for item in closed)


def test_filters__keep_what_fits_all_of_them(get, open_deals):
    owner = open_deals[c.OWNER].value_counts().index[0]
    stage = open_deals.loc[open_deals[c.OWNER] == owner, c.STAGE].iloc[0]
    both = walk(get, DEALS, owner=owner, stage=stage)
    assert len(both) == ((open_deals[c.OWNER] == owner) & (open_deals[c.STAGE] == stage)).sum() > 0
    assert get(DEALS, owner="Nobody Known")["items"] == []
    rich = walk(get, DEALS, min_amount=20_000, max_amount=60_000, min_chance=0.1)
    assert rich
    assert all(20_000 <= item["amount"] <= 60_000 and item["prediction"]["chance_90"] >= 0.1 for item in rich)
    worth = walk(get, CUSTOMERS, min_value=1000, segment=["SMB", "Enterprise"], limit=500)
    assert worth
    assert all(item["prediction"]["mean"] >= 1000 and item["segment"] in ("SMB", "Enterprise") for item in worth)


def test_link__names_the_next_page(served):
    answer = served.client.get(DEALS, params={"limit": 2, "stage": ["Proposal", "Qualified"], "sort": "-amount"})
    address, _, relation = answer.headers["link"].partition("; ")
    assert relation == 'rel="next"'
    following = served.client.get(address.strip("<>")).json()
    assert urlsplit(address.strip("<>")).path == DEALS
    assert following["items"][0]["amount"] <= answer.json()["items"][-1]["amount"]
    assert "link" not in served.client.get(DEALS, params={"limit": 500}).headers


def cursor(*said):
    return base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("sort", "given"),
    [
        ("deal_id", "no cursor"),
        ("deal_id", "AAAA"),
        ("deal_id", "é"),
        ("deal_id", cursor("deal_id")),
        ("deal_id", cursor("deal_id", 1.5, "D-1")),
        ("deal_id", cursor("deal_id", "D-1", 7)),
        ("deal_id", cursor("-amount", 5.0, "D-1")),
        ("amount", cursor("amount", "five", "D-1")),
        ("amount", cursor("amount", True, "D-1")),
        ("created_at", cursor("created_at", 1e300, "D-1")),
        ("created_at", cursor("created_at", [1], "D-1")),
        ("deal_id", base64.urlsafe_b64encode(b"[" * 2000).decode()),
    ],
)
def test_damaged_cursor__is_422_and_named(problem, sort, given):
    found = problem(422, "GET", DEALS, params={"cursor": given, "sort": sort})
    assert [item["parameter"] for item in found["errors"]] == ["cursor"]


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 501}, {"sort": "weight"}, {"min_chance": 2}, {"state": "gone"}, {"colour": 1}])
def test_wrong_parameter__is_422_and_named(problem, params):
    found = problem(422, "GET", DEALS, params=params)
    assert [item["parameter"] for item in found["errors"]] == list(params)


def test_cursor__goes_on_by_key_in_another_state_of_the_data(served):
    rows = deal_rows(served.serving.view)
    everything = rows.among({})
    for sort in sorts(deal_pages):
        first = rows.page(everything, sort=sort, cursor=None, limit=40)
        # meanwhile: the deal that the page ended with, and every third one, have gone
        gone = everything.copy()
        gone[first.positions[-1]] = False
        gone[::3] = False
        kept = gone.nonzero()[0]
        later = Rows(rows.id_column, rows.columns.take(kept))
        rest, at = [], first.next
        while at is not None:
            page = later.page(later.among({}), sort=sort, cursor=at, limit=300)
            rest += list(later.ids[page.positions])
            at = page.next
        assert sorted([*rows.ids[first.positions], *rest]) == sorted({*rows.ids[first.positions], *later.ids}), sort


def test_one_deal__shows_its_history(get, snapshot, open_deals):
    deal_id = open_deals.index[0]
    found = get(f"{DEALS}/{deal_id}")
    events = snapshot.deal_events[snapshot.deal_events[c.DEAL_ID] == deal_id]
    assert [event["at"] for event in found["events"]] == [at.isoformat() for at in sorted(events[c.DS])]
    assert found["events"][-1]["stage"] == found["stage"] == open_deals.at[deal_id, c.STAGE]
    assert found["prediction"]["chance_90"] is not None
    won = snapshot.deal_events.loc[snapshot.deal_events[c.STAGE] == c.WON, c.DEAL_ID]
    ordered = snapshot.orders[snapshot.orders[c.DEAL_ID].isin(won)]
    told = get(f"{DEALS}/{ordered[c.DEAL_ID].iloc[0]}")
    assert told["state"] == "won"
    assert told["ordered"] == pytest.approx(ordered.loc[ordered[c.DEAL_ID] == ordered[c.DEAL_ID].iloc[0], c.AMOUNT].sum())


def test_one_customer__shows_orders_by_year_and_deals(get, snapshot):
    customer_id = snapshot.orders[c.CUSTOMER_ID].value_counts().index[0]
    found = get(f"{CUSTOMERS}/{customer_id}")
    own = snapshot.orders[snapshot.orders[c.CUSTOMER_ID] == customer_id]
    assert sum(year["orders"] for year in found["years"]) == found["orders"] == len(own)
    assert sum(year["revenue"] for year in found["years"]) == pytest.approx(found["revenue"])
    assert sum(year["refunded"] for year in found["years"]) == pytest.approx(-own.loc[own[c.AMOUNT] < 0, c.AMOUNT].sum())
    assert {deal["deal_id"] for deal in found["deals"]} == set(snapshot.deals.loc[snapshot.deals[c.CUSTOMER_ID] == customer_id, c.DEAL_ID])


@pytest.mark.parametrize("path", [f"{DEALS}/D-unknown", f"{CUSTOMERS}/C-unknown", f"{DEALS}/a/b/c"])
def test_unknown_one__is_404(problem, path):
    assert problem(404, "GET", path)["type"] == "/problems/unknown-entity"


def test_rows_of_others__are_neither_listed_nor_shown(served, snapshot):
    team = snapshot.deals[c.TEAM].value_counts().index[-1]
    view = served.serving.view.within(RowScope("team", frozenset({team})))
    own, other = (snapshot.deals[flags] for flags in (snapshot.deals[c.TEAM] == team, snapshot.deals[c.TEAM] != team))
    request = Request({"type": "http", "path": DEALS, "query_string": b"", "headers": []})

    def listed(module, **asked):
        if module is deal_pages:
            return deal_pages.list_deals(deal_pages.DealsAsked(limit=500, **asked), view, request, Response())
        return customer_pages.list_customers(customer_pages.CustomersAsked(limit=500, **asked), view, request, Response())

    page = listed(deal_pages, state="all")
    assert page.total == len(own)
    assert {item.deal_id for item in page.items} <= set(own[c.DEAL_ID])
    assert listed(deal_pages, state="all", team=[other[c.TEAM].iloc[0]]).total == 0
    assert deal_pages.read_deal(own[c.DEAL_ID].iloc[0], view).team == team
    with pytest.raises(UnknownEntityError, match="no deal"):
        deal_pages.read_deal(other[c.DEAL_ID].iloc[0], view)
    customers = {item.customer_id for item in listed(customer_pages).items}
    assert 0 < len(customers) < len(snapshot.customers)
    for customer_id in sorted(customers)[:5]:
        assert {deal.team for deal in customer_pages.read_customer(customer_id, view).deals} == {team}
    with pytest.raises(UnknownEntityError, match="no customer"):
        customer_pages.read_customer(min(set(snapshot.customers[c.CUSTOMER_ID]) - customers), view)


def test_without_a_model__rows_are_shown_and_say_why_nothing_is_predicted(served):
    view = replace(served.serving.view, champions={}, missing={}, _pages={})
    request = Request({"type": "http", "path": DEALS, "query_string": b"", "headers": []})
    deals = deal_pages.list_deals(deal_pages.DealsAsked(sort="-chance_90"), view, request, Response())
    customers = customer_pages.list_customers(customer_pages.CustomersAsked(sort="rank"), view, request, Response())
    for page in (deals, customers):
        assert page.items
        assert all(item.prediction is None for item in page.items)
        assert (page.model, "no model has been promoted" in page.reason) == (None, True)
