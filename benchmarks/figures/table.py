"""The table of all figures, as Markdown: nothing in it is written by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from figures.figure import Record

HEAD = """# Figures of the benchmarks

Written by `python benchmarks/run.py` from [figures.json](figures.json); [as pictures](figures.svg). How to run and to read them:
[benchmarks]({above}). Ratio: ours over theirs. In brackets: 95 % limits of a bootstrap, or what the note says. Goals were set before
measuring; those that were missed are in bold.

"""
COLUMNS = ("figure", "ours", "beside", "ratio", "goal", "measured", "command")


@dataclass(frozen=True)
class Run:
    """What became of a script: ``outcome`` is done, skipped or failed, and ``reason`` says why not all of it was measured."""

    script: str
    outcome: str
    seconds: float
    reason: str = ""


def markdown(records: list[Record], runs: Iterable[Run] = (), *, above: str = "../README.md") -> str:
    """The whole file. Scripts that failed, or left something out, when they were run last are named at the end of the table.

    ``above`` is the way to the page on the benchmarks.
    """
    machines = list(dict.fromkeys(machine_shown(record.machine) for record in records))
    lines = [_line(COLUMNS), _line(["---"] * len(COLUMNS))]
    for area, of_area in groupby(records, key=lambda record: record.figure.area):
        lines.append(_line([f"**{area}**", *[""] * (len(COLUMNS) - 1)]))
        lines += [_line(_cells(record, machines)) for record in of_area]
    left = [run for run in runs if run.outcome != "done" or run.reason]
    if left:
        lines.append(_line(["**Left out when it was run last**", *[""] * (len(COLUMNS) - 1)]))
        lines += [_line([f"`{run.script}`: {run.outcome}", run.reason, *[""] * (len(COLUMNS) - 2)]) for run in left]
    named = [f"{_letter(number)}: {machine}" for number, machine in enumerate(machines)]
    return HEAD.format(above=above) + "\n".join(lines) + ("\n\nMachines: " + "; ".join(named) + ".\n" if named else "\n")


def machine_shown(machine: dict[str, Any]) -> str:
    """In words; what was not noted is left out."""
    parts = [
        machine.get("cpu"),
        machine.get("cores") and f"{machine['cores']} cores",
        machine.get("memory_gb") and f"{machine['memory_gb']} GB",
    ]
    return ", ".join(part for part in parts if part) or "not noted"


def _cells(record: Record, machines: list[str]) -> list[str]:
    figure = record.figure
    what = f'<a id="{figure.name}"></a>{figure.what}' + (f" ({figure.note})" if figure.note else "")
    goal = figure.goal_shown
    if figure.is_reached is not None:
        goal = f"{goal}: reached" if figure.is_reached else f"**{goal}: missed**"
    when = f"{record.measured}, {_letter(machines.index(machine_shown(record.machine)))}" + (", quick" if record.quick else "")
    return [what, figure.ours_shown, figure.peer_shown, figure.ratio_shown, goal, when, f"`{record.command}`"]


def _letter(number: int) -> str:
    return chr(ord("A") + number)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
