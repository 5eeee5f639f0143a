"""`predictkpi reasons total --of revenue`: what each month ahead is made of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from textwrap import wrap
from typing import TYPE_CHECKING

from predictkpi.cli.options import Format, instant

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from predictkpi.pipelines.outlook import Forecasters

_WIDTH = 12
_FORECAST = {"en": "forecast", "de": "Prognose"}
_MONTH = {"en": "month", "de": "Monat"}


def show_months(scopes: Sequence[str], language: str, as_of: datetime | None, format_: Format) -> None:
    """Print one row a month and one column a step, for each scope; json and csv name the steps as the API does."""
    import pandas as pd

    from predictkpi.cli.outlook_tables import show_source, source_columns
    from predictkpi.cli.render import machine, out
    from predictkpi.core import columns as c
    from predictkpi.errors import InsufficientDataError
    from predictkpi.outlook.reasons import reasons
    from predictkpi.pipelines.open_store import open_filled_store, open_registry
    from predictkpi.pipelines.outlook import Forecasters
    from predictkpi.settings import read_settings

    settings = read_settings()
    store = open_filled_store(settings)
    snapshot = store.snapshot(instant(as_of, store))
    forecasters = Forecasters.of(open_registry(settings), snapshot.as_of)
    outlook = forecasters.outlook(snapshot)
    asked = list(dict.fromkeys(scopes))
    explained = forecasters.revenue.explain(forecasters.revenue.inputs(snapshot, entity_ids=asked))
    if explained.empty:
        ref = forecasters.models[0]
        raise InsufficientDataError(f"revenue {ref.kind} version {ref.version} has no reasons to give: {ref.reason}")
    found = {scope: reasons(outlook, explained, scope) for scope in asked}
    if format_ is not Format.TABLE:
        frame = pd.concat([months.assign(**{c.SCOPE: scope}) for scope, months in found.items()], ignore_index=True)
        frame = frame[[c.SCOPE, *frame.columns.drop(c.SCOPE)]]
        machine(frame.assign(as_of=outlook.as_of, **source_columns(outlook, forecasters)), format_)
        return
    console = out()
    for scope, months in found.items():
        console.print(_table(f"{scope}, {outlook.company.currency}", months, forecasters, language))
    show_source(console, outlook, forecasters, asked)


def _table(title: str, months: pd.DataFrame, forecasters: Forecasters, language: str) -> Table:
    from predictkpi.cli.render import amount, table
    from predictkpi.core import columns as c

    steps = list(months.columns.drop([c.DS, "forecast"]))
    titles = [*[forecasters.step_title(step, language) for step in steps], _FORECAST[language]]
    rows = [[f"{row[c.DS]:%Y-%m}", *[amount(row[name], "currency") for name in (*steps, "forecast")]] for row in months.to_dict("records")]
    headings = [(_MONTH[language], "left"), *[("\n".join(wrap(told, _WIDTH)), "right") for told in titles]]
    return table(title, headings, rows)
