"""Who may ask what: a table over every operation of the OpenAPI document, so that a new one cannot be forgotten."""

from __future__ import annotations

import asyncio
import json
import re
import socket

import httpx
import pytest
from guarded_service import NOW
from running_service import ask_in_process, copy_of, running

from predictkpi.core import columns as c
from predictkpi.core.access import OF_COMPANY, PERMISSIONS, AccessRole, Permission
from predictkpi.pipelines.keys import make_key, revoke_key
from predictkpi.service.app import create_app
from predictkpi.service.guards import ANYBODYS_PLACES

N, R, P, T = Permission.NUMBERS, Permission.ROWS, Permission.PREDICT, Permission.TRUST
ASKED = {
    ("get", "/v1/kpis"): N,
    ("get", "/v1/kpis/{kpi}"): N,
    ("get", "/v1/kpis/{kpi}/forecast"): N,
    ("get", "/v1/kpis/{kpi}/trend"): N,
    ("get", "/v1/kpis/{kpi}/alerts"): N,
    ("get", "/v1/forecasts/revenue"): N,
    ("get", "/v1/outlook"): N,
    ("get", "/v1/outlook/levels"): N,
    ("get", "/v1/outlook/moves"): N,
    ("get", "/v1/outlook/reasons"): N,
    ("get", "/v1/customers/value"): N,
    ("get", "/v1/channels/value"): N,
    ("get", "/v1/targets"): N,
    ("get", "/v1/customers"): R,
    ("get", "/v1/customers/{customer_id}"): R,
    ("get", "/v1/customers/{customer_id}/clv"): R,
    ("get", "/v1/deals"): R,
    ("get", "/v1/deals/{deal_id}"): R,
    ("get", "/v1/deals/{deal_id}/close-time"): R,
    ("get", "/v1/deals/{deal_id}/close-time/changes"): R,
    ("get", "/v1/deals/portfolio"): R,
    ("post", "/v1/deals/close-time"): P,
    ("post", "/v1/deals/close-time/batch"): P,
    ("post", "/v1/customers/clv"): P,
    ("post", "/v1/customers/clv/batch"): P,
    ("get", "/v1/models"): T,
    ("get", "/v1/models/{predictor}"): T,
    ("get", "/v1/scoreboard"): T,
    ("get", "/v1/readiness"): T,
    ("get", "/v1/rejects"): Permission.REJECTS,
    ("get", "/v1/audit"): Permission.AUDIT,
    ("get", "/v1/audit/accesses"): Permission.AUDIT,
    ("get", "/v1/me"): None,
    ("get", "/metrics"): Permission.METRICS,
}
"""What each operation asks for: somebody has to decide it here for each new one."""
BODIES = {
    "/v1/deals/close-time": {"stage": "Qualified"},
    "/v1/deals/close-time/batch": {"deals": [{"stage": "Qualified"}]},
    "/v1/customers/clv": {"segment": "SMB"},
    "/v1/customers/clv/batch": {"customers": [{"segment": "SMB"}]},
}
ABOUT_DEALS = {path for _, path in ASKED if "{deal_id}" in path}


@pytest.fixture(scope="module")
def places(owners, snapshot, guarded):
    """Values of path parameters: a deal and a customer that the narrow key must not see, and names that everybody may ask for."""
    (foreign,) = owners.index[owners != owners.iloc[0]][:1]
    view = guarded.service.serving.view
    narrow = view.within(next(k.rows for k in guarded.store.keys.all() if k.rows))
    customer = next(each for each in view.champions["clv"].table.entity_ids if not narrow.sees("customer", each))
    return {"deal_id": foreign, "customer_id": customer, "kpi": "revenue", "predictor": "close_time"}


@pytest.fixture(scope="module")
def operations(guarded):
    document = guarded.ask("GET", "/openapi.json", "viewer").json()
    return [(method, path) for path, methods in document["paths"].items() for method in methods if not path.startswith("/health/")]


def test_table__decides_for_every_operation(operations):
    assert set(operations) == set(ASKED)


def asked(guarded, operation, places, key):
    method, path = operation
    return guarded.ask(method.upper(), path.format(**places), key, json=BODIES.get(path))


