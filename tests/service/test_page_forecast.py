"""The page at /forecast, as a page and as files: the API's numbers, what was said before, what if, and the states it can be in."""

from __future__ import annotations

import io
import json
import re
import struct
import threading
import time
from dataclasses import replace
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
import pytest
from page_text import page_text
from running_service import copy_of

from predictkpi.core import columns as c
from predictkpi.core.types import Role
from predictkpi.errors import NoChampionError, RegistryError, StoreError
from predictkpi.outlook.periods import Periods
from predictkpi.pipelines.open_store import open_registry, open_store
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.forecast import forecast
from predictkpi.service.dashboard.forecast.question import Question
from predictkpi.service.dashboard.languages import speaking
from predictkpi.service.outlooks import periods_of
from predictkpi.service.past_forecasts import past_forecasts
from predictkpi.service.registry_memory import RegistryMemory

PAGE = "/forecast"
HTML = {"Accept": "text/html", "Accept-Language": "en"}


@pytest.fixture(scope="module")
def page(served):
    """GET the page in English; its text."""

    def page(**asked):
        answer = served.client.get(PAGE, params=asked, headers=HTML)
        assert answer.status_code == 200, answer.text
        return answer.text

    return page


@pytest.fixture(scope="module")
def table(served):
    """The view as CSV."""

    def table(**asked):
        answer = served.client.get(f"{PAGE}.csv", params=asked)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        return pd.read_csv(io.StringIO(answer.text), parse_dates=["ds"])

    return table


@pytest.fixture
def shown(served):
    """The context of the page for a view of the test's own."""

    def shown(view=None, serving=None, *, memory=None, language="en", **asked):
        serving = serving or served.serving
        with speaking(language):
            return forecast(view or served.serving.view, serving.store, memory or RegistryMemory(serving.registry), Question(**asked))

    return shown


def points(text, name="course-0"):
    """What a chart of the page draws."""
    document = re.search(rf'<script type="application/json" id="chart-{name}">(.*?)</script>', text, re.DOTALL).group(1)
    return json.loads(document)["data"]["values"]


def channel_of(snapshot):
    return snapshot.spend["channel"].value_counts().index[0]


@pytest.mark.parametrize(("freq", "scope"), [("M", "total"), ("Q", "total"), ("W", "total"), ("M", "region=EMEA")])
def test_numbers__are_those_of_the_api(table, get, freq, scope):
    items = get("/v1/outlook/levels", scope=scope, freq=freq)["items"]
    rows = table(of=scope, freq=freq)
    ahead = rows[rows["expected"].notna()]
    assert list(ahead["ds"]) == [pd.Timestamp(item["ds"]) for item in items]
    for name in ("expected", "q025", "q10", "q50", "q90", "q975", "target", "chance"):
        told = [np.nan if item[name] is None else item[name] for item in items]
        assert ahead[name].to_numpy() == pytest.approx(np.array(told, float), nan_ok=True), name
    for base in ("previous", "year_before"):
        grown = table(of=scope, freq=freq, measure=base)
        grown = grown[grown["expected"].notna()]
        stated = [item["growth"][base] for item in items if item["growth"][base]]
        assert grown["expected"].to_list() == pytest.approx([spread["q50"] for spread in stated])
        assert grown["q10"].to_list() == pytest.approx([spread["q10"] for spread in stated])


def test_history__is_what_the_kpi_says(table, get):
    points_of_kpi = {pd.Timestamp(item["ds"]): item["value"] for item in get("/v1/kpis/revenue")["series"][0]["points"]}
    rows = table(years=1)
    over = rows[rows["expected"].isna()]
    assert len(over) == 12
    assert over["actual"].to_list() == pytest.approx([points_of_kpi[ds] for ds in over["ds"]])
    growth = {pd.Timestamp(item["ds"]): item["value"] for item in get("/v1/kpis/revenue_growth_yoy")["series"][0]["points"]}
    grown = table(years=1, measure="year_before")
    grown = grown[grown["expected"].isna()]
    assert grown["actual"].to_list() == pytest.approx([growth[ds] for ds in grown["ds"]])


