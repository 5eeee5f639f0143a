"""The page at /deals/{deal_id}."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from page_text import page_text

from predictkpi.core import columns as c
from predictkpi.core.types import Role
from predictkpi.errors import NoChampionError, StoreError, UnknownEntityError
from predictkpi.pipelines.open_store import open_store
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.deal import deal
from predictkpi.service.dashboard.deal.past import past
from predictkpi.service.dashboard.languages import speaking
from predictkpi.service.deal_facts import facts_of
from predictkpi.service.deal_warnings import deal_warnings
from predictkpi.service.view import View

HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def told(get):
    """An open deal that was open a week ago and has a rep's date, as the list of the API gives it."""
    for item in get("/v1/deals", sort="-expected_value", limit=50)["items"]:
        if item["prediction"]["p_slip"] not in (None, 1.0) and get(f"/v1/deals/{item['deal_id']}/close-time/changes")["change"] is not None:
            return item
    raise AssertionError("no such deal")


@pytest.fixture(scope="module")
def build(served):
    """The context of a deal's page, as somebody sees it who may see all."""

    def build(deal_id, view=None, language="en", with_numbers=True):
        with speaking(language):
            return deal(view or served.serving.view, deal_id, serving=served.serving, with_numbers=with_numbers)

    return build


@pytest.fixture(scope="module")
def won_deal(get):
    return get("/v1/deals", state="closed", stage="won", sort="-closed_at", limit=1)["items"][0]


def changed_view(there, **given):
    known = {"snapshot": there.snapshot, "champions": there.champions, "missing": there.missing, "fingerprint": there.fingerprint}
    return View(**(known | given))


def test_headline__is_the_answer_of_the_api(build, told, get):
    page, answer = build(told["deal_id"]), get(f"/v1/deals/{told['deal_id']}/close-time")
    whole = answer["predictions"][-1]
    values = whole["values"]
    assert page.name == answer["label"]
    assert page.ahead.p_win == f.percent(values["p_win"])
    assert page.ahead.expected == f.money(values["expected_value"], "EUR")
    assert page.ahead.middle == f.date(pd.Timestamp(whole["dates"]["close_q50"]))
    assert page.ahead.range.endswith(f.date(pd.Timestamp(whole["dates"]["close_q90"])))
    assert page.ahead.rep_chance == f.percent(1 - values["p_slip"])
    assert (page.ahead.version, page.ahead.prediction_id) == (answer["model"]["version"], answer["prediction_id"])
    assert [step.won for step in page.ahead.steps] == [f.percent(each["values"]["cif_won"]) for each in answer["predictions"]]


def test_chart__is_the_curve_of_the_api_with_the_reps_date(build, told, get):
    page = build(told["deal_id"])
    curve = get(f"/v1/deals/{told['deal_id']}/close-time", curve=True)["curve"]
    rows = page.ahead.chart["data"]["values"]
    assert [row["won"] for row in rows[1:]] == pytest.approx(curve["values"]["cif_won"])
    assert [1 - row["not_lost"] for row in rows[1:]] == pytest.approx(curve["values"]["cif_lost"])
    assert (rows[0]["won"], rows[0]["not_lost"]) == (0, 1)
    (rule,) = [layer for layer in page.ahead.chart["layer"] if layer["mark"].get("style") == "target"]
    due = pd.Timestamp(told["expected_close_on"]).normalize() + pd.Timedelta(days=1)
    assert pd.Timestamp(rule["data"]["values"][0]["ds"]) == due


def test_reasons__add_up_from_the_usual_deal_to_this_one(build, told, get):
    answer = get(f"/v1/deals/{told['deal_id']}/close-time", reasons=True)
    page = build(told["deal_id"])
    assert [one.title for one in page.why] == ["Chance to be won within 90 days", "Days to the close, if it is won"][: len(page.why)]
    chance = page.why[0]
    reasons = [reason for reason in answer["reasons"] if reason["statistic"] == "cif_won"]
    assert chance.start == f.percent(reasons[0]["contribution"], digits=1)
    (soon,) = [each["values"]["cif_won"] for each in answer["predictions"] if each["horizon"] == 90]
    assert chance.end == f.percent(soon, digits=1)
    assert [row.title for row in chance.rows][:5] == [reason["title"] for reason in reasons[1:6]]
    heaviest = max(reasons[1:], key=lambda reason: abs(reason["contribution"]))
    assert chance.rows[0].tone == ("good" if heaviest["contribution"] > 0 else "bad")
    assert chance.rows[0].width == 50
    assert heaviest["title"] in chance.verdict
    assert build(told["deal_id"], language="de").why[0].start_title == "der übliche offene Deal"


