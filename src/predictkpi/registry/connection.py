"""The wire to MLflow: quiet, without telemetry, quick to give up, and with every failure told as a `RegistryError`."""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from predictkpi.errors import RegistryError

if TYPE_CHECKING:
    from mlflow import MlflowClient

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",  # it would watch os.environ of all threads, and trip over what one of them reads
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
"""Set before MLflow is imported, where the user has not set them."""

PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
CONNECT_SECONDS = 3.0


_CREDENTIALS = re.compile(r"//[^/@\s]*@")
_IGNORE_ALL = ("ignore", None, Warning, None, 0)
_quiet_lock = threading.Lock()
_quiet_threads = 0
_was_quiet = False


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings while any thread is inside. Filters belong to the process, so that the last to leave takes the silence back.

    `warnings.catch_warnings` would give each thread the filters back that it found, and one thread those of another.
    """
    global _quiet_threads, _was_quiet
    with _quiet_lock:
        _was_quiet = _IGNORE_ALL in warnings.filters if not _quiet_threads else _was_quiet
        _quiet_threads += 1
        warnings.simplefilter("ignore")
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_threads -= 1
            if not _quiet_threads and not _was_quiet and _IGNORE_ALL in warnings.filters:
                warnings.filters.remove(_IGNORE_ALL)  # type: ignore[attr-defined]


class Connection:
    """One tracking and registry URI; the client is made, and the server looked for, on first use."""

    def __init__(self, tracking_uri: str) -> None:
        self.uri = tracking_uri
        self.is_server = urlsplit(tracking_uri).scheme in ("http", "https")
        self._client: MlflowClient | None = None
        self._lock = threading.RLock()

    @property
    def client(self) -> MlflowClient:
        """The MLflow client; use inside `speaking`."""
        with self._lock:
            if self._client is None:
                self._prepare()
                self._client = self.mlflow.MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
            return self._client

    @property
    def mlflow(self) -> ModuleType:
        """The mlflow package, imported now, with this URI in force."""
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        with quiet():
            import mlflow
            import mlflow.pyfunc
        logging.getLogger("alembic").setLevel(logging.WARNING)
        return mlflow

    @contextmanager
    def fluent(self) -> Iterator[ModuleType]:
        """The mlflow package for calls that read the process-wide tracking URI; one thread at a time."""
        with self._lock:
            mlflow = self.mlflow
            if mlflow.get_tracking_uri() != self.uri:
                mlflow.set_tracking_uri(self.uri)
            if mlflow.get_registry_uri() != self.uri:
                mlflow.set_registry_uri(self.uri)
            yield mlflow

    @contextmanager
    def speaking(self, action: str) -> Iterator[MlflowClient]:
        """Talk to MLflow; whatever goes wrong on the wire or behind it becomes a `RegistryError` that names the action."""
        with quiet():  # MLflow warns of its own deprecations and of pandas', which no user can act on
            try:
                yield self.client
            except self._failures() as error:
                raise RegistryError(f"cannot {action} in MLflow at {public(self.uri)}: {_first_line(error)}") from error

    def _failures(self) -> tuple[type[BaseException], ...]:
        mlflow = self.mlflow
        import requests

        of_server = mlflow.exceptions.MlflowException, requests.RequestException, OSError
        if self.is_server:  # no database here; to import what speaks to one takes 15 MB of a service, in the midst of an outage
            return of_server
        from mlflow.store.db import utils as database

        # SQLAlchemy belongs to the store; MLflow lets its errors through unchanged, so they are taken from there
        return (*of_server, database.sqlalchemy.exc.SQLAlchemyError)

    def _prepare(self) -> None:
        """Create the folder of a SQLite store; knock at a server's door, since MLflow itself would wait for minutes."""
        parts = urlsplit(self.uri)
        scheme = parts.scheme.split("+")[0]
        if scheme == "sqlite":
            path = self.uri.split("///", 1)[-1]
            if path and path != ":memory:":
                Path(path).parent.mkdir(parents=True, exist_ok=True)
        elif scheme in PORTS and parts.hostname:
            with socket.create_connection((parts.hostname, parts.port or PORTS[scheme]), timeout=CONNECT_SECONDS):
                pass


def public(uri: str) -> str:
    """The URI without user name and password."""
    parts = urlsplit(uri)
    return uri.replace(parts.netloc, parts.netloc.rpartition("@")[2]) if "@" in parts.netloc else uri


def _first_line(error: BaseException) -> str:
    """Without what a URL in it tells of user and password."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
    return _CREDENTIALS.sub("//", line)
