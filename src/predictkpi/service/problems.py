"""What can go wrong in a request, as RFC 9457 problems: the one catalogue of types, and the errors only the service raises.

A problem's ``type`` is the path of a page that explains it, ``/problems/<slug>``: stable, and served by the service itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from predictkpi.errors import ConflictError, DataError, PredictKpiError

PROBLEM_JSON = "application/problem+json"


@dataclass(frozen=True)
class ProblemType:
    """One kind of problem: its address, its HTTP status, and what the reader can do about it."""

    slug: str
    status: int
    title: str
    explanation: str
    way_out: str

    @property
    def path(self) -> str:
        """The ``type`` member: a stable path on this service."""
        return f"/problems/{self.slug}"


@dataclass(frozen=True)
class FieldError:
    """One thing wrong with one value. Exactly one of ``pointer`` (JSON pointer into the body) and ``parameter`` is set."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None


class InvalidRequestError(DataError):
    """The request was understood and its values make no sense; carries one `FieldError` per value."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(error.detail for error in errors))
        self.errors = list(errors)

    @classmethod
    def parameter(cls, name: str, detail: str) -> InvalidRequestError:
        """One wrong query or path parameter."""
        return cls([FieldError(detail, parameter=name)])

    @classmethod
    def at(cls, pointer: str, detail: str) -> InvalidRequestError:
        """One wrong value in the body, at a JSON pointer such as ``#/created_at``."""
        return cls([FieldError(detail, pointer=pointer)])


class NotReadyError(ConflictError):
    """The service has no data, is still computing, or lacks a champion; ``missing`` says what, ``type_slug`` which of them."""

    def __init__(self, detail: str, *, missing: Sequence[str] = (), slug: str = "not-ready") -> None:
        super().__init__(detail)
        self.missing = list(missing)
        self.slug = slug


class UnauthenticatedError(PredictKpiError):
    """The request does not say who asks, or not so that it holds."""


class ForbiddenError(PredictKpiError):
    """Who asks may not have this."""


class BusyError(PredictKpiError):
    """Not now; ``seconds`` from now perhaps."""

    def __init__(self, detail: str, *, seconds: int) -> None:
        super().__init__(detail)
        self.seconds = seconds


class RateLimitedError(BusyError):
    """This caller asks too often."""


class OverloadedError(BusyError):
    """The service has more to do than it can answer in time."""


class TooLongError(BusyError):
    """The answer took longer than an answer may take."""


class TooLargeError(DataError):
    """The body is larger than this service takes."""


class InFlightError(BusyError):
    """The same request is being answered, here or in another process."""


class KeyReusedError(DataError):
    """An idempotency key that belongs to another request."""


