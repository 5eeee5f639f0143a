"""The page at /trust: its numbers are the API's, it says so where nothing was judged yet, and rejects are for who may see them."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pandas as pd
import pytest
from guarded_service import NOW, guarded_service
from page_text import page_text
from running_service import copy_of

from predictkpi.backtest.board import CALIBRATION_COLUMNS, FIGURE_COLUMNS, PENDING_COLUMNS, Board
from predictkpi.backtest.judged import NOT_OVER
from predictkpi.backtest.run import CANDIDATE
from predictkpi.backtest.scoreboard import ALL, NO_MEASURES
from predictkpi.core import columns as c
from predictkpi.errors import StoreError
from predictkpi.pipelines.doctor import diagnose
from predictkpi.pipelines.open_store import open_store
from predictkpi.predictors import predictor_class
from predictkpi.service.api.scoreboard import read_scoreboard
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.languages import speaking
from predictkpi.service.dashboard.trust.context import records_of_champions, trust
from predictkpi.service.dashboard.trust.judged import judged, waiting
from predictkpi.service.store_memory import Read
from predictkpi.store.loading import Counts

DAY = pd.Timestamp("2025-05-01")


def figures(candidate, horizon, n, **measures):
    span = {"days": 4, "since": DAY, "until": DAY + pd.DateOffset(months=3)}
    return {c.ROLE: "champion", c.MODEL_VERSION: "3", CANDIDATE: candidate, c.HORIZON: horizon, c.N: n, **span, **NO_MEASURES, **measures}


@pytest.fixture
def board() -> Board:
    """Deals that were judged, and some that wait."""
    rows = [
        figures("model", ALL, 1200, loss=0.03, error=15.7, bias=0.116, calibration=0.022, calibration_floor=0.016, coverage80=0.79),
        figures("model", 30, 600, loss=0.02, bias=-0.05, calibration=0.03, coverage80=0.81),
        figures("baseline", ALL, 1200, loss=0.04, saved=0.21, saved_low=0.04, saved_high=0.26),
        figures("baseline", 30, 600, loss=0.03, saved=0.17),
        figures("rep_date", ALL, 900, loss=0.05, saved=-0.08, saved_low=-0.2, saved_high=0.05),
    ]
    waits = [{c.ROLE: "champion", c.MODEL_VERSION: "3", c.REASON: NOT_OVER, c.HORIZON: 180, c.N: 1179, "due": DAY}]
    points = [("champion", "3", 0.1, 0.08, 600), ("champion", "3", 0.6, 0.7, 600)]
    return Board(
        "close_time",
        DAY + pd.DateOffset(months=8),
        DAY + pd.DateOffset(months=9),
        pd.DataFrame(rows)[FIGURE_COLUMNS],
        pd.DataFrame(waits)[PENDING_COLUMNS],
        calibration=pd.DataFrame(points, columns=CALIBRATION_COLUMNS),
    )


def test_judged__says_in_a_sentence_how_the_forecasts_did(board):
    with speaking("en"):
        (one,) = judged(board, predictor_class("close_time").spec, currency="EUR")
    assert one.verdict.replace("\u00a0", " ") == (
        "Of the deals that were won, 8 of 10 closed within the 80 % range of their date; 21% less error than the baseline, "
        "about as much error as the rep's own date."
    )
    assert {figure.title: figure.value for figure in one.figures}["Date off by, median"] == "16 days"
    assert [(rival.title, rival.saving.tone, rival.saving.words) for rival in one.rivals] == [
        ("Baseline", "good", "clearly better"),
        ("Rep's own date", "plain", "no clear difference"),
    ]
    (lead,) = one.lead_times
    assert (lead.ahead, lead.judged, lead.bias, lead.saved) == ("30 days", "600", "\u22125.0%", "+17.0%")
    assert one.calibration.rows == [("10.0%", "8.0%", "600"), ("60.0%", "70.0%", "600")]
    drawn = [row["promised"] for row in one.calibration.chart["data"]["values"]]
    assert drawn == [0.1, 0.6]


def test_judged__in_german(board):
    with speaking("de"):
        (one,) = judged(board, predictor_class("close_time").spec, currency="EUR")
        (line,) = waiting(board, predictor_class("close_time").spec)
    assert "8 von 10" in one.verdict
    assert "21\u202f% weniger Fehler als das Vergleichsverfahren" in one.verdict
    assert "1.179" in line
    assert "01.05.2025" in line


def test_board__of_before_there_were_points_says_how_to_get_them(served, board):
    held = json.loads(board.text())
    del held["calibration"]
    old = Board.of(json.dumps(held))
    view = with_boards(served.serving.view, {"close_time": old})
    text = page_text("trust.html", context(view, served), view, path="/trust")
    assert "8 of 10" in text
    assert "predictkpi scoreboard close_time" in text
    assert [item.predictor for item in read_scoreboard(view).items] == ["close_time"]


def with_boards(view, boards):
    from dataclasses import replace

    return replace(view, boards=boards, _pages={})


def context(view, served, rejects=None):
    state = served.app.state
    with speaking("en"):
        return trust(
            view,
            records=records_of_champions(view, state.registry_memory),
            loads=Read(served.serving.store.loads(1)),
            models_dir=state.models_dir,
            rejects=rejects,
        )


def test_page__before_anything_was_judged_shows_the_backtest_and_how_to_begin(served, get):
    found = context(served.serving.view, served)
    assert not found.is_anything_judged
    text = served.client.get("/trust", headers={"Accept": "text/html"}).text
    for told in ("predictkpi score", "predictkpi scoreboard", "from the backtest"):
        assert told in text
    for subject in found.subjects:
        card = get(f"/v1/models/{subject.name}")["card"]
        assert f"{card['outcomes']:,}" in subject.backtest.basis
        assert subject.verdict.startswith("In the backtest: ")
        assert len(subject.backtest.segments) == len(card["segments"])


def test_page__tells_the_apis_readiness_and_the_checks_of_the_books(served, get, snapshot):
    found = context(served.serving.view, served)
    for shown, item in zip(found.readiness, get("/v1/readiness")["items"], strict=True):
        assert shown.status == item["status"]
        assert [one.have for one in shown.counts] == [f.number(count["have"]) for count in item["counts"]]
    summary = diagnose(served.serving.view.snapshot).summary()
    assert [row.count for row in found.hygiene] == [f.number(count) for count in summary["count"] if count]
    newest = {row.table: row.newest for row in found.freshness}
    assert newest["Orders"] == f.date(snapshot.orders[c.DS].max())
    assert {row.state for row in found.freshness} <= {"late", "fresh", "unknown"}
    assert found.newest_load.number == "1"


def test_page__with_the_registry_away_says_so_and_answers(served):
    view = served.serving.view
    away = SimpleNamespace(value=None, trouble="cannot read run 1 in MLflow at http://nowhere: refused")
    with speaking("en"):
        found = trust(
            view,
            records=dict.fromkeys(view.champions, away),
            loads=Read(served.serving.store.loads(1)),
            models_dir=served.app.state.models_dir,
            rejects=None,
        )
    assert all(subject.backtest is None for subject in found.subjects)
    assert "http://nowhere: refused" in page_text("trust.html", found, view, path="/trust")


def test_page__with_the_store_away_shows_what_it_had_and_says_so(served, monkeypatch):
    def away(*_, **__):
        raise StoreError("facts.db: nobody answers")

    def asked():
        answer = served.client.get("/trust", headers={"Accept": "text/html", "Accept-Language": "en"})
        assert answer.status_code == 200
        return answer.text

    assert "Newest load 1 on" in asked()
    for name in ("loads", "reject_groups", "rejects"):
        monkeypatch.setattr(served.serving.store, name, away)
    text = asked()
    assert "Newest load 1 on" in text
    assert "The store does not answer: what stands here of it may be old." in text
    assert "They cannot be read just now. facts.db: nobody answers" in text.split('id="rejects"')[1]
    monkeypatch.setattr(served.app.state.store_memory, "_kept", {})
    assert "Newest load" not in asked()


@pytest.fixture(scope="module")
def rejected(settings, tmp_path_factory):
    """A service behind keys over a copy of the store, with rows that were kept aside."""
    rows = [
        ("orders.csv", number, "orders", "amount", f"{number},50 EUR", "is no number", json.dumps({"id": f"O-{number}", "who": "Jane Roe"}))
        for number in range(1, 26)
    ]
    columns = ["file", "row", "table", "field", "value", "reason", "record"]
    own = copy_of(settings, tmp_path_factory.mktemp("rejected"))
    store = open_store(own)
    store.migrate()
    with store.begin_load(company=store.company, now=NOW, source="rejects") as load:
        load.write_rejects(pd.DataFrame(rows, columns=columns))
        load.finish(Counts(rejected=len(rows)))
    store.close()
    with guarded_service(own, "nobody") as guarded:
        yield guarded


def test_rejects__are_for_who_may_see_them(rejected):
    of_scientist = rejected.ask("GET", "/trust", "scientist", headers={"Accept": "text/html"}).text
    assert "is no number" in of_scientist
    assert "Jane Roe" in of_scientist
    assert "predictkpi rejects --replay" in of_scientist
    for who in ("viewer", "manager"):
        answer = rejected.ask("GET", "/trust", who, headers={"Accept": "text/html"})
        assert answer.status_code == 200
        assert "is no number" not in answer.text
        assert "Jane Roe" not in answer.text
        assert "orders.csv" not in answer.text
    for who in ("crm", "narrow"):
        assert rejected.ask("GET", "/trust", who).status_code == 403


def test_rejects__are_paged_and_chosen_as_the_api_does(rejected):
    first = rejected.ask("GET", "/trust", "scientist", headers={"Accept": "text/html"}).text
    listed = rejected.ask("GET", "/v1/rejects", "scientist", params={"limit": 20}).json()
    assert [f"orders.csv, row {item['row']}" in first for item in listed["items"]] == [True] * 20
    assert "orders.csv, row 21<" not in first
    assert f"cursor={listed['next']}" in first
    second = rejected.ask("GET", "/trust", "scientist", params={"cursor": listed["next"]}, headers={"Accept": "text/html"}).text
    assert "orders.csv, row 21<" in second
    assert "orders.csv, row 1<" not in second
    none = rejected.ask("GET", "/trust", "scientist", params={"file": "other.csv"}, headers={"Accept": "text/html"}).text
    assert "None of these" in none
    assert rejected.ask("GET", "/trust", "scientist", params={"cursor": "nonsense"}).status_code == 422
