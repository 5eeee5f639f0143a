"""The pages at /pipeline and /pipeline.csv."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
from guarded_service import NOW
from page_text import page_text

from predictkpi.core import columns as c
from predictkpi.core.access import AccessRole, RowScope
from predictkpi.errors import NoChampionError, StoreError
from predictkpi.pipelines.keys import make_key
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.languages import speaking
from predictkpi.service.dashboard.pipeline import pipeline
from predictkpi.service.dashboard.pipeline.book import SORTS, Asked
from predictkpi.service.dashboard.pipeline.export import as_csv
from predictkpi.service.deal_changes import WeekBefore, week_before
from predictkpi.service.deal_warnings import deal_warnings
from predictkpi.service.view import View
from predictkpi.snapshot import MemoryFacts, Snapshot

HTML = {"Accept": "text/html"}
UNKNOWN_WEEK = WeekBefore.unknown("")


@pytest.fixture(scope="module")
def build(served):
    """The context for what is asked, as somebody sees it who may see all."""

    def build(**asked):
        view = served.serving.view
        with speaking("en"):
            return pipeline(view, Asked(**asked), before=week_before(view, served.serving), with_numbers=True)

    return build


def without_models(there, **given):
    """The same data, and nothing promoted."""
    absent = {name: NoChampionError(name) for name in ("revenue", "clv", "close_time")}
    return View(**({"snapshot": there.snapshot, "champions": {}, "missing": absent, "fingerprint": there.fingerprint} | given))


def written(view, language="en", **asked):
    with speaking(language):
        page = pipeline(view, Asked(**asked), before=UNKNOWN_WEEK, with_numbers=True)
    return page, page_text("pipeline.html", page, view, language=language, path="/pipeline")


def rows_of(answer):
    return pd.read_csv(io.BytesIO(answer.content), dtype={c.DEAL_ID: str}, keep_default_na=True)


def test_lines__are_the_deals_of_the_api_in_its_numbers(build, get):
    page, answer = build(), get("/v1/deals", sort="-expected_value", limit=50)
    assert [line.deal_id for line in page.lines] == [deal["deal_id"] for deal in answer["items"]]
    for line, deal in zip(page.lines, answer["items"], strict=True):
        told = deal["prediction"]
        assert (line.p_win, line.slip) == (f.percent(told["p_win"]), f.percent(told["p_slip"]))
        assert (line.expected, line.amount) == (f.amount(told["expected_value"]), f.amount(deal["amount"]))
        assert f.date(pd.Timestamp(told["close_q90"])) in line.close_range
        assert line.rep_verdict in ("", "early", "late", "overdue")
    assert page.sums[0].value == f.number(answer["total"])
    assert f"of {f.number(answer['total'])}" in page.pages.shown


def test_change__is_that_of_the_api(build, get, served):
    page = build(sort="fall")
    assert any(line.change for line in page.lines)
    for line in page.lines[:4]:
        change = get(f"/v1/deals/{line.deal_id}/close-time/changes")["change"]
        assert line.change == f.signed(change * 100, "pts", digits=1)
        assert line.change_tone == ("bad" if change < -0.0005 else "good" if change > 0.0005 else "plain")
    new = next(line for line in build(sort="rise", page=99).lines if line.is_new)
    assert get(f"/v1/deals/{new.deal_id}/close-time/changes")["change"] is None


@pytest.mark.parametrize("sort", SORTS)
def test_sorts__hold_over_all_pages(served, sort):
    column, ascending, _ = SORTS[sort]
    answer = served.client.get("/pipeline.csv", params={"sort": sort})
    values = rows_of(answer)[column].dropna()
    assert len(values) > 20
    assert values.is_monotonic_increasing if ascending else values.is_monotonic_decreasing


@pytest.mark.parametrize("name", ["owner", "team", "stage", "region"])
def test_filters__leave_what_the_api_leaves(served, build, get, name):
    value = get("/v1/deals", limit=1)["items"][0][name]
    found = rows_of(served.client.get("/pipeline.csv", params={name: value}))
    assert len(found) == get("/v1/deals", **{name: value})["total"] > 0
    assert set(found[name]) == {value}
    page = build(**{name: value})
    assert page.sums[0].value == f.number(len(found))
    (chosen,) = [choice.value for filter_ in page.filters if filter_.name == name for choice in filter_.choices if choice.is_chosen]
    assert chosen == value
    assert sum(int(stage.count) for stage in page.funnel.stages) == len(found)


def test_filters__take_the_deals_without_a_value(served, build, get):
    everybody = get("/v1/deals", limit=1)["total"]
    nobody = get("/v1/deals", owner="(none)")["total"]
    owned = [choice.value for choice in build().filters[0].choices if choice.value != "(none)"]
    assert sum(get("/v1/deals", owner=owner)["total"] for owner in owned) + nobody == everybody
    if nobody:
        assert int(build(owner="(none)").sums[0].value) == nobody


def test_unknown_values__are_named_with_those_there_are(served, build):
    answer = served.client.get("/pipeline", params={"owner": "nobody ever"}, headers=HTML)
    assert answer.status_code == 422
    assert "nobody ever" in answer.text
    assert build().filters[0].choices[0].value in answer.text
    answer = served.client.get("/pipeline", params={"sort": "luck"}, headers=HTML)
    assert answer.status_code == 422
    assert "rise" in answer.text
    assert served.client.get("/pipeline", params={"page": 0}, headers=HTML).status_code == 422


def test_pages__follow_one_another_and_end(served, build):
    first, second = build(), build(page=2)
    assert len(first.lines) == 50
    assert not {line.deal_id for line in first.lines} & {line.deal_id for line in second.lines}
    assert (first.pages.previous, first.pages.next, second.pages.previous) == ("", "/pipeline?page=2", "/pipeline")
    last = build(page=1_000)
    assert last.pages.next == ""
    assert last.lines, "a page that is no longer there is the last one there is"
    assert "page" not in build(page=2, sort="slip").csv


def test_warnings__are_what_the_checks_say(served, build):
    found = deal_warnings(served.serving.view)
    page = build(warnings=True)
    assert page.lines
    assert page.sums[0].value == page.sums[3].value
    for line in page.lines:
        assert [one.text for one in line.warnings] == [one.detail for one in found[line.deal_id]]
        assert found[line.deal_id][0].check.way_out in line.warnings[0].title


def test_funnel__says_how_the_company_moves_on_as_the_kpis_do(build, get):
    page = build()
    conversion = {series["member"]: series["points"][-1] for series in get("/v1/kpis/stage_conversion", by="stage", freq="Q")["series"]}
    stays = {series["member"]: series["points"][-1] for series in get("/v1/kpis/time_in_stage", by="stage")["series"]}
    assert [stage.name for stage in page.funnel.stages] == ["Qualification", "Discovery", "Proposal", "Negotiation"]
    for stage in page.funnel.stages:
        assert stage.onward == f.percent(conversion[stage.name]["value"])
        assert stage.stay == f.days(stays[stage.name]["value"])
    assert page.funnel.cycle == f.days(get("/v1/kpis/sales_cycle_median")["series"][0]["points"][-1]["value"])


def test_csv__holds_all_deals_and_no_formula(served, get):
    answer = served.client.get("/pipeline.csv", params={"lang": "de"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    found = rows_of(answer)
    assert len(found) == get("/v1/deals")["total"]
    told = {deal["deal_id"]: deal for deal in get("/v1/deals", limit=5)["items"]}
    for deal_id, deal in told.items():
        row = found.set_index(c.DEAL_ID).loc[deal_id]
        assert row["p_win"] == pytest.approx(deal["prediction"]["p_win"])
        assert row["label"] == deal["label"]
    view = served.serving.view
    book = pd.DataFrame(found.iloc[:1].assign(label="=HYPERLINK(1)", close_q10=pd.NaT)).set_index(c.DEAL_ID, drop=False)
    assert b"'=HYPERLINK(1)" in as_csv(view, book)


def test_rows__of_an_owner_hold_the_whole_page(guarded, owners):
    page = guarded.ask("GET", "/pipeline", "narrow", headers=HTML)
    assert page.status_code == 200
    csv = rows_of(guarded.ask("GET", "/pipeline.csv", "narrow"))
    assert set(csv[c.OWNER]) == {guarded.owner}
    assert len(csv) == (owners == guarded.owner).sum()
    others = set(owners) - {guarded.owner}
    assert others
    assert not [owner for owner in others if owner in page.text]
    assert "The deals that you may see." in page.text
    assert "Moves on" not in page.text
    refused = guarded.ask("GET", "/pipeline", "narrow", params={"owner": sorted(others)[0]}, headers=HTML)
    assert refused.status_code == 422
    assert sorted(others)[1] not in refused.text


def test_rows__of_a_team_and_a_role_without_numbers(guarded, get):
    team = get("/v1/deals", limit=1)["items"][0]["team"]
    scope = RowScope("team", frozenset({team}))
    key = make_key(guarded.store, "a team", AccessRole.VIEWER, now=NOW, rows=scope)[1]
    guarded.service.until(lambda: guarded.ask("GET", "/v1/me", key).status_code == 200)
    assert set(rows_of(guarded.ask("GET", "/pipeline.csv", key))[c.TEAM]) == {team}
    of_the_crm = guarded.ask("GET", "/pipeline", "crm", headers=HTML)
    assert of_the_crm.status_code == 200
    assert "Moves on" not in of_the_crm.text
    assert "Moves on" in guarded.ask("GET", "/pipeline", "viewer", headers=HTML).text
    assert guarded.ask("GET", "/pipeline", None, headers=HTML, follow_redirects=False).status_code == 303
    assert guarded.ask("GET", "/pipeline.csv", None).status_code == 401


def test_page__without_a_model_shows_what_the_crm_says(served):
    page, text = written(without_models(served.serving.view))
    assert len(page.lines) == 50
    assert "predictkpi train close_time" in text
    assert page.sums[2].value == f.MISSING
    assert not any(line.change or line.is_new for line in page.lines)
    _, german = written(without_models(served.serving.view), language="de")
    assert "Ohne Modell gibt es keine Chancen" in german


def test_page__of_a_baseline_says_so(served):
    there = served.serving.view
    champion = there.champions["close_time"]
    ref = champion.ref.model_copy(update={"kind": "baseline", "reason": "it did not beat the baseline"})
    view = View(there.snapshot, dict(there.champions) | {"close_time": replace(champion, ref=ref)}, {}, there.fingerprint)
    page, text = written(view)
    assert page.status == "baseline"
    assert "comes from the baseline, not from a model" in text
    assert "it did not beat the baseline" in text


def test_page__without_deals_or_without_a_fit_is_a_sentence(served, company, build):
    there = served.serving.view
    tables = {name: frame for name, frame in company.tables.items() if name in ("customers", "orders")}
    page, text = written(without_models(there, snapshot=Snapshot(MemoryFacts(tables, company.company), there.as_of)))
    assert page.is_empty
    assert "No deal is open." in text
    owner, stage = (filter_.choices[0].value for filter_ in (build().filters[0], build().filters[2]))
    for region in build().filters[3].choices:
        page = build(owner=owner, stage=stage, region=region.value, warnings=True)
        if not page.lines:
            answer = served.client.get("/pipeline", params={"owner": owner, "stage": stage, "region": region.value, "warnings": "true"})
            assert "No open deal fits these filters." in answer.text


def test_week__that_the_store_cannot_tell_is_said(served):
    def away(predictor, *, until):
        raise StoreError("the store is away")

    serving = SimpleNamespace(registry=served.serving.registry, store=SimpleNamespace(scored_version=away))
    before = week_before(served.serving.view, serving)
    assert before.chances.empty
    assert before.note == "the store is away"
    view = without_models(served.serving.view, champions=dict(served.serving.view.champions), missing={})
    with speaking("en"):
        page = pipeline(view, Asked(), before=before, with_numbers=True)
    assert not any(line.change or line.is_new for line in page.lines)
    assert "the store is away" in page_text("pipeline.html", page, view)


@pytest.mark.browser
def test_filter__changes_rows_and_address_without_a_new_page(visit, build):
    page = visit("/pipeline").page
    page.evaluate("window.isSamePage = true")
    stage = build().funnel.stages[1]
    page.select_option("select[name=stage]", stage.name)
    page.wait_for_url("**/pipeline?stage=*")
    assert page.evaluate("location.pathname + location.search") == f"/pipeline?stage={stage.name}&sort=expected"
    assert page.locator("#deals tbody tr").count() == min(50, int(stage.count))
    assert {text.strip() for text in page.locator("#deals td.held .stage").all_inner_texts()} == {stage.name}
    assert page.evaluate("window.isSamePage"), "nothing was loaded anew"
    assert page.locator("nav.languages a[hreflang=de]").get_attribute("href").endswith(f"?stage={stage.name}&sort=expected&lang=de")
    page.reload()
    assert page.input_value("select[name=stage]") == stage.name
    assert re.search(r"stage=", page.get_attribute("a.export", "href"))


@pytest.mark.browser
def test_rows__are_readable_on_a_phone(visit):
    seen = visit("/pipeline", width=390, language="de-DE")
    assert not seen.scrolls_sideways()
    row = seen.page.locator("#deals tbody tr").first
    assert row.bounding_box()["width"] <= 390
    for cell in row.locator("td, th").all():
        assert cell.is_visible()
    clipped = "e => [...e.querySelectorAll('*')].filter(x => x.getBoundingClientRect().right > window.innerWidth).length"
    assert row.evaluate(clipped) == 0
