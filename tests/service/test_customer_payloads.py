"""POST /v1/customers/clv and /batch: a customer in the request is answered as a stored one with the same facts."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from predictkpi.core import columns as c

PATH, BATCH = "/v1/customers/clv", "/v1/customers/clv/batch"


def described(snapshot, customer_id):
    """A stored customer, as a request would describe it."""
    account = snapshot.customers.set_index(c.CUSTOMER_ID).loc[customer_id]
    orders = snapshot.orders[snapshot.orders[c.CUSTOMER_ID] == customer_id]
    told = {name: account[name] for name in (c.SEGMENT, c.REGION, c.INDUSTRY, c.CHANNEL) if isinstance(account[name], str)}
    return told | {
        "customer_id": customer_id,
        "created_at": account[c.CREATED_AT].isoformat(),
        "orders": [{"at": at.isoformat(), "amount": amount} for at, amount in zip(orders[c.DS], orders[c.AMOUNT], strict=True)],
    }


@pytest.fixture(scope="module")
def some(snapshot):
    """A customer with many orders, one with a single one, and an account without any."""
    counts = snapshot.orders[c.CUSTOMER_ID].value_counts()
    without = next(i for i in snapshot.customers[c.CUSTOMER_ID] if i not in counts.index)
    return [counts.index[0], counts.index[counts == 1][0], without]


@pytest.fixture(scope="module")
def post(served):
    def post(path, body, **params):
        answer = served.client.post(path, json=body, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return post


def test_described_customer__is_answered_as_the_stored_one(get, post, snapshot, some):
    batch = post(BATCH, {"customers": [described(snapshot, customer_id) for customer_id in some]})
    assert (batch["succeeded"], batch["failed"]) == (3, 0)
    for item, customer_id in zip(batch["items"], some, strict=True):
        stored, alone = get(f"/v1/customers/{customer_id}/clv"), post(PATH, described(snapshot, customer_id))
        for told in (item["prediction"], alone):
            assert told["entity_id"] == customer_id
            assert (told["rank"], told["decile"], told["status"]) == (stored["rank"], stored["decile"], stored["status"])
            for ours, theirs in zip(told["predictions"], stored["predictions"], strict=True):
                assert ours["values"] == pytest.approx(theirs["values"])
        assert item["prediction"]["prediction_id"] != stored["prediction_id"]


def test_reasons__add_up_for_a_customer_in_the_request(post, snapshot, some):
    answer = post(PATH, described(snapshot, some[0]), reasons=True)
    mean = next(item for item in answer["predictions"] if item["horizon"] == 12)["values"]["mean"]
    assert sum(reason["contribution"] for reason in answer["reasons"]) == pytest.approx(mean)


def test_one_bad_customer__spoils_none(post, snapshot, some):
    good = described(snapshot, some[0])
    bad = [{"orders": [{"at": "2200-01-01", "amount": 1.0}]}, {"colour": "red"}, "no customer", {"orders": [{"amount": 1.0}]}]
    early = {"orders": [{"at": "1950-01-01", "amount": 5.0}]}
    answer = post(BATCH, {"customers": [bad[0], good, *bad[1:], early]})
    assert [item["problem"] is None for item in answer["items"]] == [False, True, False, False, False, True]
    assert answer["failed"] == 4
    alone = post(PATH, good)
    assert answer["items"][1]["prediction"]["predictions"] == alone["predictions"], "an order before the company's first moves nobody else"
    pointers = [item["problem"]["errors"][0]["pointer"] for item in answer["items"] if item["problem"]]
    assert pointers == ["#/customers/0/orders/0/at", "#/customers/2/colour", "#/customers/3", "#/customers/4/orders/0/at"]


def test_what_is_news__is_said(post):
    answer = post(PATH, {"segment": "Galactic", "orders": [{"at": "2025-06-01", "amount": 100.0}]})
    assert "segment 'Galactic' was never seen in the data" in answer["reason"]
    assert "opened just now" in post(PATH, {})["reason"]


def test_future__is_422_and_named(problem):
    body = {"created_at": "2200-01-01", "orders": [{"at": "2200-01-01", "amount": 1.0}]}
    found = problem(422, "POST", PATH, json=body)
    assert [item["pointer"] for item in found["errors"]] == ["#/orders/0/at", "#/created_at"]


texts = st.one_of(st.none(), st.text(max_size=20), st.sampled_from(["SMB", "EMEA", "search"]))
instants = st.datetimes(min_value=datetime(1902, 1, 1), max_value=datetime(2025, 12, 31))
amounts = st.floats(min_value=-1e14, max_value=1e14)
customers = st.fixed_dictionaries(
    {},
    optional={
        "customer_id": st.none(),
        "name": texts,
        "segment": texts,
        "region": texts,
        "industry": texts,
        "channel": texts,
        "created_at": st.one_of(st.none(), instants.map(lambda at: at.isoformat())),
        "orders": st.one_of(
            st.none(),
            st.lists(
                st.fixed_dictionaries({"at": instants.map(lambda at: at.isoformat()), "amount": amounts}, optional={"product": texts}),
                max_size=5,
            ),
        ),
    },
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(customer=customers)
def test_any_customer__is_answered(served, customer):
    answer = served.client.post(PATH, json=customer)
    assert answer.status_code == 200, answer.text
    assert [item["horizon"] for item in answer.json()["predictions"]] == [3, 6, 12, 24]


def test_text_that_is_no_unicode__is_a_problem_of_its_own_customer(served, snapshot, some):
    good, half = described(snapshot, some[0]), "\ud83d"
    bad = [good | {name: half} for name in ("customer_id", "name", "region", "created_at", half)]
    bad += [good | {"orders": [{"at": "2024-01-01", "amount": 1.0} | {name: half}]} for name in ("at", "amount", "product", half)]
    headers = {"content-type": "application/json"}
    items = served.client.post(BATCH, content=json.dumps({"customers": [*bad, good]}), headers=headers).json()["items"]
    assert [item["problem"] and item["problem"]["status"] for item in items] == [422] * len(bad) + [None]
    assert {served.client.post(PATH, content=json.dumps(each), headers=headers).status_code for each in bad} == {422}
