"""The page at /customers: its numbers are the API's, its filters and sorts do what they say, and nobody sees more than their rows."""

from __future__ import annotations

import io
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest
from page_text import page_text

from predictkpi.core import columns as c
from predictkpi.core.access import RowScope
from predictkpi.errors import NoChampionError
from predictkpi.service.customer_rows import customer_rows
from predictkpi.service.customer_totals import range_of
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.customers import Asked, customers
from predictkpi.service.dashboard.customers.asked import checked, kept_of, sorts_of
from predictkpi.service.dashboard.customers.export import FORMULA, as_csv
from predictkpi.service.dashboard.customers.listing import PAGE_SIZE, listing
from predictkpi.service.dashboard.languages import speaking
from predictkpi.service.problems import InvalidRequestError

PAGE, API = "/customers", "/v1/customers"
HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def view(served):
    return served.serving.view


@pytest.fixture(scope="module")
def html(served):
    def html(**asked):
        answer = served.client.get(PAGE, params=asked, headers=HTML)
        assert answer.status_code == 200, answer.text
        return answer.text

    return html


def read(view, **asked) -> pd.DataFrame:
    """The whole list as its CSV has it."""
    return pd.read_csv(io.StringIO(as_csv(view, Asked(**asked))))


def fact(shown, title):
    return next(fact for fact in shown.facts if fact.title == title)


def test_list__is_the_apis(view, get, html):
    found = get(API, sort="-mean", limit=PAGE_SIZE)
    shown = listing(view, Asked())
    assert [row.customer_id for row in shown.rows] == [item["customer_id"] for item in found["items"]]
    for row, item in zip(shown.rows, found["items"], strict=True):
        told = item["prediction"]
        assert (row.name, row.rank, row.last_order) == (item["label"], f.number(told["rank"]), f.date(pd.Timestamp(item["last_order_at"])))
        assert (row.value, row.p_alive) == (f.amount(told["mean"]), f.percent(told["p_alive"]))
        assert row.value_range == f.between(f.amount(told["q10"]), f.amount(told["q90"]))
        assert row.purchases == f.number(told["expected_purchases"], 1)
    text = html()
    assert shown.paging.told in text
    assert f'href="/customers/{shown.rows[0].customer_id}"' in text


@pytest.mark.parametrize("horizon", [3, 24])
def test_horizon__shows_its_own_values_under_the_same_ranks(view, get, horizon):
    row = listing(view, Asked(horizon=horizon)).rows[0]
    whole = get(f"{API}/{row.customer_id}/clv")
    values = next(item for item in whole["predictions"] if item["horizon"] == horizon)["values"]
    assert (row.value, row.purchases) == (f.amount(values["mean"]), f.number(values["expected_purchases"], 1))
    assert row.rank == f.number(whole["rank"])


@pytest.mark.parametrize("horizon", [6, 12])
def test_total__and_its_range_are_the_apis_for_any_filter(view, get, horizon):
    rows = customer_rows(view, horizon)
    segment, channel = (str(pd.Series(rows.columns[name]).value_counts().index[0]) for name in (c.SEGMENT, c.CHANNEL))
    for wanted in ({}, {"segment": segment}, {"segment": segment, "channel": channel}):
        asked = checked(view, Asked(horizon=horizon, **wanted))
        (value,) = get(f"{API}/value", horizon=horizon, **wanted)["total"]["values"]
        spread = range_of(view, rows, kept_of(view, rows, asked), horizon)
        assert spread == pytest.approx({name: value["revenue"][name] for name in spread})
        shown = fact(listing(view, asked), f"Value, {horizon} months")
        assert shown.value == f.money(value["revenue"]["mean"], "EUR")
        assert f.between(f.amount(spread["q10"]), f.money(spread["q90"], "EUR")) in shown.note