@pytest.mark.parametrize("key", [None, "pkpi_0123456789_nothing", "nonsense", "expired", "revoked"])
@pytest.mark.parametrize("operation", ASKED, ids=" ".join)
def test_operation__refuses_who_has_no_key_that_holds(guarded, places, operation, key):
    answer = asked(guarded, operation, places, key)
    assert answer.status_code == 401
    assert answer.json()["type"] == "/problems/unauthenticated"
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("role", AccessRole)
@pytest.mark.parametrize("operation", ASKED, ids=" ".join)
def test_operation__answers_the_roles_that_may_and_no_other(guarded, places, operation, role):
    answer = asked(guarded, operation, places, role.value)
    if ASKED[operation] is None or ASKED[operation] in PERMISSIONS[role]:
        assert answer.status_code == 200, answer.text
    else:
        assert answer.status_code == 403
        assert answer.json()["type"] == "/problems/forbidden"
        assert role.value in answer.json()["detail"]


@pytest.mark.parametrize("operation", [each for each in ASKED if ASKED[each] in OF_COMPANY or "{" in each[1]], ids=" ".join)
def test_operation__keeps_a_narrow_key_within_its_rows(guarded, places, operation):
    answer = asked(guarded, operation, places, "narrow")
    if ASKED[operation] in OF_COMPANY:
        assert answer.status_code == 403
        assert guarded.owner in answer.json()["detail"]
    else:
        assert answer.status_code == 404
        assert answer.json()["type"] == "/problems/unknown-entity"
        unknown = asked(guarded, operation, places | {"deal_id": "D-none", "customer_id": "C-none"}, "narrow").json()
        assert re.sub("'.*'", "", unknown["detail"]) == re.sub("'.*'", "", answer.json()["detail"]), "not said that there is such a one"


def test_narrow_key__sees_its_own_deals_and_their_customers(guarded, owners, snapshot):
    own = owners.index[owners == guarded.owner]
    assert all(guarded.ask("GET", f"/v1/deals/{deal}/close-time", "narrow").status_code == 200 for deal in own)
    whole = guarded.ask("GET", "/v1/deals/portfolio", "manager", params={"by": "owner"}).json()
    narrow = guarded.ask("GET", "/v1/deals/portfolio", "narrow", params={"by": "owner"}).json()
    assert [group["group"] for group in narrow["groups"]] == [guarded.owner]
    (own_group,) = (group for group in whole["groups"] if group["group"] == guarded.owner)
    assert narrow["total"]["open_deals"] == own_group["open_deals"] == len(own)
    assert narrow["total"]["amount"] == pytest.approx(own_group["amount"])
    newest = snapshot.deals.sort_values(c.CREATED_AT).drop_duplicates(c.CUSTOMER_ID, keep="last").set_index(c.DEAL_ID)[c.CUSTOMER_ID]
    theirs = newest.reindex(own).dropna()
    assert len(theirs)
    assert all(guarded.ask("GET", f"/v1/customers/{customer}/clv", "narrow").status_code == 200 for customer in theirs)


@pytest.mark.parametrize("what", ["deals", "customers"])
def test_narrow_key__gets_pages_of_its_own_rows_only(guarded, owners, what):
    view = guarded.service.serving.view
    narrow = view.within(next(k.rows for k in guarded.store.keys.all() if k.rows))
    items = guarded.ask("GET", f"/v1/{what}", "narrow", params={"limit": 500}).json()["items"]
    assert 0 < len(items) < len(guarded.ask("GET", f"/v1/{what}", "manager", params={"limit": 500}).json()["items"])
    assert all(narrow.sees(what[:-1], item[f"{what[:-1]}_id"]) for item in items)


def test_narrow_key__asks_about_its_own_deals_only_whoever_describes_them(guarded, owners, places, snapshot):
    narrow = guarded.service.serving.view.within(next(k.rows for k in guarded.store.keys.all() if k.rows))
    other = next(each for each in owners if each != guarded.owner)
    path = "/v1/deals/close-time"
    assert guarded.ask("POST", path, "narrow", json={"stage": "Qualified", "owner": guarded.owner}).status_code == 200
    assert guarded.ask("POST", path, "narrow", json={"stage": "Qualified", "owner": other}).status_code == 403
    hidden = {"stage": "Qualified", "owner": guarded.owner, "events": [{"at": "2025-11-20", "stage": "Qualified", "owner": other}]}
    assert guarded.ask("POST", path, "narrow", json=hidden).status_code == 403, "the newest event says whose deal it is"
    assert guarded.ask("POST", path, "narrow", json={"stage": "Qualified", "owner": "Somebody New"}).status_code == 403
    of_team = next(iter(set(snapshot.deals[c.TEAM].dropna()) - narrow.visible_values[c.TEAM]), None)
    if of_team is not None:
        assert guarded.ask("POST", path, "narrow", json={"stage": "Qualified", "team": of_team}).status_code == 403
    for named, invented in (
        ({"deal_id": places["deal_id"]}, {"deal_id": "D-none"}),
        ({"customer_id": places["customer_id"]}, {"customer_id": "x"}),
    ):
        told, untold = (guarded.ask("POST", path, "narrow", json={"stage": "Qualified", **each}).json() for each in (named, invented))
        assert told["predictions"] == untold["predictions"], "not said whether there is such a one, and nothing used of it"
    lines = f'{{"stage": "Qualified", "owner": "{other}"}}\n{{"stage": "Qualified"}}\n'
    items = guarded.ask(
        "POST", path + "/batch", "narrow", content=lines, headers={"Content-Type": "application/x-ndjson"}
    ).text.splitlines()
    assert [json.loads(item)["prediction"] is None for item in items] == [True, False]
    assert guarded.ask("POST", "/v1/customers/clv", "narrow", json={"customer_id": places["customer_id"]}).status_code == 200


