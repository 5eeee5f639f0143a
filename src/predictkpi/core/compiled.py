"""Loops over numbers, compiled: for what NumPy cannot say in whole arrays, and for one row, where each of its calls costs a microsecond."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

log = logging.getLogger(__name__)
Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """The function as machine code, made at its first call and kept on disk.

    It keeps Python's lock: a loop over one deal is over before another thread could have taken that, and taken it would be for longer, so
    ask of a hundred rows at a time. Plain IEEE arithmetic in the order written: the same numbers whatever the number of rows. Where no
    folder for the code can be written (``NUMBA_CACHE_DIR`` names one), each process compiles anew, and the log says so.
    """
    try:
        return njit(cache=True, error_model="numpy")(function)  # type: ignore[return-value]
    except RuntimeError as error:
        log.warning("%s is compiled anew at each start: %s", function.__name__, error)
        return njit(error_model="numpy")(function)  # type: ignore[return-value]
