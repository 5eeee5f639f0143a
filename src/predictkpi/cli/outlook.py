"""`predictkpi outlook`: will we make the number, from what, what moved it, and what if."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from predictkpi.cli.options import AsOf, Format, FormatOption, instant

if TYPE_CHECKING:
    from predictkpi.outlook.moves import Moves
    from predictkpi.outlook.periods import Periods
    from predictkpi.outlook.scenarios import Scenario
    from predictkpi.pipelines.outlook import Forecasters

MOVED_PERIOD = "this_quarter"


def outlook(
    scope: Annotated[
        list[str] | None, typer.Option(help="total, or one member: region=EMEA; may be repeated. Default: the company's total.")
    ] = None,
    by: Annotated[
        str | None, typer.Option(help="All members of segment, region, channel, product or team, or of crossed ones: region,segment.")
    ] = None,
    period: Annotated[
        list[str] | None,
        typer.Option(help="this_month, next_month, this_quarter, next_quarter or this_year (fiscal); may be repeated. Default: all."),
    ] = None,
    win_rate: Annotated[float, typer.Option(metavar="POINTS", help="What if so many points more of the deals were won: 5.")] = 0.0,
    faster: Annotated[float, typer.Option(metavar="DAYS", help="What if deals closed so many days sooner; below 0 later.")] = 0.0,
    spend: Annotated[
        list[str] | None, typer.Option(metavar="CHANNEL=PERCENT", help="What if more were spent: search=+20; may be repeated.")
    ] = None,
    moved: Annotated[
        int | None, typer.Option(min=1, metavar="DAYS", help="What moved the expected revenue since so many days ago, to the deal.")
    ] = None,
    as_of: AsOf = None,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Show whether the number will be made: revenue of named periods, its range, the target, the chance to hit it, and its three parts.

    Commit, most likely and best case are reached with 90, 50 and 10 %. The parts are what is booked, what deals open today bring, and
    business not yet created; they add up to what is expected. The last line says whether open deals made forecasts better in the past.

    A scenario re-runs the same paths, and stands beside the plain outlook. It takes for granted that all else goes on as it was.

    Examples: [bold]predictkpi outlook[/bold] · [bold]predictkpi outlook --by region --period this_quarter[/bold] ·
    [bold]predictkpi outlook --win-rate 5 --faster 10 --spend search=+20[/bold] ·
    [bold]predictkpi outlook --moved 7 --period this_quarter[/bold] ·
    [bold]predictkpi outlook --scope region=EMEA --as-of 2025-07-01 --format json[/bold]
    """
    from predictkpi.cli.outlook_tables import moves_frame, periods_frame, show_moves, show_periods
    from predictkpi.cli.render import machine, out
    from predictkpi.errors import SettingsError, UnknownNameError
    from predictkpi.outlook.periods import PERIODS, Periods
    from predictkpi.pipelines.open_store import open_filled_store, open_registry
    from predictkpi.pipelines.outlook import Forecasters, what_if
    from predictkpi.settings import read_settings

    if scope and by:
        raise SettingsError("give either --scope or --by, not both")
    for name in period or ():
        if name not in PERIODS:
            raise UnknownNameError.among("period", name, known=PERIODS)
    scenario = _scenario(win_rate, faster, spend or [])
    if moved is not None and not scenario.is_plain:
        raise SettingsError("--moved shows what has happened, a scenario what might: give one of them")
    settings = read_settings()
    store = open_filled_store(settings)
    snapshot = store.snapshot(instant(as_of, store))
    forecasters = Forecasters.of(open_registry(settings), snapshot.as_of)
    plain = forecasters.outlook(snapshot)
    scopes = plain.chosen(scope, by)
    periods = Periods(plain, snapshot)
    console = out()
    if moved is not None:
        found = _moves(forecasters, periods, scopes, period or [MOVED_PERIOD], moved)
        machine(moves_frame(found), format_) if format_ is not Format.TABLE else show_moves(console, found, plain, forecasters)
        return
    names = list(period or PERIODS)
    shown = before = [one for name in scopes for one in periods.of(name, names)]
    if not scenario.is_plain:
        changed = what_if(periods, scenario)
        shown = [one for name in scopes for one in changed.of(name, names)]
    beside = None if scenario.is_plain else before
    if format_ is not Format.TABLE:
        machine(periods_frame(shown, beside, plain, forecasters), format_)
        return
    show_periods(console, shown, beside, plain, forecasters)


def _moves(forecasters: Forecasters, periods: Periods, scopes: list[str], names: list[str], days: int) -> list[tuple[str, Moves]]:
    """By name of the period; raises `InsufficientDataError` where one could not be forecast then."""
    import pandas as pd

    from predictkpi.outlook.moves import moved_in

    before = periods.snapshot.at(periods.snapshot.as_of - pd.Timedelta(days=days))
    then = forecasters.outlook(before)
    return [(name, moved_in(periods, then, before, scope=scope, name=name)[1]) for scope in scopes for name in names]


def _scenario(points: float, faster: float, spend: list[str]) -> Scenario:
    from predictkpi.errors import SettingsError
    from predictkpi.outlook.scenarios import Scenario

    factors = {}
    for text in spend:
        channel, _, percent = text.rpartition("=")
        how = f"--spend {text}: write the channel and the change in percent, for example --spend search=+20"
        if not channel:
            raise SettingsError(how)
        try:
            factors[channel] = 1 + float(percent) / 100
        except ValueError as error:
            raise SettingsError(how) from error
    return Scenario(win_rate=points / 100, cycle_days=faster, spend=factors)