def test_months_without_a_say_of_open_deals__are_the_revenue_forecast(table, get):
    heard = {month["horizon"] for month in get("/v1/outlook")["replay"]["months"] if month["weight"] > 0}
    (total,) = get("/v1/forecasts/revenue")["items"]
    ahead = table()["expected"].dropna().to_list()
    alone = [(item["horizon"], item["values"]["mean"]) for item in total["predictions"] if item["horizon"] not in heard]
    assert len(alone) >= 6
    assert [ahead[horizon - 1] for horizon, _ in alone] == pytest.approx([mean for _, mean in alone])


def test_chart__draws_what_the_file_holds(page, table, snapshot):
    asked = {"win_rate": 0.05, f"spend.{channel_of(snapshot)}": 1.5, "years": 1}
    drawn, rows = points(page(**asked)), table(**asked)
    assert [point["ds"][:10] for point in drawn] == rows["ds"].dt.strftime("%Y-%m-%d").to_list()
    last = int(rows["actual"].notna().sum()) - 1
    for name in ("actual", "expected", "q10", "q90", "q975", "target", "scenario"):
        values = [np.nan if point[name] is None else point[name] for point in drawn]
        if name not in ("actual", "target"):
            values[last] = np.nan  # where the fan is tied to what is known
        assert values == pytest.approx(rows[name].to_list(), nan_ok=True), name
    assert rows["scenario"].notna().sum() == 12


def test_scenario__answers_as_the_api(shown, get, snapshot):
    channel = channel_of(snapshot)
    scenario = get("/v1/outlook", win_rate=0.05, cycle_days=7, spend=f"{channel}:1.2", period=["this_quarter", "this_year"])
    with_it = shown(scenario=scenario_of(scenario["scenario"]))
    for answer, found in zip(with_it.answers, scenario["items"][0]["periods"], strict=True):
        assert answer.expected == f.money(found["expected"], "EUR")
        assert answer.plain == f.money(found["plain"]["expected"], "EUR")
        assert answer.change == f"{f.signed_amount(found['change'])} EUR"
        assert (answer.plain_chance, answer.chance) == (f.percent(found["plain"]["chance"]), f.percent(found["chance"]))
    plain = shown()
    assert plain.is_plain
    assert [answer.expected for answer in plain.answers] == [answer.plain for answer in with_it.answers]


def scenario_of(told):
    from predictkpi.outlook.scenarios import Scenario

    return Scenario(**told)


def test_members__add_up_to_the_total_and_are_those_of_the_api(shown, get):
    found = shown(by="region")
    outlook = get("/v1/outlook", by="region", period="this_year")
    years = {item["scope"]: item["periods"][0] for item in outlook["items"]}
    assert {row.scope for row in found.members.rows} == set(years)
    for row in found.members.rows:
        assert row.year == f.money(years[row.scope]["expected"], "EUR")
        assert row.chance == (f.percent(years[row.scope]["chance"]) if years[row.scope]["target"] else "")
        months = get("/v1/outlook/levels", scope=row.scope)["items"]
        assert row.expected == f.money(sum(item["expected"] for item in months), "EUR")
    assert found.members.left_over == ""
    shares = [row.share_percent for row in found.members.rows]
    assert sum(shares) == pytest.approx(100, abs=0.5)
    assert shares == sorted(shares, reverse=True)
    assert [panel.title for panel in found.panels] == [row.title for row in found.members.rows]


def test_parts__add_up_to_the_months_and_are_those_of_the_api(page, get):
    months = get("/v1/outlook", period=["this_month", "next_month"])["items"][0]["periods"]
    bars = pd.DataFrame(points(page(), "parts"))
    by_month = bars.pivot(index="ds", columns="part", values="value")
    for (_, drawn), month in zip(by_month.head(2).iterrows(), months, strict=True):
        assert drawn["booked"] == pytest.approx(month["booked"])
        assert drawn["from_deals"] == pytest.approx(month["from_deals"]["mean"])
        assert drawn["new"] == pytest.approx(month["new"]["mean"])


