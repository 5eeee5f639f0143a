"""The fast paths give the answers, and the problems, of the routes they go before; deals line by line are answered like deals at once."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from test_predictions import payload_of

from predictkpi.core import columns as c
from predictkpi.service import deal_stream
from predictkpi.service.batches import AT_ONCE
from predictkpi.service.customer_schemas import CustomerEnvelope
from predictkpi.service.deal_batches import LONGEST_LINE
from predictkpi.service.schemas import BatchItem, BatchOut, PredictionEnvelope, PredictionList

DEAL, BATCH = "/v1/deals/close-time", "/v1/deals/close-time/batch"
BY_ROUTE = {"curve": "false"}
"""A query that changes nothing, and that no fast path takes."""
JSON, NDJSON = {"content-type": "application/json"}, {"content-type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def payloads(open_deals, snapshot):
    return [payload_of(deal_id, snapshot) for deal_id in open_deals.index[-12:]]


def odd(payloads):
    deal = payloads[0]
    yield from payloads
    yield {"stage": deal["stage"]}
    yield {"created_at": "2024-05-01T10:00:00+05:30", "amount": 7}
    yield deal | {"owner": None, "stage": f" {deal['stage']} ", "source": "pigeon"}
    yield deal | {"attributes": {"shoe_size": 43}}
    yield deal | {"stage": "Won", "events": []}
    yield deal | {"created_at": "2999-01-01"}
    yield deal | {"amount": "7"}
    yield {"amount": 5}
    yield []


def test_deal__is_answered_as_by_its_route(served, payloads):
    statuses = set()
    for payload in odd(payloads):
        fast, slow = served.client.post(DEAL, json=payload), served.client.post(DEAL, json=payload, params=BY_ROUTE)
        statuses.add(fast.status_code)
        told, expected = fast.json(), slow.json()
        for body in (told, expected):
            body.pop("request_id", None)
        assert (fast.status_code, told) == (slow.status_code, expected)
        assert fast.headers["content-type"] == slow.headers["content-type"]
        assert {"x-request-id", "content-security-policy"} <= set(fast.headers)
    assert statuses == {200, 409, 422}


@pytest.mark.parametrize("query", ["reasons=true", "reasons=true&language=de"])
def test_deal__is_explained_as_by_its_route(served, payloads, query):
    for payload in odd(payloads):
        fast, slow = served.client.post(f"{DEAL}?{query}", json=payload), served.client.post(f"{DEAL}?{query}&curve=false", json=payload)
        assert fast.status_code == slow.status_code
        if fast.status_code == 200:
            assert fast.json() == slow.json()
            assert fast.json()["reasons"]


def test_deal__in_parts_or_under_another_type_is_left_to_its_route(served, payloads):
    body = json.dumps(payloads[0]).encode()
    expected = served.client.post(DEAL, json=payloads[0]).json()
    parts = served.client.post(DEAL, content=iter([body[:50], body[50:]]), headers={"content-type": "application/json"})
    assert parts.json() == expected
    assert served.client.post(DEAL, content=body, headers={"content-type": "application/json; charset=utf-8"}).json() == expected
    assert served.client.post(DEAL, content=body, headers={"content-type": "text/plain"}).status_code == 422
    assert served.client.post(DEAL, content=b"{", headers={"content-type": "application/json"}).status_code == 400


def test_stored__is_answered_as_by_its_route_each_time(served, open_deals, snapshot):
    deal_id, customer_id = open_deals.index[-1], snapshot.orders[c.CUSTOMER_ID].iloc[0]
    for path in (f"/v1/deals/{deal_id}/close-time", f"/v1/customers/{customer_id}/clv"):
        expected = served.client.get(path, params=BY_ROUTE | {"reasons": "false"}).json()
        assert [served.client.get(path).json() for _ in range(2)] == [expected, expected]
    assert served.client.get("/v1/deals/nobody/close-time").status_code == 404
    assert served.client.get("/v1/customers/a/b/clv").status_code == 404


def test_fast_answers__are_logged(served, payloads, open_deals):
    def waiting():
        return served.serving.answers.waiting

    served.serving.answers.write()
    before = waiting()
    told = served.client.post(DEAL, json=payloads[3] | {"amount": 4711.0}).json()
    served.serving.answers.write()
    kept = served.serving.store.read_answers("close_time")
    row = kept[kept[c.PREDICTION_ID] == told["prediction_id"]].iloc[0]
    assert row[c.ENTITY_ID] == told["entity_id"]
    assert row[c.AS_OF] == pd.Timestamp(told["as_of"])
    assert before == 0


def test_answers__are_as_the_schemas_say(served, get, payloads, open_deals, snapshot):
    params = {"reasons": "true", "curve": "true"}
    PredictionEnvelope.model_validate(served.client.post(DEAL, json=payloads[0], params=params).json())
    PredictionEnvelope.model_validate(get(f"/v1/deals/{open_deals.index[-1]}/close-time", **params))
    CustomerEnvelope.model_validate(get(f"/v1/customers/{snapshot.orders[c.CUSTOMER_ID].iloc[0]}/clv", reasons="true"))
    PredictionList.model_validate(get("/v1/forecasts/revenue"))
    BatchOut.model_validate(served.client.post(BATCH, json={"deals": [payloads[0], {"amount": -1}]}).json())


def lines_of(answer) -> list[dict]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def test_lines__are_answered_like_deals_at_once(served, payloads):
    deals = [payloads[number % len(payloads)] | {"deal_id": f"D{number}"} for number in range(AT_ONCE + 3)]
    at_once = served.client.post(BATCH, json={"deals": deals}, params={"horizons": "7,180"}).json()
    text = "\n".join(map(json.dumps, deals))
    assert lines_of(served.client.post(BATCH, content=text, headers=NDJSON, params={"horizons": "7,180"})) == at_once["items"]
    as_lines = served.client.post(BATCH, json={"deals": deals}, params={"horizons": "7,180"}, headers={"accept": NDJSON["content-type"]})
    assert lines_of(as_lines) == at_once["items"]


def test_lines__each_is_answered_or_refused_by_itself(served, payloads):
    good = json.dumps(payloads[0]).encode()
    sent = [good, b"{", b"", b"\xff", b'"text"', json.dumps(payloads[0] | {"amount": -1}).encode(), b"  ", b"[" * 100_000]
    sent += [json.dumps(payloads[0] | {"stage": "won", "events": []}).encode(), b'"' + b"x" * (2 * LONGEST_LINE) + b'"', good]
    items = lines_of(served.client.post(BATCH, content=b"\r\n".join(sent), headers=NDJSON))
    for item in items:
        BatchItem.model_validate(item)
    assert [item["index"] for item in items] == list(range(9))
    assert [item["problem"] and item["problem"]["status"] for item in items] == [None, 400, 400, 422, 422, 400, 409, 400, None]
    assert items[4]["problem"]["errors"][0]["pointer"] == "#/amount"
    assert items[0]["prediction"] | {"entity_id": ""} == items[8]["prediction"] | {"entity_id": ""}


def halves(deal) -> list[dict]:
    """The deal with half of a surrogate pair in one member each: JSON can escape it, UTF-8 cannot hold it."""
    half, event = "\ud83d", deal["events"][-1] if deal.get("events") else {"at": deal["created_at"], "stage": deal["stage"]}
    found = [deal | {name: half} for name in ("deal_id", "name", "stage", "owner", "customer_id", "expected_close_on", "amount", half)]
    found += [deal | {"attributes": fields} for fields in ({half: 1}, {"a": half}, {"a": [half]})]
    found += [deal | {"events": [event | {name: half}]} for name in ("at", "stage", "owner", half)]
    return [*found, deal | {"activities": [{"at": event["at"], "kind": half}]}]


def test_text_that_is_no_unicode__is_a_problem_of_its_own_deal(served, payloads):
    good, bad = payloads[0], halves(payloads[0])
    items = served.client.post(BATCH, content=json.dumps({"deals": [*bad, good]}), headers=JSON).json()["items"]
    assert [item["problem"] and item["problem"]["status"] for item in items] == [422] * len(bad) + [None]
    lines = "\n".join(map(json.dumps, [*bad, good]))
    told = lines_of(served.client.post(BATCH, content=lines, headers=NDJSON))
    assert [item["problem"] and item["problem"]["status"] for item in told] == [422] * len(bad) + [None]
    assert {served.client.post(DEAL, content=json.dumps(deal), headers=JSON).status_code for deal in bad} == {422}


def test_lines__beyond_the_most_are_one_problem(served, payloads, monkeypatch):
    monkeypatch.setattr(deal_stream, "MOST_LINES", AT_ONCE + 3)
    good = json.dumps(payloads[0])
    most = ["1"] * (AT_ONCE + 1) + ["", good]
    for all_of_them in ("\n".join(most), "\n".join(most) + "\n"):
        items = lines_of(served.client.post(BATCH, content=all_of_them, headers=NDJSON))
        assert len(items) == AT_ONCE + 2
        assert items[-1]["prediction"]
    items = lines_of(served.client.post(BATCH, content="\n".join([*most, *["1"] * 500]), headers=NDJSON))
    assert [item["index"] for item in items] == list(range(AT_ONCE + 3))
    assert BatchItem.model_validate(items[-1]).problem.type == "/problems/body-too-large"
    assert "only the first 103 lines" in items[-1]["problem"]["detail"]


def test_lines__that_are_blank_count_among_the_most(served, monkeypatch):
    monkeypatch.setattr(deal_stream, "MOST_LINES", 5)
    (item,) = lines_of(served.client.post(BATCH, content="\n" * 6, headers=NDJSON))
    assert (item["index"], item["problem"]["status"]) == (0, 413)


def test_lines__with_a_horizon_that_cannot_be_asked_for_are_refused_whole(served, payloads):
    answer = served.client.post(BATCH, content=json.dumps(payloads[0]), headers=NDJSON, params={"horizons": "181"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == "horizons"
    assert lines_of(served.client.post(BATCH, content=b"", headers=NDJSON)) == []
