"""Pictures without a chart library: sparklines as SVG paths, intervals as bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from predictkpi.service.dashboard.formats import is_number


def sparkline(values: Sequence[float | None], *, width: float = 240, height: float = 56, pad: float = 4) -> dict[str, Any] | None:
    """A line through the given values as SVG path data; None with fewer than two. Gaps are skipped.

    Returns ``width, height, line, area, x, y`` with the last point in ``x, y``.
    """
    points = [(index, float(value)) for index, value in enumerate(values) if value is not None and is_number(value)]
    if len(points) < 2:
        return None
    low, high = min(value for _, value in points), max(value for _, value in points)
    span, steps = (high - low) or 1.0, max(len(values) - 1, 1)
    level = 0.5 if high == low else None
    xy = [
        (pad + index / steps * (width - 2 * pad), pad + (1 - (level if level is not None else (value - low) / span)) * (height - 2 * pad))
        for index, value in points
    ]
    line = "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in xy)
    area = f"{line} L{xy[-1][0]:.1f} {height:g} L{xy[0][0]:.1f} {height:g} Z"
    return {"width": width, "height": height, "line": line, "area": area, "x": round(xy[-1][0], 1), "y": round(xy[-1][1], 1)}


def interval_bar(low: float | None, middle: float | None, high: float | None, *, span: tuple[float, float]) -> dict[str, float] | None:
    """Where an interval lies on a common scale, in percent of its width: ``left, width, middle, zero``; None if a number is missing."""
    if low is None or middle is None or high is None or not all(map(is_number, (low, middle, high))):
        return None
    start, length = span[0], (span[1] - span[0]) or 1.0

    def position(value: float) -> float:
        return round(min(max((value - start) / length, 0.0), 1.0) * 100, 2)

    return {"left": position(low), "width": round(position(high) - position(low), 2), "middle": position(middle), "zero": position(0.0)}
