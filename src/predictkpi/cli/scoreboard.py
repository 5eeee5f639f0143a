"""`predictkpi scoreboard`: what was predicted against what came true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from predictkpi.cli.options import AsOf, Format, FormatOption, instant

if TYPE_CHECKING:
    import pandas as pd

    from predictkpi.backtest.board import Board


def scoreboard(
    predictor: Annotated[list[str] | None, typer.Argument(help="revenue, clv, close_time. Default: all of them.")] = None,
    as_of: AsOf = None,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Compare what was predicted with what has come true: by version, role and horizon, beside those who could have spoken instead.

    Judged is what [bold]predictkpi score[/bold] wrote for champions and shadows, and what the API answered. Beside a version stand the
    baselines, each learnt again from what was known on the day of the prediction, the weighted pipeline, the rep's own close date, and
    for a shadow the champion; [bold]saved[/bold] is the share of their loss that the version does not have, on the same predictions.
    What cannot be judged yet is counted, with the day when it will be.

    The board is kept for the service's /v1/scoreboard and its dashboard, and its figures go to MLflow, to each version's run. With
    --as-of nothing is kept.

    Examples: [bold]predictkpi scoreboard[/bold] (nightly, after score) · [bold]predictkpi scoreboard close_time --format json[/bold] ·
    [bold]predictkpi scoreboard revenue --as-of 2024-07-01[/bold]
    """
    import pandas as pd

    from predictkpi.cli.render import as_json, machine, remarks
    from predictkpi.pipelines.open_store import open_registry, open_store
    from predictkpi.pipelines.scoreboard import keep
    from predictkpi.predictors import predictor_class, predictor_names
    from predictkpi.settings import read_settings

    names = list(dict.fromkeys(predictor or predictor_names()))
    for name in names:
        predictor_class(name)
    settings = read_settings()
    store, registry = open_store(settings), open_registry(settings)
    learnt, troubles = _learnt(registry, names)
    boards = _judge(store, names, settings.models_dir, instant(as_of, store), learnt)
    troubles += keep(store, registry, boards) if as_of is None else []
    if format_ is Format.JSON:
        typer.echo(as_json([board.as_dict() for board in boards]))
    elif format_ is Format.CSV:
        machine(pd.concat([board.figures.assign(predictor=board.predictor) for board in boards], ignore_index=True), format_)
    else:
        for board in boards:
            _show(board)
    for trouble in troubles:
        remarks().print(trouble, highlight=False, markup=False)


def _learnt(registry: Any, names: list[str]) -> tuple[Any, list[str]]:
    """Until when each version has learnt; without the registry nobody knows, and it is said."""
    from predictkpi.errors import RegistryError
    from predictkpi.pipelines.scoreboard import learnt_until

    try:
        return learnt_until(registry, names), []
    except RegistryError as error:
        return {}, [f"{error}: versions that spoke of days before they learnt are judged like the others"]


def _judge(store: Any, names: list[str], models_dir: Any, as_of: pd.Timestamp | None, learnt: Any) -> list[Board]:
    from predictkpi.cli.render import progress
    from predictkpi.pipelines.clock import local_now
    from predictkpi.pipelines.scoreboard import scoreboard as run

    with progress() as display:
        task = display.add_task("scoreboard", total=None, step="")

        def show(name: str, done: int, total: int) -> None:
            display.update(task, step=f"{name} {done}/{total}", completed=done, total=total or None)

        return run(store, predictors=names, models_dir=models_dir, now=local_now(store), as_of=as_of, learnt=learnt, on_progress=show)


def _show(board: Board) -> None:
    from predictkpi.backtest.scoreboard import ALL
    from predictkpi.cli.render import out, table
    from predictkpi.predictors import predictor_class
    from predictkpi.protocol import MODEL

    spec, console = predictor_class(board.predictor).spec, out()
    if not len(board.figures) and not len(board.pending):
        console.print(f"[bold]{board.predictor}[/]: nothing was predicted yet: run `predictkpi score`, nightly after ingest")
        return
    shown = board.figures[(board.figures["candidate"] == MODEL) | (board.figures["horizon"] == ALL)]
    in_days = spec.score == "cumulative_incidence"
    rows = [_cells(row, in_days=in_days) for row in shown.to_dict("records")]
    title = f"{spec.title['en']}: what came true before {board.as_of:%Y-%m-%d}"
    if rows:
        measures = [
            "n",
            "loss",
            "error, days" if in_days else "error",
            "bias",
            "calibration",
            "by chance",
            "80 % held",
            "95 % held",
            "saved",
        ]
        headings = [("who", "left"), (f"{spec.time_unit}s", "right"), *[(name, "right") for name in measures]]
        console.print(table(title, headings, rows))
    else:
        console.print(f"[bold]{title}[/]: nothing yet")
    for line in (*_waits(board, spec.time_unit), *board.notes):
        console.print(line, highlight=False, markup=False)


def _cells(row: dict[str, Any], *, in_days: bool) -> list[str]:
    from predictkpi.backtest.scoreboard import ALL
    from predictkpi.cli.render import amount
    from predictkpi.protocol import MODEL

    is_own = row["candidate"] == MODEL
    low, high = row["saved_low"], row["saved_high"]
    within = f" ({_signed(low)} to {_signed(high)})" if low == low else ""
    return [
        f"[bold]v{row['model_version']} as {row['role']}[/]" if is_own else f"  against {row['candidate'].replace('_', ' ')}",
        "all" if row["horizon"] == ALL else str(row["horizon"]),
        f"{row['n']:,}",
        f"{row['loss']:.4g}",
        amount(row["error"], "days" if in_days else "share"),
        _signed(row["bias"]),
        *[amount(row[name], "share") for name in ("calibration", "calibration_floor", "coverage80", "coverage95")],
        _signed(row["saved"]) + within,
    ]


def _signed(share: float) -> str:
    from predictkpi.cli.render import NOTHING

    return f"{share * 100:+.1f} %" if share == share else NOTHING


def _waits(board: Board, unit: str) -> list[str]:
    """One line a version, role and reason."""
    lines = []
    for key, rows in board.pending.groupby(["model_version", "role", "reason"], sort=False):
        version, role, reason = key
        due = rows["due"].min()
        horizons = ", ".join(str(horizon) for horizon in rows["horizon"] if horizon)
        of = f" ({horizons} {unit}s ahead)" if horizons else ""
        when = f"; the first on {due:%Y-%m-%d}" if due == due else ""
        lines.append(f"v{version} as {role}: {rows['n'].sum():,} predictions{of} are not judged: {reason}{when}")
    return lines
