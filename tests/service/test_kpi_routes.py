"""KPIs over HTTP."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.kpis import get_kpi, kpi_names
from predictkpi.kpis.trends import trends
from predictkpi.pipelines.alerts import AlertRule, watched


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


def test_trend__is_that_of_the_kpi(get, snapshot):
    answer, expected = get("/v1/kpis/revenue/trend"), trends(snapshot, ["revenue"]).iloc[0]
    assert (answer["months"], answer["until"]) == (48, expected["to"].isoformat())
    for name in ("per_year", "low", "high", "p_value", "direction", "verdict", "status", "reason"):
        assert answer[name] == expected[name]


def test_trend__that_cannot_be_told_has_no_figures_and_says_why(get):
    answer = get("/v1/kpis/clv_realised/trend")
    assert (answer["per_year"], answer["p_value"], answer["since"], answer["direction"]) == (None, None, None, "none")
    assert answer["status"] == "insufficient_data"
    assert "less time" in answer["reason"]


def test_alerts__are_the_watched_periods_outside_their_interval(get, snapshot):
    answer = get("/v1/kpis/revenue/alerts", periods=2, all=True)
    expected = watched(snapshot, ["revenue"], periods=2, rule=AlertRule()).iloc[::-1]
    assert [(item["freq"], item["ds"]) for item in answer["items"]] == [
        (freq, ds.isoformat()) for freq, ds in zip(expected[c.FREQ], expected[c.DS], strict=True)
    ]
    for name in (c.VALUE, "low", "high", "expected"):
        assert [item[name] for item in answer["items"]] == pytest.approx(expected[name].tolist())
    assert (answer["level"], answer["quarter_level"], answer["judged"]) == (0.95, 0.93, 3)
    found = [item for item in answer["items"] if item["is_alert"]]
    assert get("/v1/kpis/revenue/alerts", periods=2)["items"] == found


def test_alerts__of_periods_that_cannot_be_judged_say_why(get):
    answer = get("/v1/kpis/clv_realised/alerts", periods=1, all=True)
    assert answer["judged"] == 0
    item = answer["items"][0]
    assert (item["direction"], item["low"], item["is_alert"]) == (None, None, False)
    assert "less time" in item["reason"]


def test_trend_and_alerts__know_neither_another_kpi_nor_endless_periods(problem):
    assert problem(404, "GET", "/v1/kpis/profit/trend")["type"] == "/problems/unknown-name"
    assert problem(404, "GET", "/v1/kpis/profit/alerts")["type"] == "/problems/unknown-name"
    assert problem(422, "GET", "/v1/kpis/revenue/alerts", params={"periods": 37})["errors"][0]["parameter"] == "periods"
