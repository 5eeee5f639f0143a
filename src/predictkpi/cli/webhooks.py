"""`predictkpi webhooks`: what waits to be told, what was not taken, and once more. And what other commands tell when they are done."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from predictkpi.cli.options import Format, FormatOption

if TYPE_CHECKING:
    from predictkpi.delivery import Webhook
    from predictkpi.pipelines.notify import Notifier
    from predictkpi.pipelines.webhooks import Deliveries
    from predictkpi.registry import Registry
    from predictkpi.settings import Settings
    from predictkpi.store import Delivery, Store

NOT_DELIVERED = 4
STATE_STYLES = {"waiting": "yellow", "delivered": "green", "dead": "red"}
_Limit = Annotated[int, typer.Option(min=1, help="The newest so many.")]

app = typer.Typer(
    name="webhooks",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Show, deliver and repeat the messages to the webhook. What is sent, and how a receiver checks it: docs/webhooks.md.\n\n"
    "Examples: [bold]predictkpi webhooks deliver[/bold] (every few minutes) · [bold]predictkpi webhooks dead[/bold] · "
    "[bold]predictkpi webhooks replay --all-dead[/bold] · [bold]predictkpi webhooks test[/bold]",
)


@app.command("list")
def list_(limit: _Limit = 20, format_: FormatOption = Format.TABLE) -> None:
    """Show the newest messages, what became of them, and when those that wait are tried again (UTC).

    Example: [bold]predictkpi webhooks list --format json[/bold]
    """
    _show(None, limit, format_)


@app.command()
def dead(limit: _Limit = 100, format_: FormatOption = Format.TABLE) -> None:
    """Show the messages that were given up: refused by the receiver, or not taken in three days.

    Example: [bold]predictkpi webhooks dead[/bold], then [bold]predictkpi webhooks replay MESSAGE_ID[/bold]
    """
    from predictkpi.store import Delivery

    _show(Delivery.DEAD, limit, format_)


@app.command()
def deliver() -> None:
    """Send what is due. Safe to start twice. `predictkpi serve` does it all the time; without it, run this every few minutes.

    Exit code 0: nothing is left that is due. 4: something was not taken; it waits, or is dead.

    Example: [bold]*/5 * * * * cd /srv/predictkpi && predictkpi webhooks deliver[/bold]
    """
    from predictkpi.pipelines.webhooks import deliver_due

    webhook, store = _opened()
    found = deliver_due(store, webhook)
    say(found, webhook)
    if found.again or found.dead or found.stopped:
        raise typer.Exit(NOT_DELIVERED)


@app.command()
def replay(
    message_id: Annotated[list[str] | None, typer.Argument(help="Messages that `predictkpi webhooks list` shows.")] = None,
    all_dead: Annotated[bool, typer.Option("--all-dead", help="All that were given up.")] = False,
) -> None:
    """Let messages wait again, and send them now: with the same id, so a receiver that had one after all can tell.

    Example: [bold]predictkpi webhooks replay --all-dead[/bold]
    """
    from predictkpi.cli.render import out
    from predictkpi.errors import SettingsError
    from predictkpi.pipelines.webhooks import deliver_due, utc_now

    if bool(message_id) == all_dead:
        raise SettingsError("name messages, or all that were given up: predictkpi webhooks replay --all-dead")
    webhook, store = _opened()
    count = store.outbox.replay(message_id or None, now=utc_now())
    out().print(f"{count} messages wait again")
    say(deliver_due(store, webhook), webhook)


@app.command()
def test() -> None:
    """Send a message of type webhook.test now. A receiver that takes it is sent messages again, if it has answered 410 before.

    Exit code 0: it was taken. 4: it was not.

    Example: [bold]predictkpi webhooks test[/bold]
    """
    from predictkpi.cli.render import out
    from predictkpi.delivery import Verdict
    from predictkpi.pipelines.webhooks import send_test

    webhook, store = _opened()
    answer = send_test(store, webhook)
    out().print(f"the webhook at {webhook.host}: {answer.reason}", highlight=False, markup=False)
    if answer.verdict is not Verdict.TAKEN:
        raise typer.Exit(NOT_DELIVERED)


def tell(webhook: Webhook | None, store: Store, registry: Registry, settings: Settings, work: Callable[[Notifier], int]) -> bool:
    """Queue what ``work`` finds to be news, and send what is due; False where something was not taken. Nobody to tell: nothing is done.

    What the command was asked for is done by now, so trouble here is told and no error; the next command finds the same news.
    """
    if webhook is None:
        return True
    from predictkpi.cli.render import remarks
    from predictkpi.errors import PredictKpiError
    from predictkpi.pipelines.notify import Notifier
    from predictkpi.pipelines.webhooks import deliver_due, utc_now

    try:
        work(Notifier(store, registry, models_dir=settings.models_dir, now=utc_now()))
        found = deliver_due(store, webhook)
    except PredictKpiError as error:
        remarks().print(f"the webhook was not told: {error}", style="red", markup=False)
        return False
    say(found, webhook)
    return not (found.again or found.dead or found.stopped)


def say(found: Deliveries, webhook: Webhook) -> None:
    """One line on what was sent; none where nothing was due."""
    from predictkpi.cli.render import remarks

    counts = [(found.delivered, "delivered"), (found.again, "to be tried again"), (found.dead, "dead (predictkpi webhooks dead)")]
    told = ", ".join(f"{count} {what}" for count, what in counts if count)
    if told:
        remarks().print(f"messages to the webhook at {webhook.host}: {told}", highlight=False, markup=False)
    if found.stopped:
        remarks().print(f"{found.stopped}; the rest waits", style="yellow", highlight=False, markup=False)


def _opened() -> tuple[Webhook, Store]:
    from predictkpi.errors import SettingsError
    from predictkpi.pipelines.open_store import open_store
    from predictkpi.pipelines.webhooks import open_webhook
    from predictkpi.settings import read_settings

    settings = read_settings()
    webhook = open_webhook(settings)
    if webhook is None:
        raise SettingsError("no webhook is set: PREDICTKPI_WEBHOOK_URL and PREDICTKPI_WEBHOOK_SECRET (docs/webhooks.md)")
    return webhook, open_store(settings)


def _show(state: Delivery | None, limit: int, format_: Format) -> None:
    import pandas as pd

    from predictkpi.cli.render import machine, out, remarks, table
    from predictkpi.pipelines.open_store import open_store
    from predictkpi.settings import read_settings

    store = open_store(read_settings())
    found = store.outbox.messages(state, limit=limit)
    if format_ is not Format.TABLE:
        machine(found, format_)
        return
    rows = [
        [
            row.message_id,
            row.type,
            f"[{STATE_STYLES[row.state]}]{row.state}[/]",
            f"{row.queued_at:%Y-%m-%d %H:%M}",
            row.attempts,
            f"{row.due_at:%Y-%m-%d %H:%M}" if row.state == "waiting" else "" if pd.isna(row.ended_at) else f"{row.ended_at:%Y-%m-%d %H:%M}",
            row.answer,
        ]
        for row in found.itertuples()
    ]
    headings = [(name, "left") for name in ("id", "type", "state", "queued", "attempts", "due or ended", "last answer")]
    if rows:
        out().print(table("Messages to the webhook (UTC)", headings, rows))
    counts = store.outbox.counts()
    remarks().print(", ".join(f"{count} {name.value}" for name, count in counts.items()), highlight=False)
