"""How many requests a caller may make: the generic cell rate algorithm (ITU-T I.371), which keeps one number a caller."""

from __future__ import annotations

import math

BURST_SECONDS = 10.0
"""Requests of so many seconds may come at once."""
_ROUNDING = 1e-6


class RateLimiter:
    """Limits of one process; ``share`` is the part of each caller's rate that it may grant, one over the number of processes."""

    def __init__(self, share: float = 1.0) -> None:
        self._share = share
        self._free_at: dict[str, float] = {}

    def wait(self, caller_id: str, per_minute: int, now: float) -> int:
        """0 where a request may be answered, which is then counted; else the whole seconds after which one may."""
        interval = 60.0 / (per_minute * self._share)
        free_at = max(self._free_at.get(caller_id, now), now)
        ahead = free_at + interval - now - max(BURST_SECONDS, interval)
        if ahead > _ROUNDING:
            return max(1, math.ceil(ahead - _ROUNDING))
        self._free_at[caller_id] = free_at + interval
        return 0
