"""What of `scale.py` is kept as its figures: time and memory of each step at each size, and how they grow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from itertools import groupby

from figures import Figure, Goal
from scaling.growth import Row, growth, is_done, seconds

_of = partial(Figure, area="Scale", better="lower")

GOAL_AT, GOAL_MINUTES, GOAL_GB = 1_000_000, 20, 12
"""Customers at which a step was asked to stay within so much."""


def headline(rows: Sequence[Row]) -> list[Figure]:
    """Figures of every step and engine, from rows in the order of steps, engines and sizes."""
    figures = []
    for (step, engine), own in groupby(rows, key=lambda row: (row["step"], row["engine"])):
        sizes = sorted(own, key=lambda row: row["customers"])
        slug = re.sub(r"\W+", "_", step.lower())
        key, what = f"scale.{slug}.{engine}", f"{step}, {engine}"
        for row in sizes:
            figures += _cost(key, what, row)
        figures += _growth(key, what, [row for row in sizes if is_done(row)])
    return figures


def _cost(key: str, what: str, row: Row) -> list[Figure]:
    """Time and memory of one step; of one that was ended only that of which it had taken too much, by however little."""
    if "failed" in row:
        return []
    key, at_budget = f"{key}.{row['customers']}", row["customers"] == GOAL_AT
    what = f"{what}, {row['customers']:,} customers, {row['facts'] / 1e6:.2g} million rows"
    met = row.get("over", "")
    note = f"ended, not through: over {met}" if met else f"{seconds(row['cpu_seconds'])} of the CPU, load {row['load']:.1f} before it"
    time = {"ours": row["seconds"], "unit": "s", "digits": 3 if met else 0, "goal": Goal(most=60 * GOAL_MINUTES) if at_budget else None}
    memory = {"ours": row["peak_gb"], "unit": "GB", "digits": 3 if met else 1, "goal": Goal(most=GOAL_GB) if at_budget else None}
    found = [] if met.endswith("GB") else [_of(name=f"{key}.seconds", what=what, note=note, **time)]
    return (
        found
        if met.endswith("min")
        else [*found, _of(name=f"{key}.memory", what=f"{what}, peak memory", note=note if met else "", **memory)]
    )


def _growth(key: str, what: str, done: Sequence[Row]) -> list[Figure]:
    if len(done) < 2:
        return []
    titles, slopes = {"time": "CPU time", "memory": "memory beyond the start"}, growth(done)
    between = f"{done[0]['customers']:,} to {done[-1]['customers']:,} customers"
    return [
        _of(name=f"{key}.growth_of_{name}", what=f"{what}: {title} grows with rows to the power, {between}", ours=slopes[name])
        for name, title in titles.items()
    ]
