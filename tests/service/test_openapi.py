"""The OpenAPI document says what the service does, and the page /docs shows it without loading anything from elsewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

from predictkpi.core.access import Permission
from predictkpi.service.access.middleware import PUBLIC
from predictkpi.service.problems import PROBLEM_TYPES

KEPT = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"


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


def test_document__is_the_one_in_the_docs(document):
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    assert kept == document, "the API has changed: predictkpi openapi > docs/openapi.json, and look at what `git diff` says"


def test_openapi_command__prints_the_document(cli, document):
    code, out, err = cli("openapi")
    assert code == 0, err
    assert json.loads(out) == document


def test_document__says_who_may(document):
    assert set(document["components"]["securitySchemes"]) == {"bearer", "key"}
    asked = set()
    for path, method, told in operations(document):
        assert told["security"] == ([] if path.startswith(PUBLIC) else [{"bearer": []}, {"key": []}]), (path, method)
        asked.add(told.get("x-permission"))
    assert asked - {None} == set(Permission) - {Permission.TARGETS, Permission.PROMOTE}, "which no operation asks for yet"


def test_document__says_of_every_operation_what_may_go_wrong(document):
    for path, method, told in operations(document):
        expected = set() if path.startswith("/health") else {"503"}
        expected |= set() if path.startswith(PUBLIC) else {"401", "403", "429"}
        expected |= {"409", "413", "422"} if method == "post" else set()
        assert expected <= set(told["responses"]), (path, method)
        named = re.findall(r"`/problems/([a-z-]+)`", json.dumps([response["description"] for response in told["responses"].values()]))
        assert set(named) <= set(PROBLEM_TYPES), (path, method)


def test_document__every_example_fits_its_schema(document):
    for path, method, told in operations(document):
        bodies = [told.get("requestBody", {}), told["responses"]["200"]]
        for content in [body["content"] for body in bodies if "content" in body]:
            if "application/json" in content:
                schema = content["application/json"]["schema"] | {"components": document["components"]}
                jsonschema.Draft202012Validator(schema).validate(content["application/json"]["example"])
        for parameter in told.get("parameters", []):
            for example in [parameter["example"]] if "example" in parameter else parameter["schema"].get("examples", []):
                jsonschema.Draft202012Validator(parameter["schema"]).validate(example)
        assert method == "get" or "application/json" in told["requestBody"]["content"], (path, method)


def test_document__operations_have_names_of_their_own(document):
    names = [told["operationId"] for _, _, told in operations(document)]
    assert len(names) == len(set(names))
    assert all(re.fullmatch("[a-z_]+", name) for name in names)


def test_document__names_headers_of_conditional_repeated_and_paged_requests(document):
    for path, method, told in operations(document):
        names, headers = {parameter["name"] for parameter in told["parameters"]}, set(told["responses"]["200"].get("headers", {}))
        assert ("Idempotency-Key" in names) == (method == "post"), path
        assert (
            ("If-None-Match" in names)
            == ("ETag" in headers)
            == ("304" in told["responses"])
            == (method == "get" and path.startswith("/v1/"))
        ), path
        assert ("Link" in headers) == ("cursor" in names), path


@pytest.mark.parametrize("slug", PROBLEM_TYPES)
def test_problem_page__explains_every_type(served, slug):
    page = served.client.get(f"/problems/{slug}")
    assert page.status_code == 200
    assert str(PROBLEM_TYPES[slug].status) in page.text


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
        assert told["summary"], (path, method)
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
