"""`predictkpi retrain`: for cron, Kubernetes and Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from predictkpi.cli.webhooks import tell

if TYPE_CHECKING:
    from predictkpi.pipelines.retrain import Decision

LOCKED = 5


def retrain(
    predictor: Annotated[list[str] | None, typer.Argument(help="revenue, clv, close_time. Default: all of them.")] = None,
    if_needed: Annotated[bool, typer.Option("--if-needed", help="Only what is due; without it, all of them.")] = False,
    max_age_days: Annotated[
        int | None, typer.Option(min=1, help="Age of the last training's data from which on another is due. Default: models/monitor.yaml.")
    ] = None,
) -> None:
    """Train again what is due: no champion, enough new data, an alarm of the monitor, or a training that is too old.

    Enough new data: what the predictor learns from (months, customers, closed deals) has grown by a tenth. Nothing is learnt while a source
    is broken. A new model serves only if it is better. Safe to kill at any time, and to start twice: one process works, and the other says
    who it is.

    Exit code 0: trained, or nothing was due. 1: it failed. 5: another process is at it.

    Examples: [bold]predictkpi retrain --if-needed[/bold] · [bold]predictkpi retrain --if-needed --max-age-days 30 close_time[/bold]
    """
    from predictkpi.cli.lifecycle import run_replay, show_replay, show_training
    from predictkpi.cli.render import progress, remarks
    from predictkpi.errors import LockedError
    from predictkpi.pipelines.clock import local_now
    from predictkpi.pipelines.open_store import open_filled_store, open_registry
    from predictkpi.pipelines.outlook import NEEDS
    from predictkpi.pipelines.retrain import retrain as run
    from predictkpi.pipelines.webhooks import open_webhook
    from predictkpi.predictors import predictor_class, predictor_names
    from predictkpi.settings import read_settings

    names = list(dict.fromkeys(predictor or predictor_names()))
    for name in names:
        predictor_class(name)
    settings = read_settings()
    webhook = open_webhook(settings)
    store, registry = open_filled_store(settings), open_registry(settings)

    def say(decision: Decision) -> None:
        typer.echo(f"{decision.predictor}: {'train' if decision.is_due else 'leave'}: {decision.reason}")

    try:
        with progress() as display:
            task = display.add_task("retrain", total=None, step="")

            def show(name: str, step: str, done: int, total: int) -> None:
                display.update(task, description=name, step=step, completed=done, total=total or None)

            found = run(
                store,
                registry,
                predictors=names,
                models_dir=settings.models_dir,
                now=local_now(store),
                if_needed=if_needed,
                max_age_days=max_age_days,
                on_decision=say,
                on_progress=show,
            )
    except LockedError as error:
        remarks().print(str(error), markup=False)
        raise typer.Exit(LOCKED) from error
    if found.trained:
        show_training(list(found.trained))
    if set(NEEDS) <= {report.predictor for report in found.trained}:
        show_replay(run_replay(store, registry, settings, None))
    tell(webhook, store, registry, settings, lambda notifier: notifier.after_promotion())