def test_week__is_the_split_of_the_api(build, told, get):
    page, answer = build(told["deal_id"]), get(f"/v1/deals/{told['deal_id']}/close-time/changes")
    assert (page.week.before, page.week.now) == (f.percent(answer["before"], digits=1), f.percent(answer["now"], digits=1))
    assert page.week.change == f.signed(answer["change"] * 100, "pts", digits=1)
    assert [part.text for part in page.week.parts] == [f.signed(value * 100, "pts", digits=1) for value in answer["parts"].values()]
    assert page.week.notes == answer["notes"]


def test_week__names_what_the_crm_changed(build, get, served, snapshot):
    since = snapshot.as_of - pd.Timedelta(days=7)
    events = snapshot.deal_events
    moved = events[events[c.DS] >= since][c.DEAL_ID].unique()
    open_now = [deal_id for deal_id in moved if get("/v1/deals/" + deal_id)["state"] == "open"]
    assert open_now
    found = 0
    for deal_id in open_now[:20]:
        facts, page = get("/v1/deals/" + deal_id), build(deal_id)
        then = [event for event in facts["events"] if pd.Timestamp(event["at"]) < since]
        differs = bool(then) and any(
            then[-1][name] != facts["events"][-1][name] for name in ("stage", "amount", "expected_close_on", "owner")
        )
        assert bool(page.week.changed) == differs
        found += differs
    assert found


def test_history__tells_each_event_and_the_time_in_each_stage(build, told, get):
    page, facts = build(told["deal_id"]), get(f"/v1/deals/{told['deal_id']}")
    assert len(page.history) == len(facts["events"])
    assert page.history[-1].changes[0].after == facts["events"][0]["stage"]
    assert page.history[0].at == f.moment(pd.Timestamp(facts["events"][-1]["at"]))
    assert [stay.stage for stay in page.stays] == list(dict.fromkeys(event["stage"] for event in facts["events"]))
    (now,) = [stay for stay in page.stays if stay.is_now]
    assert now.stage == facts["stage"]
    usual = {series["member"]: series["points"][-1]["value"] for series in get("/v1/kpis/time_in_stage", by="stage")["series"]}
    assert now.usual == f.days(usual[now.stage])
    assert not any(stay.usual for stay in build(told["deal_id"], with_numbers=False).stays)


def test_page__links_to_its_customer_and_to_the_api(served, told):
    text = served.client.get(f"/deals/{told['deal_id']}", headers=HTML).text
    assert f'href="/customers/{told["customer_id"]}"' in text
    assert f'href="/v1/deals/{told["deal_id"]}/close-time?curve=true&amp;reasons=true"' in text
    assert served.client.get(f"/v1/deals/{told['deal_id']}/close-time?curve=true&reasons=true").status_code == 200
    assert '<a href="/pipeline" aria-current="page">' in text


def test_warnings__say_what_to_do(served, build):
    deal_id, found = next(each for each in deal_warnings(served.serving.view).items())
    page = build(deal_id)
    assert [one.detail for one in page.warnings] == [one.detail for one in found]
    assert page.warnings[0].way_out == found[0].check.way_out
    assert "What to do:" in served.client.get(f"/deals/{deal_id}").text


def test_closed_deal__says_how_it_ended(build, won_deal, served, get):
    page, facts = build(won_deal["deal_id"]), get(f"/v1/deals/{won_deal['deal_id']}")
    assert page.ahead is None
    assert page.closed.is_won
    assert page.closed.on == f.date(pd.Timestamp(facts["closed_at"]))
    assert page.closed.amount == f.money(facts["amount"], "EUR")
    assert page.closed.ordered == (f.money(facts["ordered"], "EUR") if facts["ordered"] else "")
    assert page.history[0].changes[0].after == "won"
    assert page.past.rows == []
    answer = served.client.get(f"/deals/{won_deal['deal_id']}")
    assert answer.status_code == 200
    assert "predictkpi score" in answer.text
    assert "chart-incidence" not in answer.text


