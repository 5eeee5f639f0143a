"""`predictkpi ingest`, `rejects` and `kpis`: data in, and what it says so far."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from predictkpi.cli.options import AsOf, Format, FormatOption, instant

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from predictkpi.kpis import Kpi
    from predictkpi.pipelines.ingest_report import IngestReport
    from predictkpi.pipelines.sync import SyncReport
    from predictkpi.store import Store

REJECTS_SHOWN = 10
PERIODS_SHOWN = 6


KPI_LABELS_WIDTH, KPI_CELL_WIDTH = 52, 14
"""Characters that names and units take in the table of KPIs, and each period."""


def ingest(
    mapping: Annotated[Path, typer.Option(help="YAML that says which file feeds which table; see examples/.")],
    source: Annotated[Path, typer.Option(help="Folder that holds the files.")],
) -> None:
    """Load files into the store. Every row is accepted, unchanged or rejected with a reason; loading twice changes nothing.

    Example: [bold]predictkpi ingest --mapping examples/maven-crm.yaml --source ~/exports/crm[/bold]
    """
    from predictkpi.cli.render import remarks
    from predictkpi.pipelines.open_store import open_store
    from predictkpi.settings import read_settings

    report = run_ingest(open_store(read_settings()), mapping=mapping, source=source)
    show_ingest(report)
    if report.withdrawn:
        remarks().print(f"{report.withdrawn:,} records withdrawn that the files state as deleted")


def run_ingest(store: Store, *, mapping: Path, source: Path) -> IngestReport:
    """Ingest with a progress display."""
    import pandas as pd

    from predictkpi.cli.render import progress
    from predictkpi.pipelines.ingest import ingest as load

    with progress() as display:
        task = display.add_task("ingest", total=None, step="")

        def show(step: str, done: int, total: int) -> None:
            display.update(task, step=step, completed=done, total=total or None)

        return load(store, mapping=mapping, source=source, now=pd.Timestamp.now("UTC"), on_progress=show)


def show_ingest(report: IngestReport | SyncReport) -> None:
    """Counts by file, warnings, and the first rejects."""
    from predictkpi.cli.render import out, remarks, table

    counts = ("rows", "not_selected", "records", "accepted", "unchanged", "rejected")
    columns = [("file", "left"), ("table", "left"), *[(name.replace("_", " "), "right") for name in counts]]
    rows = [[feed.file, feed.table, *[f"{getattr(feed, name):,}" for name in counts]] for feed in report.feeds]
    console = out()
    console.print(table("Loaded", columns, rows, caption="records = accepted + unchanged + rejected; one row may make several records"))
    for warning in report.warnings:
        remarks().print(f"[yellow]warning:[/] {warning}")
    if len(report.rejects):
        first = report.rejects.head(REJECTS_SHOWN)
        headings = [(str(name), "left") for name in first.columns]
        console.print(table(f"First {len(first)} of {len(report.rejects):,} rejects", headings, first.astype(str).to_numpy().tolist()))
        remarks().print("all of them: [bold]predictkpi rejects --format csv[/bold]")


def rejects(
    limit: Annotated[int, typer.Option(min=1, help="Newest rejects to show.")] = 100,
    load: Annotated[int | None, typer.Option(help="Only those of this load.")] = None,
    table_: Annotated[str | None, typer.Option("--table", help="Only those for this table.")] = None,
    file: Annotated[str | None, typer.Option(help="Only those from this file or object.")] = None,
    export: Annotated[Path | None, typer.Option(help="Write all of them, with the whole rows, to this .csv or .parquet file.")] = None,
    replay: Annotated[bool, typer.Option("--replay", help="Offer the kept rows again through --mapping.")] = False,
    mapping: Annotated[Path | None, typer.Option(help="With --replay: the mended mapping.")] = None,
    source: Annotated[Path | None, typer.Option(help="With --replay: folder of files that the mapping looks things up in.")] = None,
    format_: FormatOption = Format.TABLE,
) -> None:
    """List rows that were set aside while loading, write them to a file, or offer them again once the mapping is mended.

    Examples: [bold]predictkpi rejects --table orders --export rejects.csv[/bold] ·
    [bold]predictkpi rejects --replay --mapping mended.yaml[/bold]
    """
    from predictkpi.cli.checks import export_rejects, replay_rejects
    from predictkpi.cli.render import machine, out, remarks, table
    from predictkpi.pipelines.open_store import open_store
    from predictkpi.settings import read_settings

    store = open_store(read_settings())
    chosen = {"load_id": load, "table": table_, "file": file}
    if replay:
        replay_rejects(store, mapping=mapping, source=source, chosen=chosen)
        return
    if export is not None:
        export_rejects(store, export, chosen=chosen)
        return
    found = store.rejects(limit, load_id=load, table=table_, file=file)
    if format_ is not Format.TABLE:
        machine(found, format_)
    elif len(found):
        out().print(table("Rejects", [(str(name), "left") for name in found.columns], found.astype(str).to_numpy().tolist()))
    else:
        remarks().print("no rejects")


def kpis(
    kpi: Annotated[list[str] | None, typer.Option("--kpi", help="One KPI by name; may be repeated. Default: all of them.")] = None,
    by: Annotated[str | None, typer.Option(help="Split by a dimension of the KPI, e.g. segment, region, channel.")] = None,
    freq: Annotated[str, typer.Option(help="Length of a period: W, M, Q or Y.")] = "M",
    as_of: AsOf = None,
    periods: Annotated[int, typer.Option(min=1, help="Newest periods in the table; json and csv give all of them.")] = PERIODS_SHOWN,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Show the KPIs as series of complete periods, as they were known at any past day.

    Examples: [bold]predictkpi kpis[/bold] · [bold]predictkpi kpis --kpi win_rate --by region --freq Q[/bold] ·
    [bold]predictkpi kpis --as-of 2024-07-01 --format csv[/bold]
    """
    import pandas as pd

    from predictkpi.cli.render import machine, out
    from predictkpi.core.periods import FREQS
    from predictkpi.errors import InsufficientDataError, UnknownNameError
    from predictkpi.kpis import get_kpi, kpi_names
    from predictkpi.pipelines.open_store import open_store
    from predictkpi.settings import read_settings

    if freq not in FREQS:
        raise UnknownNameError.among("period length", freq, known=FREQS)
    chosen = [get_kpi(name) for name in (kpi or kpi_names())]
    store = open_store(read_settings())
    if store.is_empty:
        raise InsufficientDataError("the store is empty: load data with `predictkpi ingest`, or look around with `predictkpi demo`")
    snapshot = store.snapshot(instant(as_of, store))
    # asked for all of them, a split shows those that have the dimension; asked for one, it says which it has
    wanted = [one for one in chosen if kpi or by is None or by in one.dimensions]
    series = [one.series(snapshot, freq=freq, by=by) for one in wanted]  # type: ignore[arg-type]
    if not series:
        raise UnknownNameError.among("dimension", str(by), known={name for one in chosen for name in one.dimensions})
    if format_ is not Format.TABLE:
        machine(pd.concat(series, ignore_index=True), format_)
        return
    console = out()
    console.print(_kpi_table(wanted, series, periods, currency=snapshot.company.currency, name=snapshot.company.name, width=console.width))


