"""How good are the forecasts of single revenue series? Ours beside published and automatic methods, on the same series in the same run.

    PREDICTKPI_REAL_DATA=<folder> python benchmarks/revenue.py [--quick] [--part m3|business|hierarchy|short]

``m3``: the monthly and quarterly series of the M3 competition, official split, beside the forecasts its 24 methods handed in and
statsforecast's automatic models; sMAPE, MASE, CPU seconds per 1,000 series. ``business``: 150 of its monthly business series beside
AutoGluon's statistical models. ``hierarchy``: Australian and US retail, every node, six origins a year apart, twelve months ahead; MASE by
level. ``short``: coverage of the 80 % and 95 % intervals of months, quarter and year totals and growth, and MSIS, on whole histories and on
their last 36 and 24 months. Ours against each by a paired bootstrap over series. What is not at hand is named as missing.
``--quick``: every fifth series, two origins, 100 resamples.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from figures import raw_file, report
from series.datasets import RETAIL_FOLDERS
from series.headline import COST_GOAL, headline
from series.parts import OURS, SUM_OF_AUTO, Options, Row, business, hierarchy, m3, short
from series.peers import PROPHET, has_prophet

PARTS = ("m3", "business", "hierarchy", "short")


def _limits(gain: object, form: str) -> str:
    if not isinstance(gain, tuple):
        return ""
    mean, low, high = gain
    return f"{mean:{form}} [{low:{form}}, {high:{form}}]"


def show_m3(console: Console, rows: list[Row]) -> None:
    """A table a period, best first, and the cost against the sum of the automatic models."""
    for name in dict.fromkeys(str(row["data"]) for row in rows):
        of_name = [row for row in rows if row["data"] == name]
        heading = ("method", "series", "sMAPE", "MASE", "CPU s / 1,000", "sMAPE: ours", "MASE: ours")
        table = Table(*heading, title=f"{name}; ours minus theirs, 95 % over series: below 0 is better")
        for row in of_name:
            cpu = "" if row["cpu_per_1000"] is None else f"{row['cpu_per_1000']:.1f}"
            shown = (str(row["model"]), str(row["series"]), f"{row['smape']:.3f}", f"{row['mase']:.4f}", cpu)
            table.add_row(
                *shown,
                _limits(row.get("smape_gain"), "+.3f"),
                _limits(row.get("mase_gain"), "+.4f"),
                style="bold" if row["model"] == OURS else "",
            )
        console.print(table)
        if not any(row["model"] == SUM_OF_AUTO for row in of_name):
            continue
        cost = {row["model"]: float(str(row["cpu_per_1000"])) for row in of_name if row["cpu_per_1000"] is not None}
        console.print(f"{name}: ours takes {cost[OURS] / cost[SUM_OF_AUTO]:.2f} of the time of {SUM_OF_AUTO} (goal: at most {COST_GOAL})")


def show_hierarchy(console: Console, rows: list[Row]) -> None:
    """A row a level and model."""
    name = rows[0]["data"]
    table = Table("level", "model", "nodes", "MASE", "MASE: ours", title=f"{name}: rolling origins, 12 months ahead")
    for level in dict.fromkeys(str(row["level"]) for row in rows):
        for row in sorted((row for row in rows if row["level"] == level), key=lambda row: float(str(row["mase"]))):
            shown = (level, str(row["model"]), str(row["nodes"]), f"{row['mase']:.4f}", _limits(row.get("mase_gain"), "+.4f"))
            table.add_row(*shown, style="bold" if row["model"] == OURS else "")
        table.add_section()
    console.print(table)


def show_short(console: Console, rows: list[Row]) -> None:
    """Coverage by target; the nominal level is in the heading."""
    targets = ["months", "next quarter", "quarters", "year on year", "next 12 months"]
    keys = [f"{target} {level}" for target in targets for level in (80, 95)]
    table = Table("data", "months", "model", "series", "MASE", "MSIS", *keys, title="coverage of central intervals")
    for row in rows:
        figures = [f"{row[key]:.3f}" if key in row else "" for key in ("mase", "msis", *keys)]
        table.add_row(str(row["data"]), str(row["months"]), str(row["model"]), str(row["series"]), *figures)
    console.print(table)


def judged(console: Console, part: str, options: Options) -> list[Row]:
    """The rows of one part, shown; nothing where its data are not at hand."""
    rows: list[Row] = []
    try:
        if part in ("m3", "business"):
            rows = {"m3": m3, "business": business}[part](options)
            show_m3(console, rows)
        elif part == "short":
            found = short(options)
            rows = [row for row in found if "missing" not in row]
            for row in found:
                if "missing" in row:
                    console.print(f"[yellow]{row['missing']}[/yellow]")
            if rows:
                show_short(console, rows)
    except FileNotFoundError as error:
        console.print(f"[yellow]{part}: skipped: {error}[/yellow]")
    for name in RETAIL_FOLDERS if part == "hierarchy" else ():
        try:
            of_name = hierarchy(options, name)
        except FileNotFoundError as error:
            console.print(f"[yellow]{name}: skipped: {error}[/yellow]")
            continue
        show_hierarchy(console, of_name)
        rows += of_name
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="every fifth series, two origins, 100 resamples")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this part (may be repeated)")
    arguments = parser.parse_args()
    console = Console(width=None if Console().is_terminal else 220)
    root = os.environ.get("PREDICTKPI_REAL_DATA")
    if not root:
        console.print("[yellow]revenue: skipped: PREDICTKPI_REAL_DATA does not name the folder of real data[/yellow]")
        return
    if not has_prophet():
        console.print(f"[yellow]{PROPHET} is missing: not installed in this environment[/yellow]")
    started, raw = time.monotonic(), raw_file(__file__, quick=arguments.quick)
    results = json.loads(raw.read_text(encoding="utf-8")) if raw.exists() else {}
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task("starting", total=None)
        options = Options(Path(root), arguments.quick, lambda step: progress.update(task, description=step))
        for part in arguments.part or PARTS:
            results[part] = judged(console, part, options)
            raw.write_text(json.dumps(results, indent=1), encoding="utf-8")
            report(__file__, headline({part: results[part]}), quick=arguments.quick)
    console.print(f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
