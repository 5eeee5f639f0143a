"""The outlook by week, month and quarter, and why its months are as they are: over HTTP and on the command line the same numbers."""

from __future__ import annotations

import csv
import json
import shlex
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from predictkpi.outlook.levels import levels
from predictkpi.pipelines.open_store import open_registry
from predictkpi.registry import Registry
from predictkpi.service.dependencies import current_view
from predictkpi.service.outlooks import periods_of
from predictkpi.service.view import View

LEVELS = "/v1/outlook/levels"
REASONS = "/v1/outlook/reasons"


@pytest.fixture(scope="module")
def outlook(served):
    return periods_of(served.serving.view).outlook


@pytest.fixture(scope="module")
def model(settings):
    """The revenue model with its version; on so little data its baseline is the champion, which has no reasons to give."""
    return open_registry(settings).version("revenue", "1")


@pytest.fixture(scope="module")
def explained_view(served, model):
    """The view, had the model been promoted."""
    there = served.serving.view
    revenue = replace(there.champions["revenue"], predictor=model[0], ref=model[1])
    return View(there.snapshot, {**there.champions, "revenue": revenue}, {}, there.fingerprint)


@pytest.fixture
def promoted(served, explained_view, model, monkeypatch):
    """Service and command line answer as if the model had been promoted."""
    champion = Registry.champion
    monkeypatch.setattr(Registry, "champion", lambda self, name: model if name == "revenue" else champion(self, name))
    monkeypatch.setitem(served.app.dependency_overrides, current_view, lambda: explained_view)
    return periods_of(explained_view).outlook


def steps_of(month) -> dict[str, float]:
    return {step["step"]: step["change"] for step in month["steps"]}


@pytest.mark.parametrize(("freq", "first", "periods"), [("W", "2025-12-29", 13), ("M", "2026-01-01", 12), ("Q", "2026-01-01", 4)])
def test_levels__are_the_outlooks_own(get, outlook, snapshot, freq, first, periods):
    answer, expected = get(LEVELS, scope="region=EMEA", freq=freq), levels(outlook, snapshot, "region=EMEA", freq)
    assert len(answer["items"]) == periods
    assert pd.Timestamp(answer["items"][0]["ds"]) == pd.Timestamp(first)
    for item, row in zip(answer["items"], expected.to_dict("records"), strict=True):
        assert (item["expected"], item["q10"], item["q975"]) == pytest.approx((row["mean"], row["q10"], row["q975"]))
        for base in ("previous", "year_before"):
            assert item["growth"][base]["q50"] == pytest.approx(row[f"growth_{base}_q50"])
    assert (answer["scope"], answer["freq"], answer["replay"]["verdict"]) == ("region=EMEA", freq, outlook.trust.verdict)


def test_levels__of_quarters_are_the_named_periods(get):
    quarters = get(LEVELS, freq="Q")["items"]
    named = get("/v1/outlook", period=["this_quarter", "next_quarter"])["items"][0]["periods"]
    for quarter, period in zip(quarters, named, strict=False):
        assert quarter["expected"] == pytest.approx(period["expected"])
        assert quarter["growth"] == period["growth"]


@pytest.mark.parametrize("scope", ["total", "region=EMEA"])
def test_reasons__add_up_to_the_outlook(get, promoted, scope):
    answer = get(REASONS, scope=scope)
    assert [month["expected"] for month in answer["months"]] == pytest.approx(promoted.revenue(scope).mean(axis=0).tolist())
    for month in answer["months"]:
        assert sum(steps_of(month).values()) == pytest.approx(month["expected"])
    assert steps_of(answer["months"][0])["open_deals"] != 0
    assert answer["status"] == get(LEVELS, scope=scope)["status"]


def test_reasons__speak_the_language_asked_for(get, promoted):
    english, german = get(REASONS)["months"][0]["steps"], get(REASONS, language="de")["months"][0]["steps"]
    titles = {step["step"]: (step["title"], other["title"]) for step, other in zip(english, german, strict=True)}
    assert titles["open_deals"] == ("open deals", "offene Deals")
    assert titles["working_days"] == ("working days and holidays", "Arbeits- und Feiertage")


@pytest.mark.parametrize("path", [LEVELS, REASONS])
def test_scope__that_is_not_there_is_404_and_lists_those_there_are(problem, path):
    assert "region=" in problem(404, "GET", path, params={"scope": "region=Atlantis"})["detail"]


