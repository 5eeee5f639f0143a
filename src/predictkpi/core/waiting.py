"""How long to wait before a request that failed is tried again: as the server asks, or twice as long each time."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime

Wait = Callable[[float], None]
BUSY = {429, 500, 502, 503, 504}
"""Answers that may be better the next time."""
LONGEST = 300.0


def backoff(attempt: int, *, longest: float = LONGEST) -> float:
    """Seconds to wait after that failed attempt (from 0): 1, 2, 4, 8, ... with jitter, at most ``longest``."""
    return min(2.0**attempt, longest) * random.uniform(0.5, 1.0)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait: stated as such, or as an instant beside the server's own ``Date``; None if neither can be read."""
    stated = headers.get("Retry-After", "")
    try:
        return max(0.0, float(stated))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(stated) - parsedate_to_datetime(headers["Date"])).total_seconds())
    except (ValueError, KeyError, TypeError):
        return None
