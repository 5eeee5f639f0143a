"""What is told of the versions that serve: their model cards."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("predictor", ["revenue", "clv", "close_time"])
def test_card__of_the_serving_version(get, predictor):
    found = get(f"/v1/models/{predictor}")
    assert found["version"]["is_champion"]
    card = found["card"]
    assert card["predictor"] == predictor
    assert card["purpose"].endswith(".")
    assert len(card["limits"]) >= 3
    assert card["rows"]["orders"] > 1000
    assert card["outcomes"] > 0
    assert card["cutoffs"]
    assert set(card["metrics"]) >= {"model", "baseline"}
    assert all("=" in line["segment"] and line["low"] <= line["improvement"] <= line["high"] for line in card["segments"])
    assert bool(card["segments"]) == (card["outcomes"] >= 100)
    assert card["data_from"] < card["cutoffs"][0] < card["as_of"]


def test_card__names_the_fields_that_were_not_learnt_from(get):
    barred = get("/v1/models/close_time")["card"]["fields_barred"]
    assert all(reason for reason in barred.values())


def test_card__of_any_version(get, problem):
    newest = next(item for item in get("/v1/models")["items"] if item["predictor"] == "clv")["versions"][0]
    assert get("/v1/models/clv", version=newest["version"])["version"]["version"] == newest["version"]
    assert "has no version '99'" in problem(404, "GET", "/v1/models/clv", params={"version": "99"})["detail"]
    assert problem(404, "GET", "/v1/models/nope")["type"] == "/problems/unknown-name"
