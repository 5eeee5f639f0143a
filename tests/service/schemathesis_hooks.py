"""Where the checks of schemathesis ask for more than HTTP or the contract say: each exception, and why. Loaded by ``schemathesis.toml``."""

from __future__ import annotations

import re

import schemathesis

KNOWN_TO_THE_DATA = {
    "by": "which dimensions there are is the company's own",
    "cursor": "opaque: only one that was given out holds",
    "horizon": "which horizons there are is the predictor's to say",
    "horizons": "the same",
    "until": "beside `horizon`, or after the predictor's last horizon",
    "spend": "channels are the company's own",
    "win_rate": "added to the company's own rate",
    **dict.fromkeys(("channel", "industry", "owner", "product", "region", "segment", "source", "stage", "team"), "a member that has rows"),
}
"""Parameters whose values a schema cannot list; a 422 that names one of them, and no other, is right."""
NO_SCHEMA_SAYS = re.compile(
    "the year must lie between|must lie before as_of|must not lie before created_at|name at least the stage or when the deal was created"
)
"""What JSON Schema has no words for: bounds of an instant (fixed, of the data, of another value), that one of two must not be null."""
ADDRESSED_BY_ANY_TEXT = ("/v1/customers/", "/v1/deals/")
"""Ids may hold slashes (a CRM's are as they are), so that `GET /v1/deals/close-time/batch` asks for the deal `close-time/batch`: 404."""
_MUTATED = re.compile(r"parameter `(?P<name>[^`]+)` in (?:query|header) - .*incorrect type", re.IGNORECASE)


@schemathesis.hook
def filter_failure(context, failure, case, response) -> bool:
    """Whether the failure is one."""
    reasons = {"ST201": _is_no_violation, "ST202": _is_for_the_data_to_say, "ST204": _is_an_entity_of_that_name}
    return failure.code not in reasons or not reasons[failure.code](failure, case, response)


def _is_no_violation(failure, case, response) -> bool:
    """On the wire every query parameter and header is text: one that may be text has no other type. Unknown parameters are ignored.

    An item of a batch that breaks the schema has its own problem in an answer that is right for the others.
    """
    if case.operation.path.endswith("/batch") and "json" in response.headers["content-type"][0] and response.json().get("failed"):
        return True
    if "in query - object with unexpected properties" in failure.message:
        return True
    mutated = _MUTATED.search(failure.message)
    if mutated is None:
        return False
    parameters = {each["name"]: each["schema"] for each in case.operation.definition.raw.get("parameters", ())}
    return _takes_text(parameters.get(mutated["name"], {}))


def _takes_text(schema: dict) -> bool:
    return (schema.get("type") == "string" and "enum" not in schema) or any(map(_takes_text, schema.get("anyOf", ())))


def _is_for_the_data_to_say(failure, case, response) -> bool:
    problem = response.json()
    if problem["type"] == "/problems/key-reused":  # the document's example of a key comes with many bodies
        return True
    errors = problem.get("errors", ())
    return bool(errors) and all(each.get("parameter") in KNOWN_TO_THE_DATA or NO_SCHEMA_SAYS.search(each["detail"]) for each in errors)


def _is_an_entity_of_that_name(failure, case, response) -> bool:
    return failure.status_code == 404 and case.operation.path.startswith(ADDRESSED_BY_ANY_TEXT)
