"""Charts of a series over time: whichever draws it, what is shared is drawn alike."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.service.dashboard.charts import Writing, course_chart, fan_chart, series_chart
from predictkpi.service.dashboard.languages import speaking

KNOWN = pd.date_range("2025-01-01", periods=6, freq="MS")
COMING = pd.date_range("2025-07-01", periods=3, freq="MS")
ENDS = {"q025": 7.0, "q10": 8.0, "q90": 12.0, "q975": 13.0}


def fan(with_target=True):
    history = pd.DataFrame({"ds": KNOWN, "value": 10.0} | ({"target": 11.0} if with_target else {}))
    return fan_chart(history, pd.DataFrame({"ds": COMING, "mean": 10.0} | ENDS), currency="EUR", description="a fan")


def course(with_target=True):
    over = pd.DataFrame({"ds": KNOWN, "actual": 10.0} | ({"target": 11.0} if with_target else {}))
    rows = pd.concat([over, pd.DataFrame({"ds": COMING, "expected": 10.0} | ENDS)], ignore_index=True)
    return course_chart(rows, Writing("money", "M", str, str, "Revenue"), description="a course")


def series(with_target=True):
    history = pd.DataFrame({"ds": KNOWN, "value": 10.0, "low": float("nan"), "high": float("nan")})
    history["target"] = 11.0 if with_target else float("nan")
    ahead = pd.DataFrame({"ds": COMING, "mean": 10.0} | ENDS)
    return series_chart(history, ahead, freq="M", unit="EUR", write=str, name=str, description="a series")


def styles(chart):
    return [layer["mark"].get("style", layer["mark"]["type"]) for layer in chart["layer"]]


@pytest.mark.parametrize("draw", [fan, course, series])
def test_chart__draws_bands_below_lines_and_answers_to_the_pointer_on_top(draw):
    with speaking("en"):
        shown, plain = draw(), draw(with_target=False)
    assert styles(shown) == ["wide", "narrow", "history", "forecast", "target", "now", "now-label", "hover", "hover-point", "rect"]
    assert styles(plain) == [style for style in styles(shown) if style != "target"]
    (marked,) = [layer for layer in shown["layer"] if layer["mark"].get("style") == "now"]
    assert marked["data"]["values"][0]["ds"] == "2025-06-01T00:00:00", "the fan begins at the last known month"
    begun = next(row for row in shown["data"]["values"] if row["ds"] == "2025-06-01T00:00:00")
    assert [begun[name] for name in ENDS] == [10.0] * 4
