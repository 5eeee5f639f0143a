"""How far one machine goes: time and memory of every step from files to stored predictions, by size of the company, and how they grow.

    python benchmarks/scale.py [--quick] [--customers 10000,100000,1000000] [--engine local] [--steps "ingest,train clv"] [--folder FOLDER]

A company has 5 deals, 11 orders, 26 deal events and 24 activities a customer, of four years (see `scaling/company.py`). Its files are
made once and kept as Parquet in ``--folder`` (by default a temporary one), the store is SQLite. Each step runs in a process of its own, so
that its time and its peak memory are its own, and is ended where it takes more than ``--budget-minutes`` or ``--budget-gb``. The whole of
`predictkpi train`, with its tests on the past, is run at the smallest size only. Growth is the slope of log CPU seconds, and of log
gigabytes beyond those that the step began with, on log rows: 1 is in proportion. ``--steps`` runs some of the steps in a folder that has
the others behind it; figures of other steps and sizes stay in the results. ``--quick``: 1,000 and 4,000 customers.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from figures.kept import raw_file, report
from scaling.budget import Budget, within
from scaling.growth import machine, table, told
from scaling.headline import GOAL_GB, GOAL_MINUTES, headline
from scaling.steps import ENGINES, LOCAL, STEPS, is_due, run_step

SIZES, QUICK_SIZES = "10000,100000,1000000", "1000,4000"
ROWS = "rows.json"


def tell(text: str) -> None:
    """How far it has come, beside the results."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def facts_in(folder: Path) -> int:
    """Rows of the company's files, which are made where they are not there yet."""
    if not (folder / ROWS).exists():
        from scaling.company import write_company

        started = time.perf_counter()
        rows = write_company(folder, int(folder.name))
        (folder / ROWS).write_text(json.dumps(rows), encoding="utf-8")
        tell(f"made the files of {folder.name} customers in {time.perf_counter() - started:.0f} s: {rows}")
    return sum(json.loads((folder / ROWS).read_text(encoding="utf-8")).values())


def measured(step: str, engine: str, folder: Path, facts: int, budget: Budget) -> dict[str, Any]:
    """One step in a process of its own, within the budget."""
    started = [sys.executable, __file__, "--step", step, "--engine", engine, "--folder", str(folder)]
    row = {"customers": int(folder.name), "step": step, "engine": engine, "facts": facts} | within(budget, started)
    tell(f"{folder.name} customers, {step}, {engine}: {told(row)} {json.dumps(row.get('parts', {}))}")
    return row


def measure(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """All steps asked for, size by size."""
    budget, rows = Budget(options.budget_minutes, options.budget_gb), []
    for customers in sorted(options.customers):
        own, is_smallest = folder / str(customers), customers == min(options.customers)
        facts = facts_in(own)
        for step in options.steps:
            if is_due(step, facts=facts, is_smallest=is_smallest):
                rows += [measured(step, engine, own, facts, budget) for engine in options.engine if engine in STEPS[step]]
                keep(rows, options.results)
    return rows


def keep(rows: list[dict[str, Any]], file: Path) -> list[dict[str, Any]]:
    """Write these rows into the results, in place of earlier ones of the same size, step and engine; all that stand there now."""

    def place(row: dict[str, Any]) -> tuple[object, ...]:
        return list(STEPS).index(row["step"]), ENGINES.index(row["engine"]), row["customers"]

    held = json.loads(file.read_text(encoding="utf-8"))["rows"] if file.exists() else []
    newest = {place(row): row for row in [*held, *rows]}
    kept = [newest[key] for key in sorted(newest)]
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"machine": machine(), "rows": kept}, indent=1), encoding="utf-8")
    return kept


def show(rows: list[dict[str, Any]]) -> None:
    """The machine and the table, as Markdown."""
    on = machine()
    print(f"{on['cpu']}, {on['cores']} cores, {on['memory_gb']} GB, Python {on['python']}")
    print(
        "Seconds (of the CPU) and peak memory; growth: exponent on rows of facts, of CPU time and of memory beyond the step's beginning.\n"
    )
    print(table(rows))
    loads = [row["load"] for row in rows]
    print(f"\nLoad of the machine before the steps: {min(loads):.1f} to {max(loads):.1f}")


def words(text: str, *, known: tuple[str, ...]) -> list[str]:
    """The items of a list with commas; raises for one that is not known."""
    found = [word.strip() for word in text.split(",")]
    unknown = [word for word in found if word not in known]
    if unknown:
        raise SystemExit(f"unknown: {', '.join(unknown)}; there are: {', '.join(known)}")
    return found


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SIZES} customers")
    parser.add_argument("--customers", help=f"sizes, with commas; default: {SIZES}")
    parser.add_argument("--engine", default=LOCAL, help=f"engines, with commas, of: {', '.join(ENGINES)}")
    parser.add_argument("--steps", default=",".join(STEPS), help="steps, with commas; default: all")
    parser.add_argument("--folder", type=Path, help="where files and stores are kept; a temporary folder by default")
    parser.add_argument(
        "--results", type=Path, help="JSON file of all that was measured, and no figures; default: scale.json among the raw results"
    )
    parser.add_argument("--budget-minutes", type=float, default=GOAL_MINUTES, help=f"of one step; default: {GOAL_MINUTES}")
    parser.add_argument("--budget-gb", type=float, default=GOAL_GB, help=f"of one step; default: {GOAL_GB}")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.engine = words(options.engine, known=ENGINES)
    options.steps = words(options.steps, known=tuple(STEPS))
    options.has_figures = options.results is None
    options.results = options.results or raw_file(__file__, quick=options.quick)
    sizes = options.customers or (QUICK_SIZES if options.quick else SIZES)
    options.customers = [int(size) for size in sizes.split(",")]
    return options


def main() -> None:
    options = parsed()
    if options.step:
        print(json.dumps(run_step(options.step, options.engine[0], options.folder)))
        return
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # ends the step that is under way too
    with tempfile.TemporaryDirectory() as temporary:
        measure(options, (options.folder or Path(temporary)).resolve())
    rows = json.loads(options.results.read_text(encoding="utf-8"))["rows"]
    of_sizes = [row for row in rows if row["customers"] in options.customers]
    show(of_sizes)
    if options.has_figures:
        report(
            __file__,
            headline([row for row in of_sizes if row["step"] in options.steps and row["engine"] in options.engine]),
            quick=options.quick,
        )


if __name__ == "__main__":
    main()
