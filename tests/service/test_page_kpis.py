"""The pages of KPIs: what they show agrees with the API, who may set targets, and what they say where there is nothing to show."""

from __future__ import annotations

import csv
import html
import io
import threading
from dataclasses import replace

import pandas as pd
import pytest
from markupsafe import escape
from page_text import page_text

from predictkpi.core import columns as c
from predictkpi.errors import NoChampionError, UnknownEntityError
from predictkpi.kpis import get_kpi, kpi_names
from predictkpi.pipelines.alerts import AlertRule
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.kpi_words import alerts_by_kpi, change_text, value_text
from predictkpi.service.dashboard.kpis.asked import Asked, asked_of
from predictkpi.service.dashboard.kpis.catalogue import catalogue
from predictkpi.service.dashboard.kpis.page import kpi_page, with_alerts
from predictkpi.service.dashboard.kpis.targets import read_period, read_value
from predictkpi.service.dashboard.languages import speaking
from predictkpi.service.kpi_answers import Rules
from predictkpi.service.lookout import Lookout
from predictkpi.service.problems import InvalidRequestError
from predictkpi.service.view import View
from predictkpi.snapshot import MemoryFacts, Snapshot

HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def view(served):
    return served.serving.view


def page_of(view, name, *, may_set=False, **asked):
    with speaking("en"):
        page = kpi_page(view, asked_of(view, name, **({"freq": "M"} | asked)), Rules(), may_set=may_set)
        return with_alerts(page, view, Rules(), Lookout())


def test_catalogue__lists_every_kpi_as_the_api_does(view, get):
    page = catalogue(view, Rules())
    listed = {row.name: row for family in page.families for row in family.rows}
    items = {item["name"]: item for item in get("/v1/kpis")["items"]}
    assert set(listed) == set(items) == set(kpi_names())
    text = page_text("kpis.html", page, view, path="/kpis")
    for name, row in listed.items():
        kpi, item = get_kpi(name), items[name]
        assert row.value == value_text(item["latest"]["value"], kpi, view.company)
        assert row.change == change_text(item["change"], kpi, view.company)
        assert f'href="/kpis/{name}"' in text
        assert str(escape(row.title)) in text


@pytest.mark.parametrize("name", ["revenue", "cac", "clv_realised", "revenue_growth_qoq", "time_in_stage"])
@pytest.mark.parametrize("language", ["en", "de"])
def test_page__of_each_kind_of_kpi_says_what_it_is_and_leads_to_its_numbers(served, name, language):
    answer = served.client.get(f"/kpis/{name}", headers={"Accept-Language": language})
    assert answer.status_code == 200
    assert f"<h1>{escape(get_kpi(name).title[language])}</h1>" in answer.text
    assert f"/kpis/{name}.csv?" in answer.text
    assert f"/v1/kpis/{name}?" in answer.text
    assert ">None<" not in answer.text
    assert "nan" not in answer.text.split("<main")[1].split("</main>")[0].lower().replace("finan", "")


@pytest.mark.parametrize(
    ("name", "freq", "by", "is_member"), [("win_rate", "M", "", False), ("revenue", "Q", "region", False), ("revenue", "M", "region", True)]
)
def test_series__agrees_with_the_api(view, get, name, freq, by, is_member):
    member = sorted(view.kpi_series(name, by=by)[c.MEMBER].unique())[0] if is_member else "total"
    page = page_of(view, name, freq=freq, by=by, scope=f"{by}={member}" if is_member else "")
    answer = get(f"/v1/kpis/{name}", freq=freq, **({"by": by} if is_member else {}))
    points = next(series["points"] for series in answer["series"] if series["member"] == member)
    drawn = [row for row in page.series.chart["data"]["values"] if "actual" in row]
    assert [row["actual"] for row in drawn] == [point["value"] for point in points][-len(drawn) :]
    assert [row.n for row in page.series.rows] == [f.number(point["n"]) for point in points][::-1][: len(drawn)]
    if points[-1]["low"] is not None:
        assert (drawn[-1]["low"], drawn[-1]["high"]) == (points[-1]["low"], points[-1]["high"])


