"""A command in a process group of its own that may take so much time and memory, and is ended where it takes more. Linux only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from processes import cpu_seconds, family, kilobytes

SECONDS_BETWEEN_LOOKS = 0.05
LAST_LINES = 400


@dataclass(frozen=True)
class Budget:
    """What one step may take."""

    minutes: float
    gb: float


def within(budget: Budget, command: Sequence[str]) -> dict[str, Any]:
    """What the command printed as JSON, with its ``peak_gb``; or what became of it: ``over`` (the limit it met) or ``failed`` (why).

    Memory is that of the command and all processes below it, looked at every 50 ms.
    """
    load, started = os.getloadavg()[0], time.monotonic()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(command, stdout=out, stderr=errors, start_new_session=True) as process:
            try:
                over, peak = _watched(process, budget, started)
            finally:
                with suppress(ProcessLookupError):  # whatever is left of the group, none of which may outlive its step
                    os.killpg(process.pid, signal.SIGKILL)
        found: dict[str, Any] = {"load": load, "peak_gb": peak}
        if over:
            return found | {"over": over, "seconds": time.monotonic() - started}
        if process.returncode:
            errors.seek(0)
            return found | {"failed": errors.read()[-LAST_LINES:], "seconds": time.monotonic() - started}
        out.seek(0)
        told = json.loads(out.read())
    return found | told | {"peak_gb": max(peak, told["peak_gb"])}


def _watched(process: subprocess.Popen[bytes], budget: Budget, started: float) -> tuple[str, float]:
    """Wait for the end; the limit that was met, if any, and the most memory that was seen, in GB."""
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, resident_gb(process.pid))
        if peak > budget.gb:
            return f"{budget.gb:g} GB", peak
        if time.monotonic() - started > 60 * budget.minutes:
            return f"{budget.minutes:g} min", peak
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return "", peak


def resident_gb(pid: int) -> float:
    """Memory that this process and all below it hold now."""
    return sum(kilobytes(each, "VmRSS") for each in family(pid)) / 1024**2


def own_peak_gb() -> float:
    """The most that this process has held. Other than `resource.getrusage`, it does not count what its parent held when it was started."""
    return kilobytes(os.getpid(), "VmHWM") / 1024**2


def own_cpu_seconds() -> float:
    """Of this process and all below it, those that have ended too."""
    return sum(cpu_seconds(each, with_ended=True) for each in family(os.getpid()))
