"""`predictkpi pipeline`: what the open deals will bring together."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from predictkpi.cli.options import AsOf, Format, FormatOption, instant

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

Only = list[str] | None


def pipeline(
    by: Annotated[str | None, typer.Option(help="One row per owner, team, region, segment, stage or expected_close_month.")] = None,
    horizon: Annotated[int | None, typer.Option(min=1, max=180, help="Count what is won within so many days. Default: 30.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Or before this day.")] = None,
    owner: Annotated[Only, typer.Option(help="Only this owner's deals; may be repeated, as the others below.")] = None,
    team: Annotated[Only, typer.Option(help="Only this team's.")] = None,
    region: Annotated[Only, typer.Option(help="Only this region's.")] = None,
    segment: Annotated[Only, typer.Option(help="Only those of customers of this segment.")] = None,
    stage: Annotated[Only, typer.Option(help="Only those in this stage.")] = None,
    as_of: AsOf = None,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Show what the open deals will bring: amount and number of wins, with the 80 % interval of each total.

    Examples: [bold]predictkpi pipeline --by owner[/bold] · [bold]predictkpi pipeline --by expected_close_month --until 2026-03-31[/bold]
    """
    import pandas as pd

    from predictkpi.cli.render import machine, out
    from predictkpi.errors import InsufficientDataError, SettingsError
    from predictkpi.pipelines.open_store import open_registry, open_store
    from predictkpi.predictors.close_time.portfolio import FILTERS, OpenDeals
    from predictkpi.predictors.close_time.spec import LAST_DAY
    from predictkpi.settings import read_settings

    if until is not None and horizon is not None:
        raise SettingsError("give either --until or --horizon, not both")
    settings = read_settings()
    store = open_store(settings)
    predictor, ref = open_registry(settings).champion("close_time")
    if store.is_empty:
        raise InsufficientDataError("the store is empty: load data with `predictkpi ingest`, or look around with `predictkpi demo`")
    snapshot = store.snapshot(instant(as_of, store))
    days = (pd.Timestamp(until) - snapshot.as_of) / pd.Timedelta(days=1) if until is not None else float(horizon or 30)
    if not 0 < days <= LAST_DAY:
        raise SettingsError(f"--until {until:%Y-%m-%d} must lie within {LAST_DAY} days after {snapshot.as_of:%Y-%m-%d}")
    wanted = {name: values for name, values in zip(FILTERS, (owner, team, region, segment, stage), strict=True) if values}
    found = OpenDeals.of(predictor, snapshot).where(wanted).portfolio(days, by=by)
    if format_ is not Format.TABLE:
        machine(found, format_)
        return
    console = out()
    if not len(found):
        console.print("no deal is open")
        return
    end = snapshot.as_of + pd.Timedelta(days=days)
    console.print(_table(found, by, f"Open deals: won before {end:%Y-%m-%d}, {snapshot.company.currency}"))
    console.print(f"{ref.kind} version {ref.version}, as of {snapshot.as_of:%Y-%m-%d}{f': {ref.reason}' if ref.reason else ''}")


def _table(found: pd.DataFrame, by: str | None, title: str) -> Table:
    from predictkpi.cli.render import amount, table

    money = ["open_amount", "weighted_amount", "amount_q10", "amount_q50", "amount_q90"]
    rows = [
        [
            row["group"],
            f"{row['open_deals']:,}",
            *[amount(row[name], "currency") for name in money],
            f"{row['wins_q10']:,.0f} to {row['wins_q90']:,.0f}",
        ]
        for row in found.to_dict("records")
    ]
    headings = [
        (by or "", "left"),
        ("open deals", "right"),
        *[(name.replace("_", " ").replace("amount q", "won q"), "right") for name in money],
    ]
    without = int(found["without_amount"].iloc[-1])
    caption = f"{without:,} deals have no amount: they count among the wins only" if without else ""
    return table(title, [*headings, ("wins q10 to q90", "right")], rows, caption=caption)