def test_forecast__that_is_being_worked_out_keeps_no_reader_waiting(served):
    fresh, lookout = replace(served.serving.view, _pages={}), served.app.state.lookout
    release = threading.Event()
    lookout._forecasts.submit(release.wait, 30)
    assert lookout.forecast(fresh, "cac", "total") == "looking"
    with speaking("en"):
        page = kpi_page(fresh, asked_of(fresh, "cac", freq="M"), Rules(), may_set=False, ahead="looking")
    text = page_text("kpi.html", page, fresh, path="/kpis/cac")
    assert 'id="kpi-series" data-again' in text
    assert "being worked out" in text
    assert page.series.chart
    assert not page.series.has_ahead
    release.set()
    lookout._forecasts.submit(lambda: None).result(30)
    assert lookout.forecast(fresh, "cac", "total") == "known"
    assert Lookout().forecast(fresh, "cac", "total") == "known", "without a thread it is worked out by who asks"


def test_forecast__that_fails_is_said_to_fail_and_spoils_no_page(served, monkeypatch, caplog):
    fresh = replace(served.serving.view, _pages={}, _series={})
    monkeypatch.setattr("predictkpi.service.kpi_answers.forecast_kpi", lambda *_, **__: float("what"))
    monkeypatch.setattr(served.serving, "_view", fresh)
    assert served.client.get("/kpis/cac", headers=HTML).status_code == 200
    fresh.page("cac forecasting total", None).exception(timeout=60)
    for _ in range(2):
        answer = served.client.get("/kpis/cac", headers=HTML | {"Accept-Language": "en"})
        assert answer.status_code == 200
        assert "cannot be told" in answer.text.split('id="kpi-series"')[1].split("</header>")[0]
    assert caplog.text.count("the forecast of cac, total, cannot be told") == 1
    page = served.client.get("/kpis/cac", headers=HTML | {"Accept-Language": "de"})
    assert "Keine Prognose: sie lässt sich nicht sagen" in page.text


def test_views_that_are_gone__are_not_worked_for(served):
    fresh = replace(served.serving.view, _pages={}, _series={})
    gone = replace(fresh, fingerprint=replace(fresh.fingerprint), _pages={}, _series={})
    served_now, release = [gone], threading.Event()
    lookout = Lookout(lambda: served_now[0])
    lookout.start()
    for pool in (lookout._pool, lookout._forecasts):
        pool.submit(release.wait, 30)
    for view in (gone, fresh):  # the other one is being warmed: it is not served yet
        lookout.look(view, "cac", rule=AlertRule())
        lookout.forecast(view, "cac", "total")
    served_now[0] = fresh
    release.set()
    for view in (gone, fresh):
        for name in ("cac looking 1", "cac forecasting total"):
            view.page(name, None).result(timeout=60)
    lookout.stop()
    assert (lookout.look(gone, "cac", rule=AlertRule()).state, lookout.forecast(gone, "cac", "total")) == ("looking", "looking")
    assert (lookout.look(fresh, "cac", rule=AlertRule()).state, lookout.forecast(fresh, "cac", "total")) == ("known", "known")
    assert not gone._series, "nothing was worked out of it"


def test_forecast__agrees_with_the_api(view, get):
    page = page_of(view, "win_rate")
    items = get("/v1/kpis/win_rate/forecast")["items"]
    ahead = [row for row in page.series.chart["data"]["values"] if "mean" in row and "actual" not in row]
    assert [(row["mean"], row["q10"], row["q975"]) for row in ahead] == [(item["mean"], item["q10"], item["q975"]) for item in items]
    assert page_of(view, "win_rate", freq="Q").series.ahead == []
    assert "by month" in page_of(view, "win_rate", freq="Q").series.ahead_note


