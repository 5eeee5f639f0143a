"""`predictkpi forecast revenue --freq W`: level and growth by week or fiscal quarter, from the paths of the outlook."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from predictkpi.cli.options import Asked, Format, Length, instant

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from predictkpi.core.periods import Freq

_WORDS = {"W": "week", "Q": "fiscal quarter"}


def show_levels(length: Length, asked: Asked) -> None:
    """Print each period of the scopes that ``asked.by`` or ``asked.entity`` choose, the total by default."""
    import pandas as pd

    from predictkpi.cli.outlook_tables import show_source, source_columns
    from predictkpi.cli.render import machine, out
    from predictkpi.core import columns as c
    from predictkpi.outlook.levels import levels
    from predictkpi.pipelines.open_store import open_filled_store, open_registry
    from predictkpi.pipelines.outlook import Forecasters
    from predictkpi.settings import read_settings

    freq = cast("Freq", length.value)
    settings = read_settings()
    store = open_filled_store(settings)
    snapshot = store.snapshot(instant(asked.as_of, store))
    forecasters = Forecasters.of(open_registry(settings), snapshot.as_of)
    outlook = forecasters.outlook(snapshot)
    scopes = outlook.chosen(asked.entity, asked.by)
    found = pd.concat([levels(outlook, snapshot, scope, freq).head(asked.horizon) for scope in scopes], ignore_index=True)
    if asked.format_ is not Format.TABLE:
        standing = {scope: forecasters.standing(outlook, scope) for scope in scopes}
        found[c.STATUS] = [standing[scope][0].value for scope in found[c.SCOPE]]
        found[c.REASON] = [standing[scope][1] for scope in found[c.SCOPE]]
        machine(found.assign(as_of=outlook.as_of, **source_columns(outlook, forecasters)), asked.format_)
        return
    top = list(found.groupby(c.SCOPE)["mean"].sum().nlargest(asked.limit).index)
    console = out()
    caption = f"{len(top)} of {len(scopes)}: highest first" if len(scopes) > len(top) else ""
    title = f"Revenue by {_WORDS[freq]}, {outlook.company.currency}: the outlook's, open deals included; growth with its 80 % interval"
    console.print(_table(title, found, top, freq, caption))
    show_source(console, outlook, forecasters, top)


def _table(title: str, found: pd.DataFrame, scopes: list[str], freq: Freq, caption: str) -> Table:
    from predictkpi.cli.outlook_tables import GROWTHS
    from predictkpi.cli.render import amount, spread, table
    from predictkpi.core import columns as c
    from predictkpi.outlook.levels import GROWTHS as BASES

    rows = [
        [
            scope,
            f"{row[c.DS]:%Y-%m-%d}",
            *[amount(row[name], "currency") for name in ("mean", "q10", "q90")],
            *[spread([row[f"growth_{base}_{level}"] for level in ("q50", "q10", "q90")], "share") for base in BASES],
        ]
        for scope in scopes
        for row in found[found[c.SCOPE] == scope].to_dict("records")
    ]
    numbers = [f"{_WORDS[freq]} from", "mean", "q10", "q90", *[GROWTHS[base] for base in BASES]]
    return table(title, [("series", "left"), *[(name, "right") for name in numbers]], rows, caption=caption)
