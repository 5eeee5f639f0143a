"""`predictkpi doctor` and `readiness`: can these data be trusted, and are there enough of them? And the ways out of the rejects."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from predictkpi.cli.options import AsOf, Format, FormatOption, instant

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from predictkpi.snapshot import Snapshot
    from predictkpi.store import Store

ROWS_SHOWN = 50


def doctor(
    check: Annotated[str | None, typer.Option("--check", help="List the rows that this check finds, e.g. overdue_close.")] = None,
    as_of: AsOf = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows of a check in the table; json and csv give all of them.")] = ROWS_SHOWN,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Look for what cannot be right in the loaded data, with count and money at stake.

    Examples: [bold]predictkpi doctor[/bold] · [bold]predictkpi doctor --check overdue_close --format csv[/bold] ·
    [bold]predictkpi doctor --as-of 2024-07-01[/bold]
    """
    from predictkpi.cli.render import machine
    from predictkpi.pipelines.doctor import diagnose

    snapshot, rejected = _opened(as_of)
    diagnosis = diagnose(snapshot, checks=None if check is None else [check])
    if format_ is not Format.TABLE:
        machine(diagnosis.summary() if check is None else diagnosis.findings, format_)
    elif check is None:
        _show_summary(diagnosis.summary(), snapshot, rejected)
    else:
        _show_findings(diagnosis.findings, diagnosis.summary().iloc[0], limit, snapshot)


def readiness(as_of: AsOf = None, format_: FormatOption = Format.TABLE) -> None:
    """Say per predictor what data there are, what is needed, which rung of the ladder is in force and what would lift it.

    Examples: [bold]predictkpi readiness[/bold] · [bold]predictkpi readiness --format json[/bold]
    """
    from predictkpi.cli.render import machine, out, status, table
    from predictkpi.pipelines.readiness import readiness as measure
    from predictkpi.settings import read_settings

    snapshot, _ = _opened(as_of)
    found = measure(snapshot, models_dir=read_settings().models_dir)
    if format_ is not Format.TABLE:
        machine(found, format_)
        return
    columns = [
        ("predictor", "left"),
        ("status", "left"),
        ("count", "left"),
        ("have", "right"),
        ("need", "right"),
        ("what would lift it", "left"),
    ]
    rows = [
        [row.predictor, status(row.status), row.counted.replace("_", " "), f"{row.have:,}", f"{row.need:,}", row.lift or "enough"]
        for row in found.rename(columns={"count": "counted"}).itertuples()  # a tuple's own `count` hides a column of that name
    ]
    console = out()
    console.print(table(f"{snapshot.company.name}: readiness on {snapshot.as_of:%Y-%m-%d}", columns, rows))
    for row in found.drop_duplicates("predictor").itertuples():
        if row.reason:
            console.print(f"{row.predictor}: {row.reason}")


def _opened(as_of: datetime | None) -> tuple[Snapshot, int]:
    """The snapshot asked for, and how many rejects wait to be mended."""
    from predictkpi.errors import InsufficientDataError
    from predictkpi.pipelines.open_store import open_store
    from predictkpi.settings import read_settings

    store = open_store(read_settings())
    if store.is_empty:
        raise InsufficientDataError("the store is empty: load data with `predictkpi ingest`, or look around with `predictkpi demo`")
    return store.snapshot(instant(as_of, store)), store.count_rejects()


def _show_summary(summary: pd.DataFrame, snapshot: Snapshot, rejected: int) -> None:
    from predictkpi.cli.render import amount, out, remarks, table

    currency = snapshot.company.currency
    columns = [
        ("check", "left"),
        ("", "left"),
        ("found", "right"),
        ("of", "right"),
        (currency, "right"),
        ("threshold", "left"),
        ("such as", "left"),
    ]
    rows = [
        [row.check, row.title, f"{row.found:,}", f"{row.examined:,}", amount(row.money, "currency"), row.threshold, row.examples]
        for row in summary.rename(columns={"count": "found"}).itertuples()
    ]
    caption = "money: the amount of the deals found; of duplicated customers, their net orders"
    out().print(table(f"{snapshot.company.name}: state of the books on {snapshot.as_of:%Y-%m-%d}", columns, rows, caption=caption))
    if rejected:
        remarks().print(f"{rejected:,} rejected rows are not in the books: [bold]predictkpi rejects[/bold]")
    remarks().print("the rows of a check: [bold]predictkpi doctor --check NAME[/bold]")


def _show_findings(findings: pd.DataFrame, check: pd.Series, limit: int, snapshot: Snapshot) -> None:
    from predictkpi.cli.render import NOTHING, amount, out, remarks, table

    if findings.empty:
        remarks().print(f"{check['title']}: nothing found among {check['examined']:,} ({check['threshold']})")
        return
    columns = [("id", "left"), ("name", "left"), (snapshot.company.currency, "right"), ("", "left")]
    rows = [
        [row.entity_id, row.name if isinstance(row.name, str) else NOTHING, amount(row.money, "currency"), row.detail]
        for row in findings.head(limit).itertuples(index=False)
    ]
    title = f"{check['title']}: {len(findings):,} of {check['examined']:,}"
    caption = f"found by: {check['threshold']}. Way out: {check['way_out']}"
    out().print(table(title, columns, rows, caption=caption))
    if len(findings) > limit:
        remarks().print(f"the first {limit} of {len(findings):,}; all of them: [bold]--format csv[/bold]")


def export_rejects(store: Store, path: Path, *, chosen: dict[str, Any]) -> None:
    """Write the waiting rejects with their whole rows to a file, whose name says the format."""
    from predictkpi.cli.render import remarks
    from predictkpi.errors import SettingsError

    found = store.rejects(limit=None, with_records=True, **chosen).drop(columns="reject_id")
    if path.suffix not in (".csv", ".parquet"):
        raise SettingsError(f"--export {path}: name a .csv or a .parquet file")
    if path.suffix == ".csv":
        found.to_csv(path, index=False)
    else:
        found.to_parquet(path, index=False)
    remarks().print(f"{len(found):,} rejects written to {path}")


def replay_rejects(store: Store, *, mapping: Path | None, source: Path | None, chosen: dict[str, Any]) -> None:
    """Offer the waiting rejects again and say what became of them."""
    import pandas as pd

    from predictkpi.cli.render import out, remarks, table
    from predictkpi.errors import SettingsError
    from predictkpi.pipelines.replay import replay

    if mapping is None:
        raise SettingsError("--replay needs --mapping: the mended mapping")
    report = replay(store, mapping=mapping, now=pd.Timestamp.now("UTC"), source=source, **chosen)
    rejects = [("waiting", report.waiting), ("settled", report.settled), ("held back", report.held_back), ("left", report.left)]
    records = [(name, getattr(report.counts, name)) for name in ("records", "accepted", "unchanged", "rejected")]
    columns = [(name, "right") for name, _ in [*rejects, *records]]
    caption = "waiting = settled + held back + left; the settled ones made records = accepted + unchanged + rejected"
    out().print(table("Replayed", columns, [[f"{count:,}" for _, count in [*rejects, *records]]], caption=caption))
    for warning in report.warnings:
        remarks().print(f"[yellow]warning:[/] {warning}")
    if report.held_back:
        remarks().print("held back: later loads have spoken of the same rows; load the whole file again if it is right")
