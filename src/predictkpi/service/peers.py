"""The processes of one service that answer on one address: one that begins anew lets the others answer until it can."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

LOOK_SECONDS = 0.1
_MARK = "ready_"


@asynccontextmanager
async def among_peers(folder: Path | None, can_answer: Callable[[], bool]) -> AsyncIterator[None]:
    """Enter once this process can answer or no other can: only then should it take requests. Then the others are told once it can.

    ``folder`` is one that all of them have, None for a process that is alone. Whoever can answer leaves an empty file with its process
    id there; such a file of a process that is gone counts for nothing.
    """
    if folder is None:
        yield
        return
    while not can_answer() and _others_can(folder):
        await asyncio.sleep(LOOK_SECONDS)
    telling = asyncio.create_task(_tell(folder, can_answer))
    try:
        yield
    finally:
        telling.cancel()


def is_alive(process_id: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def _others_can(folder: Path) -> bool:
    told = (int(file.name.removeprefix(_MARK)) for file in folder.glob(f"{_MARK}*"))
    return any(is_alive(process_id) for process_id in told if process_id != os.getpid())


async def _tell(folder: Path, can_answer: Callable[[], bool]) -> None:
    while not can_answer():
        await asyncio.sleep(LOOK_SECONDS)
    (folder / f"{_MARK}{os.getpid()}").touch()