def _kpi_table(kpis: list[Kpi], series: list[pd.DataFrame], periods: int, *, currency: str, name: str, width: int) -> Table:
    """Rows: KPI and member, under a heading by family; columns: the newest periods, as many as fit. One KPI alone shows its intervals."""
    import pandas as pd

    from predictkpi.cli.render import NOTHING, amount, table
    from predictkpi.core import columns as c
    from predictkpi.core.types import Status

    newest = sorted({day for frame in series for day in frame[c.DS]})[-min(periods, max(1, (width - KPI_LABELS_WIDTH) // KPI_CELL_WIDTH)) :]
    rows, limited = [], False
    family = ""
    for kpi, frame in zip(kpis, series, strict=True):
        if len(kpis) > 1 and kpi.family != family:
            family = kpi.family
            rows.append([f"[bold]{family.replace('_', ' ').capitalize()}[/]"])
        unit = currency if kpi.unit == "currency" else kpi.unit
        for member, part in frame.groupby(c.MEMBER, sort=False):
            found = part.set_index(c.DS)
            cells = []
            for day in newest:
                if day not in found.index:
                    cells.append(NOTHING)
                    continue
                few = found.loc[day, c.STATUS] == Status.LIMITED
                limited |= bool(few)
                value, low, high = (amount(float(found.loc[day, name]), kpi.unit) for name in (c.VALUE, c.LOW, c.HIGH))
                interval = f" ({low} to {high})" if len(kpis) == 1 and {low, high} != {NOTHING} else ""
                cells.append(value + interval + (" *" if few else ""))
            rows.append([kpi.title["en"], member, unit, *cells])
    headings = [("KPI", "left"), ("of", "left"), ("unit", "left"), *[(f"{pd.Timestamp(day):%Y-%m-%d}", "right") for day in newest]]
    caption = "* fewer than 10 customers, deals or orders behind it, or a period that the data covers in part"
    return table(f"{name}: KPIs by period", headings, rows, caption=caption if limited else "")
