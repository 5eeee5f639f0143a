"""The real application, served on a free loopback port from a real SQLite store and a real MLflow registry: built once a run."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pandas as pd
import pytest
import uvicorn
from fastapi import FastAPI

from predictkpi.core import columns as c
from predictkpi.pipelines.open_store import open_registry, open_store
from predictkpi.pipelines.train import train
from predictkpi.predictors import predictor_names
from predictkpi.service.app import create_app
from predictkpi.service.state import Serving
from predictkpi.settings import Settings

SECONDS_TO_BE_READY = 60

SMALL_SETTINGS = {
    "revenue.yaml": "draws: 100\norigins: 2\npool_series: 4\n",
    "clv.yaml": "draws: 32\n",
    "close_time.yaml": "rounds: 12\nlandmark_budget: 1500\nmin_rows: 20\n",
    "evaluation.yaml": (
        "revenue: {folds: 1, step: 6, gap: 3}\nclv: {folds: 1, step: 6, gap: 6}\nclose_time: {folds: 1, step: 60, gap: 60}\n"
    ),
}


@dataclass(frozen=True)
class Served:
    """A running service: where it answers, what it is made of, and a client."""

    url: str
    app: FastAPI
    settings: Settings
    client: httpx.Client

    @property
    def serving(self) -> Serving:
        return self.app.state.serving

    def wait_until_ready(self) -> httpx.Response:
        deadline = time.monotonic() + SECONDS_TO_BE_READY
        while time.monotonic() < deadline:
            answer = self.client.get("/health/ready")
            if answer.status_code == 200:
                return answer
            time.sleep(0.1)
        raise AssertionError(f"not ready after {SECONDS_TO_BE_READY} s: {answer.text}")


def settings_in(folder, **given) -> Settings:
    """Store, registry and small hyperparameters below one folder."""
    models_dir = folder / "models"
    models_dir.mkdir(exist_ok=True)
    for name, text in SMALL_SETTINGS.items():
        (models_dir / name).write_text(text, encoding="utf-8")
    places = {
        "database_url": f"sqlite:///{folder}/facts.db",
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/tracking.db",
        "artifact_root": folder / "artifacts",
        "models_dir": models_dir,
    }
    return Settings(**(places | given))


def train_all(settings: Settings) -> None:
    train(
        open_store(settings),
        open_registry(settings),
        predictors=predictor_names(),
        as_of=None,
        models_dir=settings.models_dir,
        now=pd.Timestamp("2026-01-02 03:04:05"),
    )


@contextmanager
def running(settings: Settings, *, poll_seconds: float = 0.2) -> Iterator[Served]:
    """Uvicorn in a thread, on a port the system chose."""
    app = create_app(settings, poll_seconds=poll_seconds)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none", lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.02)
        with httpx.Client(base_url=url, timeout=30) as client:
            yield Served(url, app, settings, client)
        server.should_exit = True
        thread.join(timeout=30)


@pytest.fixture(scope="session")
def settings(company, tmp_path_factory) -> Settings:
    """The sample company in a store, and every predictor trained."""
    settings = settings_in(tmp_path_factory.mktemp("served"))
    open_store(settings).load(company.tables, company=company.company, now=company.end)
    train_all(settings)
    return settings


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
