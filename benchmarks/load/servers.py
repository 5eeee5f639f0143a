"""Servers in processes of their own, and what they take of the machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from load import company
from processes import cpu_seconds, family, kilobytes, text_of

SECONDS_TO_START = 90
SECONDS_TO_SETTLE = 180
READY = "/v1/customers/value"
"""Answers once the champions are there; /health/ready would wait for one of revenue too, which nobody asks here."""


@dataclass
class Server:
    """A running server and all its processes."""

    url: str
    process: subprocess.Popen[bytes]
    key: str = ""
    """The API key that its requests carry, if any."""
    peak_mb: float = 0.0
    _watching: threading.Event = field(default_factory=threading.Event)

    def processes(self) -> list[int]:
        """Its process and all below it."""
        return family(self.process.pid)

    def cpu_seconds(self) -> float:
        """Of all processes so far."""
        return sum(map(cpu_seconds, self.processes()))

    def memory_mb(self) -> float:
        """Resident memory of all processes now."""
        return sum(kilobytes(pid, "VmRSS") for pid in self.processes()) / 1024

    def settle(self) -> None:
        """Wait until it has worked out what it does after its start: for a second it takes less than a tenth of a core."""
        deadline = time.monotonic() + SECONDS_TO_SETTLE
        while time.monotonic() < deadline:
            before = self.cpu_seconds()
            time.sleep(1)
            if self.cpu_seconds() - before < 0.1:
                return
        raise RuntimeError(f"after {SECONDS_TO_SETTLE} s it still works on something that nobody asked for")

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Sample memory every 20 ms; `peak_mb` is the most that was seen."""
        self.peak_mb = self.memory_mb()
        stop = threading.Event()

        def sample() -> None:
            while not stop.wait(0.02):
                self.peak_mb = max(self.peak_mb, self.memory_mb())

        thread = threading.Thread(target=sample, daemon=True)
        thread.start()
        yield
        stop.set()
        thread.join()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: Sequence[str], *, port: int, ready: str, env: dict[str, str], cwd: Path, log: Path, key: str = "") -> Iterator[Server]:
    """The command's server, once ``ready`` answers 200; its output goes to ``log``. Raises `RuntimeError` where it does not start."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=env, cwd=cwd, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    server = Server(f"http://127.0.0.1:{port}", process, key)
    try:
        deadline = time.monotonic() + SECONDS_TO_START
        while not _answers(server.url + ready, key):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} does not start; the end of {log}: {text_of(log)[-800:]}")
            time.sleep(0.2)
        yield server
    finally:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, sign)
                process.wait(20)


def ours(folder: Path, env: dict[str, str], *, workers: int = 1) -> contextmanager[Server]:  # type: ignore[type-arg]
    """Our service under uvicorn, as `predictkpi serve` runs it, with the route without a model."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "load.served:app", "--factory", "--port", str(port), "--log-level", "warning"]
    command += ["--workers", str(workers)] if workers > 1 else []
    here = Path(__file__).parents[1]
    return running(command, port=port, ready=READY, env=env, cwd=here, log=folder / "ours.log", key=company.key_of(folder))  # type: ignore[return-value]


def _answers(url: str, key: str) -> bool:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"} if key else {})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
