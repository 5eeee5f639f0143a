"""What a view leaves behind when another takes its place: kept out of the collector's way, and given back to the machine."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable

import pyarrow as pa

_ARENA_MAX = -8
"""``M_ARENA_MAX`` of glibc's malloc.h."""
ARENAS = 2


def share_arenas() -> None:
    """Let threads take memory from few places: by default each gets one of its own, and what is freed in it serves no other.

    Views are made in threads that come and go. To be called before they do.
    """
    _of_libc("mallopt", lambda mallopt: mallopt(_ARENA_MAX, ARENAS))


def settle() -> None:
    """Let the garbage collector forget what lives as long as a view, and give back what the view before it held.

    Else the collector would walk all of that again and again while requests make and drop their few objects: half a second at a time. And
    the C library would keep what was freed, cut up among the threads that had asked for it: a process whose champions change grows
    for hours, without holding any more than before.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    pa.default_memory_pool().release_unused()
    _of_libc("malloc_trim", lambda trim: trim(0))


def _of_libc(name: str, call: Callable[[Callable[..., int]], int]) -> None:
    """Call what glibc alone offers; elsewhere the allocator does as it pleases."""
    found = getattr(ctypes.CDLL(None), name, None)
    if found is not None:
        call(found)