def test_narrow_key__is_not_told_whom_else_there_is_to_filter_by(guarded, owners):
    other = owners[owners != guarded.owner].iloc[0]
    answer = guarded.ask("GET", "/v1/deals/portfolio", "narrow", params={"owner": "nobody at all"})
    assert answer.status_code == 422
    assert other not in answer.text


def test_key__may_come_in_either_header(guarded):
    assert guarded.ask("GET", "/v1/kpis", None, headers={"X-API-Key": guarded.keys["viewer"]}).status_code == 200
    assert guarded.ask("GET", "/v1/kpis", None, headers={"Authorization": f"bearer  {guarded.keys['viewer']}"}).status_code == 200
    assert guarded.ask("GET", "/v1/kpis", None, headers={"Authorization": f"Basic {guarded.keys['viewer']}"}).status_code == 401


def test_key__opens_and_closes_while_the_service_runs(guarded):
    key, secret = make_key(guarded.store, "for a moment", AccessRole.VIEWER, now=NOW)
    guarded.service.until(lambda: guarded.ask("GET", "/v1/models", secret).status_code == 200)
    revoke_key(guarded.store, key.key_id, now=NOW)
    guarded.service.until(lambda: guarded.ask("GET", "/v1/models", secret).status_code == 401)
    assert "revoked" in guarded.ask("GET", "/v1/models", secret).json()["detail"]


def test_store__keeps_no_key_that_could_be_used(guarded):
    for secret in guarded.keys.values():
        assert all(secret not in str(key) for key in guarded.store.keys.all())
    assert guarded.keys["admin"] not in guarded.store.audit(limit=1000).to_csv()
    assert {"make key", "revoke key"} <= set(guarded.store.audit()["action"])


def test_rate_limit__answers_429_and_says_when_to_come_back(guarded):
    _, secret = make_key(guarded.store, "slow", AccessRole.VIEWER, now=NOW, per_minute=30)
    guarded.service.until(lambda: guarded.ask("GET", "/v1/models", secret).status_code != 401)
    statuses = [guarded.ask("GET", "/v1/models", secret).status_code for _ in range(8)]
    assert 429 in statuses
    refused = guarded.ask("GET", "/v1/models", secret)
    assert refused.json()["type"] == "/problems/rate-limited"
    assert 1 <= int(refused.headers["retry-after"]) <= 12
    assert guarded.ask("GET", "/v1/models", "viewer").status_code == 200, "others are not held up"


def test_access_log__says_who_saw_what(guarded, owners):
    deal = owners.index[0]
    for _ in range(3):
        guarded.ask("GET", f"/v1/deals/{deal}/close-time", "crm")
    actor = guarded.keys["crm"].rpartition("_")[0]
    actor = next(key.key_id for key in guarded.store.keys.all() if guarded.keys["crm"].startswith(key.key_id))
    guarded.service.until(lambda: len(guarded.store.accesses.read(subject=deal, actor=actor)))
    guarded.service.until(lambda: guarded.store.accesses.read(subject=deal, actor=actor)["times"].sum() >= 3)
    row = guarded.store.accesses.read(subject=deal, actor=actor).iloc[0]
    assert (row["action"], row["status"]) == ("GET /v1/deals/{deal_id}/close-time", 200)


def test_access_log__takes_names_of_any_length(guarded):
    actor = next(key.key_id for key in guarded.store.keys.all() if guarded.keys["viewer"].startswith(key.key_id))
    assert guarded.ask("GET", f"/v1/deals/{'x' * 9000}/close-time", "viewer").status_code == 422
    guarded.service.until(lambda: len(guarded.store.accesses.read(subject="x" * 200, actor=actor)))


