"""The one place where errors become HTTP: `ERROR_TYPES` maps each error class to a problem type, the handlers write it out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import ValidationError
from starlette.datastructures import URL
from starlette.exceptions import HTTPException
from starlette.types import Scope

from predictkpi import errors as e
from predictkpi.service.middleware import REQUEST_ID_HEADER
from predictkpi.service.problems import (
    PROBLEM_JSON,
    PROBLEM_TYPES,
    BusyError,
    FieldError,
    ForbiddenError,
    InFlightError,
    InvalidRequestError,
    KeyReusedError,
    NotReadyError,
    OverloadedError,
    ProblemType,
    RateLimitedError,
    TooLargeError,
    TooLongError,
    UnauthenticatedError,
)
from predictkpi.service.schemas import Problem, ProblemItem

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5
MACHINES = ("/v1/", "/health/", "/metrics", "/openapi.json", "/static/")
"""Where errors are JSON, whatever the caller accepts."""

# Every error class stands here by name; a test holds the table complete. A class without its own line would fall to its parent's.
ERROR_TYPES: dict[type[e.PredictKpiError], str] = {
    e.PredictKpiError: "internal-error",
    e.SettingsError: "internal-error",
    e.MappingError: "internal-error",
    e.DataError: "internal-error",
    e.SourceError: "internal-error",
    e.SchemaError: "internal-error",
    e.InsufficientDataError: "insufficient-data",
    e.FutureAccessError: "future-access",
    e.NotFoundError: "unknown-entity",
    e.UnknownEntityError: "unknown-entity",
    e.UnknownNameError: "unknown-name",
    e.NoChampionError: "no-champion",
    e.ConflictError: "conflict",
    e.DealClosedError: "deal-closed",
    e.LockedError: "conflict",
    e.StoreError: "store-unavailable",
    e.ArtifactError: "internal-error",
    e.RegistryError: "registry-unavailable",
    e.DeliveryError: "internal-error",
    InvalidRequestError: "invalid-request",
    NotReadyError: "not-ready",
    UnauthenticatedError: "unauthenticated",
    ForbiddenError: "forbidden",
    BusyError: "overloaded",
    RateLimitedError: "rate-limited",
    OverloadedError: "overloaded",
    TooLongError: "too-long",
    TooLargeError: "body-too-large",
    InFlightError: "in-flight",
    KeyReusedError: "key-reused",
}

_HTTP_STATUS_TYPES = {400: "malformed-json", 404: "not-found", 405: "method-not-allowed", 413: "body-too-large"}


def problem_type(error: e.PredictKpiError) -> ProblemType:
    """The problem type of an error: its own line of the table, or its nearest parent's."""
    if isinstance(error, NotReadyError):
        return PROBLEM_TYPES[error.slug]
    for cls in type(error).__mro__:
        if cls in ERROR_TYPES:
            return PROBLEM_TYPES[ERROR_TYPES[cls]]
    return PROBLEM_TYPES["internal-error"]


def problem_of(error: e.PredictKpiError, *, instance: str, request_id: str) -> Problem:
    """The problem that tells of an error; an internal error's message stays in the log."""
    kind = problem_type(error)
    if kind.status >= 500 and kind.slug == "internal-error":
        log.error("request %s failed: %s", request_id, error, exc_info=error)
        return build_problem(kind, detail=kind.way_out, instance=instance, request_id=request_id)
    fields = error.errors if isinstance(error, InvalidRequestError) else None
    missing = error.missing if isinstance(error, NotReadyError) else None
    detail = str(error) if isinstance(error, InvalidRequestError | NotReadyError) else f"{error}. {kind.way_out}"
    return build_problem(kind, detail=detail, instance=instance, request_id=request_id, fields=fields, missing=missing)


def build_problem(
    kind: ProblemType,
    *,
    detail: str,
    instance: str,
    request_id: str,
    fields: Sequence[FieldError] | None = None,
    missing: Sequence[str] | None = None,
) -> Problem:
    """Fill the RFC 9457 members from the catalogue's line and what happened."""
    items = [ProblemItem(detail=field.detail, pointer=field.pointer, parameter=field.parameter) for field in fields or ()]
    return Problem(
        type=kind.path,
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=instance,
        request_id=request_id,
        errors=items or None,
        missing=list(missing) if missing else None,
    )


