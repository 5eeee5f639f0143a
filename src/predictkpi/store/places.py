"""Where a person or a company can stand in the store: every column of text or bytes of every table says what it may hold.

`PLACES` is the only list of that: erasure walks it, and a test holds that no column of the schema is missing from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from predictkpi.core import columns as c
from predictkpi.errors import UnknownNameError
from predictkpi.store.schema import FACT_TABLES, METADATA

CUSTOMER, DEAL, ORDER, EVENT, ACTIVITY, SERIES = "customer", "deal", "order", "event", "activity", "series"
PERSON = "person"
ID_KINDS = {c.CUSTOMER_ID: CUSTOMER, c.DEAL_ID: DEAL, c.ORDER_ID: ORDER, c.EVENT_ID: EVENT, c.ACTIVITY_ID: ACTIVITY}
"""Columns that hold an id wherever they are, and of what."""
_TABLE_KINDS = {"customers": CUSTOMER, "deals": DEAL, "orders": ORDER}


class Holds(StrEnum):
    """What a text column may hold."""

    ID = "the id of what `ID_KINDS` says: the row is about it"
    ENTITY = "the id of what another column of the row names, or a series"
    PERSON = "a name of a person, among other names"
    SCOPE = "dimension=member of a series; a member may be a person"
    MENTION = "words of ours around a series"
    RECORD = "a row of a source, or a value of it, as it came"
    TEXT = "JSON of our own: ids as keys, or under the names in `ID_KINDS`; names as values"
    ANSWER = "a whole answer as it was sent, kept for hours: all of them go"
    NOTHING = "words of ours, or names of groups, products and places"


@dataclass(frozen=True)
class Place:
    """What a column holds; ``by`` names the column of the row that says of what kind the id is."""

    holds: Holds
    by: str = ""


def _nothing(*names: str) -> dict[str, Place]:
    return dict.fromkeys(names, Place(Holds.NOTHING))


_ID, _PERSON, _TEXT, _SCOPE, _RECORD = (Place(holds) for holds in (Holds.ID, Holds.PERSON, Holds.TEXT, Holds.SCOPE, Holds.RECORD))

PLACES: Mapping[str, Mapping[str, Place]] = {
    "customers": {c.CUSTOMER_ID: _ID, c.NAME: _PERSON, c.CHANNEL: _PERSON, **_nothing(c.SEGMENT, c.REGION, c.INDUSTRY)},
    "orders": {c.ORDER_ID: _ID, c.CUSTOMER_ID: _ID, c.DEAL_ID: _ID, **_nothing(c.CURRENCY, c.PRODUCT)},
    "deals": {
        c.DEAL_ID: _ID,
        c.CUSTOMER_ID: _ID,
        c.NAME: _PERSON,
        c.SOURCE: _PERSON,
        c.TEAM: _PERSON,
        **_nothing(c.PRODUCT, c.REGION),
    },
    "deal_events": {c.EVENT_ID: _ID, c.DEAL_ID: _ID, c.OWNER: _PERSON, **_nothing(c.STAGE, c.CURRENCY)},
    "activities": {
        c.ACTIVITY_ID: _ID,
        c.DEAL_ID: _ID,
        c.CUSTOMER_ID: _ID,
        c.OWNER: _PERSON,
        **_nothing(c.KIND, c.DIRECTION, c.OUTCOME),
    },
    "attributes": {c.ENTITY_ID: Place(Holds.ENTITY, by=c.TABLE), c.VALUE: _PERSON, **_nothing(c.TABLE, c.NAME, c.KIND)},
    "spend": {c.CHANNEL: _PERSON, **_nothing(c.CURRENCY)},
    "targets": {c.SCOPE: _SCOPE, **_nothing(c.KPI, c.FREQ)},
    "fx_rates": _nothing(c.CURRENCY),
    "loads": _nothing("mapping", "source"),
    "rejects": {"value": _RECORD, "record": _RECORD, **_nothing("file", "table", "field", "reason")},
    "company": _nothing("name", "currency", "time_zone", "country"),
    "marks": {"object": Place(Holds.MENTION), "mark": _TEXT, **_nothing("source")},
    "withdrawals": {"value": Place(Holds.ENTITY, by="field"), **_nothing("table", "field")},
    "predictions": {
        c.ENTITY_ID: Place(Holds.ENTITY, by=c.PREDICTOR),
        **_nothing(c.PREDICTOR, c.STATISTIC, c.MODEL_VERSION, c.STATUS, c.REASON),
    },
    "scorings": _nothing(c.PREDICTOR, c.MODEL_VERSION, c.ROLE, c.INPUTS_DIGEST),
    "answers": {
        c.ENTITY_ID: Place(Holds.ENTITY, by=c.PREDICTOR),
        **_nothing(c.PREDICTION_ID, c.PREDICTOR, c.MODEL_VERSION, c.INPUTS_DIGEST, "content"),
    },
    "scoreboards": _nothing(c.PREDICTOR, "content"),
    "watched": _nothing("subject", "content"),  # tables, fields and figures
    "audit_log": {"actor": _PERSON, "subject": _PERSON, "detail": _TEXT, **_nothing("action")},
    "api_keys": {"name": _PERSON, "scope_members": _TEXT, **_nothing("key_id", "key_hash", "role", "scope_kind")},
    "access_log": {"actor": _PERSON, "subject": Place(Holds.ENTITY, by="action"), **_nothing("action")},
    "repeatable": {"answer": Place(Holds.ANSWER), **_nothing("request_key", "body_digest")},
    "outbox": {"body": _TEXT, **_nothing("message_id", "type", "state", "answer")},
    "written_back": {"record_id": Place(Holds.ENTITY, by="object"), **_nothing("target", "object", "field", "value", c.MODEL_VERSION)},
    "erasures": {"actor": _PERSON, **_nothing("kind", "digest", "salt", "counts")},
}

NAME_COLUMNS: Mapping[str, tuple[str, ...]] = {
    table: tuple(name for name, place in PLACES[table].items() if place.holds in (Holds.PERSON, Holds.SCOPE)) for table in FACT_TABLES
}
"""Columns of the fact tables in which a person may stand."""


def places(*holds: Holds) -> Iterator[tuple[sa.Table, sa.Column[str], Place]]:
    """Every column of the schema that holds one of these, with its table."""
    for name, columns in PLACES.items():
        table = METADATA.tables[name]
        yield from ((table, table.c[column], place) for column, place in columns.items() if place.holds in holds)


def kind_of(named: str) -> str:
    """Of what an id is, by its table, its column, the predictor that speaks of it or the route that was asked; empty if none is known."""
    from predictkpi.predictors import predictor_class  # only here: predictors take long to import

    if named in _TABLE_KINDS or named in ID_KINDS:
        return _TABLE_KINDS.get(named) or ID_KINDS[named]
    if "/" in named:
        return next((ID_KINDS[name] for name in re.findall(r"{(\w+)", named) if name in ID_KINDS), SERIES)
    try:
        return predictor_class(named)().spec.entity
    except UnknownNameError:
        return ""
