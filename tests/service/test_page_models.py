"""The pages at /models: versions as the registry has them, and moves of the alias that are asked for, made and written down."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import threading

import httpx
import pandas as pd
import pytest
from browsing import Visit
from guarded_service import NOW
from page_text import page_text
from running_service import running, settings_in

from predictkpi.core.access import AccessRole
from predictkpi.errors import RegistryError, StoreError
from predictkpi.pipelines.keys import make_key
from predictkpi.pipelines.monitor import keep, monitor
from predictkpi.pipelines.open_store import open_registry, open_store
from predictkpi.registry import Registry
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.languages import speaking
from predictkpi.service.dashboard.models.context import detail, lines
from predictkpi.service.dashboard.models.versions import version_of
from predictkpi.service.registry_memory import RegistryMemory
from predictkpi.service.store_memory import Read

HTML = {"Accept": "text/html"}


def answered(served, path):
    answer = served.client.get(path, headers=HTML)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_list__is_what_the_api_lists(served, get):
    text = answered(served, "/models")
    for item in get("/v1/models")["items"]:
        assert item["title"]["en"] in text
        assert f'href="/models/{item["predictor"]}"' in text
        champion = next(version for version in item["versions"] if version["is_champion"])
        assert f"Version {champion['version']}" in text
    assert "mlflow server --backend-store-uri=sqlite:///" in text
    assert "nobody has looked yet" in text


@pytest.mark.parametrize("predictor", ["revenue", "clv", "close_time"])
def test_page__tells_versions_gate_backtest_and_card(served, get, predictor):
    text = answered(served, f"/models/{predictor}")
    item = next(item for item in get("/v1/models")["items"] if item["predictor"] == predictor)
    assert re.findall(r"\?version=(\d+)#version", text) == [version["version"] for version in item["versions"]]
    card = get(f"/v1/models/{predictor}")["card"]
    assert len(re.findall(r"<tr><th scope=\"row\">\d", text)) >= len(card["cutoffs"])
    for limit in card["limits"]:
        assert limit.split("'")[0] in text
    assert 'data-chart="cutoffs"' in text
    picture = re.search(rf"/models/{predictor}/pictures/\d+/loss_by_horizon\.png", text).group()
    drawn = served.client.get(picture)
    assert drawn.headers["content-type"] == "image/png"
    assert drawn.content.startswith(b"\x89PNG")
    assert served.client.get(picture.replace("loss_by", "no")).status_code == 404


def test_page__of_what_is_not_there(served):
    assert served.client.get("/models/weather", headers=HTML).status_code == 404
    answer = served.client.get("/models/clv", params={"version": "99"}, headers=HTML)
    assert answer.status_code == 404
    assert "there are: 1" in answer.text


@pytest.fixture(scope="module")
def own(settings, tmp_path_factory):
    """A service of its own behind keys, with a copy of the registry in which two predictors have a second version."""
    own = settings_in(tmp_path_factory.mktemp("moved"))
    shutil.copy(settings.tracking_uri.removeprefix("sqlite:///"), own.tracking_uri.removeprefix("sqlite:///"))
    there, here = (sqlite3.connect(each.database_url.removeprefix("sqlite:///")) for each in (settings, own))
    there.backup(here)
    there.close()
    here.close()
    store, registry = open_store(own), open_registry(own)
    model, champion = registry.champion("clv")
    again = registry.register(model, run_id=champion.run_id, inputs=model.inputs(store.snapshot()), as_of="2025-01-01T00:00:00").version
    keys = {role: make_key(store, f"a {role}", AccessRole(role), now=NOW)[1] for role in ("viewer", "scientist", "admin")}
    with running(own) as service:
        service.wait_until_ready()
        yield service, keys, store, registry, champion.version, again
    store.close()


def ask(own, who, method, path, **given):
    service, keys, *_ = own
    headers = HTML | {"Authorization": f"Bearer {keys[who]}"} | given.pop("headers", {})
    return service.client.request(method, path, headers=headers, **given)


def test_viewer__sees_versions_and_no_buttons(own):
    _, _, _, registry, before, again = own
    text = ask(own, "viewer", "GET", "/models/clv").text
    assert f"?version={again}#version" in text
    assert "<form" not in text.split('id="compare"')[0]
    assert "/promote" not in text
    assert ask(own, "viewer", "GET", f"/models/clv/promote?version={again}").status_code == 403
    sent = {"version": again, "beside": before, "confirmed": "yes"}
    assert ask(own, "viewer", "POST", "/models/clv/promote", data=sent).status_code == 403
    assert registry.champion_version("clv") == before


def test_promote_and_roll_back__move_the_alias_and_are_written_down(own):
    _, keys, store, registry, before, again = own
    who = "_".join(keys["scientist"].split("_")[:2])
    page = ask(own, "scientist", "GET", "/models/clv").text
    assert f'data-confirm="Customer lifetime value: let version {again} serve instead of version {before}?"' in page
    asked = ask(own, "scientist", "GET", f"/models/clv/promote?version={again}").text
    assert f"The alias champion moves to version {again}" in asked
    assert "It has learnt from older data" in asked
    assert "a scientist" in asked

    unconfirmed = ask(own, "scientist", "POST", "/models/clv/promote", data={"version": again, "beside": before})
    assert unconfirmed.headers["location"] == f"/models/clv/promote?version={again}"
    assert registry.champion_version("clv") == before

    moved = ask(own, "scientist", "POST", "/models/clv/promote", data={"version": again, "beside": before, "confirmed": "yes"})
    assert (moved.status_code, moved.headers["location"]) == (303, f"/models/clv?moved=promote&to={again}")
    assert registry.champion_version("clv") == again
    entry = store.audit(subject="clv", limit=1).iloc[0]
    assert (entry["actor"], entry["action"], json.loads(entry["detail"])) == (who, "promote", {"from": before, "to": again})
    assert f"version {again} is the champion now" in ask(own, "scientist", "GET", moved.headers["location"]).text
    assert "is the champion now" not in ask(own, "scientist", "GET", f"/models/clv?moved=promote&to={before}").text

    stale = ask(own, "scientist", "POST", "/models/clv/rollback", data={"version": before, "beside": before, "confirmed": "yes"})
    assert stale.status_code == 409
    assert f"version {again} serves by now, not version {before}" in stale.text
    other = ask(own, "scientist", "POST", "/models/clv/rollback", data={"version": again, "beside": again, "confirmed": "yes"})
    assert other.status_code == 409
    assert f"go back to version {before} by now, not {again}" in other.text
    asked = ask(own, "scientist", "GET", "/models/clv/rollback").text
    assert f"go back from version {again} to version {before}?" in asked
    back = ask(own, "scientist", "POST", "/models/clv/rollback", data={"version": before, "beside": again, "confirmed": "yes"})
    assert back.headers["location"] == f"/models/clv?moved=rollback&to={before}"
    assert registry.champion_version("clv") == before
    nothing = ask(own, "scientist", "POST", "/models/clv/rollback", data={"version": again, "beside": before, "confirmed": "yes"})
    assert nothing.status_code == 409

    assert who in ask(own, "admin", "GET", "/models/clv").text
    assert who not in ask(own, "viewer", "GET", "/models/clv").text
    assert "version 1 gave way to 2" in ask(own, "viewer", "GET", "/models/clv").text.replace(again, "2").replace(before, "1")


def test_forged_and_broken_forms__change_nothing(own):
    service, keys, _, registry, before, again = own
    sent = {"version": again, "beside": before, "confirmed": "yes"}
    with httpx.Client(base_url=service.url, headers=HTML) as browser:
        browser.post("/sign-in", data={"key": keys["scientist"]})
        forged = browser.post("/models/clv/promote", data=sent, headers={"Sec-Fetch-Site": "cross-site"})
        assert forged.status_code == 403
    assert httpx.post(f"{service.url}/models/clv/promote", data=sent, headers=HTML).status_code == 401
    assert ask(own, "scientist", "POST", "/models/clv/promote", data={"beside": before, "confirmed": "yes"}).status_code == 422
    assert ask(own, "scientist", "POST", "/models/clv/promote", data=sent | {"version": "99"}).status_code == 404
    assert ask(own, "scientist", "GET", f"/models/clv/promote?version={before}").status_code == 409
    assert registry.champion_version("clv") == before


def test_compare__sets_two_versions_side_by_side(own):
    *_, before, again = own
    text = ask(own, "viewer", "GET", f"/models/clv?version={before}&with={again}").text
    compared = text.split('id="compared"')[1]
    assert "Learnt until" in compared
    assert "1 Jan 2025" in compared


def test_monitor__is_shown_as_it_was_kept(own):
    service, _, store, registry, *_ = own
    report = monitor(store, registry, predictors=["clv"], now=NOW, models_dir=service.settings.models_dir)
    keep(store, report, now=NOW)
    told = [finding for finding in report.findings if finding.subject == "clv"]
    text = ask(own, "viewer", "GET", "/models/clv").text
    assert told
    assert all(finding.reason.split("'")[0] in text for finding in told)


def test_page__with_the_registry_away_answers_at_once_and_says_so(served):
    view = served.serving.view
    memory = RegistryMemory(Registry("http://127.0.0.1:9", served.settings.artifact_root))
    with speaking("en"):
        listed = lines(view, memory, Read({}))
        one = told(view, memory)
    text = page_text("models.html", listed, view, path="/models")
    assert "The model registry does not answer as it should" in text
    assert f"Version {view.champions['clv'].ref.version}" in text
    assert 'href="http://127.0.0.1:9"' in text
    assert "The model registry does not answer as it should" in page_text("model.html", one, view, path="/models/clv")


def test_page__with_the_store_away_shows_what_it_had_and_says_so(served, monkeypatch):
    def away(*_, **__):
        raise StoreError("facts.db: nobody answers")

    decided = answered(served, "/models/clv").split('id="history-title"')[1]
    monkeypatch.setattr(served.serving.store, "audit", away)
    monkeypatch.setattr("predictkpi.service.dashboard.models.kept_watches", away)
    told_again = answered(served, "/models/clv").split('id="history-title"')[1]
    assert decided.count("<tr>") == told_again.count("<tr>") > 1
    assert "may be old" in told_again
    assert "nobody answers" in told_again
    assert "may be old" in answered(served, "/models")


def test_versions__are_told_in_the_time_of_the_company(served):
    view = served.serving.view
    row = {"version": "1", "aliases": [], "kind": "model", "as_of": "", "status": "", "reason": "", "run_id": ""}
    row["created_at"] = pd.Timestamp("2026-07-01 22:30")
    with speaking("en"):
        assert version_of(row, served="", zone="Europe/Berlin").trained == "2 Jul 2026, 00:30"
        found = told(view, served.app.state.registry_memory)
    newest = open_registry(served.settings).versions("clv")[0]["created_at"]
    with speaking("en"):
        assert found.versions[0].trained == f.moment(newest.tz_localize("UTC").tz_convert(view.company.time_zone))


def told(view, memory):
    given = {"version": "", "with_": "", "watches": Read({}), "may_promote": True, "sees_actors": True, "moved": ""}
    return detail(view, memory, "clv", entries=Read(pd.DataFrame(columns=["at", "actor", "action", "subject", "detail"])), **given)


class Slow:
    """A registry that answers when it is let, or fails."""

    tracking_uri = "sqlite:///nowhere"

    def __init__(self):
        self.may_answer, self.error, self.asked = threading.Event(), None, 0

    def versions(self, predictor):
        self.asked += 1
        self.may_answer.wait(30)
        if self.error:
            raise self.error
        return []


def test_memory__waits_for_a_moment_and_shows_what_it_had():
    slow = Slow()
    memory = RegistryMemory(slow, fresh_seconds=0.0, patience_seconds=0.05)
    first = memory.standing("clv")
    assert first.value is None
    assert "has not answered within" in first.trouble
    slow.may_answer.set()
    patient = RegistryMemory(slow, fresh_seconds=0.0, patience_seconds=30, glance_seconds=30)
    assert patient.standing("clv").value.rows == ()
    slow.error = RegistryError("cannot list versions of clv")
    failed = patient.standing("clv")
    assert (failed.value.rows, failed.trouble) == ((), "cannot list versions of clv")
    assert failed.age >= 0


def test_memory__waits_for_newer_where_it_must_and_asks_once_meanwhile():
    slow = Slow()
    slow.may_answer.set()
    memory = RegistryMemory(slow, fresh_seconds=0.0, patience_seconds=0.2, glance_seconds=30)
    memory.standing("clv")
    slow.may_answer.clear()
    late = memory.standing("clv", is_patient=True)
    memory.standing("clv", is_patient=True)
    assert (late.value.rows, "has not answered within" in late.trouble, slow.asked) == ((), True, 2)
    slow.may_answer.set()
    assert memory.standing("clv").trouble == ""


def test_memory__asks_once_for_what_is_fresh():
    slow = Slow()
    slow.may_answer.set()
    memory = RegistryMemory(slow, fresh_seconds=60.0)
    assert memory.standing("clv") is memory.standing("clv")
    assert slow.asked == 1
    memory.forget("clv")
    memory.standing("clv")
    assert slow.asked == 2


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme", "code"), [(1440, "light", "en-GB"), (390, "dark", "de-DE")])
def test_page__in_a_browser_draws_and_does_not_complain(browser, own, width, scheme, code):
    service, keys, *_, before, again = own
    path = f"{service.url}/models/clv?version={before}&with={again}"
    seen = Visit(browser, path, width=width, scheme=scheme, language=code, headers={"Authorization": f"Bearer {keys['scientist']}"})
    seen.wait_for_charts()
    assert seen.complaints == []
    assert not seen.scrolls_sideways()
    assert seen.hindrances() == []
    seen.close()


@pytest.mark.browser
def test_promote__in_a_browser_asks_first_with_and_without_script(browser, own):
    service, keys, _, registry, before, again = own
    headers = {"Authorization": f"Bearer {keys['scientist']}"}
    seen = Visit(browser, f"{service.url}/models/clv", headers=headers)
    asked = []
    seen.page.once("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    seen.page.get_by_role("button", name="Let it serve").click()
    assert asked == [f"Customer lifetime value: let version {again} serve instead of version {before}?"]
    assert registry.champion_version("clv") == before
    seen.page.once("dialog", lambda dialog: dialog.accept())
    seen.page.get_by_role("button", name="Let it serve").click()
    seen.page.get_by_role("status").filter(has_text=f"version {again} is the champion now").wait_for()
    assert registry.champion_version("clv") == again
    seen.close()

    context = browser.new_context(java_script_enabled=False, extra_http_headers=headers)
    page = context.new_page()
    page.goto(f"{service.url}/models/clv")
    assert page.get_by_role("button", name="Roll back").count() == 0
    page.get_by_role("link", name=f"Roll back to version {before}").click()
    assert "What will change" in page.content()
    page.get_by_role("button", name=f"Let version {before} serve").click()
    assert f"version {before} is the champion now" in page.content()
    assert registry.champion_version("clv") == before
    context.close()
