"""GET /v1/outlook and /v1/outlook/moves, and the command that gives the same numbers."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from predictkpi.errors import InsufficientDataError, RegistryError
from predictkpi.outlook import Trust
from predictkpi.outlook.periods import PERIODS
from predictkpi.outlook.weighted import weighted_pipeline
from predictkpi.pipelines.open_store import open_registry, open_store
from predictkpi.pipelines.outlook import known_trust
from predictkpi.service.outlooks import moved, periods_of
from predictkpi.service.state import Serving
from predictkpi.service.view import View

PATH = "/v1/outlook"
MOVES = "/v1/outlook/moves"
KIND = {"revenue_kind": "baseline"}
"""What serves in these tests, and so what a replay has to be of."""


def parts(period) -> float:
    return period["booked"] + period["from_deals"]["mean"] + period["new"]["mean"]


def test_outlook__three_parts_add_up_to_what_is_expected(get, served):
    answer = get(PATH)
    (total,) = answer["items"]
    assert [period["period"] for period in total["periods"]] == list(PERIODS)
    for period in total["periods"]:
        assert parts(period) == pytest.approx(period["expected"])
        assert period["q025"] < period["commit"] < period["most_likely"] < period["best_case"] < period["q975"]
        assert period["from_deals"]["mean"] > 0
    assert (total["scope"], total["label"], answer["by"], answer["scenario"]) == ("total", "Total", None, None)
    champions = served.serving.view.champions
    assert [(model["name"], model["version"]) for model in answer["models"]] == [
        (name, champions[name].ref.version) for name in ("revenue", "close_time")
    ]
    assert get(PATH) == answer, "the same question has the same answer"


def test_outlook__tells_the_target_of_the_period_and_the_chance_to_hit_it(get, served, snapshot):
    month, quarter = get(PATH, period=["this_month", "this_quarter"])["items"][0]["periods"]
    targets = snapshot.targets
    monthly = targets[(targets["kpi"] == "revenue") & (targets["scope"] == "total") & (targets["freq"] == "M")].set_index("ds")["value"]
    assert month["target"] == monthly[snapshot.as_of.normalize()]
    assert quarter["target"] == pytest.approx(monthly[pd.Timestamp(quarter["start"]) :].iloc[:3].sum())
    outlook = periods_of(served.serving.view).outlook
    reached = outlook.sums("total", pd.Timestamp(quarter["start"]), pd.Timestamp(quarter["end"])) >= quarter["target"]
    assert quarter["chance"] == reached.mean()
    assert quarter["needed"] == pytest.approx(quarter["target"] - quarter["booked"])
    deals = outlook.book.deals.inputs["entity_id"]
    assert month["weighted_pipeline"] == pytest.approx(weighted_pipeline(snapshot, deals, outlook.months)[:, 0].sum())


@pytest.mark.parametrize("by", ["region", "segment,region"])
def test_outlook__of_members_adds_up_to_the_total(get, by):
    answer = get(PATH, by=by, period="next_quarter")
    (total,) = get(PATH, period="next_quarter")["items"]
    members = [item["periods"][0] for item in answer["items"]]
    assert len(members) > 1
    assert sum(period["from_deals"]["mean"] for period in members) == pytest.approx(total["periods"][0]["from_deals"]["mean"])
    names = [item["scope"] for item in answer["items"]]
    assert get(PATH, scope=names[:2], period="next_quarter")["items"] == answer["items"][:2]


def test_outlook__says_what_the_replay_taught(get, settings, snapshot):
    trust = known_trust(open_registry(settings), snapshot.as_of)
    replay = get(PATH)["replay"]
    assert "replayed from 4 past months" in replay["reason"]
    assert replay["verdict"] == trust.verdict
    assert [month["horizon"] for month in replay["months"]] == [1, 2, 3, 4]
    for told, month in zip(replay["months"], trust.months, strict=True):
        assert (told["weight"], told["gain"]) == (month.weight, month.gain)
        assert told["mae_time_series"] > 0
    day_before = snapshot.as_of - pd.Timedelta(days=1)
    assert known_trust(open_registry(settings), day_before).months == (), "a replay that knew more does not count then"


def test_scenario__stands_beside_the_plain_outlook(get):
    asked = {"win_rate": 0.1, "cycle_days": 5, "period": ["this_quarter", "this_year"]}
    answer, plain = get(PATH, **asked), get(PATH, period=asked["period"])
    assert answer["scenario"] == {"win_rate": 0.1, "cycle_days": 5.0, "spend": {}}
    for changed, before in zip(answer["items"][0]["periods"], plain["items"][0]["periods"], strict=True):
        assert changed["plain"] == {name: before[name] for name in ("expected", "commit", "most_likely", "best_case", "chance")}
        assert changed["change"] == pytest.approx(changed["expected"] - before["expected"])
        assert changed["change"] > 0
        assert changed["chance"] >= before["chance"]
        assert parts(changed) == pytest.approx(changed["expected"])
        assert before["plain"] is before["change"] is None


def test_scenario__of_spend_brings_later_business_only(get, snapshot):
    channel = snapshot.spend["channel"].value_counts().index[0]
    (period,) = get(PATH, spend=[f"{channel}:1.5"], period="this_year")["items"][0]["periods"]
    (before,) = get(PATH, period="this_year")["items"][0]["periods"]
    assert period["from_deals"] == before["from_deals"]
    assert period["new"]["mean"] > before["new"]["mean"]


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"period": "some_day"}, "period"),
        ({"by": "colour"}, "by"),
        ({"by": "region", "scope": "total"}, "by"),
        ({"win_rate": 1.5}, "win_rate"),
        ({"win_rate": "nan"}, "win_rate"),
        ({"win_rate": 0.95}, "win_rate"),
        ({"cycle_days": 500}, "cycle_days"),
        ({"spend": "search"}, "spend"),
        ({"spend": "sarch:1"}, "spend"),
        ({"spend": "search:much"}, "spend"),
        ({"spend": "search:nan"}, "spend"),
        ({"spend": "search:11"}, "spend"),
        ({"spend": "smoke signals:2", "win_rate": 0.01}, "spend"),
    ],
)
def test_outlook__wrong_parameter_is_422_and_named(problem, params, name):
    found = problem(422, "GET", PATH, params=params)
    assert {item["parameter"] for item in found["errors"]} == {name}


def test_outlook__of_an_unknown_scope_is_404_and_lists_those_there_are(problem):
    for path in (PATH, MOVES):
        assert "region=" in problem(404, "GET", path, params={"scope": "region=Atlantis"})["detail"]


def test_moves__lead_from_then_to_now_down_to_the_deal(get, snapshot):
    answer = get(MOVES, days=30, limit=1000)
    (period,) = get(PATH, period="this_quarter")["items"][0]["periods"]
    assert pd.Timestamp(answer["since"]) == snapshot.as_of - pd.Timedelta(days=30)
    assert answer["end"] == pytest.approx(period["expected"])
    changes = {step["step"]: step["change"] for step in answer["steps"]}
    assert answer["start"] + sum(changes.values()) == pytest.approx(answer["end"])
    assert len(answer["deals"]) == answer["deal_count"] > 10
    for step in changes.keys() - {"model"}:
        of_deals = sum(deal["change"] for deal in answer["deals"] if deal["step"] == step)
        assert of_deals == pytest.approx(changes[step])
    sizes = [abs(deal["change"]) for deal in answer["deals"]]
    assert sizes == sorted(sizes, reverse=True)
    assert len(get(MOVES, days=30, limit=3)["deals"]) == 3
    by_default = get(MOVES)
    assert pd.Timestamp(by_default["since"]) == snapshot.as_of - pd.Timedelta(days=7)
    assert by_default["end"] == answer["end"]


@pytest.mark.parametrize(("params", "name"), [({"days": 0}, "days"), ({"period": "soon"}, "period"), ({"limit": -1}, "limit")])
def test_moves__wrong_parameter_is_422_and_named(problem, params, name):
    assert [item["parameter"] for item in problem(422, "GET", MOVES, params=params)["errors"]] == [name]


def test_view__without_deals_has_two_parts_and_says_so(served):
    there = served.serving.view
    champions = {name: champion for name, champion in there.champions.items() if name == "revenue"}
    view = View(there.snapshot, champions, {}, there.fingerprint)
    (quarter,) = periods_of(view).of("total", ["this_quarter"])
    assert quarter.from_deals.mean == 0
    assert quarter.coverage is None
    found = moved(view, "total", "this_quarter")[1]
    assert found.deals.empty
    assert found.start + found.steps["model"] == pytest.approx(found.end)


def test_view__before_there_was_revenue_cannot_say_what_moved(served):
    with pytest.raises(InsufficientDataError):
        moved(served.serving.view, "total", "this_quarter", days=365 * 10)


def test_view__is_built_without_a_replay_where_the_registry_does_not_tell(settings, monkeypatch):
    serving = Serving(open_store(settings), open_registry(settings))

    def refuse(name):
        raise RegistryError("out of reach")

    with monkeypatch.context() as away:
        away.setattr(serving.registry, "tags_of_runs", refuse)
        assert serving.refresh()
        outlook = periods_of(serving.view).outlook
        assert outlook.trust.months == ()
        assert "out of reach" in outlook.trust.verdict
        assert "out of reach" in serving.trouble
    assert serving.refresh(), "back again, the replay counts"
    assert serving.view.fingerprint.trust.months
    assert serving.trouble is None
    assert not serving.refresh()


def test_command__gives_the_numbers_of_the_api(cli, get):
    code, out, err = cli("outlook", "--by", "region", "--period", "this_quarter", "--win-rate", "5", "--format", "json")
    assert code == 0, err
    answer = get(PATH, by="region", period="this_quarter", win_rate=0.05)
    for row, item in zip(json.loads(out), answer["items"], strict=True):
        (period,) = item["periods"]
        assert row["scope"] == item["scope"]
        for name in ("expected", "commit", "best_case", "booked", "weighted_pipeline", "target", "chance", "needed", "change"):
            assert row[name] == (pytest.approx(period[name]) if period[name] is not None else None)
        assert row["plain_expected"] == pytest.approx(period["plain"]["expected"])
        assert row["new_q90"] == pytest.approx(period["new"]["q90"])
        assert row["growth_year_before_q50"] == pytest.approx(period["growth"]["year_before"]["q50"])
        assert row["verdict"] == answer["replay"]["verdict"]


def test_command__runs_as_the_page_shows_it(cli, get):
    page = (Path(__file__).parents[2] / "docs" / "revenue.md").read_text(encoding="utf-8").split("\n## Commands\n")[1]
    commands = [shlex.split(line)[1:] for line in page.split("```sh\n")[1].split("```")[0].splitlines()]
    told = {}
    for command in commands:
        code, out, err = cli(*command)
        assert code == 0, err
        told[command[1]] = " ".join(out.split())
        assert get(PATH)["replay"]["verdict"] in told[command[1]]
        assert "close_time" in told[command[1]]
    names = ("commit", "most likely", "best case", "chance", "not yet created", "weighted pipeline", "on the year before", "region=EMEA")
    assert all(name in told["--by"] for name in names)
    assert "per year (CAGR)" in told["--period"]
    assert "The scenario beside the plain outlook" in told["--period"]
    assert all(name in told["--moved"] for name in ("What moved since 2025-12-02", "expected then", "slipped", "expected now", "By deal"))


def test_command__gives_what_moved_to_machines(cli, get):
    code, out, err = cli("outlook", "--moved", "7", "--format", "csv")
    assert code == 0, err
    lines = [line.split(",") for line in out.splitlines()]
    answer = get(MOVES, limit=1000)
    assert [line[4] for line in lines[1:10]] == ["start", *[step["step"] for step in answer["steps"]], "end"]
    assert [line[5] for line in lines[10:]] == [deal["deal_id"] for deal in answer["deals"]]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--scope", "region=Atlantis"), "region=Atlantis"),
        (("--scope", "total", "--by", "region"), "not both"),
        (("--by", "colour"), "region,segment"),
        (("--period", "some_day"), "this_quarter"),
        (("--spend", "search"), "--spend search=+20"),
        (("--spend", "smoke signals=+20"), "smoke signals"),
        (("--moved", "7", "--win-rate", "5"), "give one of them"),
        (("--moved", "7", "--period", "this_year"), "it could not be forecast as of 2025-12-25"),
    ],
)
def test_command__refuses_what_makes_no_sense(cli, arguments, told):
    code, out, err = cli("outlook", *arguments)
    assert (code, out) == (1, "")
    assert told in err


def test_trust__that_cannot_be_read_is_none_with_the_reason(settings, snapshot, monkeypatch):
    registry = open_registry(settings)
    monkeypatch.setattr(registry, "tags_of_runs", lambda name: [KIND | {"as_of": "2025-01-01", "trust": '{"months": 3}'}])
    assert "cannot be read" in known_trust(registry, snapshot.as_of).reason


def test_trust__of_the_latest_knowledge_counts(settings, snapshot, monkeypatch):
    def run(as_of: str, reason: str) -> dict[str, str]:
        return KIND | {"as_of": as_of, "trust": json.dumps(replace(Trust.none(""), reason=reason).to_json())}

    registry = open_registry(settings)
    runs = [run("2024-01-01", "looked back"), run("2025-12-01", "second"), run("2025-12-01", "first"), run("2027-01-01", "future")]
    monkeypatch.setattr(registry, "tags_of_runs", lambda name: runs)
    assert known_trust(registry, snapshot.as_of).reason == "second"


def test_trust__of_a_past_day_names_the_models_that_knew_more_and_the_way_out(settings, snapshot):
    registry = open_registry(settings)
    past = known_trust(registry, snapshot.as_of - pd.Timedelta(days=30))
    serves = next(row for row in registry.versions("revenue") if "champion" in row["aliases"])
    assert f"revenue version {serves['version']} learnt from data up to {serves['as_of'][:10]}" in past.verdict
    assert "knew more than this day" in past.verdict
    assert "predictkpi train --as-of 2025-12-02" in past.reason
    assert "knew more" not in known_trust(registry, snapshot.as_of).reason


def test_trust__of_another_kind_of_revenue_than_serves_does_not_count(settings, snapshot, monkeypatch):
    registry = open_registry(settings)
    (newest, *_) = registry.tags_of_runs("outlook")
    serves = next(row["kind"] for row in registry.versions("revenue") if "champion" in row["aliases"])
    assert newest["revenue_kind"] == serves, "what serves is what was replayed"
    other = {"model": "baseline", "baseline": "model"}[serves]
    rows = {name: [row | {"kind": other} for row in registry.versions(name)] for name in ("revenue", "close_time")}
    monkeypatch.setattr(registry, "versions", lambda name: rows[name])
    trust = known_trust(registry, snapshot.as_of)
    assert trust.months == ()
    assert f"a {other} of revenue serves" in trust.verdict
