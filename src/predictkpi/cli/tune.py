"""`predictkpi tune`: search for better settings of a predictor."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from predictkpi.cli.options import AsOf, instant

if TYPE_CHECKING:
    from predictkpi.pipelines.tune import Step, TuneReport

UNITS = {"s": 1, "m": 60, "h": 3600}


def tune(
    predictor: Annotated[str, typer.Argument(help="revenue, clv or close_time.")],
    budget: Annotated[
        str | None, typer.Option(help="Time for the search, e.g. 90s, 10m or 2h. The comparison at the end comes on top.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Trials in all, with those of earlier calls. Default: 30; without limit if --budget is given.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew instead of going on with an earlier search.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same trials.")] = 0,
    write: Annotated[Path | None, typer.Option(help="Write the best settings there. Default: print them on standard output.")] = None,
    as_of: AsOf = None,
) -> None:
    """Search for better settings on past days, and compare the best with the current ones on newer days; nothing is promoted.

    What may change, and between which bounds, is in models/search.yaml. Stop it at any time: the same command goes on.

    Examples: [bold]predictkpi tune clv --budget 10m[/bold] · [bold]predictkpi tune clv --trials 100 --write models/clv.yaml[/bold]
    """
    from predictkpi.cli.render import progress, remarks
    from predictkpi.pipelines.open_store import open_registry, open_store
    from predictkpi.pipelines.tune import TRIALS, Limits
    from predictkpi.pipelines.tune import tune as run
    from predictkpi.settings import read_settings

    settings = read_settings()
    limits = Limits(trials if trials or budget else TRIALS, seconds(budget) if budget else None)
    with progress() as display:
        task = display.add_task(f"tune {predictor}", total=limits.trials, step="look at the history")

        def show(step: Step) -> None:
            display.update(task, completed=max(step.number - 1, 0), step=in_words(step))

        store = open_store(settings)
        report = run(
            store,
            open_registry(settings),
            predictor,
            models_dir=settings.models_dir,
            folder=settings.artifact_root / "tune",
            limits=limits,
            as_of=instant(as_of, store),
            seed=seed,
            fresh=fresh,
            on_progress=show,
        )
    for line in summary(report):
        remarks().print(line, highlight=False, markup=False)
    deliver(report, write)


def seconds(budget: str) -> float:
    """``90s``, ``10m`` and ``2h`` in seconds; `SettingsError` for anything else."""
    from predictkpi.errors import SettingsError

    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", budget.strip())
    if not found or not float(found[1]):
        raise SettingsError(f"--budget {budget}: write a number above 0 and s, m or h, for example 90s, 10m or 2h")
    return float(found[1]) * UNITS[found[2]]


def in_words(step: Step) -> str:
    """For the progress bar."""
    what = f"trial {step.number}" if step.number else "current settings"
    best = "" if step.best is None else f", best so far {step.best - 1:+.1%} loss"
    return f"{what}, fold {step.fold + 1}/{step.folds}{best}"


def summary(report: TuneReport) -> list[str]:
    """What happened and what to make of it."""
    counts = ", ".join(f"{n} {state}" for state, n in report.counts.items() if n) or "none"
    killed = f"; {report.killed} that an earlier process left unfinished did not count" if report.killed else ""
    days = [", ".join(f"{day:%Y-%m-%d}" for day in part) for part in (report.searched_on, report.held_out)]
    lines = [f"{report.predictor}: {report.note}", f"trials: {counts}{killed}", f"searched on {days[0]}; held out {days[1]}"]
    if report.share is not None:
        lines.append(f"best trial: {report.share - 1:+.1%} loss against the current settings, on the days of the search")
    return [*lines, report.verdict]


def deliver(report: TuneReport, write: Path | None) -> None:
    """The best settings on standard output or, whole or not at all, into a file; nothing where nothing better was found."""
    from predictkpi.cli.render import remarks

    if not report.is_better:
        return
    text = f"# Found by predictkpi tune (run {report.run_id}).\n# {report.verdict}\n{report.as_yaml()}"
    if write is None:
        typer.echo(text, nl=False)
        return
    beside = write.with_name(f".{write.name}.new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(write)
    remarks().print(f"written to {write}: predictkpi train {report.predictor} tests and registers a model with them", markup=False)
