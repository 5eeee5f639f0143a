"""A service on a free loopback port, over a store and a registry below one folder."""

from __future__ import annotations

import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pandas as pd
import uvicorn
from fastapi import FastAPI

from predictkpi.pipelines.open_store import open_registry, open_store
from predictkpi.pipelines.outlook import learn_trust
from predictkpi.pipelines.train import train
from predictkpi.predictors import predictor_names
from predictkpi.service.app import create_app
from predictkpi.service.state import Serving
from predictkpi.settings import Settings

SECONDS_TO_BE_READY = 60

SMALL_SETTINGS = {
    "revenue.yaml": "draws: 100\norigins: 2\npool_series: 4\n",
    "clv.yaml": "draws: 32\nrounds: 30\n",
    "close_time.yaml": "rounds: 60\nlandmark_budget: 4000\nmin_rows: 20\n",
    "outlook.yaml": "origins: 4\n",
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


def copy_of(settings: Settings, folder) -> Settings:
    """The same company and the same registry, with a store of its own."""
    own = settings_in(folder, MLFLOW_TRACKING_URI=settings.tracking_uri)
    there, here = (sqlite3.connect(each.database_url.removeprefix("sqlite:///")) for each in (settings, own))
    there.backup(here)
    there.close()
    here.close()
    return own


def train_all(settings: Settings) -> None:
    """Every predictor, and the replay of open deals, as the command line does."""
    store, registry = open_store(settings), open_registry(settings)
    given = {"as_of": None, "models_dir": settings.models_dir, "now": pd.Timestamp("2026-01-02 03:04:05")}
    train(store, registry, predictors=predictor_names(), **given)
    learn_trust(store, registry, **given)


async def ask_in_process(app, path):
    """Without a server, whose own log would be in the way."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.get(path)


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
