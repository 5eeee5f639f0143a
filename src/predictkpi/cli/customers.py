"""`predictkpi customers` and `channels`: what groups of customers will bring together, and what acquisition returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from predictkpi.cli.options import AsOf, Format, FormatOption, instant

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd
    from rich.table import Table

    from predictkpi.core.types import ModelRef
    from predictkpi.protocol import Predictor
    from predictkpi.snapshot import Snapshot

Only = list[str] | None
SHOWN_HORIZON = 12


def customers(
    by: Annotated[str | None, typer.Option(help="One row per segment, region, industry, channel or owner.")] = None,
    horizon: Annotated[
        int | None, typer.Option(help="3, 6, 12 or 24 months. Default: 12 in the table, all of them as json and csv.")
    ] = None,
    segment: Annotated[Only, typer.Option(help="Only customers of this segment; may be repeated, as the others below.")] = None,
    region: Annotated[Only, typer.Option(help="Only those of this region.")] = None,
    industry: Annotated[Only, typer.Option(help="Only those of this industry.")] = None,
    channel: Annotated[Only, typer.Option(help="Only those that this channel won.")] = None,
    owner: Annotated[Only, typer.Option(help="Only those whose newest deal this rep owns.")] = None,
    as_of: AsOf = None,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Show what customers will bring together: expected net revenue, with the 80 % interval of each total.

    Everybody counts, also accounts without an order. Groups add up to the total in each of the joint draws behind the intervals, so the
    total's interval is narrower than the sum of the groups', and wider than if customers had nothing in common.

    Examples: [bold]predictkpi customers --by segment[/bold] · [bold]predictkpi customers --by owner --region EMEA --horizon 24[/bold] ·
    [bold]predictkpi customers --by channel --format csv > value.csv[/bold]
    """
    from predictkpi.cli.render import machine, out
    from predictkpi.core import columns as c
    from predictkpi.errors import SettingsError
    from predictkpi.predictors.clv.groups import DIMENSIONS, CustomerBase
    from predictkpi.predictors.clv.model import ClvPredictor, horizon_days
    from predictkpi.predictors.clv.spec import SPEC

    if horizon is not None and horizon not in SPEC.horizons:
        raise SettingsError(f"--horizon {horizon}: {SPEC.horizons_in_words}")
    predictor, ref, snapshot = _served(as_of)
    wanted = {name: values for name, values in zip(DIMENSIONS, (segment, region, industry, channel, owner), strict=True) if values}
    found = CustomerBase.of(predictor, snapshot).where(wanted).totals(by=by)
    if format_ is not Format.TABLE:
        machine(found if horizon is None else found[found[c.HORIZON] == horizon], format_)
        return
    console = out()
    if not len(found):
        console.print("no customer fits")
        return
    months = horizon or SHOWN_HORIZON
    console.print(_totals(found[found[c.HORIZON] == months], by, f"Customers: net revenue in {months} months, {snapshot.company.currency}"))
    if isinstance(predictor, ClvPredictor):
        console.print(predictor.level_in_words(float(horizon_days(snapshot.as_of)[SPEC.horizons.index(months)])))
    console.print(_source(ref, snapshot))


def channels(as_of: AsOf = None, format_: FormatOption = Format.TABLE) -> None:
    """Show what acquisition channels return: LTV to CAC within 12 and 24 months, and the months until the cost is earned back.

    About the customers won in the last 12 complete months that spend speaks for. Their value counts from the first order: what has come,
    and what is expected up to month 12 and 24. The CAC is spend of those months, moved forward by its lag, per customer won. Revenue, not
    margin. Where a number does not exist, the last column says why.

    Examples: [bold]predictkpi channels[/bold] · [bold]predictkpi channels --as-of 2025-07-01 --format json[/bold]
    """
    from predictkpi.cli.render import machine, out
    from predictkpi.predictors.clv.channels import channel_returns

    predictor, ref, snapshot = _served(as_of)
    found = channel_returns(predictor, snapshot)
    if format_ is not Format.TABLE:
        machine(found.table, format_)
        return
    console = out()
    title = (
        f"Channels: customers won from {found.since:%Y-%m-%d} to before {found.until:%Y-%m-%d}, {snapshot.company.currency} per customer"
    )
    console.print(_returns(found.table, title, caption=f"spend moved forward by {found.lag} days"))
    console.print(_source(ref, snapshot))


def _served(as_of: datetime | None) -> tuple[Predictor, ModelRef, Snapshot]:
    from predictkpi.errors import InsufficientDataError
    from predictkpi.pipelines.open_store import open_registry, open_store
    from predictkpi.settings import read_settings

    settings = read_settings()
    store = open_store(settings)
    predictor, ref = open_registry(settings).champion("clv")
    if store.is_empty:
        raise InsufficientDataError("the store is empty: load data with `predictkpi ingest`, or look around with `predictkpi demo`")
    return predictor, ref, store.snapshot(instant(as_of, store))


def _source(ref: ModelRef, snapshot: Snapshot) -> str:
    return f"{ref.kind} version {ref.version}, as of {snapshot.as_of:%Y-%m-%d}{f': {ref.reason}' if ref.reason else ''}"


def _totals(found: pd.DataFrame, by: str | None, title: str) -> Table:
    from predictkpi.cli.render import amount, table

    money = ["mean", "q10", "q50", "q90", "discounted"]
    rows = [
        [
            row["group"],
            f"{row['customers']:,}",
            f"{row['without_order']:,}",
            *[amount(row[name], "currency") for name in money],
            f"{row['expected_purchases']:,.0f}",
        ]
        for row in found.to_dict("records")
    ]
    headings = ["customers", "without order", "expected", *money[1:], "purchases"]
    return table(title, [(by or "", "left"), *[(heading, "right") for heading in headings]], rows)


def _returns(found: pd.DataFrame, title: str, *, caption: str) -> Table:
    from predictkpi.cli.render import NOTHING, amount, table
    from predictkpi.predictors.clv.channels import LAST_MONTH

    def spread(row: dict[str, float], middle: str, prefix: str, unit: str) -> str:
        """``5.1 (4.2 to 6.0)``; with a CAC, only a payback can be missing: it lies beyond the last month."""
        if row["cac"] != row["cac"]:
            return NOTHING
        numbers = [row[middle], *(row[f"{prefix}_{level}"] for level in ("q10", "q90"))]
        told, low, high = (amount(value, unit) if value == value else f">{LAST_MONTH}" for value in numbers)
        return f"{told} ({low} to {high})"

    rows = [
        [
            row["channel"],
            f"{row['customers']:,}",
            amount(row["realised"], "currency"),
            amount(row["value_24_mean"], "currency"),
            amount(row["cac"], "currency"),
            spread(row, "ltv_to_cac_12_mean", "ltv_to_cac_12", "ratio"),
            spread(row, "ltv_to_cac_24_mean", "ltv_to_cac_24", "ratio"),
            spread(row, "payback_months", "payback", "months"),
            row["reason"],
        ]
        for row in found.to_dict("records")
    ]
    numbers = ["customers", "so far", "in 24 months", "CAC", "LTV:CAC 12 (80 %)", "LTV:CAC 24 (80 %)", "payback, months (80 %)"]
    return table(title, [("channel", "left"), *[(name, "right") for name in numbers], ("note", "left")], rows, caption=caption)
