"""`predictkpi write-back`: predictions into the fields of the CRM that people look at."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from predictkpi.cli.options import Format, FormatOption

if TYPE_CHECKING:
    import pandas as pd

    from predictkpi.pipelines.write_back import Part, Written

REFUSED, LOCKED = 4, 5
REASONS_SHOWN = 10


class Target(StrEnum):
    """CRMs that can be written to."""

    SALESFORCE = "salesforce"
    HUBSPOT = "hubspot"


def write_back(
    to: Annotated[Target, typer.Option(help="The CRM; the mapping must be for the same one.")],
    mapping: Annotated[Path, typer.Option(help="YAML that says which number goes to which field; see docs/write-back.md.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be written, and touch nothing.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Write at most so many records; the next run goes on.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Write every record, whatever was written before: after fields were emptied in the CRM, say.")
    ] = False,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Write the newest predictions of open deals and customers to fields of Salesforce or HubSpot: what has moved, and nothing else.

    A record is written if one of its fields has moved beyond its dead band since it was last written. Deals that are closed by now, here or
    in the CRM, are left alone. Safe to interrupt and to start again.

    Exit code 0: all is written. 1: it failed; the next run goes on. 4: the CRM refused some records, and says why. 5: another process is at
    it.

    Examples: [bold]predictkpi write-back --to salesforce --mapping examples/salesforce-write-back.yaml --dry-run[/bold] ·
    [bold]HUBSPOT_TOKEN=... predictkpi write-back --to hubspot --mapping examples/hubspot-write-back.yaml --limit 10[/bold]
    """
    import os

    from predictkpi.cli.render import progress, remarks
    from predictkpi.errors import LockedError, MappingError
    from predictkpi.pipelines.open_store import open_filled_store
    from predictkpi.pipelines.webhooks import utc_now
    from predictkpi.pipelines.write_back import open_crm, plan, target_of
    from predictkpi.pipelines.write_back import write_back as run
    from predictkpi.pipelines.write_back_rules import read_write_back
    from predictkpi.settings import read_settings

    rules = read_write_back(mapping)
    if rules.target.get("kind") != to.value:
        raise MappingError(f"{mapping}: target.kind is {rules.target.get('kind')!r}, and --to is {to.value}")
    store = open_filled_store(read_settings())
    if dry_run:
        _show_plan(plan(store, rules, everything=everything), limit, format_)
        return
    crm = open_crm(rules, os.environ)
    try:
        with progress() as display:
            task = display.add_task("write-back", total=None, step="")

            def show(step: str, done: int, total: int) -> None:
                display.update(task, step=step, completed=done, total=total)

            parts = plan(store, rules, everything=everything)
            found = run(store, crm, parts, target=target_of(rules), now=utc_now, limit=limit, on_progress=show)
    except LockedError as error:
        remarks().print(str(error), markup=False)
        raise typer.Exit(LOCKED) from error
    _show_written(found, format_)
    if any(report.refused for report in found):
        raise typer.Exit(REFUSED)


def _show_plan(parts: list[Part], limit: int | None, format_: Format) -> None:
    from predictkpi.cli.render import NOTHING, machine, out, remarks, table

    found = _moves(parts, limit)
    if format_ is not Format.TABLE:
        machine(found, format_)
        return
    rows = [[NOTHING if cell is None or cell != cell else cell for cell in row] for row in found.astype(object).to_numpy().tolist()]
    headings = [("object", "left"), ("record", "left"), ("field", "left"), ("written", "right"), ("would be", "right")]
    if rows:
        out().print(table("Would be written (only what has moved; the record's other fields go with it)", headings, rows))
    for part in parts:
        counts = f"{len(part.changes):,} records to write, {part.same:,} within their dead bands, {part.closed:,} closed meanwhile"
        remarks().print(
            f"{part.rule.object}: {counts} ({part.rule.predictor} v{part.model_version}, {part.as_of:%Y-%m-%d})", highlight=False
        )


def _moves(parts: list[Part], limit: int | None) -> pd.DataFrame:
    """One row for each field that has moved, of the first so many records."""
    import pandas as pd

    first = [(part.rule.object, change) for part in parts for change in part.changes][:limit]
    rows = [
        (object_, change.record_id, name, change.before.get(name), change.values[name])
        for object_, change in first
        for name in change.moved
    ]
    return pd.DataFrame(rows, columns=["object", "record", "field", "written", "value"], dtype=object)


def _show_written(found: list[Written], format_: Format) -> None:
    import pandas as pd

    from predictkpi.cli.render import as_json, machine, out, remarks, table

    refused = [(one.part.rule.object, refusal.record_id, refusal.reason) for one in found for refusal in one.refused]
    columns = ["object", "written", "same", "closed", "refused", "as_of", "model_version"]
    rows = [
        (
            one.part.rule.object,
            one.written,
            one.part.same,
            one.part.closed + one.closed,
            len(one.refused),
            f"{one.part.as_of:%Y-%m-%d}",
            one.part.model_version,
        )
        for one in found
    ]
    if format_ is Format.JSON:
        told = [dict(zip(("object", "record", "reason"), one, strict=True)) for one in refused]
        typer.echo(as_json({"objects": [dict(zip(columns, row, strict=True)) for row in rows], "refused": told}))
    elif format_ is Format.CSV:
        machine(pd.DataFrame(rows, columns=columns), format_)
    else:
        headings = [(name.replace("_", " "), "right" if name in columns[1:5] else "left") for name in columns]
        out().print(table("Written back", headings, [list(row) for row in rows]))
    for object_, record, reason in refused[:REASONS_SHOWN]:
        remarks().print(f"{object_} {record} was refused: {reason}", style="red", markup=False, highlight=False)
    if len(refused) > REASONS_SHOWN:
        remarks().print(f"... and {len(refused) - REASONS_SHOWN} more; the next run tries them again", highlight=False)
