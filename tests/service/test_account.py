"""Who asks, who saw and changed what, what was kept aside, readiness and targets: with keys, over a copy of the store."""

from __future__ import annotations

import time

import pandas as pd
import pytest
from guarded_service import NOW, guarded_service
from running_service import copy_of

from predictkpi.core import columns as c
from predictkpi.core.access import OF_COMPANY, PERMISSIONS, AccessRole
from predictkpi.kpis.attainment import attainments
from predictkpi.pipelines.open_store import open_store
from predictkpi.pipelines.readiness import readiness
from predictkpi.store.loading import Counts
from predictkpi.store.schema import REJECT_FIELDS


@pytest.fixture(scope="module")
def guarded(settings, open_deals, tmp_path_factory):
    """The service over a copy of the store with a few rejects."""
    own = copy_of(settings, tmp_path_factory.mktemp("account"))
    store = open_store(own)
    store.migrate()
    rejects = pd.DataFrame([("orders.csv", row, "orders", "amount", "x", "is no number") for row in range(5)], columns=REJECT_FIELDS)
    with store.begin_load(company=store.company, now=NOW, source="rejects") as load:
        load.write_rejects(rejects.assign(record='{"id": "O-1"}'))
        load.finish(Counts(rejected=len(rejects)))
    with guarded_service(own, open_deals[c.OWNER].dropna().iloc[0]) as service:
        yield service


@pytest.fixture(scope="module")
def keyed(guarded):
    """``keyed(role, path)`` -> the answer."""
    return lambda role, path, **params: guarded.ask("GET", path, role, params=params)


def test_me__says_who_asks_and_what_may_be_asked(guarded, keyed):
    found = keyed("narrow", "/v1/me").json()
    assert (found["name"], found["role"], found["per_minute"]) == ("one rep", "manager", None)
    assert found["rows"] == {"kind": "owner", "members": [guarded.owner]}
    assert set(found["permissions"]) == {permission.value for permission in PERMISSIONS[AccessRole.MANAGER] - OF_COMPANY}
    assert keyed("admin", "/v1/me").json()["rows"] is None


def test_me__of_an_open_service_is_anybody(get):
    assert get("/v1/me")["id"] == "open"


def test_audit__shows_changes_page_by_page(keyed):
    first = keyed("admin", "/v1/audit", limit=3)
    assert 'rel="next"' in first.headers["link"]
    items, page = first.json()["items"], first.json()
    while page["next"]:
        page = keyed("admin", "/v1/audit", limit=3, cursor=page["next"]).json()
        items += page["items"]
    assert [item["subject"] for item in items[:5]] == [item["subject"] for item in keyed("admin", "/v1/audit").json()["items"][:5]]
    assert {item["detail"]["role"] for item in items if item["action"] == "make key"} == {role.value for role in AccessRole}
    promotions = keyed("admin", "/v1/audit", subject="close_time").json()["items"]
    assert promotions
    assert {item["subject"] for item in promotions} == {"close_time"}


def test_accesses__show_who_asked_for_what(guarded, keyed):
    assert keyed("scientist", "/v1/deals/D-unheard-of").status_code == 404
    deadline = time.monotonic() + 30
    while guarded.store.accesses.read(subject="D-unheard-of").empty:
        assert time.monotonic() < deadline
    found = keyed("admin", "/v1/audit/accesses", subject="D-unheard-of").json()["items"]
    assert [(item["action"], item["status"]) for item in found] == [("GET /v1/deals/{deal_id}", 404)]
    assert found[0]["actor"].startswith("pkpi_")


def test_rejects__page_by_page_and_as_the_source_gave_them(keyed):
    rows, page = [], keyed("scientist", "/v1/rejects", limit=2, table="orders").json()
    assert page["total"] >= 5
    while True:
        rows += page["items"]
        if page["next"] is None:
            break
        page = keyed("scientist", "/v1/rejects", limit=2, table="orders", cursor=page["next"]).json()
    assert [row["row"] for row in rows[:5]] == list(range(5))
    assert rows[0]["record"] == {"id": "O-1"}
    assert keyed("scientist", "/v1/rejects", table="spend").json()["items"] == []
    for cursor in ("x", "WzEsMl0x", "WyJhIiwxXQ", "W3RydWUsMV0"):
        answer = keyed("scientist", "/v1/rejects", cursor=cursor)
        assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "cursor")


@pytest.mark.parametrize(
    "path", ["/v1/audit?subject=a%00", "/v1/audit/accesses?actor=%00", "/v1/rejects?table=%00", "/v1/rejects?file=%00"]
)
def test_nul__which_no_database_takes_is_422(problem, path):
    assert problem(422, "GET", path.partition("?")[0], params=path.partition("?")[2])["errors"][0]["detail"].startswith(
        "String should match pattern"
    )


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("/v1/audit", ["viewer", "manager", "crm", "scientist"]),
        ("/v1/audit/accesses", ["viewer", "manager", "crm", "scientist"]),
        ("/v1/rejects", ["viewer", "manager", "crm"]),
        ("/v1/readiness", ["crm"]),
        ("/v1/targets", ["crm"]),
    ],
)
def test_others__are_refused(keyed, path, refused):
    found = [role.value for role in AccessRole if keyed(role.value, path).status_code == 403]
    assert found == refused


def test_readiness__is_that_of_the_command(get, served, snapshot):
    found = get("/v1/readiness")
    expected = readiness(snapshot, models_dir=served.settings.models_dir)
    told = [
        (item["predictor"], item["status"], one["count"], one["have"], one["lift"]) for item in found["items"] for one in item["counts"]
    ]
    assert told == list(expected[["predictor", "status", "count", "have", "lift"]].itertuples(index=False, name=None))


def test_targets__are_those_of_the_command(get, problem, snapshot):
    found, expected = get("/v1/targets"), attainments(snapshot)
    assert len(found["items"]) == len(expected) > 0
    assert [item["attainment"] for item in found["items"]] == pytest.approx(
        [None if pd.isna(value) else value for value in expected["attainment"]]
    )
    total = get("/v1/targets", kpi="revenue", scope="total", freq="Q")["items"]
    assert total
    assert {(item["kpi"], item["scope"], item["freq"]) for item in total} == {("revenue", "total", "Q")}
    assert problem(404, "GET", "/v1/targets", params={"kpi": "happiness"})["type"] == "/problems/unknown-name"


def test_levels__stand_beside_their_targets(get, snapshot):
    months = get("/v1/outlook/levels", freq="M")["items"]
    written = snapshot.targets
    written = written[(written[c.KPI] == "revenue") & (written[c.SCOPE] == c.TOTAL) & (written[c.FREQ] == "M")].set_index(c.DS)[c.VALUE]
    beside = [month for month in months if month["target"] is not None]
    assert beside
    assert all(0 <= month["chance"] <= 1 and month["target_basis"] for month in beside)
    exact = [month for month in beside if month["target_basis"] == "exact"]
    assert [month["target"] for month in exact] == [written[pd.Timestamp(month["ds"])] for month in exact]
    this = next(item for item in get("/v1/outlook", period="this_month")["items"][0]["periods"])
    assert (months[0]["target"], months[0]["chance"]) == (this["target"], this["chance"])
    assert all(week["target"] is None for week in get("/v1/outlook/levels", freq="W")["items"])
