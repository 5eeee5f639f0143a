"""The page of one customer: its numbers are the API's, and who may not see it is told as little as of one that does not exist."""

from __future__ import annotations

from dataclasses import replace

import pytest
from page_text import page_text

from predictkpi.core import columns as c
from predictkpi.core.access import RowScope
from predictkpi.errors import NoChampionError, UnknownEntityError
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.customer import customer
from predictkpi.service.dashboard.languages import speaking

API = "/v1/customers"
HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def view(served):
    return served.serving.view


@pytest.fixture(scope="module")
def customer_id(get):
    return get(API, sort="rank", limit=1)["items"][0]["customer_id"]


@pytest.fixture(scope="module")
def fresh_id(snapshot):
    """An account without an order."""
    return min(set(snapshot.customers[c.CUSTOMER_ID]) - set(snapshot.orders[c.CUSTOMER_ID]))


@pytest.fixture(scope="module")
def shown(view, customer_id):
    return customer(view, customer_id)


def test_headline_and_horizons__are_the_apis(shown, get, customer_id):
    whole = get(f"{API}/{customer_id}/clv")
    at = {item["horizon"]: item["values"] for item in whole["predictions"]}
    worth = shown.worth
    assert worth.value == f.money(at[12]["mean"], "EUR")
    assert worth.likely == f.between(f.amount(at[12]["q10"]), f.money(at[12]["q90"], "EUR"))
    assert (worth.p_alive, worth.purchases) == (f.percent(at[12]["p_alive"]), f.number(at[12]["expected_purchases"], 1))
    assert (worth.rank, worth.version, worth.reason) == (f.number(whole["rank"]), whole["model"]["version"], whole["reason"])
    assert [row.value for row in worth.horizons] == [f.money(values["mean"], "EUR") for values in at.values()]


@pytest.mark.parametrize("language", ["en", "de"])
def test_reasons__are_the_apis_and_add_up(view, get, customer_id, language):
    told = get(f"{API}/{customer_id}/clv", reasons=True, language=language)["reasons"]
    with speaking(language):
        reasons = customer(view, customer_id).worth.reasons
        assert [row.title for row in reasons.rows] == [reason["title"] for reason in told[1:]]
        assert [row.change for row in reasons.rows] == [f.signed_amount(reason["contribution"]) for reason in told[1:]]
        assert reasons.start == f.money(told[0]["contribution"], "EUR")
        assert reasons.end == f.money(sum(reason["contribution"] for reason in told), "EUR")
    for row, reason in zip(reasons.rows, told[1:], strict=True):
        assert row.tone == ("rise" if reason["contribution"] > 0 else "fall" if reason["contribution"] < 0 else "plain")
        edge = row.left if reason["contribution"] >= 0 else row.left + row.width
        assert edge == pytest.approx(50, abs=0.02), "bars begin in the middle"


def test_value_chart__goes_on_from_what_has_come(shown, get, customer_id):
    facts, whole = get(f"{API}/{customer_id}"), get(f"{API}/{customer_id}/clv")
    points = shown.chart["data"]["values"]
    history, ahead = [point for point in points if "actual" in point], [point for point in points if "actual" not in point]
    assert history[-1]["actual"] == pytest.approx(facts["revenue"])
    assert history[-1]["mean"] == history[-1]["q10"] == pytest.approx(history[-1]["actual"]), "the fan begins where nothing is uncertain"
    assert [point["mean"] - history[-1]["actual"] for point in ahead] == pytest.approx(
        [item["values"]["mean"] for item in whole["predictions"]]
    )
    assert all(point["q10"] <= point["mean"] <= point["q90"] for point in ahead)


def test_orders__are_all_in_the_chart_and_the_newest_in_the_table(shown, snapshot, get, customer_id):
    own = snapshot.orders[snapshot.orders[c.CUSTOMER_ID] == customer_id]
    assert sum(row["revenue"] for row in shown.orders.chart["data"]["values"]) == pytest.approx(own[c.AMOUNT].sum())
    newest = own.sort_values(c.DS, ascending=False).head(20)
    assert sorted(row.order_id for row in shown.orders.rows) == sorted(newest[c.ORDER_ID])
    assert shown.orders.rows[0].day == f.date(newest[c.DS].iloc[0])
    years = get(f"{API}/{customer_id}")["years"]
    assert [(year, revenue) for year, _, revenue, _ in shown.orders.years] == [(str(y["year"]), f.amount(y["revenue"])) for y in years]


def test_page__says_it_all_and_links_to_what_is_behind(served, customer_id, get, shown):
    answer = served.client.get(f"/customers/{customer_id}", headers=HTML)
    assert answer.status_code == 200
    facts = get(f"{API}/{customer_id}")
    assert f"<h1>{facts['label']}" in answer.text
    assert f'href="{API}/{customer_id}"' in answer.text
    assert f"v{shown.worth.version}</b>" in answer.text
    assert all(f'href="/deals/{deal["deal_id"]}"' in answer.text for deal in facts["deals"][:20])