@pytest.mark.parametrize(("path", "params"), [(LEVELS, {"freq": "D"}), (REASONS, {"language": "fr"})])
def test_parameter__that_is_wrong_is_422_and_named(problem, path, params):
    assert [item["parameter"] for item in problem(422, "GET", path, params=params)["errors"]] == list(params)


def test_forecast_command__gives_the_numbers_of_the_api(cli, get):
    code, out, err = cli("forecast", "revenue", "--freq", "W", "--by", "region", "--horizon", "2", "--format", "json")
    assert code == 0, err
    rows = json.loads(out)
    scopes = list(dict.fromkeys(row["scope"] for row in rows))
    assert "region=EMEA" in scopes
    assert len(rows) == 2 * len(scopes)
    answer = get(LEVELS, scope=scopes[0], freq="W")
    for row, item in zip(rows, answer["items"][:2], strict=False):
        assert [row[name] for name in ("mean", "q10", "q90")] == pytest.approx([item[name] for name in ("expected", "q10", "q90")])
        assert row["growth_year_before_q90"] == pytest.approx(item["growth"]["year_before"]["q90"])
        assert (row["status"], row["verdict"]) == (answer["status"], answer["replay"]["verdict"])


def test_forecast_command__by_month_is_the_predictors_own(cli, get):
    code, out, err = cli("forecast", "revenue", "--freq", "M", "--horizon", "1", "--format", "json")
    assert code == 0, err
    (item,) = get("/v1/forecasts/revenue", horizon=1)["items"]
    assert {row["statistic"]: row["value"] for row in json.loads(out)} == item["predictions"][0]["values"]


def test_reasons_command__gives_the_numbers_of_the_api(cli, get, promoted):
    code, out, err = cli("reasons", "total", "region=EMEA", "--of", "revenue", "--format", "csv")
    assert code == 0, err
    rows = list(csv.DictReader(out.splitlines()))
    months = [month for scope in ("total", "region=EMEA") for month in get(REASONS, scope=scope)["months"]]
    assert [row["scope"] for row in rows] == ["total"] * 12 + ["region=EMEA"] * 12
    for row, month in zip(rows, months, strict=True):
        assert float(row["forecast"]) == pytest.approx(month["expected"])
        assert {step: float(row[step]) for step in steps_of(month)} == pytest.approx(steps_of(month))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("forecast", "clv", "--freq", "W"), "--freq W and Q are for revenue"),
        (("forecast", "revenue", "--freq", "Q", "--by", "region", "--entity", "total"), "--by or --entity"),
        (("forecast", "revenue", "--freq", "Q", "--entity", "region=Atlantis"), "region=EMEA"),
        (("forecast", "revenue", "--freq", "W", "--by", "colour"), "region,segment"),
        (("reasons", "region=Atlantis", "--of", "revenue"), "region=Atlantis"),
    ],
)
def test_command__refuses_what_makes_no_sense(cli, arguments, told):
    code, out, err = cli(*arguments)
    assert (code, out) == (1, "")
    assert told in err


def test_reasons__of_a_baseline_are_none_and_it_says_so(cli, get):
    answer = get(REASONS)
    assert answer["months"] == []
    assert answer["models"][0]["kind"] == answer["status"] == "baseline"
    code, out, err = cli("reasons", "total", "--of", "revenue")
    assert (code, out) == (1, "")
    assert "has no reasons to give" in err
    assert answer["models"][0]["reason"][:40] in err


def test_commands__run_as_the_page_shows_them(cli, promoted):
    page = (Path(__file__).parents[2] / "docs" / "revenue.md").read_text(encoding="utf-8").split("\n## Commands\n")[0]
    commands = [line for block in page.split("```sh\n")[1:] for line in block.split("```")[0].splitlines()]
    told = {}
    for command in commands:
        code, out, err = cli(*shlex.split(command)[1:])
        assert code == 0, err
        told[command] = " ".join(out.split())
    win_rate, weeks, quarters, english, german = told.values()
    assert "Revenue by week" in weeks
    assert "Revenue by fiscal quarter" in quarters
    for out in (weeks, quarters, english, german):
        assert promoted.trust.verdict in out
    assert "2025-12-29" in weeks
    assert "region=EMEA" in quarters
    assert "Win rate, share" in win_rate
    assert all(title in english for title in ("trend", "open deals", "forecast"))
    assert all(title in german for title in ("Trend", "offene", "Prognose"))
