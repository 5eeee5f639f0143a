"""What a process and all below it take of the machine, as Linux tells it in /proc; one that has just ended counts as nothing."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """The process and all below it."""
    found, waiting = [], [pid]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            waiting += map(int, text_of(children).split())
    return found


def cpu_seconds(pid: int, *, with_ended: bool = False) -> float:
    """Of one process (fields 14 and 15 of its stat) and, ``with_ended``, of those below it that have ended (16 and 17)."""
    fields = text_of(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return sum(map(int, fields[11 : 15 if with_ended else 13])) / _TICKS


def kilobytes(pid: int, field: str) -> int:
    """Memory of one process: ``VmRSS`` now, ``VmHWM`` at most."""
    lines = text_of(Path(f"/proc/{pid}/status")).splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), 0)


def text_of(file: Path) -> str:
    """What a file holds; nothing where it is not there any more."""
    with suppress(OSError):
        return file.read_text(errors="replace")
    return ""
