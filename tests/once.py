"""What takes long to make is made by one of the processes that run tests, and read by all of them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

XDIST_WORKER = "PYTEST_XDIST_WORKER"


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder ``name`` that all processes of a run have in common, filled by ``make`` in the one that asks first; others wait."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if XDIST_WORKER in os.environ else own) / f"once-{name}"
    folder.mkdir(exist_ok=True)
    mark = folder / "is-made"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not mark.exists():
            make(folder)
            mark.touch()
    return folder
