"""The fast reader of deals takes nothing that pydantic would not take, and reads it alike; what it sends is what the schemas describe."""

from __future__ import annotations

import json
from datetime import datetime

import msgspec
import pytest
from hypothesis import given, settings
from odd_deals import HALF, INSTANTS, PLAIN, deals, named
from pydantic import BaseModel, ValidationError

from predictkpi.service import customer_schemas, fast_payloads, schemas, wire
from predictkpi.service.fast_payloads import convert_deal, read_deal
from predictkpi.service.schemas import DealIn


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
            assert msgspec.json.encode(fast)


@pytest.mark.parametrize(
    "deal",
    [{name: HALF} for name in named]
    + [{"attributes": {HALF: 1}}, {"attributes": {"a": HALF}}, {"created_at": "2025-11-20" + HALF}]
    + [{"events": [{"at": "2025-11-20", "stage": "Lead"} | {name: HALF}]} for name in ("stage", "owner")]
    + [{"activities": [{"at": "2025-11-20", "kind": HALF}]}],
    ids=ascii,
)
def test_half_of_a_surrogate_pair__is_taken_by_no_reader(deal):
    assert read_deal(json.dumps(deal).encode()) is None
    assert convert_deal(deal) is None
    with pytest.raises(ValidationError):
        DealIn.model_validate(deal)


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