def test_strangers__take_no_place_from_those_with_a_key(guarded):
    url = httpx.URL(guarded.service.url)
    head = b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n"
    crowd = []

    def is_refused_beside_one_more() -> bool:
        # one more each time: this very request may have had the place that a stranger was refused
        crowd.append(socket.create_connection((url.host, url.port), timeout=20))
        crowd[-1].sendall(head)
        return guarded.service.client.post("/sign-in", data={"key": "x"}).status_code == 503

    while not is_refused_beside_one_more():
        assert len(crowd) < 10 * ANYBODYS_PLACES
    assert guarded.ask("GET", "/v1/models", "viewer").status_code == 200
    for connection in crowd:
        connection.close()
    guarded.service.until(lambda: guarded.service.client.post("/sign-in", data={"key": "x"}).status_code == 401)
    assert guarded.service.client.post("/sign-in", content=b"key=" + b"x" * 5000).status_code == 413


def test_public_paths__tell_nothing_of_the_company(guarded):
    ready = guarded.ask("GET", "/health/ready", None)
    assert ready.status_code == 200
    assert ready.json()["company"] == ""
    assert guarded.ask("GET", "/health/ready", "viewer").json()["company"]
    assert guarded.ask("GET", "/problems/unauthenticated", None).status_code == 200
    assert guarded.ask("GET", "/static/nothing", None).status_code == 404


def test_route__that_says_nothing_of_its_callers_gives_no_answer(settings, tmp_path, caplog):
    app = create_app(copy_of(settings, tmp_path))
    app.state.access.refresh()

    @app.get("/v1/secrets")
    async def secrets() -> dict[str, str]:
        return {"password": "hunter2"}

    answer = asyncio.run(ask_in_process(app, "/v1/secrets"))
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert "/v1/secrets does not say who may use it" in caplog.text


def test_browser__signs_in_with_a_key_and_out_again(guarded):
    with httpx.Client(base_url=guarded.service.url, headers={"Accept": "text/html"}) as browser:
        away = browser.get("/")
        assert (away.status_code, away.headers["location"]) == (303, "/sign-in?next=/")
        assert 'name="key"' in browser.get("/sign-in").text
        wrong = browser.post("/sign-in", data={"key": "pkpi_nothing"})
        assert (wrong.status_code, "set-cookie" in wrong.headers) == (401, False)
        right = browser.post("/sign-in", data={"key": guarded.keys["viewer"], "next": "//elsewhere.example/"})
        assert (right.status_code, right.headers["location"]) == (303, "/")
        cookie = right.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert guarded.keys["viewer"] not in cookie
        assert browser.get("/").status_code == 200
        assert browser.get("/v1/kpis").status_code == 200
        assert "As a viewer." in browser.get("/sign-in").text
        assert browser.post("/sign-out", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
        assert browser.get("/").status_code == 200
        session = browser.cookies["predictkpi_session"]
        assert browser.post("/sign-out").headers["location"] == "/sign-in"
        assert browser.get("/").status_code == 303
        forged = session[:-1] + ("1" if session.endswith("0") else "0")
        for cookie, status in ((session, 200), (forged, 303), ("x.y.z", 303), ("", 303)):
            assert browser.get("/", headers={"Cookie": f"predictkpi_session={cookie}"}).status_code == status


def test_session__ends_with_its_key(guarded):
    key, secret = make_key(guarded.store, "short", AccessRole.VIEWER, now=NOW)
    guarded.service.until(lambda: guarded.ask("GET", "/v1/models", secret).status_code == 200)
    with httpx.Client(base_url=guarded.service.url) as browser:
        browser.post("/sign-in", data={"key": secret})
        assert browser.get("/v1/models").status_code == 200
        revoke_key(guarded.store, key.key_id, now=NOW)
        guarded.service.until(lambda: browser.get("/v1/models").status_code == 401)


def test_open_service__answers_this_machine_by_its_own_name_only(served):
    assert served.client.get("/v1/models").status_code == 200
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8000"):
        refused = served.client.get("/v1/models", headers={"Host": host})
        assert refused.status_code == 403
        assert refused.json()["type"] == "/problems/forbidden"
    crossing = served.client.post("/v1/deals/close-time", json={"stage": "Qualified"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert crossing.status_code == 403


def test_service__on_an_address_that_others_reach_answers_nobody_without_keys(settings, tmp_path):
    own = copy_of(settings, tmp_path).model_copy(update={"host": "0.0.0.0"})
    with running(own) as service:
        service.until(lambda: service.client.get("/v1/models").status_code == 401)
