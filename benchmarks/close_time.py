"""How good are the close times of deals? Ours, the baselines and the field's tools side by side, on the same deals in the same run.

    PREDICTKPI_REAL_DATA=<folder> python benchmarks/close_time.py [--quick] [--part loan|truth|maven|few]

- loan: the loan pipeline at two cutoffs: integrated Brier score of won at 7, 14 and 30 days with paired bootstrap over deals, calibration,
  portfolio of wins, close dates. See `deals/loan_part.py`; `deals/peers.py` states the budget of every peer.
- truth: sample companies, against the true distributions (`deals/company_part.py`).
- maven: a CRM export without signal: what the gate says.
- few: 100 to 3,000 training deals against the best baseline (`deals/few_part.py`).

A part whose data or tool is not at hand is named as missing. ``--quick``: small companies, one cutoff, small peers.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pandas as pd
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from deals.company_part import MAVEN, against_truth, on_maven
from deals.few_part import few_part, summary
from deals.headline import headline
from deals.loan_part import BY_STAGE, CRM, OVERALL, loan_part
from deals.loan_pipeline import FOLDER
from figures import raw_file, report

PARTS = ("loan", "truth", "maven", "few")
GOALS = {OVERALL: "at least 15 %", BY_STAGE: "at least 2.5 %, low > 0", CRM: ""}
Tell = Callable[[str], None]


def data_folder(part: Path) -> tuple[Path | None, str]:
    """The folder of real data if it holds that part, or why it is not at hand."""
    root = os.environ.get("PREDICTKPI_REAL_DATA")
    if not root:
        return None, "PREDICTKPI_REAL_DATA does not name the folder of real data"
    return (Path(root), "") if Path(root, part).is_dir() else (None, f"{part} is not in {root}")


def show_loan(console: Console, found: dict[str, list[dict]]) -> None:
    """Three tables."""
    table = Table("cutoff", "set", "model", "IBS", "ours saves", "95 %", "goal", "CPU s", "budget", title="Won within 7, 14, 30 days")
    for row in found["scores"]:
        if "ibs" not in row:
            table.add_row(row["cutoff"], "", row["model"], "missing", "", "", "", "", row["note"], style="yellow")
            continue
        interval = f"{row['low']:+.1%} to {row['high']:+.1%}" if "low" in row else ""
        share = f"{row['saved']:+.1%}" if "saved" in row else ""
        goal = GOALS.get(row["model"], "not below 0") if share else ""
        seconds = f"{row['cpu_seconds']:.1f}"
        table.add_row(row["cutoff"], row["set"], row["model"], f"{row['ibs']:.4f}", share, interval, goal, seconds, row["note"])
    console.print(table)
    for row in found["scores"]:
        if row["model"] == "ours":
            console.print(
                f"{row['cutoff']} {row['set']}: {row['deals_by_horizon']} deals have a landmark that can be judged at 7, 14, 30 days"
            )
    table = Table(
        "cutoff", "set", "model", "deals", "ECE", "floor", "portfolio", "allowed", title="P(won by 30 days): ECE within .01 of floor"
    )
    for row in found["honesty"]:
        figures = [f"{row['calibration_error']:.3f}", f"{row['noise_floor']:.3f}", f"{row['portfolio_error']:+.1%}"]
        table.add_row(row["cutoff"], row["set"], row["model"], f"{row['deals']:.0f}", *figures, f"{row['portfolio_allowed']:.1%}")
    console.print(table)
    title = "Close dates of deals won in the window (goals: cover .75 to .85, not wider than AJ, error -10 % AJ, -20 % CRM)"
    table = Table("cutoff", "set", "model", "landmarks", "80 % covers", "width, days", "error, days", "ours saves", "95 %", title=title)
    for row in found["dates"]:
        figures = [f"{row['landmarks']:.0f}", f"{row['coverage80']:.3f}", f"{row['width80']:.1f}", f"{row['error']:.2f}"]
        share = [f"{row['saved']:+.1%}", f"{row['low']:+.1%} to {row['high']:+.1%}"] if "saved" in row else ["", ""]
        if row["model"] == CRM:
            figures[1:3] = ["", ""]
        table.add_row(row["cutoff"], row["set"], row["model"], *figures, *share)
    console.print(table)


def show_truth(console: Console, rows: list[dict]) -> None:
    """Mean over companies of the loss over the true distributions' loss."""
    means = pd.DataFrame(rows).groupby(["model", "seed"], sort=False)[["ratio", "expected_ratio"]].mean().groupby("model", sort=False)
    table = Table(
        "model", "on what came true", "+/- 2 se", "expected", "+/- 2 se", title="IBS over that of the truth, 7..180 days (goal 1.02)"
    )
    for (name, mean), (_, error) in zip(means.mean().iterrows(), (2 * means.sem()).iterrows(), strict=True):
        values = (mean["ratio"], error["ratio"], mean["expected_ratio"], error["expected_ratio"])
        table.add_row(str(name), *[f"{value:.3f}" for value in values])
    console.print(table)


def show_maven(console: Console, found: dict) -> None:
    """The gate's verdict."""
    limits = f"{found['low']:+.1%} to {found['high']:+.1%}"
    console.print(f"maven-crm: improvement over the base curve {found['improvement']:+.1%} ({limits}); goal: none. {found['reason']}")
    console.print("Brier score of won: " + ", ".join(f"{name} {value:.4f}" for name, value in found["brier_won"].items()))


def show_few(console: Console, rows: list[dict]) -> None:
    """Our loss over the best baseline's."""
    heading = ("source", "deals", "learnt from", "draws", "best baseline", "our loss over its", "+/- 2 se")
    table = Table(*heading, title="Few deals (goal: never above +1 %)")
    for row in summary(rows):
        shown = [row["source"], row["deals"], row["learnt_from"], row["draws"], row["best_baseline"]]
        table.add_row(*map(str, shown), f"{row['loss_over_best']:+.1%}", f"{row['two_se']:.1%}")
    console.print(table)


def run(part: str, console: Console, *, quick: bool, tell: Tell) -> object:
    """One part: measured, shown, and returned for the file of results; a string where its data is missing."""
    if part == "truth":
        rows = against_truth(quick=quick, tell=tell)
        show_truth(console, rows)
        return rows
    data, reason = data_folder(MAVEN if part == "maven" else FOLDER)
    if part == "few":
        if data is None:
            console.print(f"[yellow]few deals, loan pipeline: skipped: {reason}[/yellow]")
        rows = few_part(data, quick=quick, tell=tell)
        show_few(console, rows)
        return rows
    if data is None:
        console.print(f"[yellow]{part}: skipped: {reason}[/yellow]")
        return f"skipped: {reason}"
    if part == "maven":
        verdict = on_maven(data, tell=tell)
        show_maven(console, verdict)
        return verdict
    found = loan_part(data, quick=quick, tell=tell)
    show_loan(console, found)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small companies, one cutoff, small peers")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this part (may be repeated)")
    options = parser.parse_args()
    console = Console(width=None if Console().is_terminal else 190)
    started = time.monotonic()
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task("starting", total=None)
        for part in options.part or PARTS:
            found = run(part, console, quick=options.quick, tell=lambda step: progress.update(task, description=step))
            raw_file(f"close_time_{part}", quick=options.quick).write_text(json.dumps(found, indent=1), encoding="utf-8")
            report(__file__, headline(part, summary(found) if part == "few" else found), quick=options.quick)
    console.print(f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