def test_members__of_another_dimension_are_left_behind(shown):
    assert [panel.title for panel in shown(by="segment", of=("region=EMEA",)).panels] == [
        panel.title for panel in shown(by="segment").panels
    ]
    assert [panel.title for panel in shown(by="region", of=("region=EMEA",)).panels] == ["EMEA"]


def test_several_members__are_drawn_side_by_side(page):
    text = page(of=["region=EMEA", "region=APAC"])
    assert text.count("<figure") == 3
    assert len(re.findall(r'name="of"[^>]* checked', text)) == 2


def test_address__restores_the_view(page):
    asked = {"by": "region", "of": "region=EMEA", "measure": "year_before", "freq": "Q", "years": "3", "lead": "none", "win_rate": "0.05"}
    question = Question("region", ("region=EMEA",), "year_before", "Q", 3, "none", scenario_of({"win_rate": 0.05}))
    assert {name: values[0] for name, values in parse_qs(urlsplit(question.address()).query).items()} == asked
    text = page(**asked)
    assert all(re.search(rf'<option value="{value}" selected>', text) for value in ("region", "year_before", "Q", "3", "none"))
    assert 'name="win_rate"' in text
    assert re.search(r'name="win_rate"[^>]* value="0.05"', text)
    assert "5 points" in text
    assert Question().address() == PAGE


@pytest.mark.parametrize(
    ("asked", "status", "named"),
    [
        ({"by": "colour"}, 422, "region"),
        ({"of": "region=Atlantis"}, 404, "region=EMEA"),
        ({"measure": "speed"}, 422, "year_before"),
        ({"freq": "D"}, 422, "&#39;Q&#39;"),
        ({"years": "0"}, 422, "greater"),
        ({"lead": "9"}, 422, "none"),
        ({"win_rate": "0.99"}, 422, "win_rate"),
        ({"win_rate": "much"}, 422, "win_rate"),
        ({"spend.sarch": "2"}, 422, "search"),
        ({"spend.search": "lots"}, 422, "factor"),
    ],
)
@pytest.mark.parametrize("path", [PAGE, f"{PAGE}.csv"])
def test_wrong_parameter__is_a_page_that_names_what_there_is(served, asked, status, named, path):
    answer = served.client.get(path, params=asked, headers=HTML)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert named in answer.text


def test_picture__has_the_size_that_was_asked_for(served):
    for asked in ({"width": 800, "height": 500}, {"by": "region", "width": 1001, "height": 701, "lang": "de"}):
        answer = served.client.get(f"{PAGE}.png", params=asked)
        assert answer.headers["content-type"] == "image/png"
        assert answer.content[:8] == b"\x89PNG\r\n\x1a\n"
        assert struct.unpack(">II", answer.content[16:24]) == (asked["width"], asked["height"])
    assert served.client.get(f"{PAGE}.png", params={"width": 9000}).status_code == 422


def test_roles__see_it_as_the_api(guarded):
    for key, status in {"viewer": 200, "manager": 200, "scientist": 200, "admin": 200, "crm": 403, "narrow": 403}.items():
        for path in (PAGE, f"{PAGE}.csv", f"{PAGE}.png"):
            assert guarded.ask("GET", path, key, headers=HTML).status_code == status, (key, path)


@pytest.fixture
def store(settings, tmp_path):
    store = open_store(copy_of(settings, tmp_path))
    yield store
    store.close()


def fresh(view):
    """The same view before anybody asked."""
    kept = {name: page for name, page in view._pages.items() if name == "outlook"}
    return replace(view, _pages=kept)


