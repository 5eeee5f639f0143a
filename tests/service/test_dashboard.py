"""The dashboard as it leaves the server."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from markupsafe import escape
from page_text import overview_text, page_text

from predictkpi.core import columns as c
from predictkpi.errors import NoChampionError
from predictkpi.kpis.attainment import Bands
from predictkpi.pipelines.alerts import AlertRule
from predictkpi.predictors import predictor_names
from predictkpi.service.dashboard import charts
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.kpi_words import Alerts, alerts_by_kpi
from predictkpi.service.dashboard.languages import speaking
from predictkpi.service.dashboard.overview import overview
from predictkpi.service.dashboard.render import code_marks
from predictkpi.service.dashboard.site import model_chip
from predictkpi.service.kpi_answers import Rules
from predictkpi.service.lookout import Lookout
from predictkpi.service.view import View
from predictkpi.snapshot import MemoryFacts, Snapshot


@pytest.fixture(scope="module")
def page(served):
    answer = served.client.get("/")
    assert answer.status_code == 200
    return answer


@pytest.fixture(scope="module")
def shown(served):
    return overview(served.serving.view)


def test_page__names_company_date_and_models(served, page, company, snapshot):
    assert company.company.name in page.text
    assert f.date(snapshot.as_of) in page.text
    chips = [model_chip(served.serving.view, name) for name in predictor_names()]
    assert [chip.predictor for chip in chips] == ["revenue", "clv", "close_time"]
    for chip in chips:
        assert chip.title in page.text


def test_page__says_first_whether_the_number_will_be_made_and_leads_on(page, shown):
    order = ["number-title", "kpi-1", "forecast-title", "deals-title", "customers-title", "trust-title"]
    places = [page.text.index(f'id="{name}"') for name in order]
    assert places == sorted(places)
    for address in ("/forecast", "/pipeline", "/customers", "/trust", "/kpis/revenue", "/kpis/cac", shown.deals.rows[0].href):
        assert f'href="{address}"' in page.text


def test_page__in_german_is_german(served):
    text = served.client.get("/", headers={"Accept-Language": "de"}).text
    for words in ("Erreichen wir das Ziel?", "Wertvollste Kunden", "Dieses Quartal", "Mio. EUR", "Umsatzprognose"):
        assert words in text
    for words in ("expected", "Chance to", "on the year before", "Target"):
        assert f">{words}" not in text


def test_page__loads_only_from_itself(page):
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page.text)
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_cards__agree_with_the_api(shown, get):
    kpis = {item["name"]: item for item in get("/v1/kpis")["items"]}
    revenue, cac, clv, cycle = shown.cards
    assert revenue.value == f.money(kpis["revenue"]["latest"]["value"], "EUR")
    assert cac.value == f.money(kpis["cac"]["latest"]["value"], "EUR")
    assert cycle.value == f.days(kpis["sales_cycle_median"]["latest"]["value"])
    assert "customers" in clv.note
    assert revenue.aim.target == f.money(kpis["revenue"]["latest"]["target"], "EUR")
    (standing,) = [
        item
        for item in get("/v1/targets", kpi="revenue", scope="total", freq="M")["items"]
        if item["ds"] == kpis["revenue"]["latest"]["ds"]
    ]
    assert (revenue.aim.light, revenue.aim.share) == (standing["light"], f.percent(standing["attainment"]))
    assert all(card.spark for card in shown.cards)


def test_cards__tell_of_the_alerts_that_the_api_tells_of(served, shown, get):
    names = [card.name for card in shown.cards]
    assert names == ["revenue", "cac", "clv_realised", "sales_cycle_median"]
    alerts = alerts_by_kpi(served.serving.view, names, AlertRule(), Lookout())
    for name in names:
        items = get(f"/v1/kpis/{name}/alerts", periods=1)["items"]
        assert (alerts[name].state, len(alerts[name].notes)) == ("known", len(items))
    touchy = AlertRule(level=0.5, quarter_level=0.5)
    fresh = replace(served.serving.view, _pages={}, _series={})
    found = alerts_by_kpi(fresh, ["revenue"], touchy, Lookout(), periods=3)
    notes = found["revenue"].notes
    assert notes, "at one half something is always outside"
    with speaking("en"):
        text = page_text("overview.html", replace(shown, alerts=found), fresh)
    assert str(escape(notes[0].text)) in text
    assert "data-again" not in text
    looking = page_text("overview.html", replace(shown, alerts={"revenue": Alerts("looking", [], 0)}), fresh)
    assert 'id="cards" data-again' in looking


def test_cards__take_their_colour_from_the_company_s_bands(served):
    fresh = replace(served.serving.view, _pages={})
    strict = overview(fresh, Rules(bands=Bands(red=1000.0, green=1000.0)))
    assert strict.cards[0].aim.light == "red"
    assert strict.cards[0].aim.verdict == "missed"
    fresh = replace(served.serving.view, _pages={})
    lenient = overview(fresh, Rules(bands=Bands(red=0.001, green=0.001)))
    assert (lenient.cards[0].aim.light, lenient.cards[0].aim.verdict) == ("green", "met")


def test_outlook__draws_history_and_forecast_with_both_bands(shown, get):
    (total,) = get("/v1/forecasts/revenue")["items"]
    rows = shown.outlook.chart["data"]["values"]
    assert [row["kind"] for row in rows] == ["history"] * 24 + ["forecast"] * 12
    assert [row["mean"] for row in rows[24:]] == pytest.approx([item["values"]["mean"] for item in total["predictions"]])
    assert [row["q975"] for row in rows[24:]] == pytest.approx([item["values"]["q975"] for item in total["predictions"]])
    assert len(shown.outlook.growth) == 3
    assert len(shown.outlook.rows) == 12


def test_number__agrees_with_the_api(shown, page, get):
    answer = get("/v1/outlook", period=["this_quarter", "this_year"])
    for period, found in zip(shown.number.periods, answer["items"][0]["periods"], strict=True):
        assert period.expected == f.money(found["expected"], "EUR")
        assert period.chance == f.percent(found["chance"])
        assert period.target == f.money(found["target"], "EUR")
        assert period.needed == f.money(found["needed"], "EUR")
        assert period.gap_tone == ("good" if found["expected"] >= found["target"] else "bad")
        assert (period.pace is None) == (found["pace"] is None)
        assert period.growth == f.signed_percent(found["growth"]["year_before"]["q50"])
        parts = [found["booked"], found["from_deals"]["mean"], found["new"]["mean"]]
        assert [segment.text for segment in period.segments] == [f.amount(value) for value in parts]
        widths = [segment.width for segment in period.segments]
        assert widths[1] / sum(widths) == pytest.approx(parts[1] / sum(parts), rel=0.01)
        assert period.description in page.text
    assert shown.number.verdict == answer["replay"]["verdict"]


def test_number__tells_what_moved_step_by_step_and_by_deal(shown, page, get):
    answer = get("/v1/outlook/moves")
    first, *steps, last = shown.number.moved.chart["data"]["values"]
    assert (first["to"], last["to"]) == (pytest.approx(answer["start"]), pytest.approx(answer["end"]))
    at = first["to"]
    for step in steps:
        assert step["from"] == pytest.approx(at)
        assert (step["kind"] == "rise") == (step["to"] > step["from"])
        at = step["to"]
    assert at == pytest.approx(last["to"])
    assert [deal.name for deal in shown.number.moved.deals] == [deal["label"] for deal in answer["deals"][:5]]
    assert [deal.href for deal in shown.number.moved.deals] == [f"/deals/{deal['deal_id']}" for deal in answer["deals"][:5]]
    assert f'What moved <span class="muted">{shown.number.moved.period}' in page.text


def test_number__without_deals_and_targets_says_so_in_a_sentence(served, company):
    there = served.serving.view
    tables = {name: frame for name, frame in company.tables.items() if name != "targets"}
    absent = {name: NoChampionError(name) for name in ("clv", "close_time")}
    champions = {"revenue": there.champions["revenue"]}
    view = View(Snapshot(MemoryFacts(tables, company.company), there.as_of), champions, absent, there.fingerprint)
    text = overview_text(view)
    assert "Will we make the number?" in text
    assert "No target has been set for it." in text
    assert "Open deals are not predicted" in text
    assert "chart-moved" not in text
    assert "Chance to reach it" not in text


def test_number__without_a_forecast_is_a_sentence(served):
    there = served.serving.view
    absent = {name: NoChampionError(name) for name in ("revenue", "clv", "close_time")}
    text = overview_text(View(there.snapshot, {}, absent, there.fingerprint))
    assert '<p class="none muted">revenue</p>' in text, "the refusal's own words"
    assert "goal-1" not in text


def test_deals__are_ranked_by_amount_times_chance(shown, get, open_deals):
    assert shown.deals.open_count == f.number(len(open_deals))
    assert len(shown.deals.rows) == 5
    first = shown.deals.rows[0]
    last = get(f"/v1/deals/{first.deal_id}/close-time")["predictions"][-1]["values"]
    assert first.p_win == f.percent(last["p_win"])
    assert first.expected == f.amount(last["p_win"] * open_deals.loc[first.deal_id, c.AMOUNT])
    expected = {deal_id: get(f"/v1/deals/{deal_id}/close-time")["predictions"][-1]["values"]["p_win"] for deal_id in open_deals.index[-30:]}
    best = max(value * open_deals.loc[deal_id, c.AMOUNT] for deal_id, value in expected.items())
    assert last["p_win"] * open_deals.loc[first.deal_id, c.AMOUNT] >= best


def test_customers__are_ranked_by_expected_revenue(shown, get):
    values = [get(f"/v1/customers/{row.customer_id}/clv")["predictions"][2]["values"]["mean"] for row in shown.customers.rows]
    assert values == sorted(values, reverse=True)
    assert len(values) == 5


def test_chart_library__is_served_once_compressed_and_for_ever(served, page):
    address = re.search(r'src="(/static/vega\.js\?v=[0-9a-f]+)"', page.text).group(1)
    answer = served.client.get(address, headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert "immutable" in answer.headers["cache-control"]
    assert "vegaEmbed" in answer.text
    assert served.client.get(address, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


def test_static__unknown_file_is_404(served):
    assert served.client.get("/static/../app.py").status_code == 404
    assert served.client.get("/static/secrets.css").status_code == 404


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1_234_567, "1.23\u202fM"),
        (999.6, "1.00\u202fk"),
        (950, "950"),
        (-45_600, "−45.6\u202fk"),
        (0, "0"),
        (2.5e9, "2.50\u202fB"),
        (np.nan, "–"),
        (None, "–"),
    ],
)
def test_amount__keeps_three_digits(value, text):
    assert f.amount(value) == text


def test_percent__is_signed_where_it_is_a_change():
    assert f.percent(0.271) == "27%"
    assert f.signed_percent(0.042) == "+4.2%"
    assert f.signed_percent(-0.042) == "−4.2%"
    assert f.signed_percent(0.0001) == "±0.0%"
    assert f.signed(-3, "days") == "−3 days"


def test_sparkline__skips_gaps_and_needs_two_points():
    assert charts.sparkline([1.0]) is None
    assert charts.sparkline([None, np.nan, 1.0]) is None
    drawn = charts.sparkline([1.0, np.nan, 3.0], width=100, height=20, pad=0)
    assert drawn["line"] == "M0.0 20.0 L100.0 0.0"


def test_interval_bar__stays_on_its_scale():
    assert charts.interval_bar(-1, 0, 1, span=(-2, 2)) == {"left": 25.0, "width": 50.0, "middle": 50.0, "zero": 50.0}
    assert charts.interval_bar(0, 5, 50, span=(0, 10))["width"] == 100.0
    assert charts.interval_bar(np.nan, 0, 1, span=(0, 1)) is None


def test_fan_chart__begins_its_bands_at_the_last_known_month():
    months = pd.date_range("2025-01-01", periods=3, freq="MS")
    history = pd.DataFrame({"ds": months[:2], "value": [1.0, 2.0]})
    forecast = pd.DataFrame({"ds": months[2:], "mean": [3.0], "q025": [1.0], "q10": [2.0], "q90": [4.0], "q975": [5.0]})
    chart = charts.fan_chart(history, forecast, currency="EUR", description="d")
    rows = chart["data"]["values"]
    assert rows[1]["q025"] == rows[1]["q975"] == rows[1]["actual"] == 2.0
    assert "q10" not in rows[0]
    assert json.dumps(chart, allow_nan=False)


def test_waterfall__keeps_its_steps_in_order_and_leaves_room_for_numbers():
    chart = charts.waterfall(100.0, {"new deals": 20.0, "lost": -50.0}, 70.0, currency="EUR", description="d")
    rows = chart["data"]["values"]
    assert [(row["label"], row["kind"], row["from"], row["to"]) for row in rows] == [
        ("a week ago", "level", 100.0, 100.0),
        ("new deals", "rise", 100.0, 120.0),
        ("lost", "fall", 120.0, 70.0),
        ("now", "level", 70.0, 70.0),
    ]
    assert chart["encoding"]["y"]["sort"] == [row["label"] for row in rows]
    low, high = chart["layer"][0]["encoding"]["x"]["scale"]["domain"]
    assert low < 70.0
    assert high > 120.0
    assert json.dumps(charts.waterfall(1.0, {}, 1.0, currency="EUR", description="d"), allow_nan=False)


def test_fiscal_periods__are_named_by_the_year_they_end_in():
    may = pd.Timestamp("2026-05-01")
    assert (f.quarter(may, 1), f.year(may, 1)) == ("Q2 2026", "2026")
    assert (f.quarter(may, 4), f.year(may, 4)) == ("Q1 FY 2027", "FY 2027")


def test_code_marks__escape_what_they_do_not_mark():
    assert code_marks("run `a<b` & go") == "run <code>a&lt;b</code> &amp; go"
    assert code_marks("one ` <only>") == "one ` &lt;only&gt;"
