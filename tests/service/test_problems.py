"""Whatever goes wrong is told as an RFC 9457 problem."""

from __future__ import annotations

import asyncio
import logging

import pytest
from running_service import ask_in_process

from predictkpi import errors
from predictkpi.core import columns as c
from predictkpi.service import error_handlers
from predictkpi.service.app import create_app
from predictkpi.service.error_handlers import ERROR_TYPES, json_pointer
from predictkpi.service.problems import PROBLEM_TYPES
from predictkpi.settings import Settings


def test_unknown_entity__is_404(problem):
    assert problem(404, "GET", "/v1/customers/nobody/clv")["type"] == "/problems/unknown-entity"
    assert problem(404, "GET", "/v1/deals/none/close-time")["type"] == "/problems/unknown-entity"


def test_closed_deal__is_409(problem, snapshot):
    closed = snapshot.deal_events[snapshot.deal_events[c.STAGE] == c.WON][c.DEAL_ID].iloc[0]
    assert problem(409, "GET", f"/v1/deals/{closed}/close-time")["type"] == "/problems/deal-closed"


def test_unknown_kpi__is_404_and_lists_what_there_is(problem):
    found = problem(404, "GET", "/v1/kpis/happiness")
    assert found["type"] == "/problems/unknown-name"
    assert "win_rate" in found["detail"]


def test_unknown_path__is_404(problem):
    assert problem(404, "GET", "/v1/nothing")["type"] == "/problems/not-found"


def test_wrong_method__is_405_and_says_which_are_right(problem, served):
    assert problem(405, "DELETE", "/v1/kpis")["type"] == "/problems/method-not-allowed"
    assert served.client.delete("/v1/kpis").headers["allow"] == "GET"


@pytest.mark.parametrize(
    ("path", "params", "name"),
    [
        ("/v1/forecasts/revenue", {"horizon": 13}, "horizon"),
        ("/v1/forecasts/revenue", {"horizon": 0}, "horizon"),
        ("/v1/forecasts/revenue", {"horizon": "soon"}, "horizon"),
        ("/v1/forecasts/revenue", {"by": "shoe_size"}, "by"),
        ("/v1/kpis/revenue", {"by": "shoe_size"}, "by"),
        ("/v1/kpis/revenue", {"freq": "H"}, "freq"),
        ("/v1/kpis/revenue", {"as_of": "yesterday"}, "as_of"),
    ],
)
def test_wrong_parameter__is_422_and_named(problem, path, params, name):
    found = problem(422, "GET", path, params=params)
    assert [item["parameter"] for item in found["errors"]] == [name]


DEAL = {"created_at": "2025-11-01T09:00:00", "stage": "Proposal", "amount": 10}


@pytest.mark.parametrize("horizons", ["0", "181", "7,500", "", "7,", "soon", "-7", "7.5", "9" * 500, "٣0x"])
@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/deals/D-1/close-time"), ("POST", "/v1/deals/close-time")])
def test_horizons__out_of_range_are_422_and_say_what_there_is(problem, method, path, horizons):
    found = problem(422, method, path, params={"horizons": horizons}, json=DEAL if method == "POST" else None)
    assert [item["parameter"] for item in found["errors"]] == ["horizons"]
    assert "any from 1 to 180 days" in found["detail"]


def test_future_as_of__is_422(problem):
    assert problem(422, "GET", "/v1/kpis/revenue", params={"as_of": "2199-01-01"})["type"] == "/problems/future-access"


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["#/created_at", "#/stage"]),
        (DEAL | {"amount": -1}, ["#/amount"]),
        (DEAL | {"amount": "much"}, ["#/amount"]),
        (DEAL | {"stage": ""}, ["#/stage"]),
        (DEAL | {"colour": "red"}, ["#/colour"]),
        (DEAL | {"created_at": "2999-01-01"}, ["#/created_at"]),
        (DEAL | {"events": [{"at": "2025-11-02", "stage": "Discovery"}]}, ["#/stage"]),
        (DEAL | {"events": [{"at": "2024-11-02", "stage": "Proposal"}]}, ["#/events/0/at"]),
        (DEAL | {"events": [{"at": "2025-11-02", "stage": "Proposal"}, {"at": "2999-11-02", "stage": "Proposal"}]}, ["#/events/1/at"]),
        ([], ["#"]),
        (None, ["#"]),
        ({"amount": 5, "owner": "Ann"}, ["#/created_at", "#/stage"]),
        ({"events": [{"at": "2999-11-02", "stage": "Proposal"}]}, ["#/events/0/at"]),
    ],
)
def test_wrong_deal__is_422_with_pointers(problem, body, pointers):
    found = problem(422, "POST", "/v1/deals/close-time", json=body)
    assert [item["pointer"] for item in found["errors"]] == pointers