def keep_predictions(store, view, *, months, version):
    champion = view.champions["revenue"]
    for back in months:
        past = view.snapshot.at(view.as_of - pd.DateOffset(months=back))
        rows = champion.predictor.predict(past, entity_ids=["total", "region=EMEA"])
        rows = rows.assign(**{c.PREDICTOR: "revenue", c.MODEL_VERSION: version})[c.PREDICTION_COLUMNS]
        store.write_predictions(rows, role=Role.CHAMPION)


def registry_of(learnt):
    """Versions, by what they learnt until."""
    rows = [{"predictor": "revenue", "version": version, "as_of": as_of.isoformat()} for version, as_of in learnt.items()]
    return SimpleNamespace(versions=lambda name: rows, runs_of=lambda name: [])


def test_past_forecasts__are_what_was_stored_before_and_not_what_knew_more(store, served, shown):
    view = fresh(served.serving.view)
    keep_predictions(store, view, months=[6, 5, 4], version="1")
    keep_predictions(store, view, months=[3], version="2")
    registry = registry_of({"1": view.as_of - pd.DateOffset(months=7), "2": view.as_of})
    serving = SimpleNamespace(store=store, registry=registry)
    past = past_forecasts(serving.store, RegistryMemory(serving.registry), view, "total")
    assert past.source == "stored"
    assert set(past.rows[c.MODEL_VERSION]) == {"1"}
    found = shown(view, serving, lead="1", years=1)
    said = {point["ds"][:7]: point for point in found.panels[0].chart["data"]["values"] if point["said"] is not None}
    months = [(view.as_of - pd.DateOffset(months=back - 1)).strftime("%Y-%m") for back in (6, 5, 4)]
    assert sorted(said) == months
    stored = store.read_predictions(
        predictor="revenue", model_version="1", as_of=view.as_of - pd.DateOffset(months=6), entity_ids=["total"]
    )
    stored = stored[stored[c.HORIZON] == 2].set_index(c.STATISTIC)[c.VALUE]
    first = said[months[0]]
    assert [first["said"], first["said_q10"], first["said_q90"]] == pytest.approx([stored[name] for name in ("mean", "q10", "q90")])
    assert any("of 3 lay in their 80 % range" in words for words in found.past)
    grown = shown(view, serving, measure="year_before", years=1).panels[0].chart["data"]["values"]
    assert next(point["said"] for point in grown if point["said"] is not None) == pytest.approx(stored["growth_yoy_q50"])


def test_past_forecasts__come_from_the_replay_where_none_are_stored(served, settings, shown):
    view = fresh(served.serving.view)
    serving = SimpleNamespace(store=served.serving.store, registry=open_registry(settings))
    past = past_forecasts(serving.store, RegistryMemory(serving.registry), view, "total")
    assert past.source == "replay"
    assert past.rows["q10"].isna().all()
    assert (past.rows[c.DS] < view.as_of.to_period("M").start_time).all()
    assert "replay of past months" in shown(view, serving).past[0]
    assert "`predictkpi score`" in shown(view, serving, by="region", of=("region=EMEA",)).past[0]


def test_past_forecasts__that_cannot_be_read_are_said_to_be_missing(served, shown):
    def refuse(name):
        raise StoreError("the database is away")

    view = fresh(served.serving.view)
    serving = SimpleNamespace(store=SimpleNamespace(predicted_days=refuse), registry=registry_of({}))
    found = shown(view, serving)
    assert "the database is away" in found.past[0]
    assert found.panels


@pytest.mark.parametrize("hangs", ["versions", "runs_of"])
def test_past_forecasts__of_a_registry_that_hangs_keep_no_reader_waiting(served, shown, hangs):
    release, asked = threading.Event(), []

    def hang(name):
        asked.append(name)
        release.wait(30)
        return []

    view, store = fresh(served.serving.view), served.serving.store
    registry = SimpleNamespace(**{"versions": lambda name: [], "runs_of": lambda name: [], hangs: hang})
    memory = RegistryMemory(registry, patience_seconds=0.3)
    serving = SimpleNamespace(store=store, registry=registry)
    began = time.monotonic()
    first = shown(view, serving, memory=memory)
    assert time.monotonic() - began >= 0.3
    waited = threading.Thread(target=lambda: [past_forecasts(store, memory, view, "total") for _ in range(10)])
    waited.start()
    waited.join(2)
    assert not waited.is_alive(), "who asks later does not wait as long again"
    assert first.panels
    assert "cannot be read: the model registry has not answered" in first.past[0]
    assert "das Modellregister hat binnen" in shown(view, serving, memory=memory, language="de").past[0]
    assert len(asked) == 1
    release.set()
    patient = RegistryMemory(registry, patience_seconds=30)
    assert "No earlier forecast is kept yet" in shown(view, serving, memory=patient).past[0]


