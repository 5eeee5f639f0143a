"""When a message that was not taken is tried again: over three days, by the example schedule of Standard Webhooks, with jitter."""

from __future__ import annotations

import random

_MINUTE, _HOUR = 60.0, 3600.0
DELAYS = (5.0, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR)
"""Seconds after the first, second, ... attempt."""
LONGEST_PEACE = 24 * _HOUR
"""The longest that a receiver may ask for."""


def delay_after(attempt: int, *, asked: float | None) -> float | None:
    """Seconds to wait after that failed attempt (from 1), up to a fifth longer than `DELAYS`; None where it was the last one.

    Never shorter than a receiver has ``asked`` for, up to `LONGEST_PEACE`.
    """
    if attempt > len(DELAYS):
        return None
    return max(DELAYS[attempt - 1] * random.uniform(1.0, 1.2), min(asked or 0.0, LONGEST_PEACE))
