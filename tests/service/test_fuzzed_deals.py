"""Whatever is sent about a deal is answered: by a prediction, or by what is wrong with it; and by both ways to an answer alike."""

from __future__ import annotations

import hypothesis
import pytest
from hypothesis import given
from odd_deals import bodies
from test_predictions import payload_of

DEAL, JSON = "/v1/deals/close-time", {"content-type": "application/json"}
BY_ROUTE = {"curve": "false"}
"""A query that changes nothing, and that the fast path leaves to the route."""
EXAMPLES = 300


@pytest.fixture(scope="module")
def usual(open_deals, snapshot):
    return [payload_of(deal_id, snapshot) for deal_id in open_deals.index[-12:]]


def test_deal__however_odd_is_answered_alike_by_both_ways(served, usual):
    statuses = set()

    @hypothesis.settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
    @given(bodies(usual))
    def ask(body):
        fast, slow = (served.client.post(DEAL, content=body, headers=JSON, params=params) for params in ({}, BY_ROUTE))
        told, expected = fast.json(), slow.json()
        for each in (told, expected):
            each.pop("request_id", None)
        assert (fast.status_code, told) == (slow.status_code, expected)
        assert fast.status_code == 200 or (400 <= fast.status_code < 500 and told["type"].startswith("/problems/"))
        statuses.add(fast.status_code)

    ask()
    assert {200, 400, 422} <= statuses
