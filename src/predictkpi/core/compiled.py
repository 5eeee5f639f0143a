"""Loops over numbers, compiled: for what NumPy cannot say in whole arrays, and for one row, where each of its calls costs a microsecond."""

from __future__ import annotations

import inspect
import logging
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from numba import njit

from predictkpi.core.digests import digest

log = logging.getLogger(__name__)
Function = TypeVar("Function", bound=Callable[..., Any])
_IMPORT = re.compile(r"^from ([\w.]+) import (\([^)]*\)|.*)", re.MULTILINE)


def compiled(function: Function) -> Function:
    """The function as machine code, made at its first call and kept on disk.

    It keeps Python's lock: a loop over one deal is over before another thread could have taken that, and taken it would be for longer, so
    ask of a hundred rows at a time. Plain IEEE arithmetic in the order written: the same numbers whatever the number of rows. Where no
    folder for the code can be written (``NUMBA_CACHE_DIR`` names one), each process compiles anew, and the log says so.
    """
    try:
        # Numba names the files of the code after the function, and itself looks only whether the function's own source file has changed
        function.__qualname__ += f"-{sources_digest(function.__module__)}"
        return njit(cache=True, error_model="numpy")(function)  # type: ignore[return-value]
    except (OSError, RuntimeError) as error:
        log.warning("%s is compiled anew at each start: %s", function.__name__, error)
        return njit(error_model="numpy")(function)  # type: ignore[return-value]


def sources_digest(module: str) -> str:
    """Stands for the sources of a module and of all it imports from its own package, directly or not.

    Machine code holds the functions that are called and the constants that are read, wherever they are written. Imports at the head of a
    module count, spelled ``from package.module import name``. Raises `OSError` where a module has no source file.
    """
    package, found, waiting = module.partition(".")[0], {module}, [module]
    while waiting:
        new = {name for name in _source(waiting.pop())[1] if name.partition(".")[0] == package and name in sys.modules} - found
        found |= new
        waiting += new
    return digest(*(_source(name)[0] for name in sorted(found)))[:12]


@cache
def _source(module: str) -> tuple[str, frozenset[str]]:
    """A module's source, and what stands in its imports: names of modules, and of members that are none."""
    text = Path(inspect.getfile(sys.modules[module])).read_text(encoding="utf-8")
    names = {name for source, members in _IMPORT.findall(text) for name in (source, *(f"{source}.{each}" for each in members.split()))}
    return text, frozenset(name.strip("(),") for name in names)