def test_account_without_an_order__is_a_page_too(served, view, fresh_id):
    page = customer(view, fresh_id)
    assert (page.orders, page.has_bought) == (None, False)
    text = served.client.get(f"/customers/{fresh_id}", headers=HTML).text
    assert "No order yet." in text
    assert "Becomes a customer" in text
    assert "chart-orders" not in text
    assert len(page.worth.reasons.rows) == 1


@pytest.mark.parametrize("unknown", ["C-unheard-of", "a/b/c"])
def test_unknown_customer__is_a_404_page(served, unknown):
    answer = served.client.get(f"/customers/{unknown}", headers=HTML)
    assert answer.status_code == 404
    assert "No such customer" in answer.text
    assert unknown in answer.text


def test_customer_of_others__is_as_unknown_as_one_that_is_not(view, snapshot):
    team = snapshot.deals[c.TEAM].value_counts().index[-1]
    narrow = view.within(RowScope("team", frozenset({team})))
    mine, others = narrow.visible["customer"], {*snapshot.customers[c.CUSTOMER_ID]} - narrow.visible["customer"]
    page = customer(narrow, min(mine))
    assert {deal.deal_id for deal in page.deals} <= narrow.visible["deal"]
    assert all(not row.deal_id or row.deal_id in narrow.visible["deal"] for row in (page.orders.rows if page.orders else []))
    with pytest.raises(UnknownEntityError, match="no customer"):
        customer(narrow, min(others))


def test_access_log__says_whose_page_was_seen(guarded):
    narrow = guarded.service.serving.view.within(RowScope("owner", frozenset({guarded.owner})))
    own = min(narrow.visible["customer"])
    other = min(set(guarded.service.serving.view.snapshot.customers[c.CUSTOMER_ID]) - narrow.visible["customer"])
    assert guarded.ask("GET", f"/customers/{own}", "narrow", headers=HTML).status_code == 200
    assert guarded.ask("GET", f"/customers/{other}", "narrow", headers=HTML).status_code == 404
    assert guarded.ask("GET", f"/customers/{own}", "crm", headers=HTML).status_code == 200
    actor = next(key.key_id for key in guarded.store.keys.all() if guarded.keys["narrow"].startswith(key.key_id))
    for subject, status in ((own, 200), (other, 404)):

        def is_told(subject=subject, status=status) -> bool:
            rows = guarded.store.accesses.read(subject=subject, actor=actor)
            return bool(((rows["action"] == "GET /customers/{customer_id}") & (rows["status"] == status)).any())

        guarded.service.until(is_told)


def test_without_a_model__the_page_says_how_to_get_one(view, customer_id):
    absent = NoChampionError("clv: nothing was promoted")
    bare = replace(view, champions={}, missing=dict.fromkeys(view.champions, absent), _pages={})
    page = customer(bare, customer_id)
    assert (page.worth, page.absent, page.chart) == (None, "", None)
    text = page_text("customer.html", page, bare, path=f"/customers/{customer_id}")
    assert "predictkpi train clv" in text
    assert "chart-orders" in text
    assert "chart-value" not in text


def test_customer_outside_the_cohort__is_told_why(view, customer_id, monkeypatch):
    champion = view.champions["clv"]
    rows = champion.table.frame
    table = type(champion.table)(rows[rows[c.ENTITY_ID] != customer_id])
    monkeypatch.setattr(type(champion.predictor), "answer_for", _refuse)
    there = replace(view, champions={**view.champions, "clv": replace(champion, table=table)}, _pages={})
    page = customer(there, customer_id)
    assert (page.worth, page.absent) == (None, "no customer of this cohort")
    assert "no customer of this cohort" in page_text("customer.html", page, there, path=f"/customers/{customer_id}")


def _refuse(self, snapshot, *, entity_ids, horizons=None):
    raise UnknownEntityError("no customer of this cohort")


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme", "language"), [(1440, "light", "en-GB"), (390, "dark", "de-DE")])
def test_page__draws_its_charts_and_does_not_complain(visit, customer_id, fresh_id, width, scheme, language):
    for entity_id in (customer_id, fresh_id):
        seen = visit(f"/customers/{entity_id}", width=width, scheme=scheme, language=language)
        seen.wait_for_charts()
        assert seen.complaints == []
        assert not seen.scrolls_sideways()
        assert seen.page.locator("nav.places a[aria-current=page]").get_attribute("href") == "/customers"
        assert seen.page.locator("h1").count() == 1
        assert seen.hindrances() == []
