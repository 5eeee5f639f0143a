"""The fast reader of deals takes nothing that pydantic would not take, and reads it alike; what it sends is what the schemas describe."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from predictkpi.service import customer_schemas, fast_payloads, schemas, wire
from predictkpi.service.fast_payloads import convert_deal, read_deal
from predictkpi.service.schemas import DealIn

INSTANTS = [
    "2025-11-20",
    "2025-11-20T10:30:00",
    "2025-11-20T10:30",
    "2025-11-20T10:30:00.25",
    "2025-11-20T10:30:00Z",
    "2025-11-20T10:30:00+05:30",
    "2025-11-20 10:30:00",
    "2025-11-20T24:00:00",
    "2025-11-20T10:30:00.1234567",
    "2025-11-20T10:30:60",
    "2025-02-30",
    "2025-11-20T10:30:00+24:00",
    "1700-01-01",
    "2261-01-01",
    "20251120",
    "٢٠٢٥-11-20",
    " 2025-11-20",
]
texts = st.one_of(
    st.text(max_size=6), st.sampled_from(["Lead", "Ann", "", " ", " Lead", "Lead\x1f", "a" * 200, "a" * 201, "\u2003x", "won"])
)
numbers = st.one_of(
    st.integers(-3, 10**16), st.floats(), st.booleans(), st.sampled_from([1e15, 10**400, "3", -0.0, 999999999999999, 5e-324])
)
instants = st.one_of(st.sampled_from(INSTANTS), st.datetimes().map(datetime.isoformat), st.integers(0, 2 * 10**9), st.text(max_size=12))


def maybe(values):
    """Mostly one of these; now and then null, or something of another kind."""
    return st.one_of(values, values, values, st.none(), st.sampled_from([[], {}, True, 7]))


def some(required, optional):
    return st.fixed_dictionaries(required, optional=optional)


events = some({"at": instants, "stage": texts}, {"amount": maybe(numbers), "owner": maybe(texts), "expected_close_on": maybe(instants)})
activities = some({"at": instants, "kind": texts}, {"note": texts})
named = {name: maybe(texts) for name in ("deal_id", "name", "stage", "owner", "source", "product", "region", "team", "customer_id")}
deals = some(
    {},
    named
    | {"created_at": maybe(instants), "expected_close_on": maybe(instants), "amount": maybe(numbers), "unheard_of": st.none()}
    | {"events": maybe(st.lists(events, max_size=3)), "activities": maybe(st.lists(activities, max_size=3))}
    | {"attributes": maybe(st.dictionaries(texts, st.one_of(texts, numbers, st.none(), st.just("x" * 2001)), max_size=4))},
)
PLAIN = some(
    {"stage": st.just("Lead")},
    {"created_at": st.sampled_from(INSTANTS[:6]), "amount": st.floats(0, 1e14), "owner": st.just("Ann")}
    | {"events": st.lists(some({"at": st.sampled_from(INSTANTS[:6]), "stage": st.just("Lead")}, {"amount": st.integers(0, 9)}), max_size=3)}
    | {"attributes": st.dictionaries(st.text("ab", max_size=3), st.one_of(st.booleans(), st.integers(-5, 5), st.just("x"), st.none()))},
)


def assert_read_alike(fast, slow: DealIn) -> None:
    for name in DealIn.model_fields:
        read, expected = getattr(fast, name), getattr(slow, name)
        if name in ("events", "activities"):
            assert len(read) == len(expected)
            for one, other in zip(read, expected, strict=True):
                assert {field: getattr(one, field) for field in type(other).model_fields} == dict(other)
        else:
            assert (read, type(read)) == (expected, type(expected)) or (isinstance(expected, datetime) and read == expected)
        if name == "attributes":
            assert list(map(type, read.values())) == list(map(type, expected.values()))


@settings(max_examples=400, deadline=None)
@given(deals)
def test_read_deal__takes_no_more_than_pydantic_and_reads_it_alike(deal):
    body = json.dumps(deal)
    for fast in (read_deal(body.encode()), convert_deal(json.loads(body))):
        if fast is not None:
            assert_read_alike(fast, DealIn.model_validate(json.loads(body)))


@settings(max_examples=100, deadline=None)
@given(PLAIN)
def test_read_deal__takes_the_usual_deal(deal):
    fast = read_deal(json.dumps(deal).encode())
    assert fast is not None
    assert_read_alike(fast, DealIn.model_validate(deal))


@pytest.mark.parametrize("instant", INSTANTS)
def test_read_deal__takes_no_instant_that_pydantic_refuses(instant):
    fast = read_deal(json.dumps({"created_at": instant}).encode())
    try:
        expected = DealIn.model_validate({"created_at": instant}).created_at
    except ValidationError:
        assert fast is None
    else:
        assert fast is None or fast.created_at == expected


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{", b'{"amount": NaN}', b'{"amount": 1e400}', b'{"name": "\xff"}', b'{"name": "\\ud800"}', b"[" * 100_000],
)
def test_read_deal__leaves_what_is_no_deal_to_pydantic(body):
    assert read_deal(body) is None


PAIRS = [
    (wire.Model, schemas.Model),
    (wire.Prediction, schemas.Prediction),
    (wire.Curve, schemas.Curve),
    (wire.Reason, schemas.Reason),
    (wire.Envelope, schemas.PredictionEnvelope),
    (wire.CustomerEnvelope, customer_schemas.CustomerEnvelope),
    (wire.PredictionList, schemas.PredictionList),
    (wire.BatchItem, schemas.BatchItem),
    (wire.BatchOut, schemas.BatchOut),
    (fast_payloads.FastDeal, schemas.DealIn),
    (fast_payloads.FastEvent, schemas.DealEventIn),
    (fast_payloads.FastActivity, schemas.ActivityIn),
]


@pytest.mark.parametrize(("struct", "schema"), PAIRS, ids=lambda cls: cls.__name__)
def test_struct__has_the_members_of_its_schema(struct, schema: type[BaseModel]):
    assert list(struct.__struct_fields__) == list(schema.model_fields)
