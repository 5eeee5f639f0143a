"""Whatever a request may leave null, it may leave null in any combination: the answer says what that costs."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# body, address, its list of smaller bodies
CASES = [("DealIn", "/v1/deals/close-time", "events", "DealEventIn"), ("CustomerIn", "/v1/customers/clv", "orders", "OrderIn")]


def nullable(schema):
    return sorted(name for name, member in schema["properties"].items() if {"type": "null"} in member.get("anyOf", []))


@pytest.mark.parametrize(("body_name", "path", "inner", "inner_name"), CASES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_null__is_taken_wherever_the_document_allows_it(served, body_name, path, inner, inner_name, data):
    schemas = served.app.openapi()["components"]["schemas"]
    body = deepcopy(schemas[body_name]["example"])
    body |= dict.fromkeys(data.draw(st.sets(st.sampled_from(nullable(schemas[body_name])))))
    for item in body[inner] or []:
        item |= dict.fromkeys(data.draw(st.sets(st.sampled_from(nullable(schemas[inner_name])))))
    says_nothing = body_name == "DealIn" and not (body["created_at"] or body["stage"] or body["events"])
    answer = served.client.post(path, json=body)
    assert answer.status_code == (422 if says_nothing else 200), answer.text


def test_null_alone__is_answered_for_a_customer_and_says_nothing_of_a_deal(served):
    schemas = served.app.openapi()["components"]["schemas"]
    empty = {name: dict.fromkeys(nullable(schemas[name])) for name in ("CustomerIn", "DealIn")}
    assert served.client.post("/v1/customers/clv", json=empty["CustomerIn"]).status_code == 200
    refused = served.client.post("/v1/deals/close-time", json=empty["DealIn"])
    assert (refused.status_code, len(refused.json()["errors"])) == (422, 2)