def test_shares_of_the_best__add_up_the_values_from_the_top(view):
    values = read(view)["mean"].sort_values(ascending=False).to_numpy()
    shown = listing(view, Asked())
    tenth, fifth = (values[: -(-len(values) * share // 100)].sum() / values.sum() for share in (10, 20))
    assert fact(shown, "The best 10% bring").value == f.percent(tenth)
    assert f.percent(fifth) in fact(shown, "The best 10% bring").note
    curve = shown.concentration.chart["data"]["values"]
    assert (curve[0]["share"], curve[-1]["share"]) == (0.0, 1.0)
    assert next(point["share"] for point in curve if point["customers"] >= 0.5) == pytest.approx(
        values[: len(values) // 2].sum() / values.sum(), abs=0.01
    )


def test_sorts__bring_everybody_in_their_order(view, snapshot):
    assert sorts_of(view)[0] == "value"
    everybody = {*snapshot.customers[c.CUSTOMER_ID], *snapshot.orders[c.CUSTOMER_ID]}
    for sort in sorts_of(view):
        found = read(view, sort=sort)
        assert set(found["customer_id"]) == everybody
    at_risk = read(view, sort="at_risk")["at_risk"]
    known = at_risk.dropna()
    assert known.is_monotonic_decreasing
    assert at_risk[: len(known)].notna().all(), "who has not bought cannot be lost, and comes last"
    found = read(view, sort="at_risk").dropna(subset="at_risk")
    assert (found["mean"] * (1 - found["p_alive"])).to_numpy() == pytest.approx(found["at_risk"].to_numpy())
    assert read(view, sort="silent")["last_order_at"].dropna().is_monotonic_increasing
    bought = read(view, sort="p_alive")
    assert bought.loc[bought["orders"] > 0, "p_alive"].is_monotonic_increasing


def test_filters__keep_who_fits_and_offer_what_there_is(view, snapshot):
    segment = snapshot.customers[c.SEGMENT].dropna().iloc[0]
    found = read(view, segment=segment)
    assert set(found["segment"]) == {segment}
    assert len(found) == (snapshot.customers[c.SEGMENT] == segment).sum()
    options = listing(view, Asked(segment=segment)).options
    assert [option.value for option in options["segment"] if option.is_chosen] == [segment]
    assert {option.value for option in options["segment"]} - {"", "(none)"} == set(snapshot.customers[c.SEGMENT].dropna())
    assert [option.value for option in options["horizon"]] == ["3", "6", "12", "24"]


def test_search__finds_by_part_of_name_or_id_and_says_when_nobody_fits(view, html):
    first = listing(view, Asked(sort="name")).rows[0]
    for text in (first.customer_id.lower(), first.name.upper()):
        assert first.customer_id in set(read(view, q=text)["customer_id"])
    one = listing(view, Asked(q=first.customer_id))
    assert "80 % range" not in fact(one, "Value, 12 months").note, "a search has no joint range"
    text = html(q="nobody is called this")
    assert "No customer fits." in text
    assert "chart-concentration" not in text
    assert 'value="nobody is called this"' in text


def test_pages__lead_through_the_list_and_keep_the_filters(view, html):
    first = listing(view, Asked(sort="name"))
    assert first.paging.previous == ""
    assert parse_qs(urlsplit(first.paging.next).query) == {"sort": ["name"], "page": ["2"]}
    second = listing(view, Asked(sort="name", page=2))
    assert not {row.customer_id for row in first.rows} & {row.customer_id for row in second.rows}
    assert "page=" not in second.paging.previous
    assert listing(view, Asked(page=1000)).paging.next == "", "behind the last page is the last page"
    assert 'rel="next"' in html(sort="name")


@pytest.mark.parametrize(
    ("asked", "known"), [({"sort": "weight"}, "at_risk"), ({"horizon": 7}, "24"), ({"segment": "Nobody"}, "SMB"), ({"page": 0}, "page")]
)
def test_unknown_value__is_a_page_that_names_what_there_is(served, asked, known):
    answer = served.client.get(PAGE, params=asked, headers=HTML)
    assert answer.status_code == 422
    assert "<html" in answer.text
    assert next(iter(asked)) in answer.text
    assert known in answer.text


def test_channels__are_the_apis_beside_the_line_at_three(view, get):
    found = get("/v1/channels/value")
    shown = customers(view, Asked(), with_company=True).company.channels
    for row, item in zip(shown.rows, [*found["channels"], found["total"]], strict=True):
        ratio = item["ltv_to_cac_24"]
        assert row.customers == f.number(item["customers"])
        assert row.cac == f.amount(item["cac"])
        if ratio is None:
            assert (row.ratio, row.bar, row.verdict) == (f.MISSING, None, "")
            assert row in shown.thin
            continue
        assert row.ratio == f.number(ratio["mean"], 1)
        assert row.verdict == ("above" if ratio["q10"] >= 3 else "below" if ratio["q90"] < 3 else "open")
        assert row.bar["left"] <= row.bar["middle"] <= row.bar["left"] + row.bar["width"]
        assert (row.bar["left"] >= shown.aim_at) == (ratio["q10"] >= 3)
    assert [row.is_total for row in shown.rows].count(True) == 1


def test_cohorts__end_in_the_kpi_and_grow(view, get):
    points = get("/v1/kpis/clv_realised", freq="Q")["series"][0]["points"]
    shown = customers(view, Asked(), with_company=True).company.cohorts
    told = {f.quarter(pd.Timestamp(point["ds"]), view.company.fiscal_year_starts): point for point in points}
    for row in shown.rows:
        assert row.to_date == f.amount(told[row.name]["value"])
        assert row.customers == f.number(told[row.name]["n"])
        assert len(row.values) == len(row.active) == len(shown.ages)
    reached = [sum(cell is not None for cell in row.values) for row in shown.rows]
    assert reached == sorted(reached, reverse=True), "younger cohorts have reached fewer ages"
    assert all(0 <= cell.heat <= 60 for row in shown.rows for cell in row.values if cell)


def test_csv__is_the_list_in_plain_numbers(served, view, get):
    answer = served.client.get("/customers.csv", params={"sort": "value", "horizon": 12})
    assert answer.headers["content-type"].startswith("text/csv")
    assert f"customers-{view.as_of:%Y-%m-%d}-12-months.csv" in answer.headers["content-disposition"]
    table = pd.read_csv(io.StringIO(answer.text))
    items = get(API, sort="-mean", limit=20)["items"]
    assert list(table["customer_id"][:20]) == [item["customer_id"] for item in items]
    for name in ("mean", "q10", "q90", "p_alive", "rank"):
        assert list(table[name][:20]) == pytest.approx([item["prediction"][name] for item in items])
    assert set(table["as_of"]) == {view.as_of.isoformat()}
    assert set(table["currency"]) == {"EUR"}


def test_csv__holds_no_formula(view):
    customer_id = listing(view, Asked()).rows[0].customer_id
    named = view.snapshot.customers.assign(name=lambda rows: rows[c.NAME].mask(rows[c.CUSTOMER_ID] == customer_id, '=HYPERLINK("x")'))
    rows = customer_rows(view)
    names = rows.columns["label"].copy()
    names[rows.place(customer_id)] = named.loc[named[c.CUSTOMER_ID] == customer_id, c.NAME].iloc[0]
    doctored = replace(rows, columns=rows.columns.with_columns({"label": names}), _orders={})
    table = read(replace(view, _pages={**view._pages, "customer-rows 12": doctored}))
    assert table.set_index("customer_id").at[customer_id, "label"] == '\'=HYPERLINK("x")'
    assert not table["label"].str.startswith(FORMULA).any()


def test_rows_of_a_team__are_all_that_it_sees(view, snapshot):
    team = snapshot.deals[c.TEAM].value_counts().index[-1]
    narrow = view.within(RowScope("team", frozenset({team})))
    found = read(narrow)
    assert set(found["customer_id"]) == narrow.visible["customer"]
    assert 0 < len(found) < len(snapshot.customers)
    shown = listing(narrow, Asked())
    assert fact(shown, "Customers").value == f.number(len(found))
    assert fact(shown, "Value, 12 months").value == f.money(found["mean"].sum(), "EUR")
    assert "80 % range of the sum" in fact(shown, "Value, 12 months").note
    segments = {option.value for option in shown.options["segment"]} - {"", "(none)"}
    assert segments == set(found["segment"].dropna())
    with pytest.raises(InvalidRequestError, match="no region named"):
        listing(narrow, Asked(region="elsewhere"))


def test_roles__see_what_is_theirs(guarded):
    company_wide = ("channels-title", "cohorts-title")
    for key, sees_company in (("viewer", True), ("manager", True), ("crm", False), ("narrow", False)):
        text = guarded.ask("GET", PAGE, key, headers=HTML).text
        assert all((f'id="{part}"' in text) == sees_company for part in company_wide), key
        assert 'id="customers-list"' in text
    everybody, own = (
        pd.read_csv(io.StringIO(guarded.ask("GET", "/customers.csv", key).text))["customer_id"] for key in ("viewer", "narrow")
    )
    assert set(own) < set(everybody)
    narrow = guarded.service.serving.view.within(RowScope("owner", frozenset({guarded.owner})))
    assert set(own) == narrow.visible["customer"]
    assert guarded.ask("GET", PAGE, None).status_code == 401


def test_totals__are_for_who_may_see_the_company_s_numbers_or_their_own_rows(guarded):
    assert guarded.ask("GET", f"{API}/value", "crm").status_code == 403
    for key, sees_totals in (("viewer", True), ("crm", False), ("narrow", True)):
        for asked in ({}, {"horizon": 24, "q": "a"}):
            text = guarded.ask("GET", PAGE, key, headers=HTML, params=asked).text
            assert '<p class="tile-title">Customers</p>' in text
            totals = ('<p class="tile-title">Value,', '<p class="tile-title">At risk</p>', "The best 10% bring", 'id="concentration-title"')
            assert [part in text for part in totals] == [sees_totals] * 4, key


def test_without_a_model__totals_are_kept_back_alike(view):
    bare = replace(view, champions={}, missing=dict.fromkeys(view.champions, NoChampionError("nothing was promoted")), _pages={})
    with speaking("en"):
        assert [fact.title for fact in customers(bare, Asked(), with_company=False).listing.facts] == ["Customers"]
        assert len(customers(bare, Asked(), with_company=True).listing.facts) == 2


def test_without_a_model__customers_are_listed_by_what_they_have_brought(view):
    absent = NoChampionError("nothing was promoted")
    bare = replace(view, champions={}, missing=dict.fromkeys(view.champions, absent), _pages={})
    with speaking("en"):
        page = customers(bare, Asked(), with_company=True)
    assert page.listing.options["sort"][0].value == "revenue"
    assert page.listing.concentration is None
    assert page.company.channels is None
    text = page_text("customers.html", page, bare, path=PAGE)
    assert "predictkpi train clv" in text
    assert "Net revenue so far" in text
    assert 'class="meter"' not in text
    with pytest.raises(InvalidRequestError, match="revenue"):
        listing(bare, Asked(sort="value"))


def test_page__in_german(view):
    with speaking("de"):
        page = customers(replace(view, _pages={**view._pages}), Asked(), with_company=True)
        text = page_text("customers.html", page, view, language="de", path=PAGE)
    assert "LTV:CAC nach Kanal" in text
    assert "1 bis 50 von" in text


@pytest.mark.browser
def test_filter__changes_rows_and_address_without_a_reload(visit, view):
    seen = visit(PAGE)
    seen.wait_for_charts()
    page = seen.page
    page.evaluate("window.isTheSamePage = true")
    segment = listing(view, Asked()).options["segment"][1].value
    page.select_option("select[name=segment]", segment)
    page.locator(f"#customers-list a[href*='segment={segment}']").wait_for()
    assert page.url.endswith(f"segment={segment}&horizon=12&sort=value")
    assert set(page.locator("#customers tbody td:nth-child(3)").all_inner_texts()) == {segment}
    told = f.number((pd.Series(customer_rows(view).columns[c.SEGMENT]) == segment).sum())
    assert page.locator("#customers-gist .number").first.inner_text() == told
    page.locator("figure[data-chart=concentration][data-drawn]").wait_for()
    assert page.evaluate("window.isTheSamePage")
    page.fill("input[name=q]", "nobody is called this")
    page.locator("#customers-list", has_text="No customer fits.").wait_for()
    assert seen.complaints == []
