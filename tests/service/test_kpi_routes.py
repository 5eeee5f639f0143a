"""KPIs over HTTP."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.kpis import get_kpi, kpi_names


def test_catalogue__lists_every_kpi_with_its_trend(get, snapshot):
    answer = get("/v1/kpis")
    assert [item["name"] for item in answer["items"]] == list(kpi_names())
    revenue = answer["items"][0]
    series = get_kpi("revenue").series(snapshot)
    assert revenue["latest"]["value"] == pytest.approx(series[c.VALUE].iloc[-1])
    assert revenue["change"] == pytest.approx(series[c.VALUE].iloc[-1] - series[c.VALUE].iloc[-2])
    assert [point["value"] for point in revenue["trend"]] == pytest.approx(series[c.VALUE].tail(12).tolist())
    assert revenue["latest"]["target"] is not None


def test_series__by_a_dimension_adds_up_to_the_total(get):
    total = get("/v1/kpis/revenue", freq="Q")
    by_segment = get("/v1/kpis/revenue", freq="Q", by="segment")
    assert by_segment["dimension"] == "segment"
    assert len(by_segment["series"]) > 1
    last = sum(series["points"][-1]["value"] for series in by_segment["series"])
    assert last == pytest.approx(total["series"][0]["points"][-1]["value"])


def test_series__as_of_a_past_day_is_what_was_known_then(get, snapshot):
    past = snapshot.as_of - pd.DateOffset(months=7)
    answer = get("/v1/kpis/revenue", as_of=past.isoformat())
    expected = get_kpi("revenue").series(snapshot.at(past))
    assert answer["as_of"] == past.isoformat()
    assert [point["value"] for point in answer["series"][0]["points"]] == pytest.approx(expected[c.VALUE].tolist())


def test_series__of_a_kpi_with_one_period_length_says_which(get):
    assert get("/v1/kpis/revenue_growth_qoq", freq="M")["freq"] == "Q"


def test_series__missing_values_are_null(get):
    points = get("/v1/kpis/revenue_growth_yoy")["series"][0]["points"]
    assert points[0]["value"] is None
    assert points[0]["status"] == "insufficient_data"
    assert points[-1]["value"] is not None
