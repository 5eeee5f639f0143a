"""What a view leaves behind when another takes its place: kept out of the collector's way, and given back to the machine."""

from __future__ import annotations

import ctypes
import gc

import pyarrow as pa


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
    _trim()


def _trim() -> None:
    """Return free pages to the system, which glibc alone offers; elsewhere the allocator does as it pleases."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
