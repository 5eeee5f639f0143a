"""What is each customer worth? Ours, BG/NBD + Gamma-Gamma, lifetimes and others side by side, on the same customers in the same run.

    PREDICTKPI_REAL_DATA=<folder> python benchmarks/clv.py [--quick] [--part cdnow|journey|grocery|afisha|truth]

Holdouts of four real data sets (`customers/datasets.py`); every model learns only from what was known at the cutoff (`customers/peers.py`
says what each is). Normalised Gini of the holdout's spend ordered by prediction, errors, total, slope; coverage of the 80 % interval by
randomised PIT, for customers and for totals of random groups; and ours against each, by a paired bootstrap over customers. The part
``truth`` needs no data: sample companies whose expected spend is known. A data set or peer that is not at hand is named as missing.
``--quick``: 100 resamples instead of 1,000, small companies.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from customers.company_part import against_truth, of_each_model
from customers.datasets import SOURCES, Split, load_splits
from customers.headline import GAIN_GOAL, GINI_GOALS, MAE_GOAL, RMSE_GOAL, WORST_GAIN, headline
from customers.judging import DRAWS, Answer, Floats, Resampled, interval_scores, point_scores, with_limits
from customers.ours import ours
from customers.peers import PEERS, REFERENCE, timed
from figures import raw_file, report
from predictkpi.features import rfm

OURS, TRUTH = "ours", "truth"
Tell = Callable[[str], None]
Row = dict[str, object]


def judge(split: Split, *, quick: bool, tell: Tell) -> tuple[list[Row], dict[str, Floats]]:
    """One row per model: scores, and what ours gains on it; and the gains on the reference on every resample."""
    models = {OURS: ours} | PEERS
    answers: dict[str, Answer] = {}
    for name, answer in models.items():
        tell(f"{split.name}: {name}")
        answers[name] = timed(answer, split)
    actual = split.actual[rfm.TOTAL].to_numpy(float)
    bought = split.actual[rfm.PURCHASES].to_numpy(float)
    tell(f"{split.name}: resampling customers")
    drawn = Resampled.of(
        actual, {name: found.mean for name, found in answers.items() if not found.missing}, draws=DRAWS // 10 if quick else DRAWS
    )
    rows = []
    for name, found in answers.items():
        row: Row = {"split": split.name, "model": name, "note": found.note, "cpu_seconds": found.cpu_seconds, "customers": len(actual)}
        row |= {"days": split.days, "history_days": split.history_days, "new_customers_share": split.new_share}
        if not found.missing:
            row |= point_scores(actual, found.mean)
            if found.purchases is not None:
                row["purchases_bias"] = float(found.purchases.sum() / bought.sum() - 1.0)
            if found.draws is not None:
                row |= interval_scores(actual, found.draws)
            if name != OURS:
                row |= drawn.against(OURS, name)
        rows.append(row)
    return rows, drawn.differences(OURS, REFERENCE)


def show(console: Console, split: Split, rows: list[Row]) -> None:
    """The table of one split."""
    heading = ("model", "Gini", "MAE", "RMSE", "total", "purchases", "slope", "80 % covers", "of 100", "of 500", "CPU s")
    gains = ("Gini: ours +", "95 %", "MAE: ours", "95 %", "RMSE: ours", "95 %")
    known = f"{len(split.actual):,} customers after {split.history_days:.0f} days, {split.days:.0f} to come"
    table = Table(*heading, *gains, title=f"{split.name}: {known}; {split.new_share:.0%} of their revenue is of customers yet unknown")
    for row in rows:
        if "gini" not in row:
            table.add_row(str(row["model"]), "missing", *[""] * (len(heading) + len(gains) - 2), style="yellow")
            console.print(f"[yellow]{split.name}: {row['model']}: {row['note']}[/yellow]")
            continue
        shown = [str(row["model"]), f"{row['gini']:.4f}", f"{row['mae']:.3f}", f"{row['rmse']:.2f}", f"{row['bias']:+.1%}"]
        shown += [f"{row[name]:{form}}" if name in row else "" for name, form in (("purchases_bias", "+.1%"), ("slope", ".2f"))]
        shown += [f"{row[name]:.3f}" if name in row else "" for name in ("coverage80", "groups100", "groups500")]
        shown.append(f"{row['cpu_seconds']:.1f}")
        for name, form in (("gini_gain", "+.4f"), ("mae_change", "+.1%"), ("rmse_change", "+.1%")):
            shown += [f"{row[name]:{form}}", f"{row[name + '_low']:{form}} to {row[name + '_high']:{form}}"] if name in row else ["", ""]
        table.add_row(*shown)
    console.print(table)


def summary(rows: list[Row], gains: list[dict[str, Floats]]) -> Row:
    """Ours over all splits against the goals. Limits are of customers drawn anew in each split, whose customers partly are the same."""
    mine = {str(row["split"]): row for row in rows if row["model"] == OURS}
    against = [row for row in rows if row["model"] == REFERENCE]
    smaller = [abs(float(mine[str(row["split"])]["bias"])) <= abs(float(row["bias"])) for row in against]
    means: Row = {}
    for name in ("gini_gain", "mae_change"):
        means |= with_limits(f"mean_{name}", np.mean([gain[name] for gain in gains], axis=0))
    return means | {
        "worst_gain": min(float(row["gini_gain"]) for row in against),
        "worst_rmse_change": max(float(row["rmse_change"]) for row in against),
        "totals_no_worse": f"{sum(smaller)} of {len(smaller)}",
        "gini_goals": {name: [mine[name]["gini"], goal] for name, goal in GINI_GOALS.items() if name in mine},
    }


def show_summary(console: Console, found: Row) -> None:
    """Goals and what was reached."""
    table = Table("over all splits, ours against " + REFERENCE, "found", "95 %", "goal")
    limits = f"{found['mean_gini_gain_low']:+.4f} to {found['mean_gini_gain_high']:+.4f}"
    table.add_row("mean gain of Gini", f"{found['mean_gini_gain']:+.4f}", limits, f"at least {GAIN_GOAL:+.3f}")
    table.add_row("least gain of Gini", f"{found['worst_gain']:+.4f}", "", f"at least {WORST_GAIN:+.3f}")
    limits = f"{found['mean_mae_change_low']:+.1%} to {found['mean_mae_change_high']:+.1%}"
    table.add_row("mean change of MAE", f"{found['mean_mae_change']:+.1%}", limits, f"at most {MAE_GOAL:+.0%}")
    table.add_row("worst change of RMSE", f"{found['worst_rmse_change']:+.1%}", "", f"at most {RMSE_GOAL:+.0%}")
    table.add_row("totals not further off", str(found["totals_no_worse"]), "", "all")
    for name, (gini, goal) in found["gini_goals"].items():
        table.add_row(f"Gini, {name}", f"{gini:.4f}", "", f"at least {goal}")
    console.print(table)


def show_truth(console: Console, rows: list[Row]) -> None:
    """Slopes and totals against the truth."""
    heading = ("months", "model", "slope", "total", "error / mean spend", "Gini / that of the truth")
    table = Table(*heading, title="Sample companies: against true expected spend, +/- 2 se (goal: slope .95 to 1.05)")
    for row in of_each_model(rows).to_dict("records"):
        forms = {"slope": ".3f", "bias": "+.1%", "rmse": ".2f", "gini_share": ".3f"}
        figures = [f"{row[name]:{form}} +/- {row[name + '_2se']:{form.lstrip('+')}}" for name, form in forms.items()]
        table.add_row(str(row["months"]), str(row["model"]), *figures)
    console.print(table)


def judge_source(console: Console, part: str, root: str | None, *, quick: bool, tell: Tell) -> tuple[list[Row], list[dict[str, Floats]]]:
    """`judge` of all splits of one data set, shown one by one; nothing where it is not at hand."""
    if not root:
        console.print(f"[yellow]{part}: skipped: PREDICTKPI_REAL_DATA does not name the folder of real data[/yellow]")
        return [], []
    try:
        splits = load_splits(Path(root), part)
    except FileNotFoundError as error:
        console.print(f"[yellow]{part}: skipped: {error}[/yellow]")
        return [], []
    rows, gains = [], []
    for split in splits:
        judged, gain = judge(split, quick=quick, tell=tell)
        show(console, split, judged)
        rows += judged
        gains.append(gain)
    return rows, gains


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100 resamples, small companies")
    parser.add_argument(
        "--part", choices=[*SOURCES, TRUTH], action="append", help="only this data set, or the sample companies (may be repeated)"
    )
    options = parser.parse_args()
    console = Console(width=None if Console().is_terminal else 220)
    started, rows, gains, of_truth = time.monotonic(), [], [], []
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task("starting", total=None)

        def tell(step: str) -> None:
            progress.update(task, description=step)

        for part in options.part or [*SOURCES, TRUTH]:
            if part == TRUTH:
                of_truth = against_truth(ours, quick=options.quick, tell=tell)
                show_truth(console, of_truth)
            else:
                judged, gain = judge_source(console, part, os.environ.get("PREDICTKPI_REAL_DATA"), quick=options.quick, tell=tell)
                rows, gains = rows + judged, gains + gain
    found = summary(rows, gains) if rows else {}
    if found:
        show_summary(console, found)
    raw = raw_file(__file__, quick=options.quick)
    raw.write_text(json.dumps({"rows": rows, "summary": found, "truth": of_truth}, indent=1), encoding="utf-8")
    against = of_each_model(of_truth).to_dict("records") if of_truth else []
    report(__file__, headline(rows, {} if options.part else found, against, reference=REFERENCE), quick=options.quick)
    console.print(f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
