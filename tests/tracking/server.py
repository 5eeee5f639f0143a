"""Programs that answer HTTP, started for the tests as a user would start them, and ended with all their workers."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "mlflow" / "compose.yaml").read_text(encoding="utf-8"))
START_SECONDS = 120


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def replaced(command: Sequence[str], **values: object) -> list[str]:
    """The command with other values of ``--name=value``; each must be there already."""
    names = {f"--{name.replace('_', '-')}": value for name, value in values.items()}
    missing = set(names) - {word.split("=")[0] for word in command}
    assert not missing, f"{shlex.join(command)} has no {missing}"
    return [f"{word.split('=')[0]}={names[word.split('=')[0]]}" if word.split("=")[0] in names else word for word in command]


@contextmanager
def answering(command: Sequence[str], url: str, *, log: Path, **environment: str) -> Iterator[None]:
    """Run a command of this environment's programs until the block ends; enter once ``url`` answers 200.

    It gets a process group of its own, so that its workers end with it.
    """
    program = str(Path(sys.executable).with_name(command[0]))
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [program, *command[1:]],
            env=os.environ | {"PATH": search} | environment,
            cwd=log.parent,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            _wait(process, url, log)
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                    os.killpg(process.pid, number)
                    process.wait(3)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client(transport=httpx.HTTPTransport(retries=3)) as client:  # a retry waits, longer each time
        while time.monotonic() < deadline:
            assert process.poll() is None, f"{shlex.join(map(str, process.args))} ended:\n{_tail(log)}"
            try:
                if client.get(url, timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                continue
    raise AssertionError(f"no answer from {url} within {START_SECONDS} s:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:])
