"""Deals in a request that carry the company's own fields."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from predictkpi.core import columns as c
from predictkpi.core.types import ModelRef
from predictkpi.predictors.close_time.model import CloseTimePredictor
from predictkpi.service.payloads import predict, prepare
from predictkpi.service.problems import InvalidRequestError
from predictkpi.service.schemas import DealIn
from predictkpi.service.view import Champion, Fingerprint, PredictionTable, View
from toy.own_fields import make_own_fields


@pytest.fixture(scope="module")
def view():
    snapshot = make_own_fields().snapshot()
    predictor = CloseTimePredictor(rounds=20, landmark_budget=3000)
    predictor.fit(predictor.training_table(snapshot))
    ref = ModelRef(predictor="close_time", version="1", run_id="r", kind="model", reason="")
    champion = Champion(predictor, ref, PredictionTable(predictor.predict(snapshot)))
    return View(snapshot, {"close_time": champion}, {}, Fingerprint((snapshot.as_of, ()), ()))


@pytest.fixture(scope="module")
def ask(view):
    """The answer for a deal with these attributes; other fields of the deal by name."""

    def ask(attributes, **fields):
        given = {"created_at": "2025-06-01", "stage": "Lead", "amount": 1000, "owner": "Ann", "customer_id": "C001"} | fields
        deal = DealIn.model_validate(given | {"attributes": attributes})
        return predict([prepare(deal, view)], view.champion("close_time"), view)[0]

    return ask


GOOD = {"fit": 1.5, "tier": "gold", "has_budget": True, "goes_live": "2025-09-01"}


def chance(answer):
    return answer.predictions[-1].values["cif_won"]


def test_payload__is_judged_by_its_own_fields_and_its_customer_s(ask):
    best = ask(GOOD)
    assert (best.status, best.reason) == ("full", "")
    assert chance(best) > chance(ask(GOOD | {"fit": -1.5})) + 0.1
    assert chance(best) > chance(ask(GOOD | {"tier": "tin"}))
    assert chance(best) != chance(ask(GOOD, customer_id="C002"))
    assert chance(ask(GOOD | {"fit": 1})) == chance(ask(GOOD | {"fit": 1.0}))


def test_payload__of_a_stored_deal_is_answered_like_the_stored_deal(view, ask):
    predictor, deals = view.champion("close_time").predictor, view.snapshot.deals.set_index(c.DEAL_ID)
    own = view.snapshot.attributes("deals")
    for deal_id in predictor.inputs(view.snapshot)[c.ENTITY_ID].iloc[:5]:
        values = {name: value for name, value in own.loc[deal_id].items() if name in GOOD and not pd.isna(value)}
        values = {name: value.isoformat() if isinstance(value, pd.Timestamp) else value for name, value in values.items()}
        values |= {"has_budget": bool(values["has_budget"])} if "has_budget" in values else {}
        deal = deals.loc[deal_id]
        answer = ask(values, deal_id=deal_id, customer_id=deal[c.CUSTOMER_ID], created_at=deal[c.CREATED_AT].isoformat())
        stored = view.predict("close_time", deal_id)
        assert answer.predictions == stored.predictions
        assert answer.reason == stored.reason


def test_payload__does_not_depend_on_the_others_in_the_batch(view):
    deals = [DealIn(created_at="2025-06-01", stage="Lead", attributes=GOOD | {"fit": float(fit)}) for fit in np.linspace(-2, 2, 9)]
    champion = view.champion("close_time")
    together = predict([prepare(deal, view, index=n) for n, deal in enumerate(deals)], champion, view)
    for number, (deal, answer) in enumerate(zip(deals, together, strict=True)):
        assert predict([prepare(deal, view, index=number)], champion, view) == [answer]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"shoe_size": 43}, "attribute 'shoe_size' was never seen in the data and is not used"),
        ({"tier": "platinum"}, "attribute 'tier': 'platinum' was never seen in the data and counts as unknown"),
        ({"tier": None}, "deal.tier is missing"),
        ({"tier": " "}, "deal.tier is missing"),
    ],
)
def test_payload__with_something_unknown_is_answered_with_a_lower_status(ask, change, told):
    answer = ask(GOOD | change)
    assert answer.status == "limited"
    assert told in answer.reason


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("fit", "much", "must be a number, got 'much'"),
        ("fit", True, "must be a number"),
        ("tier", 3, "must be text"),
        ("has_budget", "yes", "must be true or false"),
        ("has_budget", 1, "must be true or false"),
        ("goes_live", "01.09.2025", "must be a date (write an ISO 8601 date"),
        ("goes_live", "2025-13-01", "must be a date"),
        ("goes_live", "1700-01-01", "the year must lie between"),
        ("goes_live", 20250901, "must be a date"),
    ],
)
def test_payload__with_a_value_of_another_kind_is_refused(ask, name, value, told):
    with pytest.raises(InvalidRequestError) as refused:
        ask(GOOD | {name: value})
    (found,) = refused.value.errors
    assert found.pointer == f"#/attributes/{name}"
    assert f"attribute {name!r} must be" in found.detail
    assert told in found.detail


@pytest.mark.parametrize("value", [[1], {"a": 1}, float("nan"), float("inf"), 1e15, 10**400, "x" * 2001])
def test_payload__takes_no_value_that_no_field_could_have(value):
    with pytest.raises(ValidationError, match="must be a number between -1e15 and 1e15, true or false, text of at most 2000") as refused:
        DealIn.model_validate({"created_at": "2025-06-01", "stage": "Lead", "attributes": {"fit": value}})
    assert [error["loc"] for error in refused.value.errors()] == [("attributes", "fit")]


def test_payload__date_with_an_offset_is_local_time_of_the_company(ask, monkeypatch, view):
    monkeypatch.setattr(View, "company", SimpleNamespace(**view.company.model_dump() | {"time_zone": "Europe/Berlin"}))
    there = ask(GOOD | {"goes_live": "2025-09-01T12:00:00+00:00"})
    assert there.predictions == ask(GOOD | {"goes_live": "2025-09-01T14:00:00"}).predictions
