"""The scoreboard as the service gives and shows it, from what the command line worked out."""

from __future__ import annotations

import json
import shutil
import sqlite3

import pandas as pd
import pytest
from page_text import overview_text
from running_service import settings_in

from predictkpi.core import columns as c
from predictkpi.pipelines.open_store import open_registry, open_store
from predictkpi.pipelines.score import score
from predictkpi.predictors import predictor_names
from predictkpi.service.api.scoreboard import read_scoreboard
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.overview import overview
from predictkpi.service.state import Serving


@pytest.fixture(scope="module")
def own(settings, tmp_path_factory):
    """A copy of the trained service's store and registry, with predictions of half a year ago, by versions said to have learnt by then."""
    own = settings_in(tmp_path_factory.mktemp("judged"))
    shutil.copy(settings.tracking_uri.removeprefix("sqlite:///"), own.tracking_uri.removeprefix("sqlite:///"))
    with (
        sqlite3.connect(settings.database_url.removeprefix("sqlite:///")) as there,
        sqlite3.connect(own.database_url.removeprefix("sqlite:///")) as here,
    ):
        there.backup(here)
    store = open_store(own)
    as_of = store.default_as_of() - pd.DateOffset(months=7)
    registry = open_registry(own)
    with registry._connection.speaking("date versions back") as client:
        for name in predictor_names():
            client.set_model_version_tag(name, registry.champion_version(name), "as_of", as_of.isoformat())
    score(store, registry, predictors=predictor_names(), as_of=as_of, now=as_of)
    store.close()
    return own


@pytest.fixture
def own_cli(cli, own, monkeypatch):
    monkeypatch.setenv("PREDICTKPI_DATABASE_URL", own.database_url)
    monkeypatch.setenv("PREDICTKPI_MODELS_DIR", str(own.models_dir))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", own.tracking_uri)
    return cli


def test_scoreboard__before_it_was_made_is_empty_and_the_page_says_how_to_make_it(get, served):
    assert get("/v1/scoreboard") == {"items": []}
    assert "predictkpi scoreboard" in served.client.get("/").text


def test_scoreboard__of_an_unknown_predictor_is_a_problem(problem):
    told = problem(404, "GET", "/v1/scoreboard", params={"predictor": "weather"})
    assert "close_time" in told["detail"]


def test_scoreboard__is_printed_kept_served_and_shown(own, own_cli):
    code, out, err = own_cli("scoreboard", "--format", "json")
    assert code == 0, err
    printed = {board["predictor"]: board for board in json.loads(out)}
    assert list(printed) == list(predictor_names())

    store = open_store(own)
    serving = Serving(store, open_registry(own))
    serving.refresh()
    view = serving.view
    assert read_scoreboard(view, predictor="clv").items[0].predictor == "clv"
    for item in read_scoreboard(view).items:
        told = item.model_dump(mode="json")
        assert told["figures"] == [{**row} for row in printed[item.predictor]["figures"]]
        assert [row["n"] for row in told["pending"]] == [row["n"] for row in printed[item.predictor]["pending"]]
        judged = [row for row in told["figures"] if row["candidate"] == "model" and row["horizon"] == 0]
        assert [row["role"] for row in judged] == ["champion"]
        champion = view.champions[item.predictor].ref
        assert judged[0]["model_version"] == champion.version
        metrics = serving.registry.metrics(champion.run_id)
        assert metrics[f"scoreboard.v{champion.version}.champion.loss"] == pytest.approx(judged[0]["loss"])

    shown = overview(view).trusted
    assert [item.title for item in shown.items] == ["Revenue growth", "Customer lifetime value", "Deal close time"]
    assert "wait for their outcome" in shown.waiting
    text = overview_text(view)
    for item, board in zip(shown.items, printed.values(), strict=True):
        figures = {row["candidate"]: row for row in board["figures"] if row["horizon"] == 0 and row["role"] == "champion"}
        assert item.held == f.percent(figures["model"]["coverage80"])
        assert item.saved == f.signed_percent(figures["baseline"]["saved"])
        assert f"{item.held} within the 80 % range" in text

    # the page is made anew when there is a newer board, and the champions are not loaded again
    assert not serving.refresh()
    assert own_cli("scoreboard", "clv")[0] == 0
    assert serving.refresh()
    assert serving.view.champions["clv"].table is view.champions["clv"].table
    assert serving.view.boards["clv"].made_at > view.boards["clv"].made_at
    store.close()


def test_scoreboard__table_names_rivals_and_what_waits_and_of_a_past_day_keeps_nothing(own, own_cli):
    before = open_store(own).scoreboards_made()
    end = open_store(own).default_as_of()
    code, out, err = own_cli("scoreboard", "close_time", "--as-of", f"{end - pd.DateOffset(months=5):%Y-%m-%d}")
    assert code == 0, err
    for text in (
        "Deal close time: what came true before",
        "against rep date",
        "against stage win rate",
        "as champion",
        "are not judged: not over yet",
    ):
        assert text in out
    assert open_store(own).scoreboards_made() == before


def test_score__shadows_by_default_and_not_where_it_was_told_not_to(own, own_cli):
    registry, store = open_registry(own), open_store(own)
    model, champion = registry.champion("clv")
    again = registry.register(model, run_id=champion.run_id, inputs=model.inputs(store.snapshot()), as_of="").version
    registry.promote("clv", again, alias="challenger")
    code, out, _ = own_cli("score", "clv", "--no-shadow")
    assert code == 0
    assert "shadow" not in out
    code, out, _ = own_cli("score", "clv")
    assert code == 0
    assert "shadow" in out
    days = store.predicted_days("clv")
    newest = days[(days[c.AS_OF] == store.default_as_of()) & (days[c.ROLE] != "served")]
    assert dict(zip(newest[c.ROLE], newest[c.MODEL_VERSION], strict=True)) == {"champion": champion.version, "shadow": again}
    assert store.scored_version("clv", until=store.default_as_of()) == champion.version
    store.close()