def test_past_forecasts__that_the_registry_refuses_are_not_asked_for_again_at_once(served, shown):
    asked = []

    def refuse(name):
        asked.append(name)
        raise RegistryError("cannot list versions of revenue")

    view, serving = fresh(served.serving.view), SimpleNamespace(store=None, registry=SimpleNamespace(versions=refuse))
    memory = RegistryMemory(serving.registry, patience_seconds=30)
    for _ in range(2):
        assert "cannot list versions of revenue" in shown(view, serving, memory=memory).past[0]
    assert len(asked) == 1


def test_without_a_revenue_model__the_page_says_what_to_do(served, shown):
    view = served.serving.view
    error = NoChampionError("revenue: no model carries the alias champion")
    without = replace(view, champions={}, missing=dict.fromkeys(view.champions, error), _pages={})
    text = page_text("forecast.html", shown(without), without, path=PAGE)
    assert "predictkpi train revenue" in text
    assert "<figure" not in text


def test_baseline__is_said_to_be_one(page, served):
    assert served.serving.view.champions["revenue"].ref.kind == "baseline"
    assert "comes from the baseline, not from a model" in page()
    assert 'tag-baseline">' in page()


def test_one_region__is_the_total(served, shown):
    view = served.serving.view
    whole = periods_of(view).outlook
    place = whole.place("total")
    alone = replace(
        whole,
        answers={name: replace(whole.answers["total"], entity_id=name) for name in ("total", "region=EMEA")},
        **{name: getattr(whole, name)[[place, place]] for name in ("booked", "from_deals", "new", "weighted")},
        book=None,
    )
    only = replace(view, _pages={"outlook": Periods(alone, view.snapshot)})
    found = shown(only, by="region")
    (row,) = found.members.rows
    assert (row.share, row.expected, found.members.left_over) == ("100%", found.members.total.expected, "")
    text = page_text("forecast.html", found, only, path=PAGE)
    assert "No deal is open whose win rate or cycle could change" in text
    assert "Open deals are not predicted" in text
    assert 'name="win_rate"' not in text


def test_page__is_in_german_for_who_reads_german(served):
    text = served.client.get(PAGE, params={"by": "region"}, headers={"Accept": "text/html", "Accept-Language": "de"}).text
    assert "Was wäre, wenn?" in text
    assert "Wachstum zu den letzten 12" in text


@pytest.mark.browser
def test_slider__changes_the_answer_and_the_address_without_loading_the_page_again(visit):
    seen = visit(f"{PAGE}?by=region")
    seen.wait_for_charts()
    page = seen.page
    page.evaluate("window.before = true")
    plain = page.locator("#forecast-answer .number").first.inner_text()
    slider = page.locator("input[name=win_rate]")
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.wait_for_url("**win_rate=0.03*")
    seen.wait_until("!document.querySelector('#forecast-form').hasAttribute('aria-busy')")
    assert page.evaluate("window.before") is True
    assert "3 points" in page.locator("output").first.inner_text()
    changed = page.locator("#forecast-answer .number").first.inner_text()
    assert changed != plain
    seen.wait_for_charts()
    assert page.evaluate("document.activeElement.name") == "win_rate"
    page.reload()
    assert page.locator("#forecast-answer .number").first.inner_text() == changed
    assert page.locator("input[name=win_rate]").input_value() == "0.03"
    assert seen.complaints == []
