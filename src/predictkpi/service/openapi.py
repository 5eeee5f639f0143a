"""The OpenAPI document: FastAPI's, with problems where FastAPI would tell of its own error shape."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from predictkpi.service.problems import PROBLEM_JSON
from predictkpi.service.schemas import Problem

_PROBLEM_CONTENT = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_FASTAPI_ERRORS = ("HTTPValidationError", "ValidationError")

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
    "model version gave it, and on which rung of the ladder it stands (`status`). A missing number is null. "
    "Every error is an RFC 9457 problem; its `type` is the address of a page that explains it."
)


def install(app: FastAPI) -> None:
    """Make ``app.openapi`` give this document, built once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes, tags=TAGS)
            app.openapi_schema = _with_problems(schema)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _with_problems(schema: dict[str, Any]) -> dict[str, Any]:
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    for name in _FASTAPI_ERRORS:
        schemas.pop(name, None)
    for operations in schema["paths"].values():
        for operation in operations.values():
            responses = operation["responses"]
            if "422" in responses and PROBLEM_JSON not in responses["422"].get("content", {}):
                responses["422"] = {"description": "The request is not valid (`/problems/invalid-request`)", "content": _PROBLEM_CONTENT}
            responses["default"] = {"description": "Anything else that went wrong, as a problem", "content": _PROBLEM_CONTENT}
    return schema
