"""`predictkpi train`, `evaluate`, `models` and `promote`: how models come to serve."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from predictkpi.cli.options import AsOf, Format, FormatOption, instant
from predictkpi.cli.webhooks import tell

if TYPE_CHECKING:
    import pandas as pd

    from predictkpi.outlook import Trust
    from predictkpi.pipelines.train import TrainReport
    from predictkpi.registry import Registry
    from predictkpi.settings import Settings
    from predictkpi.store import Store


def train(
    predictor: Annotated[list[str] | None, typer.Argument(help="revenue, clv, close_time. Default: all of them.")] = None,
    as_of: AsOf = None,
    reproduce: Annotated[
        str | None,
        typer.Option(metavar="RUN_ID", help="Train again as that run did, from the store as it was then, and compare. Registers nothing."),
    ] = None,
    upload: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Register a training that was kept in a folder while the registry was away.")
    ] = None,
) -> None:
    """Test on the past against the baselines, learn from everything, register, and promote what is better.

    The model serves only if it beats its baseline, and the champion's settings where they differ, by more than chance explains, keeps its
    promises, and no segment pays for it. Otherwise the former model goes on serving, or the baseline, and it says so. With revenue and
    close_time both trained, the company's past months are replayed with and without its open deals, which decides how far the outlook
    listens to them.

    Examples: [bold]predictkpi train[/bold] · [bold]predictkpi train revenue --as-of 2024-07-01[/bold] ·
    [bold]predictkpi train --reproduce 5f0c...[/bold]
    """
    from predictkpi.pipelines.open_store import open_registry, open_store
    from predictkpi.pipelines.outlook import NEEDS
    from predictkpi.pipelines.webhooks import open_webhook
    from predictkpi.predictors import predictor_class, predictor_names
    from predictkpi.settings import read_settings

    if reproduce is not None:
        show_reproduction(reproduce, read_settings())
        return
    if upload is not None:
        show_upload(upload, read_settings())
        return
    names = list(dict.fromkeys(predictor or predictor_names()))
    for name in names:
        predictor_class(name)
    settings = read_settings()
    _say_if_defaults_rule(settings)
    webhook, store, registry = open_webhook(settings), open_store(settings), open_registry(settings)
    show_training(run_training(store, registry, names, settings, instant(as_of, store)))
    if set(NEEDS) <= set(names):
        show_replay(run_replay(store, registry, settings, instant(as_of, store)))
    tell(webhook, store, registry, settings, lambda notifier: notifier.after_promotion())


def show_reproduction(run_id: str, settings: Settings) -> None:
    """A row for each version of the run; exit code 1 where a prediction is not the same."""
    from predictkpi.cli.render import out, table
    from predictkpi.pipelines.open_store import open_registry, open_store
    from predictkpi.pipelines.reproduce import TOLERANCE, reproduce

    found = reproduce(open_store(settings), open_registry(settings), run_id)
    names = [("predictor", "left"), ("version", "left"), ("predictions", "right"), ("largest difference", "right"), ("same data", "left")]
    rows = [
        [one.predictor, f"{one.kind} v{one.version}", f"{one.predictions:,}", f"{one.difference:.1e}", "yes" if one.is_same_data else "no"]
        for one in found
    ]
    console = out()
    console.print(table(f"Run {run_id}, trained again", names, rows))
    for note in found[0].notes:
        console.print(note, highlight=False)
    if not all(one.is_equal for one in found):
        console.print(f"[red]not the same[/]: a prediction differs by more than {TOLERANCE:g}")
        raise typer.Exit(1)


def show_upload(folder: Path, settings: Settings) -> None:
    """What became of a training that was kept."""
    from predictkpi.cli.render import out
    from predictkpi.pipelines.clock import local_now
    from predictkpi.pipelines.open_store import open_registry, open_store
    from predictkpi.pipelines.registering import upload
    from predictkpi.pipelines.webhooks import open_webhook

    webhook, store, registry = open_webhook(settings), open_store(settings), open_registry(settings)
    found = upload(store, registry, folder, now=local_now(store))
    made = f"version {found.challenger.version} is the challenger; " if found.challenger else ""
    out().print(f"{found.champion.predictor}: {made}version [bold]{found.champion.version}[/] ({found.champion.kind}) serves")
    tell(webhook, store, registry, settings, lambda notifier: notifier.after_promotion())


def _say_if_defaults_rule(settings: Settings) -> None:
    """A folder of hyperparameters that was asked for must be there; without the usual one the built-in settings hold, and it is said."""
    from predictkpi.cli.render import remarks
    from predictkpi.errors import SettingsError

    if settings.models_dir.is_dir():
        return
    if "models_dir" in settings.model_fields_set:
        raise SettingsError(f"no folder {settings.models_dir}: PREDICTKPI_MODELS_DIR (or models_dir in predictkpi.toml) names it")
    remarks().print(f"no folder {settings.models_dir}/ here: default hyperparameters and folds")


def run_training(store: Store, registry: Registry, names: list[str], settings: Settings, as_of: pd.Timestamp | None) -> list[TrainReport]:
    """Train with one progress bar a predictor."""
    from predictkpi.cli.render import progress
    from predictkpi.pipelines.clock import local_now
    from predictkpi.pipelines.train import train as run

    with progress() as display:
        tasks = {name: display.add_task(name, total=None, step="waiting", start=False) for name in names}

        def show(name: str, step: str, done: int, total: int) -> None:
            display.start_task(tasks[name])
            display.update(tasks[name], step=f"{step} {done}/{total}" if total > 1 else step, completed=done, total=total or None)
            if step == "done":
                display.stop_task(tasks[name])

        now = local_now(store)
        return run(store, registry, predictors=names, as_of=as_of, models_dir=settings.models_dir, now=now, on_progress=show)


def run_replay(store: Store, registry: Registry, settings: Settings, as_of: pd.Timestamp | None) -> Trust:
    """Learn how far to listen to the open deals, with a progress bar."""
    from predictkpi.cli.render import progress
    from predictkpi.pipelines.clock import local_now
    from predictkpi.pipelines.outlook import learn_trust

    with progress() as display:
        task = display.add_task("outlook", total=None, step="learn from the months before")

        def show(done: int, total: int) -> None:
            display.update(task, step=f"replay {done}/{total}", completed=done, total=total)

        return learn_trust(store, registry, as_of=as_of, models_dir=settings.models_dir, now=local_now(store), on_progress=show)


def show_replay(trust: Trust) -> None:
    """Whether the open deals help."""
    from predictkpi.cli.render import out

    out().print(f"[bold]outlook[/]: {trust.verdict}", highlight=False)


def show_training(reports: list[TrainReport]) -> None:
    """What serves from now on, and why."""
    from predictkpi.cli.render import NOTHING, out, status, table

    rows = []
    for report in reports:
        decision = report.trial.decision
        gain = f"{decision.improvement:+.1%} [{decision.low:+.1%}, {decision.high:+.1%}]" if decision else NOTHING
        serves = f"{report.champion.kind} v{report.champion.version}" if report.champion else NOTHING
        folds = str(len(report.trial.cutoffs.dates))
        rows.append([report.predictor, serves, status(report.status.value), gain, folds, f"{report.seconds:.0f} s"])
    headings = [("predictor", "left"), ("serves", "left"), ("status", "left"), ("loss saved against baseline", "left"), ("folds", "right")]
    console = out()
    console.print(table("Trained", [*headings, ("time", "right")], rows))
    for report in reports:
        note = report.trial.cutoffs.note
        note = f" ({note})" if note and note not in report.reason else ""
        console.print(f"[bold]{report.predictor}[/]: {report.reason}{note}")


def evaluate(
    predictor: Annotated[str, typer.Argument(help="revenue, clv or close_time.")],
    cutoff: Annotated[
        list[datetime] | None,
        typer.Option(formats=["%Y-%m-%d"], help="Past day to train up to and be judged after; may be repeated. Default: as in training."),
    ] = None,
    as_of: AsOf = None,
    json_: Annotated[bool, typer.Option("--json", help="All figures as JSON on standard output.")] = False,
) -> None:
    """Score the model and every baseline on the past, registering nothing.

    Example: [bold]predictkpi evaluate close_time --cutoff 2024-06-01 --cutoff 2024-09-01 --json[/bold]
    """
    import pandas as pd

    from predictkpi.cli.render import as_json, out, progress, table
    from predictkpi.pipelines.evaluate import evaluate as run
    from predictkpi.pipelines.open_store import open_store
    from predictkpi.settings import read_settings

    settings = read_settings()
    days = [pd.Timestamp(day) for day in cutoff or []]
    with progress() as display:
        task = display.add_task(f"evaluate {predictor}", total=None, step="")
        store = open_store(settings)

        def show(done: int, total: int) -> None:
            display.update(task, completed=done, total=total)

        found = run(store, predictor, days, models_dir=settings.models_dir, as_of=instant(as_of, store), on_progress=show)
    if json_:
        typer.echo(as_json(found.as_dict()))
        return
    metrics = found.result.metrics
    rows = [[name, *[f"{values.get(name, float('nan')):,.4g}" for values in metrics.values()]] for name in next(iter(metrics.values()))]
    title = f"{predictor}: cutoffs {', '.join(f'{day:%Y-%m-%d}' for day in found.result.cutoffs)}"
    console = out()
    console.print(table(title, [("metric", "left"), *[(name, "right") for name in metrics]], rows))
    console.print(found.decision.reason + (f" ({found.note})" if found.note else ""))


def models(
    predictor: Annotated[list[str] | None, typer.Argument(help="revenue, clv, close_time. Default: all of them.")] = None,
    format_: FormatOption = Format.TABLE,
) -> None:
    """List registered versions: which one serves, on which rung, and why.

    Example: [bold]predictkpi models close_time[/bold]
    """
    import pandas as pd

    from predictkpi.cli.render import machine, out, remarks, status, table
    from predictkpi.pipelines.open_store import open_registry
    from predictkpi.predictors import predictor_class, predictor_names
    from predictkpi.settings import read_settings

    for name in predictor or []:
        predictor_class(name)
    registry = open_registry(read_settings())
    rows = [row for name in (predictor or predictor_names()) for row in registry.versions(name)]
    if format_ is not Format.TABLE:
        found = pd.DataFrame(rows)
        if len(found):
            found["aliases"] = found["aliases"].map(" ".join)
        machine(found, format_)
        return
    if not rows:
        remarks().print("no models yet: [bold]predictkpi train[/bold]")
        return
    names = ["predictor", "version", "kind", "status", "aliases", "as_of", "created_at"]
    cells = [
        [
            row["predictor"],
            row["version"],
            row["kind"],
            status(row["status"]),
            f"[bold]{' '.join(row['aliases'])}[/]",
            row["as_of"][:10],
            f"{row['created_at']:%Y-%m-%d %H:%M}",
        ]
        for row in rows
    ]
    console = out()
    console.print(table("Models", [(name.replace("_at", " (UTC)"), "left") for name in names], cells))
    for row in rows:
        if row["aliases"] and row["reason"]:
            console.print(f"{row['predictor']} {row['version']}: {row['reason']}", highlight=False, markup=False)