_TYPES = (
    ProblemType(
        "invalid-request",
        422,
        "The request is not valid",
        "A value in the body, the path or the query is missing, of the wrong kind or contradicts another one. `errors` lists each of them: "
        "`pointer` is a JSON pointer into the body, `parameter` names a path or query parameter.",
        "Correct the listed values and send the request again. /docs describes every field.",
    ),
    ProblemType(
        "malformed-json",
        400,
        "The body is not JSON",
        "The body could not be read as JSON, so no field of it was looked at.",
        "Send valid JSON in UTF-8 with `Content-Type: application/json`.",
    ),
    ProblemType(
        "unknown-entity",
        404,
        "No such customer, deal or series",
        "The store does not hold this id as of the date the answer is for. An id that was ingested after that date is not known yet.",
        "Check the id, ingest newer data with `predictkpi ingest`, or send the deal itself to POST /v1/deals/close-time.",
    ),
    ProblemType(
        "unknown-name",
        404,
        "No such KPI, predictor or model",
        "No catalogue lists this name; `detail` lists the names there are.",
        "GET /v1/kpis and GET /v1/models list what there is.",
    ),
    ProblemType(
        "unauthenticated",
        401,
        "Who asks?",
        "The request carries no API key or token, or one that is unknown, expired or revoked.",
        "Send a key as `Authorization: Bearer <key>`; an administrator makes one with `predictkpi keys create`.",
    ),
    ProblemType(
        "forbidden",
        403,
        "Not with this key",
        "The key or token is good, but its role does not include this, or it is held to the deals and customers of a team or owner.",
        "Use a key of a role that `detail` names; `predictkpi keys list` shows what each key may do.",
    ),
    ProblemType(
        "rate-limited",
        429,
        "Too many requests",
        "This key or token has used up what it may ask for; nothing was computed.",
        "Wait the seconds in `Retry-After`, or send many deals in one POST /v1/deals/close-time/batch.",
    ),
    ProblemType(
        "body-too-large",
        413,
        "The body is too large",
        "The body has more bytes or lines than this service takes, so it was not read to its end.",
        "Send it in several requests. More bytes in one are allowed by PREDICTKPI_MAX_BODY_BYTES.",
    ),
    ProblemType(
        "overloaded",
        503,
        "Too much to do",
        "More requests are being answered than this service can answer in time. This one was turned away at once instead of waiting.",
        "Try again after the seconds in `Retry-After`, with growing pauses; /metrics shows the load.",
    ),
    ProblemType(
        "too-long",
        503,
        "The answer took too long",
        "The answer was not ready within PREDICTKPI_REQUEST_SECONDS, so the service stopped waiting for it.",
        "Try again after the seconds in `Retry-After`, or ask for less at once.",
    ),
    ProblemType(
        "in-flight",
        409,
        "The same request is being answered",
        "A request with this `Idempotency-Key` has not been answered yet.",
        "Wait the seconds in `Retry-After` and send it again: the answer will be the same.",
    ),
    ProblemType(
        "key-reused",
        422,
        "Another request had this Idempotency-Key",
        "You have sent this `Idempotency-Key` to this address before, with another body.",
        "Use a new key for each request, and the same one only to repeat it.",
    ),
    ProblemType("not-found", 404, "Nothing here", "No route of the service has this address.", "/docs lists every address."),
    ProblemType(
        "method-not-allowed",
        405,
        "The address does not answer this method",
        "The address exists, but not with this HTTP method; the `Allow` header lists those it has.",
        "Use one of the methods in the `Allow` header.",
    ),
    ProblemType(
        "deal-closed",
        409,
        "The deal is closed already",
        "A won or lost deal has nothing left to predict. The outcome is in the store.",
        "Ask only for open deals, or leave out the closing event.",
    ),
    ProblemType(
        "conflict",
        409,
        "The state of things forbids it",
        "The request is sound, but does not fit the state of the service.",
        "See `detail`.",
    ),
    ProblemType(
        "insufficient-data",
        409,
        "Too little history",
        "There is too little history for any answer, and no rung of the ladder (prior, baseline, limited, full) holds.",
        "Ingest more history; `detail` names what is missing.",
    ),
    ProblemType(
        "future-access",
        422,
        "The date lies after what is known",
        "`as_of` asks for knowledge the store does not have yet. Answers are given only as of dates it covers.",
        "Use an earlier `as_of`, or ingest newer data.",
    ),
    ProblemType(
        "no-data",
        503,
        "There is no data yet",
        "The store is empty, so there is nothing to count and nothing to predict.",
        "Run `predictkpi ingest --mapping mapping.yaml --source folder`, or `predictkpi demo` for a sample company.",
    ),
    ProblemType(
        "no-champion",
        503,
        "No model has been promoted",
        "Predictions come only from the model that carries the alias `champion` in the registry, and this predictor has none yet.",
        "Run `predictkpi train`; it registers a version and promotes it, or its baseline if the model does not beat it.",
    ),
    ProblemType(
        "not-ready",
        503,
        "The service is getting ready",
        "Data and champions are being read and predictions computed. `missing` lists what is not there yet.",
        "Try again after the seconds in `Retry-After`; watch GET /health/ready.",
    ),
    ProblemType(
        "store-unavailable",
        503,
        "The database does not answer",
        "The store's database could not be reached or refused. Answers already computed are still served.",
        "Check PREDICTKPI_DATABASE_URL and that the server behind it runs.",
    ),
    ProblemType(
        "registry-unavailable",
        503,
        "The model registry does not answer",
        "The registry could not be reached or refused. Answers already computed are still served.",
        "Check MLFLOW_TRACKING_URI and that the server behind it runs.",
    ),
    ProblemType(
        "internal-error",
        500,
        "Something went wrong here",
        "The service failed at its own work. The log has the cause under the `request_id` of this answer.",
        "Tell whoever runs the service the `request_id`.",
    ),
)

PROBLEM_TYPES: dict[str, ProblemType] = {kind.slug: kind for kind in _TYPES}