def fields_of(error: RequestValidationError | ValidationError, *, prefix: Sequence[str | int] = ()) -> list[FieldError]:
    """pydantic's findings as JSON pointers (bodies) and parameter names (path, query)."""
    found = []
    for item in error.errors():
        location = [*prefix, *item["loc"]]
        where = location[0] if location else "body"
        detail = f"{item['msg']}" + (f", got {item['input']!r:.80}" if isinstance(item.get("input"), str | int | float) else "")
        if where in ("query", "path", "header", "cookie"):
            found.append(
                FieldError(detail, parameter=str(location[min(1, len(location) - 1)]))
            )  # a list's place in it stands behind its name
        else:
            found.append(FieldError(detail, pointer=json_pointer(location[1:])))
    return found


def json_pointer(location: Sequence[str | int]) -> str:
    """RFC 6901 pointer as a URI fragment, e.g. ``#/deals/3/created_at``."""
    return "#" + "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def respond(problem: Problem, scope: Scope, *, headers: Mapping[str, str] | None = None) -> Response:
    """A problem as a response: JSON for programs, a page for a person whose browser asks for a page of this service."""
    all_headers = dict(headers or {}) | {REQUEST_ID_HEADER: problem.request_id}
    if problem.status == 503:
        all_headers.setdefault("Retry-After", str(RETRY_AFTER_SECONDS))
    if _is_for_people(scope):
        page = scope["app"].state.problem_page(problem, scope)
        return HTMLResponse(page, status_code=problem.status, headers=all_headers | {"Cache-Control": "no-store"})
    body = problem.model_dump(mode="json", exclude_none=True)
    return JSONResponse(body, status_code=problem.status, media_type=PROBLEM_JSON, headers=all_headers)


def _is_for_people(scope: Scope) -> bool:
    return b"text/html" in dict(scope["headers"]).get(b"accept", b"") and not scope["path"].startswith(MACHINES)


def respond_to(error: e.PredictKpiError, scope: Scope) -> Response:
    """An error as a response, for who handles a request outside of the routes."""
    headers = {}
    if isinstance(error, BusyError):
        headers["Retry-After"] = str(error.seconds)
    if isinstance(error, UnauthenticatedError):
        headers["WWW-Authenticate"] = 'Bearer realm="predictkpi"'
    return respond(problem_of(error, instance=URL(scope=scope).path, request_id=scope["state"]["request_id"]), scope, headers=headers)


def request_id_of(request: Request) -> str:
    """The id `RequestContextMiddleware` gave this request."""
    return str(getattr(request.state, "request_id", "unknown"))


def install(app: FastAPI) -> None:
    """Register a handler for everything that can leave a route."""
    app.add_exception_handler(e.PredictKpiError, _domain_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)


async def _domain_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, e.PredictKpiError):
        raise error
    return respond_to(error, request.scope)


async def _invalid_request(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    fields = fields_of(error)
    slug = "malformed-json" if any(item["type"] == "json_invalid" for item in error.errors()) else "invalid-request"
    detail = f"{len(fields)} value{'s' if len(fields) != 1 else ''} of the request cannot be used: see errors"
    kind = PROBLEM_TYPES[slug]
    problem = build_problem(kind, detail=detail, instance=request.url.path, request_id=request_id_of(request), fields=fields)
    return respond(problem, request.scope)


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    slug = _HTTP_STATUS_TYPES.get(error.status_code)
    if slug is None:
        # RFC 9457 §4.2.1: a problem that says no more than its HTTP status has the type about:blank
        problem = Problem(
            type="about:blank",
            title=str(error.detail),
            status=error.status_code,
            detail=str(error.detail),
            instance=request.url.path,
            request_id=request_id_of(request),
            errors=None,
            missing=None,
        )
        return respond(problem, request.scope, headers=error.headers)
    kind = PROBLEM_TYPES[slug]
    detail = f"{request.method} {request.url.path}: {kind.title[0].lower()}{kind.title[1:]}. {kind.way_out}"
    problem = build_problem(kind, detail=detail, instance=request.url.path, request_id=request_id_of(request))
    return respond(problem, request.scope, headers=error.headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    request_id = request_id_of(request)
    log.error("request %s failed: %s %s", request_id, request.method, request.url.path, exc_info=error)
    kind = PROBLEM_TYPES["internal-error"]
    problem = build_problem(kind, detail=kind.way_out, instance=request.url.path, request_id=request_id)
    return respond(problem, request.scope)
