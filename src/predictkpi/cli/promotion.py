"""`predictkpi promote`, `rollback` and `audit`: who serves, and who decided so."""

from __future__ import annotations

from typing import Annotated

import typer

from predictkpi.cli.options import Format, FormatOption
from predictkpi.cli.webhooks import tell

_Predictor = Annotated[str, typer.Argument(help="revenue, clv or close_time.")]


def promote(
    predictor: _Predictor,
    version: Annotated[str, typer.Argument(help="A version that `predictkpi models` lists.")],
) -> None:
    """Let another version serve. Running services pick it up by themselves within seconds; the audit log keeps who did it.

    Example: [bold]predictkpi promote revenue 3[/bold]
    """
    from predictkpi.cli.render import out
    from predictkpi.pipelines.clock import local_now
    from predictkpi.pipelines.open_store import open_registry, open_store
    from predictkpi.pipelines.promote import promote as move
    from predictkpi.pipelines.webhooks import open_webhook
    from predictkpi.settings import read_settings

    settings = read_settings()
    webhook, store, registry = open_webhook(settings), open_store(settings), open_registry(settings)
    found = move(store, registry, predictor, version, now=local_now(store))
    out().print(f"{predictor}: version [bold]{found.version}[/] ({found.kind}) is the champion now")
    tell(webhook, store, registry, settings, lambda notifier: notifier.after_promotion())


def rollback(predictor: _Predictor) -> None:
    """Let the version serve that served before this one. Again, and the one before that serves.

    Example: [bold]predictkpi rollback close_time[/bold]
    """
    from predictkpi.cli.render import out
    from predictkpi.pipelines.clock import local_now
    from predictkpi.pipelines.open_store import open_registry, open_store
    from predictkpi.pipelines.promote import rollback as back
    from predictkpi.pipelines.webhooks import open_webhook
    from predictkpi.settings import read_settings

    settings = read_settings()
    webhook, store, registry = open_webhook(settings), open_store(settings), open_registry(settings)
    found = back(store, registry, predictor, now=local_now(store))
    out().print(f"{predictor}: back to version [bold]{found.version}[/] ({found.kind})")
    tell(webhook, store, registry, settings, lambda notifier: notifier.after_promotion())


def audit(
    predictor: Annotated[str | None, typer.Argument(help="Only of this predictor.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Show who trained, promoted, rolled back and erased what, when, and the gate's reasons. JSON and CSV have every figure.

    Example: [bold]predictkpi audit revenue --format json[/bold]
    """
    import json

    from predictkpi.cli.render import machine, out, remarks, table
    from predictkpi.pipelines.open_store import open_store
    from predictkpi.settings import read_settings

    found = open_store(read_settings()).audit(subject=predictor, limit=limit)
    if format_ is not Format.TABLE:
        machine(found, format_)
        return
    if not len(found):
        remarks().print("nothing yet: trainings, promotions and rollbacks will be here")
        return
    rows = []
    for row in found.itertuples():
        detail = json.loads(row.detail)
        moved = f"version {detail.get('from') or 'none'} to {detail.get('to')}"
        told = f"{sum(detail['rows'].values()):,} rows" if "rows" in detail else detail.get("reason") or moved
        if "scope" in detail and "ds" in detail:
            told = f"{detail['scope']}, {detail['freq']} from {detail['ds']}" + (f": {detail['value']:,.12g}" if "value" in detail else "")
        rows.append([f"{row.at:%Y-%m-%d %H:%M}", row.actor, row.action, row.subject, told])
    out().print(table("Audit log", [(name, "left") for name in ("at", "by", "action", "subject", "what")], rows))
