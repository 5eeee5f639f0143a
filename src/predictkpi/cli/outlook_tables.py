"""An outlook for people, as tables, and for machines, as flat frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console
    from rich.table import Table

    from predictkpi.outlook import Outlook
    from predictkpi.outlook.moves import Moves
    from predictkpi.outlook.periods import Part, PeriodOutlook
    from predictkpi.pipelines.outlook import Forecasters

DEALS_SHOWN = 10
GROWTHS = {"previous": "on the period before", "year_before": "on the year before", "cagr": "per year (CAGR)"}
Column = tuple[str, str]


def show_periods(
    console: Console, shown: Sequence[PeriodOutlook], plain: Sequence[PeriodOutlook] | None, outlook: Outlook, forecasters: Forecasters
) -> None:
    """Four tables: the number, its parts, growth, and a scenario beside what holds without it (``plain``)."""
    if not shown:
        console.print("no period can be summed: the forecast does not reach to the end of any that was asked for")
        return
    named = len({one.scope for one in shown}) > 1 or shown[0].scope != "total"
    currency = outlook.company.currency
    console.print(_number_table(shown, named, f"Will we make the number? {outlook.company.name}, {currency}"))
    console.print(_parts_table(shown, named, f"From what, {currency}: the three parts add up to what is expected"))
    if any(one.growth for one in shown):
        console.print(_growth_table(shown, named, "Growth: middle and 80 % interval"))
    if plain is not None:
        console.print(_scenario_table(shown, plain, named, f"The scenario beside the plain outlook, {currency}"))
    show_source(console, outlook, forecasters, list(dict.fromkeys(one.scope for one in shown)))


def show_moves(console: Console, found: Sequence[tuple[str, Moves]], outlook: Outlook, forecasters: Forecasters) -> None:
    """A waterfall a scope and period, each with the deals that moved it most."""
    from predictkpi.cli.render import amount, table

    for period, one in found:
        console.print(f"[bold]What moved since {one.since:%Y-%m-%d}: {one.scope}, {_words(period)}, {outlook.company.currency}[/]")
        rows = [["expected then", amount(one.start, "currency")], *[[step, _change(change)] for step, change in one.steps.items()]]
        console.print(table("", [("step", "left"), ("revenue", "right")], [*rows, ["expected now", amount(one.end, "currency")]]))
        if len(one.deals):
            console.print(_deals_table(one))
    show_source(console, outlook, forecasters, list(dict.fromkeys(one.scope for _, one in found)))


def periods_frame(
    shown: Sequence[PeriodOutlook], plain: Sequence[PeriodOutlook] | None, outlook: Outlook, forecasters: Forecasters
) -> pd.DataFrame:
    """One row a scope and period; under a scenario with ``plain_expected``, ``plain_chance`` and ``change``."""
    import pandas as pd

    rows = [_flat(one, outlook, forecasters) for one in shown]
    if plain is not None:
        for row, before in zip(rows, plain, strict=True):
            row |= {"plain_expected": before.mean, "plain_chance": before.chance, "change": row["expected"] - before.mean}
    return pd.DataFrame(rows)


def moves_frame(found: Sequence[tuple[str, Moves]]) -> pd.DataFrame:
    """``start``, each step and ``end`` without a deal, and each deal with its step; steps of no deal and those of deals add up alike."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for period, one in found:
        place = {"scope": one.scope, "period": period, "since": one.since, "as_of": one.as_of}
        rows += [place | {"step": step, "change": value} for step, value in [("start", one.start), *one.steps.items(), ("end", one.end)]]
        rows += [place | {str(name): value for name, value in row.items()} for row in one.deals.to_dict("records")]
    columns = ["scope", "period", "since", "as_of", "step", "deal_id", "name", "before", "after", "change"]
    return pd.DataFrame(rows, columns=columns)


def _flat(one: PeriodOutlook, outlook: Outlook, forecasters: Forecasters) -> dict[str, Any]:
    status, reason = forecasters.standing(outlook, one.scope)
    growth = {f"growth_{name}_{level}": value for name, levels in one.growth.items() for level, value in levels.items()}
    parts = {f"{name}_{key}": value for name in ("from_deals", "new") for key, value in vars(getattr(one, name)).items()}
    return {
        "scope": one.scope,
        "period": one.name,
        "start": one.start,
        "end": one.end,
        "as_of": outlook.as_of,
        "expected": one.mean,
        "commit": one.commit,
        "most_likely": one.most_likely,
        "best_case": one.best_case,
        **{level: one.quantiles[level] for level in ("q025", "q975")},
        "booked": one.booked,
        **parts,
        "weighted_pipeline": one.weighted_pipeline,
        "target": one.target.value if one.target else None,
        **{name: getattr(one, name) for name in ("chance", "needed", "pace", "coverage")},
        **growth,
        "status": status.value,
        "reason": reason,
        **source_columns(outlook, forecasters),
    }


def source_columns(outlook: Outlook, forecasters: Forecasters) -> dict[str, str]:
    """Whether the deals help, and by which versions, for machines."""
    models = " ".join(f"{ref.predictor}={ref.version}" for ref in forecasters.models)
    return {"verdict": outlook.trust.verdict, "models": models}


