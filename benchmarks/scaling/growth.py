"""How cost grows with size, and the table that says so."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Row = Mapping[str, Any]


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float | None:
    """Slope of log cost on log size (least squares): 1 is in proportion, 2 is quadratic; None for fewer than two sizes."""
    if len(sizes) < 2:
        return None
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def growth(rows: Sequence[Row]) -> dict[str, float | None]:
    """Exponents of a step's CPU time and of peak memory beyond what it began with, on the facts of the sizes that it came through."""
    done = [row for row in rows if is_done(row)]
    facts = [row["facts"] for row in done]
    beyond = [max(row["peak_gb"] - row["start_gb"], 0.001) for row in done]
    return {"time": exponent(facts, [row["cpu_seconds"] for row in done]), "memory": exponent(facts, beyond)}


def is_done(row: Row) -> bool:
    """Whether the step came to an end."""
    return "over" not in row and "failed" not in row


def told(row: Row | None) -> str:
    """A step at one size, for a cell: time, of the CPU, and peak memory; or the limit it met and when."""
    if row is None:
        return ""
    if "over" in row:
        return f"over {row['over']} after {seconds(row['seconds'])}"
    if "failed" in row:
        return "failed"
    note = row.get("parts", {}).get("model of customers", row["customers"])
    by = "" if note == row["customers"] else f", by the model of {note:,}"
    return f"{seconds(row['seconds'])} ({seconds(row['cpu_seconds'])}), {row['peak_gb']:.2f} GB{by}"


def seconds(value: float) -> str:
    """With the digits that matter."""
    return f"{value:.1f} s" if value < 100 else f"{value:,.0f} s"


def table(rows: Sequence[Row]) -> str:
    """Markdown: a line a step and engine, a column a size, and the two exponents."""
    sizes = {row["customers"]: row["facts"] for row in sorted(rows, key=lambda row: row["customers"])}
    engines = {row["engine"] for row in rows}
    steps = list(dict.fromkeys((row["step"], row["engine"]) for row in rows))
    heads = ["step", *(f"{customers:,} customers, {facts / 1e6:.2g} million rows" for customers, facts in sizes.items())]
    lines = [[*heads, "growth of time", "of memory"], ["---", *["---:"] * (len(sizes) + 2)]]
    for step, engine in steps:
        own = {row["customers"]: row for row in rows if (row["step"], row["engine"]) == (step, engine)}
        slopes = ["" if value is None else f"{value:.2f}" for value in growth(list(own.values())).values()]
        name = step if len(engines) == 1 else f"{step}, {engine}"
        lines.append([name, *(told(own.get(customers)) for customers in sizes), *slopes])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def machine() -> dict[str, Any]:
    """What this is measured on."""
    cpu = next((line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    kilobytes = next(int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal:"))
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(kilobytes / 1024**2, 1),
        "python": platform.python_version(),
    }


def _lines(file: str) -> list[str]:
    return Path(file).read_text(encoding="utf-8").splitlines()
