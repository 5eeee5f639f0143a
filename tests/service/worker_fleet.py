"""`predictkpi serve --workers N` as a user starts it, and ways to ask one worker and no other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from predictkpi.settings import Settings
from tracking.server import free_port

PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Fleet:
    """The supervisor's process and where its workers answer."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def workers(self) -> set[int]:
        """Process ids of the workers there are."""
        found = set()
        for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            try:
                command = Path(f"/proc/{child}/cmdline").read_bytes()
            except FileNotFoundError:  # it has just ended
                continue
            if b"spawn_main" in command:  # the others keep track of what workers share
                found.add(int(child))
        return found

    @contextmanager
    def only(self, worker: int) -> Iterator[httpx.Client]:
        """A client whose connections this worker takes: the others are held meanwhile."""
        others = self.workers - {worker}
        for other in others:
            os.kill(other, signal.SIGSTOP)
        try:
            with httpx.Client(base_url=self.url, timeout=30) as client:
                yield client
        finally:
            for other in others:
                os.kill(other, signal.SIGCONT)

    def ask(self, worker: int, path: str) -> httpx.Response:
        """What this worker answers."""
        with self.only(worker) as client:
            return client.get(path)

    def answers(self, path: str) -> bool:
        """Whether any worker answers that with 200."""
        try:
            return httpx.get(self.url + path, timeout=30).status_code == 200
        except httpx.ConnectError:
            return False

    def is_ready(self, worker: int) -> bool:
        """Whether it says so; a worker that starts takes no connection yet."""
        with self.only(worker) as client:
            try:
                return client.get("/health/ready", timeout=2).status_code == 200
            except (httpx.TimeoutException, httpx.ConnectError):
                return False

    def wait(self, is_true) -> None:
        """Until it is true; fails where it does not come true, or the service ends."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_true():
            assert time.monotonic() < deadline, f"nothing happened: {self.log.read_text()}"
            with suppress(subprocess.TimeoutExpired):
                ended = self.process.wait(0.1)
                raise AssertionError(f"ended with {ended}: {self.log.read_text()}")

    def wait_until_ready(self, count: int) -> None:
        """Until so many workers say that they are; none is held before the first of them is."""
        self.wait(lambda: self.answers("/health/ready"))
        self.wait(lambda: len(self.workers) == count and all(map(self.is_ready, self.workers)))


def environment(settings: Settings) -> dict[str, str]:
    """The settings as a shell gives them."""
    given = {f"PREDICTKPI_{name.upper()}": str(getattr(settings, name)) for name in ("database_url", "artifact_root", "models_dir")}
    own = {name: value for name, value in os.environ.items() if not name.startswith("PREDICTKPI_")}
    return own | given | {"MLFLOW_TRACKING_URI": settings.tracking_uri, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@contextmanager
def fleet(settings: Settings, folder: Path, *options: str) -> Iterator[Fleet]:
    """`predictkpi serve` with these options on a free port; killed with all its workers at the end, if it has not ended before."""
    port = free_port()
    command = [Path(sys.executable).with_name("predictkpi"), "serve", "--port", str(port), *options]
    log = folder / "serve.log"
    with (
        log.open("wb") as told,
        subprocess.Popen(command, cwd=folder, env=environment(settings), stdout=told, stderr=told, start_new_session=True) as process,
    ):
        try:
            yield Fleet(f"http://127.0.0.1:{port}", process, log)
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                assert process.poll() is not None
