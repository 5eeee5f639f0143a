"""The months ahead of any KPI, over HTTP and on the command line: the same numbers."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from predictkpi.pipelines.kpi_forecast import LEVELS, forecast_kpi
from predictkpi.service import kpi_answers

FIGURES = ("mean", *LEVELS)


@pytest.mark.parametrize("scope", ["total", "region=EMEA"])
def test_forecast__is_the_engines(get, snapshot, scope, monkeypatch):
    answer, expected = get("/v1/kpis/win_rate/forecast", scope=scope), forecast_kpi(snapshot, "win_rate", scope=scope)
    assert [item["ds"] for item in answer["items"]] == [ds.isoformat() for ds in expected["ds"]]
    for name in FIGURES:
        assert [item[name] for item in answer["items"]] == pytest.approx(expected[name].tolist())
    assert (answer["scope"], answer["unit"], answer["items"][0]["horizon"]) == (scope, "share", 1)
    assert answer["status"] == expected["status"].iloc[0]
    monkeypatch.setattr(kpi_answers, "forecast_kpi", lambda *_, **__: pytest.fail("it was computed already"))
    assert get("/v1/kpis/win_rate/forecast", scope=scope) == answer


def test_forecast__that_cannot_be_told_has_no_figures_and_says_why(get):
    answer = get("/v1/kpis/clv_realised/forecast")
    assert {item[name] for item in answer["items"] for name in FIGURES} == {None}
    assert answer["status"] == "insufficient_data"
    assert "less time" in answer["reason"]


@pytest.mark.parametrize(
    ("kpi", "scope", "kind", "told"),
    [
        ("profit", "total", "unknown-name", "win_rate"),
        ("win_rate", "region=Atlantis", "unknown-entity", "EMEA"),
        ("win_rate", "colour=red", "unknown-name", "region"),
        ("win_rate", "EMEA", "unknown-name", "region=EMEA"),
    ],
)
def test_forecast__knows_neither_another_kpi_nor_another_scope(problem, kpi, scope, kind, told):
    found = problem(404, "GET", f"/v1/kpis/{kpi}/forecast", params={"scope": scope})
    assert found["type"] == f"/problems/{kind}"
    assert told in found["detail"]


def test_command__gives_the_numbers_of_the_api(cli, get):
    code, out, err = cli("forecast", "win_rate", "--entity", "region=EMEA", "--horizon", "3", "--format", "json")
    assert code == 0, err
    rows, answer = json.loads(out), get("/v1/kpis/win_rate/forecast", scope="region=EMEA")
    assert len(rows) == 3
    for row, item in zip(rows, answer["items"][:3], strict=True):
        assert (row["scope"], pd.Timestamp(row["ds"])) == ("region=EMEA", pd.Timestamp(item["ds"]))
        assert [row[name] for name in FIGURES] == pytest.approx([item[name] for name in FIGURES])


def test_command__shows_the_unit_and_what_is_missing(cli, get):
    first = get("/v1/kpis/win_rate/forecast")["items"][0]
    code, out, err = cli("forecast", "win_rate")
    assert code == 0, err
    assert all(told in out for told in ("Win rate, share", f"{first['mean'] * 100:.1f} %", "2026-12", "as of 2026-01-01"))
    code, out, err = cli("forecast", "clv_realised")
    assert code == 0, err
    assert "total: insufficient_data: later cohorts have had less time" in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("profit",), "win_rate"),
        (("win_rate", "--by", "region"), "--entity region=EMEA"),
        (("win_rate", "--entity", "region=Atlantis"), "APAC"),
    ],
)
def test_command__refuses_what_makes_no_sense(cli, arguments, told):
    code, out, err = cli("forecast", *arguments)
    assert (code, out) == (1, "")
    assert told in err
