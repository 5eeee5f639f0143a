"""`predictkpi forecast win_rate`: the months ahead of any KPI, in its unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from predictkpi.cli.options import Asked, Format, instant

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from predictkpi.kpis import Kpi


def show_kpi(name: str, asked: Asked) -> None:
    """Print the months of a KPI, of the total or of each member that ``asked.entity`` names."""
    import pandas as pd

    from predictkpi.cli.render import machine, out
    from predictkpi.core import columns as c
    from predictkpi.kpis import get_kpi
    from predictkpi.pipelines.kpi_forecast import forecast_kpi
    from predictkpi.pipelines.open_store import open_filled_store
    from predictkpi.settings import read_settings

    store = open_filled_store(read_settings())
    snapshot = store.snapshot(instant(asked.as_of, store))
    scopes = dict.fromkeys(asked.entity or [c.TOTAL])
    found = pd.concat([forecast_kpi(snapshot, name, scope=scope) for scope in scopes], ignore_index=True)
    found = found[found[c.HORIZON] <= asked.horizon] if asked.horizon else found
    if asked.format_ is not Format.TABLE:
        machine(found, asked.format_)
        return
    console = out()
    if found["mean"].notna().any():
        console.print(_table(get_kpi(name), found[found["mean"].notna()], snapshot.company.currency))
    told = found[found[c.REASON] != ""].drop_duplicates(c.SCOPE)
    for scope, status, reason in told[[c.SCOPE, c.STATUS, c.REASON]].itertuples(index=False):
        console.print(f"{scope}: {status}: {reason}", highlight=False, markup=False)
    console.print(f"each series by itself, by the engine of the revenue forecast, as of {snapshot.as_of:%Y-%m-%d}")


def _table(kpi: Kpi, found: pd.DataFrame, currency: str) -> Table:
    from predictkpi.cli.render import amount, status, table
    from predictkpi.core import columns as c

    shown = ("mean", "q10", "q50", "q90")
    rows = [
        [row[c.SCOPE], f"{row[c.DS]:%Y-%m}", *[amount(row[name], kpi.unit) for name in shown], status(row[c.STATUS])]
        for row in found.to_dict("records")
    ]
    headings = [("of", "left"), ("month", "right"), *[(name, "right") for name in shown], ("status", "left")]
    return table(f"{kpi.title['en']}, {currency if kpi.unit == 'currency' else kpi.unit}", headings, rows)