@pytest.mark.parametrize("stage", ["won", "lost", "Won"])
def test_closed_payload__is_409(problem, stage):
    assert problem(409, "POST", "/v1/deals/close-time", json=DEAL | {"stage": stage})["type"] == "/problems/deal-closed"


def test_closed_payload__by_its_newest_event_is_409(problem):
    events = [{"at": "2025-11-01", "stage": "Proposal"}, {"at": "2025-11-05", "stage": "lost"}]
    problem(409, "POST", "/v1/deals/close-time", json={"events": events})


def test_no_payload__is_422_and_says_so(problem):
    found = problem(422, "POST", "/v1/deals/close-time")
    assert [item["pointer"] for item in found["errors"]] == ["#"]


def test_broken_json__is_400(problem):
    found = problem(400, "POST", "/v1/deals/close-time", content=b'{"stage": ', headers={"content-type": "application/json"})
    assert found["type"] == "/problems/malformed-json"


@pytest.mark.parametrize("deals", [[], None])
def test_batch__without_deals_is_422(problem, deals):
    problem(422, "POST", "/v1/deals/close-time/batch", json={"deals": deals})


def test_request_id__is_the_caller_s_where_it_is_well_formed(served):
    assert served.client.get("/health/live", headers={"X-Request-ID": "trace-0123456789"}).headers["x-request-id"] == "trace-0123456789"
    forged = served.client.get("/health/live", headers={"X-Request-ID": 'x" injected'}).headers["x-request-id"]
    assert len(forged) == 32


def test_unexpected_failure__is_a_500_that_tells_nothing_but_its_id(tmp_path, caplog):
    app = create_app(Settings(database_url=f"sqlite:///{tmp_path}/facts.db"))
    app.state.access.refresh()

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("the password is hunter2")

    with caplog.at_level(logging.ERROR, logger=error_handlers.__name__):
        answer = asyncio.run(ask_in_process(app, "/broken"))
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "hunter2" not in answer.text
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert answer.json()["request_id"] in caplog.text
    assert "hunter2" in caplog.text


def _all_errors(cls=errors.PredictKpiError):
    return [cls, *(found for child in cls.__subclasses__() for found in _all_errors(child))]


def test_error_table__knows_every_error_and_only_known_problems():
    raised_in_src = {cls for cls in _all_errors() if cls.__module__.startswith("predictkpi.")}
    assert raised_in_src == set(ERROR_TYPES)
    assert set(ERROR_TYPES.values()) <= set(PROBLEM_TYPES)


def test_json_pointer__escapes_as_rfc_6901_says():
    assert json_pointer(["a/b", 3, "c~d"]) == "#/a~1b/3/c~0d"


@pytest.mark.parametrize("instant", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "20250101", 1700000000, True])
def test_instant__that_is_no_iso_date_within_reach_is_422(problem, instant):
    found = problem(422, "POST", "/v1/deals/close-time", json={"created_at": instant, "stage": "Proposal"})
    assert [item["pointer"] for item in found["errors"]] == ["#/created_at"]


@pytest.mark.parametrize("as_of", ["20250101", "-1", "9999-12-31T23:59:59-10:00"])
def test_as_of__that_is_no_iso_date_within_reach_is_422(problem, as_of):
    assert problem(422, "GET", "/v1/kpis/revenue", params={"as_of": as_of})["errors"][0]["parameter"] == "as_of"


@pytest.mark.parametrize("amount", ["42", True, 1e16])
def test_amount__must_be_a_number_of_money(problem, amount):
    found = problem(422, "POST", "/v1/deals/close-time", json={"created_at": "2025-11-20", "stage": "Proposal", "amount": amount})
    assert found["errors"][0]["pointer"] == "#/amount"


@pytest.mark.parametrize("body", [b"\xff\xfe", b"[" * 5000 + b"]" * 5000, b'{"amount": ' + b"9" * 5000 + b"}"])
def test_body__that_cannot_be_read_is_malformed(problem, body):
    found = problem(400, "POST", "/v1/deals/close-time", content=body, headers={"content-type": "application/json"})
    assert found["type"] == "/problems/malformed-json"


def test_id__with_a_slash_reaches_its_route(problem):
    assert problem(404, "GET", "/v1/deals/OPP/2023/1/close-time")["type"] == "/problems/unknown-entity"
    assert problem(404, "GET", "/v1/customers/a/b/clv")["type"] == "/problems/unknown-entity"
