"""`predictkpi alerts` and `trends`: what came out otherwise than expected, and what is going up or down for good."""

from __future__ import annotations

from typing import Annotated

import typer

from predictkpi.cli.options import AsOf, Format, FormatOption, instant

ALERTS_FOUND = 3
VERDICT_STYLES = {"better": "green", "worse": "red"}


def alerts(
    kpi: Annotated[list[str] | None, typer.Option("--kpi", help="One KPI by name; may be repeated. Default: all of them.")] = None,
    as_of: AsOf = None,
    periods: Annotated[
        int, typer.Option(min=1, help="Newest closed months to watch, and the fiscal quarters that end with one of them.")
    ] = 12,
    everything: Annotated[bool, typer.Option("--all", help="Every watched period, not the alerts alone.")] = False,
    fail: Annotated[bool, typer.Option("--fail", help=f"Exit with code {ALERTS_FOUND} if there are alerts, for scheduled runs.")] = False,
    format_: FormatOption = Format.TABLE,
) -> None:
    """List closed months and quarters whose KPI lies outside the interval that was forecast for it before they began.

    How wide the interval is stands in models/alerts.yaml. Exit code 0, also with alerts, unless [bold]--fail[/bold] is given.

    Examples: [bold]predictkpi alerts[/bold] · [bold]predictkpi alerts --kpi revenue --kpi win_rate --periods 3 --fail[/bold] ·
    [bold]predictkpi alerts --all --as-of 2024-07-01 --format csv[/bold]
    """
    from predictkpi.cli.render import amount, machine, out, remarks, table
    from predictkpi.core import columns as c
    from predictkpi.kpis import get_kpi
    from predictkpi.pipelines.alerts import AlertRule, watched
    from predictkpi.pipelines.open_store import open_filled_store
    from predictkpi.pipelines.rules import ALERTS, read_rule
    from predictkpi.settings import read_settings

    settings = read_settings()
    chosen = [get_kpi(name).name for name in kpi] if kpi else None
    store = open_filled_store(settings)
    snapshot = store.snapshot(instant(as_of, store))
    rule = read_rule(AlertRule, settings.models_dir / ALERTS)
    found = watched(snapshot, chosen, periods=periods, rule=rule)
    count, told = int(found["is_alert"].sum()), int((found["direction"] != "").sum())
    shown = found if everything else found[found["is_alert"]]
    if format_ is not Format.TABLE:
        machine(shown, format_)
    elif len(shown):
        rows = [
            [
                row[c.KPI],
                f"{'quarter from ' if row[c.FREQ] == 'Q' else ''}{row[c.DS]:%Y-%m}",
                *[amount(row[column], get_kpi(row[c.KPI]).unit) for column in (c.VALUE, "expected", "low", "high")],
                f"[{VERDICT_STYLES.get(row['verdict'], 'default')}]{row['direction']}[/]",
                row[c.REASON],
            ]
            for row in shown.to_dict("records")
        ]
        headings = [("KPI", "left"), ("period", "left"), *[(name, "right") for name in ("value", "expected", "low", "high")]]
        levels = f"{rule.level:.0%} interval of a month, {rule.quarter_level:.0%} of a quarter"
        title = f"{snapshot.company.name}: against what was forecast before ({levels})"
        out().print(table(title, [*headings, ("side", "left"), ("remark", "left")], rows))
    remarks().print(f"{count} alerts in {told} periods that could be judged, of {len(found)} watched")
    if fail and count:
        raise typer.Exit(ALERTS_FOUND)


def trends(
    kpi: Annotated[list[str] | None, typer.Option("--kpi", help="One KPI by name; may be repeated. Default: all of them.")] = None,
    as_of: AsOf = None,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Show the trend of each KPI, with a test that fits months which follow one another.

    Examples: [bold]predictkpi trends[/bold] · [bold]predictkpi trends --kpi revenue --format json[/bold]
    """
    from predictkpi.cli.render import NOTHING, amount, machine, out, table
    from predictkpi.core import columns as c
    from predictkpi.kpis import get_kpi
    from predictkpi.kpis.trends import trends as trends_of
    from predictkpi.pipelines.open_store import open_filled_store
    from predictkpi.settings import read_settings

    chosen = [get_kpi(name).name for name in kpi] if kpi else None
    store = open_filled_store(read_settings())
    found = trends_of(store.snapshot(instant(as_of, store)), chosen)
    if format_ is not Format.TABLE:
        machine(found, format_)
        return
    rows = []
    for row in found.to_dict("records"):
        unit, style = get_kpi(row[c.KPI]).unit, VERDICT_STYLES.get(row["verdict"], "default")
        p_value = f"{row['p_value']:.3f}" if row["p_value"] == row["p_value"] else NOTHING
        figures = [amount(row[column], unit) for column in ("per_year", "low", "high")]
        direction = row["direction"] if p_value != NOTHING else NOTHING
        rows.append([row[c.KPI], str(row["months"]), *figures, p_value, f"[{style}]{direction}[/]", row[c.REASON]])
    headings = [("KPI", "left"), *[(name, "right") for name in ("months", "change a year", "low", "high", "p-value")]]
    out().print(table("Trends, with 95 % intervals", [*headings, ("trend at 5 %", "left"), ("remark", "left")], rows))
