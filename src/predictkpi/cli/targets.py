"""`predictkpi targets`: what was promised, and how it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from predictkpi.cli.options import AsOf, Format, FormatOption, instant

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

PERIODS_SHOWN = 3
LIGHT_STYLES = {"green": "green", "amber": "yellow", "red": "red"}


def targets(
    kpi: Annotated[list[str] | None, typer.Option("--kpi", help="One KPI by name; may be repeated. Default: all with a target.")] = None,
    freq: Annotated[
        str | None, typer.Option(help="Length of a period: D, W, M, Q or Y; other targets are spread or added up. Default: as written.")
    ] = None,
    as_of: AsOf = None,
    periods: Annotated[int, typer.Option(min=1, help="Newest periods in the table; json and csv give all of them.")] = PERIODS_SHOWN,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Show targets with attainment, gap, pace and a light; the bands of the light are in models/targets.yaml.

    The pace of a running period is the attainment it is heading for, judged by what earlier periods had reached by the same day.

    Examples: [bold]predictkpi targets[/bold] · [bold]predictkpi targets --kpi revenue --freq Q[/bold] ·
    [bold]predictkpi targets --as-of 2024-07-10 --format csv[/bold]
    """
    from predictkpi.cli.render import machine, out, remarks
    from predictkpi.core.periods import FREQS
    from predictkpi.errors import UnknownNameError
    from predictkpi.kpis import get_kpi
    from predictkpi.kpis.attainment import Bands, attainments
    from predictkpi.pipelines.open_store import open_filled_store
    from predictkpi.pipelines.rules import TARGETS, read_rule
    from predictkpi.settings import read_settings

    if freq is not None and freq not in FREQS:
        raise UnknownNameError.among("period length", freq, known=FREQS)
    settings = read_settings()
    chosen = [get_kpi(name).name for name in kpi] if kpi else None
    store = open_filled_store(settings)
    snapshot = store.snapshot(instant(as_of, store))
    bands = read_rule(Bands, settings.models_dir / TARGETS)
    found = attainments(snapshot, kpis=chosen, freq=freq, bands=bands)  # type: ignore[arg-type]
    if format_ is not Format.TABLE:
        machine(found, format_)
    elif len(found):
        out().print(_target_table(found, periods, currency=snapshot.company.currency, name=snapshot.company.name))
    else:
        remarks().print("no targets for a period that has begun: map a file to the table `targets`, see docs/mapping.md")


def _target_table(found: pd.DataFrame, periods: int, *, currency: str, name: str) -> Table:
    from predictkpi.cli.render import NOTHING, amount, table
    from predictkpi.core import columns as c
    from predictkpi.kpis import get_kpi, kpi_names

    rows = []
    for row in found.groupby([c.KPI, c.SCOPE, c.FREQ], sort=False).tail(periods).to_dict("records"):
        unit = get_kpi(row[c.KPI]).unit if row[c.KPI] in kpi_names() else "ratio"
        usual = f"{amount(row['usual'], 'share')} ({amount(row['usual_low'], 'share')} to {amount(row['usual_high'], 'share')})"
        style = LIGHT_STYLES.get(row["light"])
        rows.append(
            [
                row[c.KPI],
                row[c.SCOPE],
                f"{row[c.FREQ]} {row[c.DS]:%Y-%m-%d}" + (" running" if row["is_running"] else ""),
                *[amount(row[column], unit) for column in ("target", "actual", "gap")],
                amount(row["attainment"], "share"),
                usual if row["usual"] == row["usual"] else NOTHING,
                amount(row["pace"], "share"),
                f"[{style}]{row['light']}[/]" if style else NOTHING,
                row[c.REASON],
            ]
        )
    names = ("KPI", "of", "period"), ("target", "actual", "gap", "attained", "usual by this day", "pace"), ("light", "remark")
    headings = [(heading, side) for side, group in zip(("left", "right", "left"), names, strict=True) for heading in group]
    return table(f"{name}: targets ({currency} where money)", headings, rows)
