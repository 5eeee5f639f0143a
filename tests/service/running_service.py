"""A service on a free loopback port, over a store and a registry below one folder."""

from __future__ import annotations

import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
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

PATIENCE_SECONDS = 60
SQLITE = "sqlite:///"
ROUNDS = (("access", "refresh"), ("accesses", "write"), ("serving", "refresh"), ("deliverer", "look"))
"""What threads of the service do again and again, by its place in the application's state."""

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
    """A running service: where it answers, what it is made of, a client, and news of each round that a thread of it has ended."""

    url: str
    app: FastAPI
    settings: Settings
    client: httpx.Client
    rounds: threading.Condition

    @property
    def serving(self) -> Serving:
        return self.app.state.serving

    def wait_until_ready(self) -> httpx.Response:
        self.until(lambda: self.client.get("/health/ready").status_code == 200)
        return self.client.get("/health/ready")

    def until(self, is_true: Callable[[], object]) -> None:
        """Ask again after each round, until it is true."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        with self.rounds:
            while not is_true():
                assert time.monotonic() < deadline, f"nothing happened; trouble: {self.serving.trouble}"
                self.rounds.wait(PATIENCE_SECONDS)


def _telling(app: FastAPI) -> threading.Condition:
    """A condition that is told of each round."""
    rounds = threading.Condition()
    for place, name in ROUNDS:
        part = getattr(app.state, place)
        setattr(part, name, _told_after(getattr(part, name), rounds))
    return rounds


def _told_after(done: Callable[[], object], rounds: threading.Condition) -> Callable[[], object]:
    def do() -> object:
        try:
            return done()
        finally:
            with rounds:
                rounds.notify_all()

    return do


class _Announced(uvicorn.Server):
    """Says when it has started."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


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


def copy_of(settings: Settings, folder, *, with_registry: bool = False) -> Settings:
    """The same company with a store of its own, and the same registry or a copy of it, whose models' files stay where they are."""
    own = settings_in(folder) if with_registry else settings_in(folder, MLFLOW_TRACKING_URI=settings.tracking_uri)
    pairs = [(settings.database_url, own.database_url)]
    pairs += [(settings.tracking_uri, own.tracking_uri)] if with_registry else []
    for urls in pairs:
        with (
            closing(sqlite3.connect(urls[0].removeprefix(SQLITE))) as there,
            closing(sqlite3.connect(urls[1].removeprefix(SQLITE))) as here,
        ):
            there.backup(here)
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
def running(settings: Settings, *, poll_seconds: float = 0.2, warms: bool = False) -> Iterator[Served]:
    """Uvicorn in a thread, on a port the system chose; without ``warms`` each page is worked out by the test that asks for it."""
    app = create_app(settings, poll_seconds=poll_seconds, warms=warms)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = _Announced(uvicorn.Config(app, log_level="error", ws="none", lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        while not server.is_up.wait(0.5):
            assert thread.is_alive(), "the server did not start"
        with httpx.Client(base_url=url, timeout=30) as client:
            yield Served(url, app, settings, client, _telling(app))
        server.should_exit = True
        thread.join(timeout=30)
