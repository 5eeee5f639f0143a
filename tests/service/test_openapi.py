"""The OpenAPI document says what the service does, and the page /docs shows it without loading anything from elsewhere."""

from __future__ import annotations

import json
import re

import pytest


@pytest.fixture(scope="module")
def document(get):
    return get("/openapi.json")


def operations(document):
    return [(path, method, told) for path, methods in document["paths"].items() for method, told in methods.items()]


def test_document__lists_the_api(document):
    assert set(document["paths"]) == {
        "/v1/kpis",
        "/v1/kpis/{kpi}",
        "/v1/kpis/{kpi}/forecast",
        "/v1/kpis/{kpi}/trend",
        "/v1/kpis/{kpi}/alerts",
        "/v1/forecasts/revenue",
        "/v1/outlook",
        "/v1/outlook/levels",
        "/v1/outlook/moves",
        "/v1/outlook/reasons",
        "/v1/customers",
        "/v1/customers/{customer_id}",
        "/v1/customers/{customer_id}/clv",
        "/v1/customers/clv",
        "/v1/customers/clv/batch",
        "/v1/customers/value",
        "/v1/channels/value",
        "/v1/deals",
        "/v1/deals/{deal_id}",
        "/v1/deals/{deal_id}/close-time",
        "/v1/deals/close-time",
        "/v1/deals/close-time/batch",
        "/v1/deals/portfolio",
        "/v1/deals/{deal_id}/close-time/changes",
        "/v1/targets",
        "/v1/readiness",
        "/v1/rejects",
        "/v1/me",
        "/v1/audit",
        "/v1/audit/accesses",
        "/v1/models",
        "/v1/scoreboard",
        "/v1/models/{predictor}",
        "/metrics",
        "/health/live",
        "/health/ready",
    }


def test_document__every_reference_leads_somewhere(document):
    references = set(re.findall(r'"\$ref": ?"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert references
    assert references <= set(document["components"]["schemas"])


def test_document__every_error_is_a_problem(document):
    for path, method, told in operations(document):
        errors = {status: response for status, response in told["responses"].items() if status == "default" or status >= "400"}
        assert errors, (path, method)
        assert all(list(response["content"]) == ["application/problem+json"] for response in errors.values()), (path, method)
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_document__every_operation_and_parameter_is_described(document):
    for path, method, told in operations(document):
        assert told["description"], (path, method)
        assert told["tags"], (path, method)
        assert all(parameter["description"] for parameter in told.get("parameters", [])), (path, method)


def test_document__example_of_a_deal_is_accepted_in_form(document, served):
    example = document["components"]["schemas"]["DealIn"]["example"]
    answer = served.client.post("/v1/deals/close-time", json=example)
    # its stages and reps are not the sample company's, which costs the full status, but nothing is wrong with its form
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] != "full"


def test_docs__show_every_operation_and_load_nothing_from_elsewhere(document, served):
    page = served.client.get("/docs").text
    for _, _, told in operations(document):
        assert f'id="{told["operationId"]}"' in page
    assert "<script" not in page
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page)


def test_problem_page__explains(served):
    page = served.client.get("/problems/no-champion").text
    assert "<code>predictkpi train</code>" in page
    assert served.client.get("/problems/unheard-of").status_code == 404
