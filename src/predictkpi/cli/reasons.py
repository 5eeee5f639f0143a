"""`predictkpi reasons`: what speaks for and against a deal."""

from __future__ import annotations

from typing import Annotated

import typer

from predictkpi.cli.options import AsOf, Format, FormatOption, instant


def reasons(
    deal: Annotated[list[str], typer.Argument(help="Open deals by id.")],
    language: Annotated[str, typer.Option(help="en or de.")] = "en",
    as_of: AsOf = None,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Show what speaks for and against deals: percentage points of the chance to be won within 90 days, and days of the close date.

    Each column adds up to the prediction, from the usual open deal on. Example: [bold]predictkpi reasons D-000123 --language de[/bold]
    """
    from predictkpi.cli.render import machine, out, table
    from predictkpi.core import columns as c
    from predictkpi.errors import InsufficientDataError, SettingsError
    from predictkpi.pipelines.open_store import open_registry, open_store
    from predictkpi.protocol import BASELINE
    from predictkpi.settings import read_settings

    if language not in ("en", "de"):
        raise SettingsError(f"--language {language!r}: there are en and de")
    settings = read_settings()
    store, registry = open_store(settings), open_registry(settings)
    predictor, ref = registry.champion("close_time")
    if store.is_empty:
        raise InsufficientDataError("the store is empty: load data with `predictkpi ingest`, or look around with `predictkpi demo`")
    found = predictor.explain(predictor.inputs(store.snapshot(instant(as_of, store)), entity_ids=deal))
    if found.empty:
        raise InsufficientDataError(f"close_time {ref.version} goes by curves of stage and age alone: it has no further reasons to give")
    found["title"] = [predictor.reason_title(name, language) for name in found["feature"]]
    if format_ is not Format.TABLE:
        machine(found, format_)
        return
    for deal_id, part in found.groupby(c.ENTITY_ID, sort=False):
        wide = part.pivot(index="feature", columns=c.STATISTIC, values="contribution")
        titles = part.drop_duplicates("feature").set_index("feature")["title"]
        order = [BASELINE, *wide.drop(index=BASELINE)["cif_won"].abs().sort_values(ascending=False).index]
        cells = [[titles[name], f"{wide.at[name, 'cif_won'] * 100:+.1f}", f"{wide.at[name, 'close_q50']:+.1f}"] for name in order]
        total = wide.sum()
        cells.append(["prediction", f"{total['cif_won'] * 100:.1f}", f"{total['close_q50']:.1f}"])
        columns = [("reason", "left"), ("won within 90 days, % points", "right"), ("close date, days", "right")]
        out().print(table(f"Deal {deal_id}", columns, cells))
