"""`predictkpi sync`: what changed in a CRM or database since the last time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def sync(
    mapping: Annotated[Path, typer.Option(help="YAML with a source: block that says which object feeds which table; see docs/sources.md.")],
    from_start: Annotated[bool, typer.Option("--from-start", help="Read everything again, say after a change of the mapping.")] = False,
) -> None:
    """Load from SQL, Salesforce or HubSpot whatever changed since the last sync. Safe to interrupt: the next one goes on from there.

    Example: [bold]HUBSPOT_TOKEN=... predictkpi sync --mapping examples/hubspot.yaml[/bold]
    """
    import pandas as pd

    from predictkpi.cli.data import show_ingest
    from predictkpi.cli.render import progress, remarks
    from predictkpi.pipelines.open_store import open_store
    from predictkpi.pipelines.sync import sync as load
    from predictkpi.settings import read_settings

    store = open_store(read_settings())
    with progress() as display:
        task = display.add_task("sync", total=None, step="")

        def show(step: str, done: int, total: int) -> None:
            display.update(task, step=step, completed=done, total=total or None)

        report = load(store, mapping=mapping, now=lambda: pd.Timestamp.now("UTC"), from_start=from_start, on_progress=show)
    show_ingest(report)
    remarks().print(f"{report.batches} batches, {report.withdrawn} records withdrawn that are gone from the source")
