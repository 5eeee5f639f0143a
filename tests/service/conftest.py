"""The real application, served on a free loopback port from a real SQLite store and a real MLflow registry: built once a run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from browsing import CHROMIUM, FLAGS, Visit
from guarded_service import Guarded, guarded_service
from running_service import Served, copy_of, running, settings_in, train_all

from once import made_once
from predictkpi.cli import main
from predictkpi.core import columns as c
from predictkpi.pipelines.open_store import open_store
from predictkpi.settings import Settings


@pytest.fixture(scope="session")
def settings(company, tmp_path_factory) -> Settings:
    """The sample company in a store, and every predictor trained: copies of this process's own, but for the models' files."""

    def make(folder: Path) -> None:
        settings = settings_in(folder)
        open_store(settings).load(company.tables, company=company.company, now=company.end)
        train_all(settings)

    folder = tmp_path_factory.mktemp("served")
    return copy_of(settings_in(made_once(tmp_path_factory, "trained", make)), folder, with_registry=True)


@pytest.fixture(scope="session")
def served(settings) -> Iterator[Served]:
    with running(settings) as service:
        service.wait_until_ready()
        yield service


@pytest.fixture(scope="session")
def get(served):
    """GET a path; the parsed body of a 200."""

    def get(path: str, **params):
        answer = served.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return get


@pytest.fixture(scope="session")
def problem(served):
    """Send a request that must fail with this status; the problem."""

    def problem(status: int, method: str, path: str, **kwargs):
        answer = served.client.request(method, path, **kwargs)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        body = answer.json()
        assert body["status"] == status
        assert body["instance"] == path
        assert body["request_id"] == answer.headers["x-request-id"]
        assert body["type"].startswith("/problems/")
        assert served.client.get(body["type"]).status_code == 200
        return body

    return problem


@pytest.fixture(scope="session")
def open_deals(snapshot) -> pd.DataFrame:
    """Open deals as they stand at the end of the sample company's data; index deal_id."""
    newest = snapshot.deal_events.sort_values(c.DS, kind="stable").drop_duplicates(c.DEAL_ID, keep="last").set_index(c.DEAL_ID)
    known = newest[newest.index.isin(snapshot.deals[c.DEAL_ID])]
    return known[~known[c.STAGE].isin(c.CLOSED_STAGES)]


@pytest.fixture(scope="session")
def owners(open_deals) -> pd.Series:
    """Owner of each open deal that has one; index deal_id."""
    return open_deals[c.OWNER].dropna()


@pytest.fixture(scope="session")
def guarded(settings, owners, tmp_path_factory) -> Iterator[Guarded]:
    """The same company behind keys."""
    with guarded_service(copy_of(settings, tmp_path_factory.mktemp("guarded")), owners.iloc[0]) as service:
        yield service


@pytest.fixture
def cli(settings, tmp_path, monkeypatch, capsys):
    """``cli("pipeline", "--by", "owner")`` -> (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREDICTKPI_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", settings.tracking_uri)
    monkeypatch.setenv("PREDICTKPI_ARTIFACT_ROOT", str(settings.artifact_root))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["predictkpi", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        printed = capsys.readouterr()
        return int(left.value.code or 0), printed.out, printed.err

    return run


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium; not for the whole run: while it is there an event loop runs in this thread, and tests have loops of their own."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: install it, or name it in PREDICTKPI_CHROMIUM")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, served):
    """Open a path of the service."""
    visits = []

    def visit(path="/", **kwargs):
        visits.append(Visit(browser, served.url + path, **kwargs))
        return visits[-1]

    yield visit
    for made in visits:
        made.close()
