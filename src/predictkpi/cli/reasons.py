"""`predictkpi reasons`: what speaks for and against a deal, or a customer's value, and what a month's revenue is made of."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from predictkpi.cli.options import AsOf, Format, FormatOption, instant

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table


class Of(StrEnum):
    """Predictors that give reasons."""

    CLOSE_TIME = "close_time"
    CLV = "clv"
    REVENUE = "revenue"


# statistic -> what is said of it, and what its contributions are multiplied with
_SHOWN = {
    "cif_won": ("won within 90 days, % points", 100.0),
    "close_q50": ("close date, days", 1.0),
    "mean": ("net revenue within 12 months, {currency}", 1.0),
}
_WITHOUT = {
    Of.CLOSE_TIME: "goes by curves of stage and age alone: it has no further reasons to give",
    Of.CLV: "carries mean spend on: it has no further reasons to give",
}


def reasons(
    entity: Annotated[list[str], typer.Argument(help="Open deals, or customers, by id; for revenue total, or members: region=EMEA.")],
    of: Annotated[Of, typer.Option("--of", help="close_time for deals, clv for customers, revenue for the months ahead.")] = Of.CLOSE_TIME,
    language: Annotated[str, typer.Option(help="en or de.")] = "en",
    as_of: AsOf = None,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Show what speaks for and against deals or customers, or what the months of revenue ahead are made of.

    Of deals: percentage points of the chance to be won within 90 days, and days of the close date. Of customers: net revenue expected
    within 12 months. Each column adds up to the prediction, from the usual deal or customer on. Of revenue: each month adds up to what
    the outlook expects, from the level of the last year on. Examples: [bold]predictkpi reasons D-000123 --language de[/bold] ·
    [bold]predictkpi reasons C-0001 --of clv[/bold] · [bold]predictkpi reasons total --of revenue[/bold]
    """
    from predictkpi.cli.render import machine, out
    from predictkpi.cli.revenue_reasons import show_months
    from predictkpi.core import columns as c
    from predictkpi.errors import InsufficientDataError, SettingsError
    from predictkpi.pipelines.open_store import open_registry, open_store
    from predictkpi.settings import read_settings

    if language not in ("en", "de"):
        raise SettingsError(f"--language {language!r}: there are en and de")
    if of is Of.REVENUE:
        show_months(entity, language, as_of, format_)
        return
    settings = read_settings()
    store, registry = open_store(settings), open_registry(settings)
    predictor, ref = registry.champion(of.value)
    if store.is_empty:
        raise InsufficientDataError("the store is empty: load data with `predictkpi ingest`, or look around with `predictkpi demo`")
    snapshot = store.snapshot(instant(as_of, store))
    found = predictor.explain(predictor.inputs(snapshot, entity_ids=entity))
    if found.empty:
        raise InsufficientDataError(f"{of.value} {ref.version} {_WITHOUT[of]}")
    found["title"] = [predictor.reason_title(name, language) for name in found["feature"]]
    if format_ is not Format.TABLE:
        machine(found, format_)
        return
    for entity_id, part in found.groupby(c.ENTITY_ID, sort=False):
        out().print(_table(f"{predictor.spec.entity.capitalize()} {entity_id}", part, snapshot.company.currency))


def _table(title: str, part: pd.DataFrame, currency: str) -> Table:
    """The reasons of one entity, the weightiest first, and their sum."""
    from predictkpi.cli.render import table
    from predictkpi.core import columns as c
    from predictkpi.protocol import BASELINE

    wide = part.pivot(index="feature", columns=c.STATISTIC, values="contribution")
    titles = part.drop_duplicates("feature").set_index("feature")["title"]
    shown = [name for name in _SHOWN if name in wide]
    order = [BASELINE, *wide.drop(index=BASELINE)[shown[0]].abs().sort_values(ascending=False).index]
    cells = [[titles[name], *(f"{wide.at[name, one] * _SHOWN[one][1]:+,.1f}" for one in shown)] for name in order]
    cells.append(["prediction", *(f"{wide[one].sum() * _SHOWN[one][1]:,.1f}" for one in shown)])
    return table(title, [("reason", "left"), *((_SHOWN[one][0].format(currency=currency), "right") for one in shown)], cells)
