"""`predictkpi changes`: what has moved a deal since last week."""

from __future__ import annotations

from typing import Annotated

import typer

from predictkpi.cli.options import AsOf, Format, FormatOption, instant


def changes(
    deal: Annotated[list[str], typer.Argument(help="Open deals by id.")],
    as_of: AsOf = None,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Show what has moved deals' chance to be won within 90 days since a week ago: data, time passing, a new model version.

    Example: [bold]predictkpi changes D-000123[/bold]
    """
    import pandas as pd

    from predictkpi.cli.render import NOTHING, machine, out, table
    from predictkpi.errors import InsufficientDataError
    from predictkpi.pipelines.changes import week_change
    from predictkpi.pipelines.open_store import open_registry, open_store
    from predictkpi.predictors.close_time.changes import HORIZON, Week
    from predictkpi.settings import read_settings

    settings = read_settings()
    store, registry = open_store(settings), open_registry(settings)
    predictor, ref = registry.champion("close_time")
    if store.is_empty:
        raise InsufficientDataError("the store is empty: load data with `predictkpi ingest`, or look around with `predictkpi demo`")
    week = Week.before(store.snapshot(instant(as_of, store)))
    found = [week_change(store, registry, deal_id, week, predictor=predictor, ref=ref) for deal_id in deal]
    names = ("before", "now", "data", "time", "model")
    if format_ is not Format.TABLE:
        rows = [
            {"entity_id": one.change.entity_id, "since": one.change.since, "as_of": one.change.as_of, "horizon": HORIZON}
            | {name: getattr(one.change, name) for name in names}
            | {"version_before": one.version_before, "notes": "; ".join(one.notes)}
            for one in found
        ]
        machine(pd.DataFrame(rows), format_)
        return

    def points(value: float | None, *, signed: bool = True) -> str:
        return NOTHING if value is None else f"{value * 100:{'+' if signed else ''}.1f}"

    cells = [
        [one.change.entity_id, *(points(getattr(one.change, name), signed=name not in ("before", "now")) for name in names)]
        for one in found
    ]
    title = f"Won within {HORIZON} days, %: {week.then.as_of:%Y-%m-%d} against {week.now.as_of:%Y-%m-%d}"
    console = out()
    console.print(table(title, [("deal", "left"), *[(name, "right") for name in names]], cells))
    for note in dict.fromkeys(note for one in found for note in one.notes):
        console.print(note, highlight=False)
