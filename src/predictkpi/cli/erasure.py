"""`predictkpi erase` and `retain`: what must go, and what may stay how long."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from predictkpi.pipelines.erase import ErasureReport


class Whom(StrEnum):
    """What can be erased."""

    CUSTOMER = "customer"
    PERSON = "person"


DryRun = Annotated[bool, typer.Option("--dry-run", help="Count the rows, by table, and change nothing.")]


def erase(
    whom: Annotated[Whom | None, typer.Argument(help="customer: a company and all about it. person: a name.", show_default=False)] = None,
    name: Annotated[
        str | None, typer.Argument(help="The customer's id; the person's name or id as it is stored.", show_default=False)
    ] = None,
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    replay: Annotated[bool, typer.Option("--replay", help="Erase again what the list of erasures holds, as after a restore.")] = False,
    list_: Annotated[Path | None, typer.Option("--list", help="With --replay: a list that --export wrote.", show_default=False)] = None,
    export: Annotated[Path | None, typer.Option(help="Write the list of erasures (hashes alone) to this file.", show_default=False)] = None,
) -> None:
    """Erase a company or a person everywhere, for good. Later loads do not bring them back. docs/privacy.md says what that covers.

    A customer's rows are deleted, with their deals and orders. A person's name is replaced by a pseudonym; the deals stay.

    Examples: [bold]predictkpi erase customer C-1017 --dry-run[/bold] · [bold]predictkpi erase person "Ann Lee"[/bold] ·
    [bold]predictkpi erase --export erasures.json[/bold] · [bold]predictkpi erase --replay --list erasures.json[/bold]
    """
    import pandas as pd

    from predictkpi.cli.render import remarks
    from predictkpi.errors import SettingsError
    from predictkpi.pipelines.erase import erase as run
    from predictkpi.pipelines.erase import replay_erasures, write_list
    from predictkpi.pipelines.open_store import open_filled_store, open_registry
    from predictkpi.settings import read_settings

    is_named = whom is not None and name is not None
    if [is_named, replay, export is not None].count(True) != 1 or (whom is not None) != (name is not None) or (list_ and not replay):
        raise SettingsError("say what to erase (customer ID, or person NAME), or --replay with or without --list, or --export FILE")
    settings = read_settings()
    store, registry = open_filled_store(settings), open_registry(settings)
    now = pd.Timestamp.now()
    if export is not None:
        remarks().print(f"{write_list(store, export)} entries in {export}; it holds no name, but who has it can try names: keep it secret")
    elif replay:
        _show(replay_erasures(store, registry, now=now, listed=list_, dry_run=dry_run), dry_run=dry_run)
    elif whom is not None and name is not None:
        if not dry_run and not yes:
            _show(run(store, registry, whom.value, name, now=now, dry_run=True), dry_run=True)
            typer.confirm(f"Erase the {whom.value} {name!r} for good?", abort=True, err=True)
        _show(run(store, registry, whom.value, name, now=now, dry_run=dry_run), dry_run=dry_run)


def _show(report: ErasureReport, *, dry_run: bool) -> None:
    from predictkpi.cli.render import out, remarks, table

    rows = [(name, f"{count:,}") for name, count in report.rows.items()]
    rows += [(f"files: {place}", f"{count:,}") for place, count in report.files.items() if count]
    title = "Would be deleted or rewritten" if dry_run else "Deleted or rewritten"
    if rows:
        out().print(table(title, [("table", "left"), ("rows", "right")], rows))
    else:
        remarks().print("nothing was found that is on the list of erasures")
    for predictor, version in report.learnt:
        remarks().print(f"version {version} of {predictor} learnt from it: `predictkpi retrain` makes one that did not (docs/privacy.md)")
    if report.digest and not dry_run:
        remarks().print(f"in the audit log and the list of erasures as {report.digest}")
    for trouble in report.troubles:
        remarks().print(f"[yellow]warning:[/] {trouble}")
    if report.troubles and not dry_run:
        raise typer.Exit(1)


def retain(dry_run: DryRun = False) -> None:
    """Delete what is older than its table's period in models/retention.yaml. Safe while serving, and to run every night.

    Example: [bold]predictkpi retain --dry-run[/bold]
    """
    import pandas as pd

    from predictkpi.cli.render import out, table
    from predictkpi.pipelines.open_store import open_store
    from predictkpi.pipelines.retain import retain as run
    from predictkpi.settings import read_settings

    settings = read_settings()
    found = run(open_store(settings), settings.models_dir, now=pd.Timestamp.now(), dry_run=dry_run)
    rows = [[one.table, one.predictor, one.days, f"{one.before:%Y-%m-%d}", f"{one.rows:,}", one.note] for one in found]
    columns = [("table", "left"), ("predictor", "left"), ("days", "right"), ("older than", "left"), ("rows", "right"), ("kept for", "left")]
    out().print(table("Would be deleted" if dry_run else "Deleted", columns, rows))