def test_closed_deal__shows_what_was_predicted_of_it(served, won_deal, settings, tmp_path, company):
    store = open_store(settings.model_copy(update={"database_url": f"sqlite:///{tmp_path}/facts.db"}))
    store.migrate()
    view = served.serving.view
    facts = facts_of(view, won_deal["deal_id"])
    closed_at, predictor = pd.Timestamp(facts.closed_at), view.champion("close_time").predictor
    was_open = [days for days in (1, 40) if closed_at - pd.Timedelta(days=days) > pd.Timestamp(facts.events[0].at)]
    assert was_open
    for days in was_open:
        then = view.snapshot.at(closed_at.normalize() - pd.Timedelta(days=days))
        store.write_predictions(predictor.predict(then).assign(**{c.MODEL_VERSION: "7"}), role=Role.CHAMPION, now=then.as_of)
    store.write_predictions(predictor.predict(view.snapshot).assign(**{c.MODEL_VERSION: "8"}), role=Role.CHAMPION, now=view.as_of)
    found = past(facts, store)
    assert found.note == ""
    assert [row.version for row in found.rows] == ["7"] * len(was_open)
    assert all(row.verdict.startswith("closed") and row.p_win.endswith("%") for row in found.rows)
    store.close()


def test_unknown_and_unseen_deals__are_the_page_of_that_error(served, guarded, owners, build):
    answer = served.client.get("/deals/none/such", headers=HTML)
    assert answer.status_code == 404
    assert "No such customer, deal or series" in answer.text
    with pytest.raises(UnknownEntityError):
        build("none")
    mine, others = (owners.index[owners == guarded.owner][0], owners.index[owners != guarded.owner][0])
    assert guarded.ask("GET", f"/deals/{mine}", "narrow", headers=HTML).status_code == 200
    assert guarded.ask("GET", f"/deals/{others}", "narrow", headers=HTML).status_code == 404
    assert guarded.ask("GET", f"/deals/{others}", "viewer", headers=HTML).status_code == 200
    assert "usually" not in guarded.ask("GET", f"/deals/{mine}", "narrow", headers=HTML).text


def test_access__to_a_deal_is_logged_with_its_id(guarded, owners):
    deal_id = owners.index[-1]
    assert guarded.ask("GET", f"/deals/{deal_id}", "scientist", headers=HTML).status_code == 200

    def logged():
        rows = guarded.store.accesses.read(subject=deal_id)
        return rows[rows["action"] == "GET /deals/{deal_id}"]

    guarded.service.until(lambda: len(logged()))
    assert logged()["status"].tolist() == [200]


def test_page__without_a_model_keeps_what_is_known(served, told, build):
    there = served.serving.view
    absent = {name: NoChampionError(name) for name in ("revenue", "clv", "close_time")}
    view = changed_view(there, champions={}, missing=absent)
    page = build(told["deal_id"], view)
    text = page_text("deal.html", page, view, path=f"/deals/{told['deal_id']}")
    assert (page.ahead, page.week, page.why) == (None, None, [])
    assert "predictkpi train close_time" in text
    assert page.history
    assert len(page.api) == 1


def test_page__of_a_baseline_says_so(served, told, build):
    there = served.serving.view
    champion = there.champions["close_time"]
    predictor = champion.predictor.baseline()
    predictor.fit(predictor.training_table(there.snapshot))
    ref = champion.ref.model_copy(update={"kind": "baseline", "reason": "it did not beat the baseline"})
    baseline = replace(champion, predictor=predictor, ref=ref, digests={})
    view = changed_view(there, champions=dict(there.champions) | {"close_time": baseline})
    page = build(told["deal_id"], view)
    text = page_text("deal.html", page, view, path=f"/deals/{told['deal_id']}")
    assert page.ahead.status == "baseline"
    assert "comes from the baseline, not from a model" in text
    assert "What serves here gives no reasons." in text


def test_week__without_the_store_says_so(served, told, monkeypatch, build):
    def away(*args, **kwargs):
        raise StoreError("the store is away")

    monkeypatch.setattr(served.serving.store, "scored_version", away)
    week = build(told["deal_id"]).week
    assert (week.before, week.now, week.parts) == ("", "", [])
    assert week.notes == ["the store is away"]


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme", "language"), [(1440, "light", "en-GB"), (390, "dark", "de-DE")])
def test_page__draws_its_chart_and_does_not_complain(visit, told, won_deal, width, scheme, language):
    for deal_id in (told["deal_id"], won_deal["deal_id"]):
        seen = visit(f"/deals/{deal_id}", width=width, scheme=scheme, language=language)
        seen.wait_for_charts()
        assert seen.complaints == []
        assert not seen.scrolls_sideways()
        assert seen.page.locator("h1").count() == 1
        assert seen.page.locator("nav.places a[aria-current=page]").get_attribute("href") == "/pipeline"
        assert seen.hindrances() == []
