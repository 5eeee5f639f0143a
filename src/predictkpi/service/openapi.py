"""The OpenAPI document: FastAPI's, with what holds for every operation beside it: who may, what can go wrong, headers, examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from predictkpi.core.access import roles_with
from predictkpi.service.access.middleware import PUBLIC
from predictkpi.service.access.permissions import asked_by
from predictkpi.service.dependencies import problems
from predictkpi.service.deprecation import retirement
from predictkpi.service.openapi_examples import Examples
from predictkpi.service.problems import PROBLEM_JSON
from predictkpi.service.routes import api_routes
from predictkpi.service.schemas import Problem

_PROBLEM_CONTENT = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_FASTAPI_ERRORS = ("HTTPValidationError", "ValidationError")
_JSON = "application/json"
LOCAL_INSTANT = "local-date-time"

TAGS = [
    {"name": "kpis", "description": "Where the company stands"},
    {"name": "forecasts", "description": "What revenue will be"},
    {"name": "outlook", "description": "Whether the number will be made, from what, and what moved it"},
    {"name": "customers", "description": "What each customer will be worth"},
    {"name": "deals", "description": "Whether and when each deal will close"},
    {"name": "models", "description": "Which model versions there are and which are served"},
    {"name": "data", "description": "Whether there is enough data, and what was kept aside"},
    {"name": "account", "description": "Who asks, and who saw and changed what"},
    {"name": "health", "description": "Whether the service lives and is ready"},
]

DESCRIPTION = (
    "Forecasts of revenue, customer lifetime value and deal close time, with their uncertainty, beside the KPIs they are about.\n\n"
    "Every prediction comes in one envelope and says as of when it holds (`as_of`: only facts known before that instant are used), which "
    "model version gave it, and on which rung of the ladder it stands (`status`). A missing number is null. Instants are ISO 8601 in local "
    "time of the company, without an offset (`local-date-time`); in a request they may have one. "
    "Every error is an RFC 9457 problem; its `type` is the address of a page that explains it.\n\n"
    "Below `/v1` nothing is taken away and no meaning changes: see docs/api.md for what may be added, and for keys, pages, conditional and "
    "repeated requests. `x-permission` names what each operation asks of its caller."
)
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "an API key, or a token of your identity provider"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "an API key"},
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "a string of your own, new for each request: sent again with the same body within 24 hours, it brings the same answer",
    "schema": {"type": "string", "pattern": r'^("([ !#-\[\]-~]|\\["\\]){1,255}"|[!#-+\--:<-\[\]-~]{1,255})$'},
    "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "`ETag` of an answer that you hold: the answer is 304 without a body while that is still right",
    "schema": {"type": "string"},
    "example": '"adaa78cdfc1d3f83adaa78cdfc1d3f83"',
}
_ETAG = {"ETag": {"description": "stands for this answer; send it as `If-None-Match`", "schema": {"type": "string"}}}
_LINK = {"Link": {"description": 'address of the next page, with rel="next"; absent on the last', "schema": {"type": "string"}}}
_REPLAYED = {
    "Idempotency-Replayed": {"description": "`true`: the answer of an earlier request", "schema": {"type": "string"}},
    "Idempotency-Kept": {"description": "`false`: a repetition will be answered anew", "schema": {"type": "string"}},
}


def install(app: FastAPI) -> None:
    """Make ``app.openapi`` give this document, built once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes, tags=TAGS)
            app.openapi_schema = _completed(schema, app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def operation_id(route: APIRoute) -> str:
    """The name of an operation, for clients that are generated: that of its function."""
    return route.name


def _completed(schema: dict[str, Any], app: FastAPI) -> dict[str, Any]:
    components = schema.setdefault("components", {})
    components["securitySchemes"] = SECURITY_SCHEMES
    schemas = components.setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    for name in _FASTAPI_ERRORS:
        schemas.pop(name, None)
    for name, answered in schemas.items():
        if not name.endswith("In"):
            _name_local_instants(answered)
    examples = Examples(schemas)
    for route, method, operation in _operations(app, schema):
        _say_who_may(operation, route)
        _say_what_goes_wrong(operation, route, method)
        _say_headers(operation, route, method)
        _give_examples(operation, examples)
    return schema


def _name_local_instants(schema: Any) -> None:
    """JSON Schema's ``date-time`` has an offset, and what the service says has none; requests may give one."""
    if isinstance(schema, dict):
        if schema.get("format") == "date-time":
            schema["format"] = LOCAL_INSTANT
        for inner in schema.values():
            _name_local_instants(inner)
    elif isinstance(schema, list):
        for inner in schema:
            _name_local_instants(inner)


def _operations(app: FastAPI, schema: dict[str, Any]) -> Iterator[tuple[APIRoute, str, dict[str, Any]]]:
    for route in api_routes(app):
        if route.include_in_schema:
            for method in sorted(route.methods or ()):
                yield route, method, schema["paths"][route.path_format][method.lower()]


def _say_who_may(operation: dict[str, Any], route: APIRoute) -> None:
    if route.path.startswith(PUBLIC):
        operation["security"] = []
        return
    operation["security"] = [{name: []} for name in SECURITY_SCHEMES]
    asked = [each.permission for each in asked_by(route.dependant) if each.permission is not None]
    if asked:
        operation["x-permission"] = asked[0].value
        operation["x-roles"] = [role.value for role in roles_with(asked[0])]


def _say_what_goes_wrong(operation: dict[str, Any], route: APIRoute, method: str) -> None:
    responses = operation["responses"]
    if "422" in responses and PROBLEM_JSON not in responses["422"].get("content", {}):
        responses |= _described("invalid-request")
    slugs = [] if route.path.startswith("/health/") else ["overloaded", "too-long"]
    if not route.path.startswith(PUBLIC):
        slugs += ["unauthenticated", "forbidden", "rate-limited"]
    if method == "POST":
        slugs += ["body-too-large", "in-flight", "key-reused"]
    for status, response in _described(*slugs).items():
        if status in responses and PROBLEM_JSON in responses[status].get("content", {}):
            responses[status]["description"] += f" · {response['description']}"
        else:
            responses[status] = response
    responses["default"] = {"description": "Anything else that went wrong, as a problem", "content": _PROBLEM_CONTENT}


def _described(*slugs: str) -> dict[str, Any]:
    return {str(status): response for status, response in problems(*slugs).items()}


def _say_headers(operation: dict[str, Any], route: APIRoute, method: str) -> None:
    parameters: list[dict[str, Any]] = operation.setdefault("parameters", [])
    headers: dict[str, Any] = {}
    if method == "GET" and route.path.startswith("/v1/"):
        parameters.append(_IF_NONE_MATCH)
        operation["responses"]["304"] = {"description": "You hold this answer already: see `If-None-Match`", "headers": _ETAG}
        headers |= _ETAG
    if any(parameter["name"] == "cursor" for parameter in parameters):
        headers |= _LINK
    if method == "POST":
        parameters.append(_IDEMPOTENCY_KEY)
        headers |= _REPLAYED
    going = retirement(route)
    if going is not None:
        operation["deprecated"] = True
        operation["description"] += f"\n\nDeprecated since {going.since}, gone on {going.gone}: use {going.successor}."
        headers |= {name.title(): {"description": text, "schema": {"type": "string"}} for name, text in going.headers.items()}
    if headers:
        operation["responses"]["200"]["headers"] = headers


def _give_examples(operation: dict[str, Any], examples: Examples) -> None:
    for told in (operation.get("requestBody", {}), operation["responses"].get("200", {})):
        content = told.get("content", {}).get(_JSON, {})
        if content.get("schema") and "example" not in content and "examples" not in content:
            content["example"] = examples.of(content["schema"])