def test_members__agree_with_the_api_and_lead_to_their_own_series(view, get):
    page = page_of(view, "revenue", by="region")
    series = {item["member"]: item["points"][-1]["value"] for item in get("/v1/kpis/revenue", by="region")["series"]}
    assert {row.name: row.value for row in page.members} == {
        member: value_text(value, get_kpi("revenue"), view.company) for member, value in series.items()
    }
    assert [series[row.name] for row in page.members] == sorted(series.values(), reverse=True)
    assert asked_of(view, "revenue", freq="M", by="region", scope=f"region={page.members[0].name}").member == page.members[0].name


def test_alerts__are_those_of_the_api(view, get):
    answer = get("/v1/kpis/revenue/alerts")
    alerts = page_of(view, "revenue").alerts
    assert (alerts.state, len(alerts.notes), alerts.judged) == ("known", len(answer["items"]), answer["judged"])


def test_alerts__are_looked_for_beside_and_shown_when_they_are_known(served):
    there, lookout = served.serving.view, served.app.state.lookout
    fresh = replace(there, _pages={}, _series={})
    release = threading.Event()
    lookout._pool.submit(release.wait, 30)
    listed = replace(catalogue(fresh, Rules()), alerts=alerts_by_kpi(fresh, ["revenue", "cac"], AlertRule(), lookout))
    assert (listed.unlooked, listed.alert_count) == (2, 0)
    text = page_text("kpis.html", listed, fresh, path="/kpis")
    assert "2 KPIs are still being looked at" in text
    assert 'id="kpi-list" data-again' in text
    page = replace(page_of(fresh, "cac"), alerts=alerts_by_kpi(fresh, ["cac"], AlertRule(), lookout, periods=12)["cac"])
    assert 'id="kpi-alerts" data-again' in page_text("kpi.html", page, fresh, path="/kpis/cac")
    release.set()
    fresh.page("revenue looking 1", None).result(timeout=60)
    assert lookout.look(fresh, "revenue", rule=AlertRule()).state == "known"


def test_alerts__that_fail_are_said_to_fail_and_spoil_no_page(served, monkeypatch):
    fresh = replace(served.serving.view, _pages={}, _series={})
    monkeypatch.setattr("predictkpi.service.lookout.watched_periods", lambda *_, **__: 1 / 0)
    lookout = served.app.state.lookout
    lookout.look(fresh, "cac", rule=AlertRule())
    fresh.page("cac looking 1", None).exception(timeout=60)
    found = alerts_by_kpi(fresh, ["cac"], AlertRule(), lookout)
    assert found["cac"].state == "failed"
    assert "Its alerts cannot be told" in page_text("kpis.html", replace(catalogue(fresh, Rules()), alerts=found), fresh, path="/kpis")


def test_address__names_what_there_is_where_it_asks_for_nothing(served, view):
    for path, status, named in (
        ("/kpis/weather", 404, "win_rate"),
        ("/kpis/revenue?by=planet", 422, "region"),
        ("/kpis/revenue?freq=H", 422, "freq"),
        ("/kpis/revenue?by=region&scope=region%3DMars", 404, "Mars"),
        ("/kpis/weather.csv", 404, "win_rate"),
    ):
        answer = served.client.get(path, headers=HTML)
        assert (answer.status_code, named in answer.text) == (status, True), path
        assert "<h1>" in answer.text
    assert asked_of(view, "revenue", freq="M", by="segment", scope="region=Mars").scope == c.TOTAL, "of the dimension before"
    with pytest.raises(UnknownEntityError, match="Mars"):
        asked_of(view, "revenue", freq="M", by="region", scope="region=Mars")


