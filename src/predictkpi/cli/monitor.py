"""`predictkpi monitor`: is something wrong with the sources, the inputs or the errors of what serves? And who must be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from predictkpi.cli.options import AsOf, Format, FormatOption, instant

if TYPE_CHECKING:
    import pandas as pd

    from predictkpi.delivery import Webhook
    from predictkpi.pipelines.monitor import MonitorReport
    from predictkpi.settings import Settings
    from predictkpi.store import Store

SOMETHING_IS_WRONG, NOT_DELIVERED = 1, 4
SEVERITY_STYLES = {"alarm": "bold red", "warning": "yellow", "note": "default"}


def monitor(
    predictor: Annotated[list[str] | None, typer.Argument(help="revenue, clv, close_time. Default: all of them.")] = None,
    as_of: AsOf = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what is well, and what could not be judged.")] = False,
    quiet: Annotated[bool, typer.Option("--no-webhook", help="Send nothing, whatever is found.")] = False,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Watch sources and champions: missing rows, changed fields, inputs, predictions and errors; old champions.

    Limits fit each company's own past (models/monitor.yaml). If something is wrong and a webhook is set, it is sent `monitor.alarm`.

    Exit code 0: all is well. 1: something is wrong, or could not be looked at. 4: something is wrong, and the webhook did not take it.

    Examples: [bold]predictkpi monitor[/bold] · [bold]predictkpi monitor close_time --all[/bold] · [bold]predictkpi monitor --format
    json[/bold]
    """
    from predictkpi.cli.render import progress
    from predictkpi.pipelines.monitor import monitor as run
    from predictkpi.pipelines.open_store import open_filled_store, open_registry
    from predictkpi.predictors import predictor_class, predictor_names
    from predictkpi.settings import read_settings

    names = list(dict.fromkeys(predictor or predictor_names()))
    for name in names:
        predictor_class(name)
    settings = read_settings()
    webhook = None if quiet else webhook_of(settings)
    store = open_filled_store(settings)
    day = instant(as_of, store)
    with progress() as display:
        task = display.add_task("monitor", total=None, step="")

        def show(step: str, done: int, total: int) -> None:
            display.update(task, step=step, completed=done, total=total)

        now = local_now(store) if day is None else day
        found = run(store, open_registry(settings), predictors=names, as_of=day, now=now, models_dir=settings.models_dir, on_progress=show)
    _show(found, everything, format_)
    if not found.wrong:
        return
    is_told = webhook is None or tell(found, webhook)
    raise typer.Exit(SOMETHING_IS_WRONG if is_told else NOT_DELIVERED)


def local_now(store: Store) -> pd.Timestamp:
    """The clock where the company is."""
    import pandas as pd

    company = store.company
    return pd.Timestamp.now(company.time_zone if company else "UTC").tz_localize(None)


def webhook_of(settings: Settings) -> Webhook | None:
    """Whom to tell, None for nobody; `SettingsError` for one that could not be told, before there is anything to tell."""
    from predictkpi.delivery import Webhook
    from predictkpi.errors import SettingsError

    if settings.webhook_url is None:
        return None
    if settings.webhook_secret is None:
        raise SettingsError("webhook_url is set and webhook_secret is not: a receiver could not tell our alarms from anybody's")
    return Webhook(settings.webhook_url.get_secret_value(), settings.webhook_secret.get_secret_value())


def tell(found: MonitorReport, webhook: Webhook) -> bool:
    """Send the alarm; False where the webhook did not take it."""
    import pandas as pd

    from predictkpi.cli.render import remarks
    from predictkpi.errors import DeliveryError

    try:
        receipt = webhook.send(found.message(pd.Timestamp.now("UTC").tz_localize(None)))
    except DeliveryError as error:
        remarks().print(f"the alarm could not be delivered: {error}", style="red", markup=False)
        return False
    remarks().print(f"the webhook at {webhook.host} has taken the alarm {receipt.message_id}", markup=False)
    return True


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
