"""`predictkpi monitor`: is something wrong with the sources, the inputs or the errors of what serves? And who must be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from predictkpi.cli.options import AsOf, Format, FormatOption, instant
from predictkpi.cli.webhooks import NOT_DELIVERED, tell

if TYPE_CHECKING:
    from predictkpi.pipelines.monitor import MonitorReport

SOMETHING_IS_WRONG = 1
SEVERITY_STYLES = {"alarm": "bold red", "warning": "yellow", "note": "default"}


def monitor(
    predictor: Annotated[list[str] | None, typer.Argument(help="revenue, clv, close_time. Default: all of them.")] = None,
    as_of: AsOf = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what is well, and what could not be judged.")] = False,
    quiet: Annotated[bool, typer.Option("--no-webhook", help="Tell nobody, whatever is found.")] = False,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Watch sources and champions: missing rows, changed fields, inputs, predictions and errors; old champions.

    Limits fit each company's own past (models/monitor.yaml). A webhook is sent `monitor.alarm` if something is wrong, `data.stale` for each
    table without new rows, and `kpi.alert`; each once, and nothing with --as-of. What was found is kept for the
    dashboard, but for --as-of.

    Exit code 0: all is well. 1: something is wrong, or could not be looked at. 4: something is wrong, and the webhook has not taken it yet.

    Examples: [bold]predictkpi monitor[/bold] · [bold]predictkpi monitor close_time --all[/bold] · [bold]predictkpi monitor --format
    json[/bold]
    """
    from predictkpi.cli.render import progress
    from predictkpi.pipelines.clock import local_now
    from predictkpi.pipelines.monitor import keep
    from predictkpi.pipelines.monitor import monitor as run
    from predictkpi.pipelines.open_store import open_filled_store, open_registry
    from predictkpi.pipelines.webhooks import open_webhook
    from predictkpi.predictors import predictor_class, predictor_names
    from predictkpi.settings import read_settings
    from predictkpi.store import Delivery

    names = list(dict.fromkeys(predictor or predictor_names()))
    for name in names:
        predictor_class(name)
    settings = read_settings()
    webhook = None if quiet or as_of is not None else open_webhook(settings)
    store, registry = open_filled_store(settings), open_registry(settings)
    day = instant(as_of, store)
    with progress() as display:
        task = display.add_task("monitor", total=None, step="")

        def show(step: str, done: int, total: int) -> None:
            display.update(task, step=step, completed=done, total=total)

        now = local_now(store) if day is None else day
        found = run(store, registry, predictors=names, as_of=day, now=now, models_dir=settings.models_dir, on_progress=show)
    if as_of is None:
        keep(store, found, now=now)
    _show(found, everything, format_)
    is_told = tell(webhook, store, registry, settings, lambda notifier: notifier.after_monitor(found))
    if found.wrong:
        alarm = store.outbox.messages(ids=[found.message(now).id])  # none where nobody is to be told of it
        is_told = is_told and bool((alarm["state"] == Delivery.DELIVERED).all())
        raise typer.Exit(SOMETHING_IS_WRONG if is_told else NOT_DELIVERED)


def _show(found: MonitorReport, everything: bool, format_: Format) -> None:
    import pandas as pd

    from predictkpi.cli.render import as_json, machine, out, remarks, table

    shown = [finding for finding in found.findings if everything or finding.is_wrong]
    if format_ is Format.JSON:
        typer.echo(as_json(found.as_dict() | {"findings": [finding.as_dict() for finding in shown]}))
    elif format_ is Format.CSV:
        columns = ["check", "subject", "severity", "reason", "way_out", "figures", "threshold"]
        told = [one.as_dict() | {"figures": " ".join(f"{name}={value}" for name, value in one.figures.items())} for one in shown]
        machine(pd.DataFrame(told, columns=columns), format_)
    elif shown:
        rows = [[f"[{SEVERITY_STYLES[one.severity]}]{one.severity}[/]", one.check, one.subject, one.reason, one.way_out] for one in shown]
        headings = [(name, "left") for name in ("severity", "check", "of", "what", "way out")]
        out().print(table(f"{found.company} on {found.as_of:%Y-%m-%d}", headings, rows))
    remarks().print(f"{len(found.wrong)} of {len(found.findings)} findings say that something is wrong" if found.wrong else "all is well")