def test_csv__holds_the_series_of_the_api_with_its_targets(served, view, get):
    answer = served.client.get("/kpis/revenue.csv", params={"by": "region"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert "revenue-M-region.csv" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    api = {
        (f"region={series['member']}", point["ds"][:10]): point["value"]
        for series in get("/v1/kpis/revenue", by="region")["series"]
        for point in series["points"]
    }
    assert {(row["scope"], row["starts_on"]): float(row["value"]) for row in rows} == pytest.approx(api)
    total = list(csv.DictReader(io.StringIO(served.client.get("/kpis/revenue.csv").text)))
    promised = {item["ds"][:10]: item["target"] for item in get("/v1/targets", kpi="revenue", scope="total", freq="M")["items"]}
    assert {row["starts_on"]: float(row["target"]) for row in total if row["target"]} == pytest.approx(
        {day: target for day, target in promised.items() if day in {row["starts_on"] for row in total}}
    )


def test_page__without_its_data_says_what_it_lacks(view, company):
    tables = {name: frame for name, frame in company.tables.items() if name not in ("spend", "targets")}
    bare = View(
        Snapshot(MemoryFacts(tables, company.company), view.as_of),
        {},
        dict.fromkeys(view.champions, NoChampionError("x")),
        view.fingerprint,
    )
    page = page_of(bare, "cac", may_set=True)
    text = page_text("kpi.html", page, bare, path="/kpis/cac")
    assert "data that has not been loaded: <code>spend</code>" in text
    assert "No target has been set." in text
    assert "chart-series" not in text
    listed = page_text("kpis.html", catalogue(bare, Rules()), bare, path="/kpis")
    assert "data that has not been loaded: <code>spend</code>" in listed


def test_values__are_read_as_the_reader_s_language_writes_them():
    revenue, win_rate = get_kpi("revenue"), get_kpi("win_rate")
    with speaking("en"):
        assert read_value(" 1,250,000.5 ", revenue) == 1250000.5
        assert read_value("27.5 %", win_rate) == pytest.approx(0.275)
        for text in ("", "12,5", "many", "1e999", "1e5", "1_000", "nan"):
            with pytest.raises(InvalidRequestError):
                read_value(text, revenue)
    with speaking("de"):
        assert read_value("1.250.000,5", revenue) == 1250000.5
        assert read_value("27,5", win_rate) == pytest.approx(0.275)
    assert read_period("Q:2026-10-01") == ("Q", pd.Timestamp("2026-10-01"))
    for text in ("", "Q", "Q:", "Q:soon", "H:2026-10-01", "Q:2026-10-01T00:00Z", "Q:today", "M:1899-12-01", "Y:2201-01-01"):
        with pytest.raises(InvalidRequestError):
            read_period(text)


def test_targets__are_listed_as_the_api_tells_of_them(view, get):
    targets = page_of(view, "revenue").targets
    items = {(item["scope"], f"{item['freq']}:{item['ds'][:10]}"): item for item in get("/v1/targets", kpi="revenue")["items"]}
    begun = [row for row in (*targets.coming, *targets.closed, *targets.others) if row.actual]
    assert len(begun) >= 12
    for row in begun:
        item = items[row.scope_key, row.period_key]
        assert (row.target, row.light) == (f.money(item["target"], "EUR"), item["light"])
    assert {row.scope_key for row in (*targets.coming, *targets.closed)} == {"total"}
    promised = view.snapshot.targets
    count = len(targets.coming) + len(targets.closed) + len(targets.others) + int(targets.left_out or 0)
    assert count == int((promised[c.KPI] == "revenue").sum())
    assert targets.form is None


ASKS = {"scope": "total", "period": "Q:2031-04-01", "value": "1,234,567"}


@pytest.mark.parametrize(("key", "may"), [("viewer", False), ("scientist", False), ("manager", True), ("admin", True)])
def test_form__is_there_for_who_may_set_targets(guarded, key, may):
    text = guarded.ask("GET", "/kpis/revenue", key).text
    assert ("Set a target" in text) == may
    assert ("Remove the target for" in text) == may
    if not may:
        assert guarded.ask("POST", "/kpis/revenue/targets", key, data=ASKS).status_code == 403


def test_form__is_for_nobody_who_may_not_see_the_company_s_numbers(guarded):
    for key in ("narrow", "crm"):
        assert guarded.ask("GET", "/kpis", key).status_code == 403
        assert guarded.ask("GET", "/kpis/revenue", key).status_code == 403
        assert guarded.ask("GET", "/kpis/revenue.csv", key).status_code == 403
        assert guarded.ask("POST", "/kpis/revenue/targets", key, data=ASKS).status_code == 403
    assert guarded.ask("POST", "/kpis/revenue/targets", None, data=ASKS).status_code == 401


def test_form__sets_a_target_and_removes_it_again(guarded):
    def promised():
        targets = guarded.service.serving.view.snapshot.targets
        found = targets[(targets[c.KPI] == "revenue") & (targets[c.FREQ] == "Q") & (targets[c.DS] == pd.Timestamp("2031-04-01"))]
        return list(found[c.VALUE])

    answer = guarded.ask("POST", "/kpis/revenue/targets", "manager", data=ASKS)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/kpis/revenue?done=set")
    text = guarded.ask("GET", answer.headers["location"], "manager").text
    assert "The target is set: Whole company, Q2 2031." in text
    assert "1.23\u202fM EUR" in text
    assert "within some seconds" not in text
    guarded.service.until(lambda: promised() == [1234567.0])

    asked = guarded.ask("POST", "/kpis/revenue/targets", "manager", data=ASKS | {"action": "remove"})
    assert asked.status_code == 200
    assert "Remove the target for Q2 2031 (Whole company)?</b>" in asked.text
    assert '"confirmed" value="yes"' in asked.text
    assert promised() == [1234567.0]
    answer = guarded.ask("POST", "/kpis/revenue/targets", "manager", data=ASKS | {"action": "remove", "confirmed": "yes"})
    assert answer.status_code == 303
    text = guarded.ask("GET", answer.headers["location"], "manager").text
    assert "The target is removed: Whole company, Q2 2031." in text
    assert "1.23\u202fM EUR" not in text
    guarded.service.until(lambda: promised() == [])
    actions = list(guarded.store.audit(subject="target of revenue", limit=2)["action"])
    assert actions == ["remove target", "set target"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"value": "a lot"}, "“a lot” is no number"),
        ({"period": "soon"}, "Choose the period"),
        ({"scope": "region=Mars"}, "Mars"),
        ({"scope": "<b>", "value": "7"}, "a scope is"),
        ({"action": "remove", "confirmed": "yes", "period": "Q:2039-01-01"}, "no target"),
        ({"period": "Q:1031-01-01"}, "Choose the period"),
    ],
)
def test_form__that_cannot_be_taken_comes_back_with_the_reason_and_what_was_entered(guarded, changes, told):
    answer = guarded.ask("POST", "/kpis/revenue/targets", "manager", data=ASKS | changes)
    assert answer.status_code == 422
    error = html.unescape(answer.text.split('role="alert"')[1].split("</p>")[0])
    assert told in error
    assert f'value="{(ASKS | changes)["value"]}"' in answer.text
    assert 'href="?freq' not in answer.text
    assert 'href="/kpis/revenue?lang=de"' in answer.text
    assert 'data-address="/kpis/revenue"' in answer.text
    assert "<b>'" not in answer.text