def _number_table(shown: Sequence[PeriodOutlook], named: bool, title: str) -> Table:
    from predictkpi.cli.render import amount, table

    rows = [
        [
            *_place(one, named),
            *[amount(value, "currency") for value in (one.mean, one.commit, one.most_likely, one.best_case)],
            amount(one.target.value if one.target else None, "currency"),
            amount(one.chance, "share"),
            amount(one.needed, "currency"),
            amount(one.pace, "share"),
            amount(one.coverage, "ratio"),
        ]
        for one in shown
    ]
    numbers = ["expected", "commit", "most likely", "best case", "target", "chance", "needed", "pace", "coverage"]
    caption = "" if any(one.target for one in shown) else "no target: map a file to the table `targets` to see the chance to hit it"
    return table(title, [*_headings(named), *_right(numbers)], rows, caption=caption)


def _parts_table(shown: Sequence[PeriodOutlook], named: bool, title: str) -> Table:
    from predictkpi.cli.render import amount, table

    def spread(part: Part) -> list[str]:
        return [amount(part.mean, "currency"), f"{amount(part.q10, 'currency')} to {amount(part.q90, 'currency')}"]

    rows = [
        [
            *_place(one, named),
            amount(one.booked, "currency"),
            *spread(one.from_deals),
            *spread(one.new),
            amount(one.weighted_pipeline, "currency"),
        ]
        for one in shown
    ]
    numbers = ["booked", "from open deals", "80 %", "not yet created", "80 %", "weighted pipeline"]
    caption = "beside them, as a CRM counts: amount x chance of the stage, by the rep's date"
    return table(title, [*_headings(named), *_right(numbers)], rows, caption=caption)


def _growth_table(shown: Sequence[PeriodOutlook], named: bool, title: str) -> Table:
    from predictkpi.cli.render import NOTHING, spread, table

    def told(one: PeriodOutlook, name: str) -> str:
        if name not in one.growth:
            return NOTHING
        return spread([one.growth[name][level] for level in ("q50", "q10", "q90")], "share")

    kinds = [name for name in GROWTHS if any(name in one.growth for one in shown)]
    rows = [[*_place(one, named), *[told(one, name) for name in kinds]] for one in shown]
    return table(title, [*_headings(named), *_right([GROWTHS[name] for name in kinds])], rows)


def _scenario_table(shown: Sequence[PeriodOutlook], plain: Sequence[PeriodOutlook], named: bool, title: str) -> Table:
    from predictkpi.cli.render import amount, table

    rows = [
        [
            *_place(one, named),
            *[amount(value, "currency") for value in (before.mean, one.mean)],
            _change(one.mean - before.mean),
            *[amount(value, "share") for value in (before.chance, one.chance)],
        ]
        for before, one in zip(plain, shown, strict=True)
    ]
    numbers = ["expected, plain", "in the scenario", "change", "chance, plain", "in the scenario"]
    return table(title, [*_headings(named), *_right(numbers)], rows)


def _deals_table(one: Moves) -> Table:
    from predictkpi.cli.render import NOTHING, amount, table

    rows = [
        [
            row["deal_id"],
            row["name"] if isinstance(row["name"], str) else NOTHING,
            row["step"],
            *[amount(row[name], "currency") for name in ("before", "after")],
            _change(row["change"]),
        ]
        for row in one.deals.head(DEALS_SHOWN).to_dict("records")
    ]
    caption = f"{len(rows)} of {len(one.deals)}: the largest changes first" if len(one.deals) > len(rows) else ""
    headings = [("deal", "left"), ("name", "left"), ("step", "left"), *_right(["expected then", "expected now", "change"])]
    return table("By deal", headings, rows, caption=caption)


def show_source(console: Console, outlook: Outlook, forecasters: Forecasters, scopes: Sequence[str]) -> None:
    """What is below the full rung, whether the deals help, and by which versions."""
    from predictkpi.core.types import Status

    lowered: dict[str, list[str]] = {}
    for scope in scopes:
        status, reason = forecasters.standing(outlook, scope)
        if status is not Status.FULL:
            lowered.setdefault(f"{status.value}: {reason}", []).append(scope)
    for told, whose in lowered.items():
        console.print(f"{', '.join(whose)}: {told}", highlight=False, markup=False)
    console.print(outlook.trust.verdict, highlight=False, markup=False)
    versions = ", ".join(f"{ref.predictor} {ref.kind} version {ref.version}" for ref in forecasters.models)
    console.print(f"{versions}, as of {outlook.as_of:%Y-%m-%d}")


def _place(one: PeriodOutlook, named: bool) -> list[str]:
    return [*([one.scope] if named else []), _words(one.name), f"{one.start:%Y-%m-%d}"]


def _headings(named: bool) -> list[Column]:
    return [*([("of", "left")] if named else []), ("period", "left"), ("from", "left")]


def _right(names: Sequence[str]) -> list[Column]:
    return [(name, "right") for name in names]


def _words(period: str) -> str:
    return period.replace("_", " ")


def _change(value: float) -> str:
    from predictkpi.cli.render import amount

    return f"{'+' if value >= 0 else ''}{amount(value, 'currency')}"