def test_form__with_more_fields_than_any_here_is_refused(guarded):
    many = {f"field{n}": "1" for n in range(30)}
    assert guarded.ask("POST", "/kpis/revenue/targets", "manager", data=ASKS | many).status_code == 422
    assert guarded.ask("POST", "/sign-in", None, data=many).status_code == 422


def test_form__of_another_site_is_refused(guarded):
    session = guarded.service.client.post("/sign-in", data={"key": guarded.keys["manager"]}).headers["set-cookie"].split(";")[0]
    guarded.service.client.cookies.clear()
    headers = {"Cookie": session, "Sec-Fetch-Site": "cross-site"}
    assert guarded.service.client.post("/kpis/revenue/targets", data=ASKS, headers=headers).status_code == 403


def test_asked__keeps_its_place_in_an_address():
    asked = Asked(get_kpi("revenue"), "Q", "region", "region=EMEA & more")
    assert asked.query() == "freq=Q&by=region&scope=region%3DEMEA+%26+more"
    assert (asked.member, asked.dimension) == ("EMEA & more", "region")
    assert Asked(get_kpi("revenue"), "M").query() == "freq=M"


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme", "language"), [(1440, "light", "en-GB"), (390, "dark", "de-DE")])
def test_page__answers_while_it_is_steered(visit, width, scheme, language):
    seen = visit("/kpis/revenue", width=width, scheme=scheme, language=language)
    page = seen.page
    page.wait_for_selector("#kpi-series[data-again]", state="detached", timeout=60_000)
    seen.wait_for_charts()
    assert page.locator("figure[data-chart=series] svg .mark-line path").count() >= 2
    page.select_option("select[name=freq]", "Q")
    page.wait_for_url("**freq=Q*")
    seen.wait_for_charts()
    page.select_option("select[name=by]", "region")
    page.wait_for_selector("#kpi-members table tbody tr")
    page.wait_for_selector("select[name=scope]")
    page.select_option("select[name=scope]", index=1)
    page.wait_for_selector("tr.is-shown")
    assert "scope=region" in page.url
    page.wait_for_selector("[data-again]", state="detached", timeout=60_000)
    assert seen.complaints == []
    assert not seen.scrolls_sideways()
    assert seen.hindrances() == []


@pytest.mark.browser
def test_removal__still_asks_after_a_filter_has_replaced_the_list(served, visit):
    page, asked, sent = visit("/kpis/revenue").page, [], []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    remove = page.locator("#kpi-target-list form[data-confirm] button").first
    before = remove.element_handle()
    page.select_option("select[name=freq]", "Q")
    page.wait_for_url("**freq=Q*")
    assert not before.evaluate("one => one.isConnected"), "the list is another one now"
    remove.click()
    assert len(asked) == 1
    assert asked[0].startswith("Remove the target for")
    assert sent == [], "who does not confirm sends nothing"


@pytest.mark.browser
def test_form__that_is_refused_leads_on_from_the_page_it_stands_on(served, visit):
    page, sent = visit("/kpis/revenue").page, []
    page.fill("#targets input[name=value]", "a lot")
    page.locator("#targets input[name=value]").press("Enter")
    page.wait_for_selector("#targets [role=alert]")
    page.on("request", lambda request: sent.append(request.url))
    page.evaluate("document.getElementById('kpi-alerts').dataset.again = ''")
    page.evaluate("document.getElementById('kpi-alerts').dispatchEvent(new CustomEvent('renewed', { bubbles: true }))")
    page.wait_for_selector("[data-again]", state="detached", timeout=60_000)
    assert sent[0].endswith("/kpis/revenue")
    page.click("nav.languages a[hreflang=de]")
    page.wait_for_url("**/kpis/revenue?lang=de")
    page.wait_for_selector("html[lang=de] #targets")


@pytest.mark.browser
def test_part__that_a_form_brings_is_asked_for_until_it_is_there(served, visit):
    served.serving.view._pages.pop("slip_rate forecasting total", None)
    page, asked, release = visit("/kpis/slip_rate?freq=Q").page, [], threading.Event()
    page.wait_for_selector("[data-again]", state="detached", timeout=60_000)

    def answer(route):
        asked.append(route.request.url)
        if len(asked) == 2:  # the first that asks again
            release.set()
            route.fulfill(status=503)
        else:
            route.continue_()

    page.route("**/kpis/slip_rate*", answer)
    served.app.state.lookout._forecasts.submit(release.wait, 60)
    page.select_option("select[name=freq]", "M")
    page.wait_for_selector("#kpi-series[data-again]")
    page.wait_for_selector("[data-again]", state="detached", timeout=60_000)
    page.wait_for_selector("figure[data-chart=series] svg")
    assert len(asked) >= 3
