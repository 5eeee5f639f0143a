"""Numbers for people: tables, units and progress bars. Progress and remarks go to standard error, answers to standard output."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from predictkpi.cli.options import Format

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

STATUS_STYLES = {"full": "green", "limited": "yellow", "baseline": "yellow", "prior": "yellow", "insufficient_data": "red"}
NOTHING = "–"


def out() -> Console:
    """Console for answers; wide enough for a table when the output is a file or pipe."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=160)


def remarks() -> Console:
    """Console for everything that is not the answer."""
    from rich.console import Console

    return Console(stderr=True, soft_wrap=True)


def table(title: str, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[object]], *, caption: str = "") -> Table:
    """A rich table; ``columns`` are (heading, "left" or "right")."""
    from rich import box
    from rich.table import Table

    made = Table(
        title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", caption=caption or None, caption_justify="left"
    )
    for heading, justify in columns:
        is_number = justify == "right"
        made.add_column(heading, justify="right" if is_number else "left", no_wrap=is_number, overflow="ellipsis" if is_number else "fold")
    for row in rows:
        made.add_row(*[str(cell) for cell in row])
    return made


def amount(value: float | None, unit: str) -> str:
    """A number in its unit: currency, share, probability, days, ratio or count."""
    if value is None or value != value:
        return NOTHING
    if unit in ("share", "probability"):
        return f"{value * 100:.1f} %"
    if unit == "currency":
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:z,.2f}"
    return f"{value:,.1f}" if unit in ("days", "months", "count") else f"{value:,.2f}"


def spread(levels: Sequence[float], unit: str) -> str:
    """A middle with the lower and the upper end of its interval."""
    middle, low, high = (amount(level, unit) for level in levels)
    return middle if middle == NOTHING else f"{middle} ({low} to {high})"


def status(value: str) -> str:
    """A rung of the ladder in its colour."""
    return f"[{STATUS_STYLES.get(value, 'default')}]{value}[/]"


def machine(frame: pd.DataFrame, format_: Format) -> None:
    """Print a frame as JSON records or CSV; instants as ISO 8601, empty values as null or nothing."""
    plain = frame.copy()
    for name in plain.columns:
        if plain[name].dtype.kind == "M":
            plain[name] = plain[name].dt.strftime("%Y-%m-%dT%H:%M:%S")
    if format_ is Format.CSV:
        typer.echo(plain.to_csv(index=False), nl=False)
        return
    records = plain.astype(object).where(plain.notna(), None).to_dict("records")
    typer.echo(as_json(records))


def as_json(content: Mapping[str, Any] | Sequence[Any]) -> str:
    """JSON for people and machines; NumPy scalars and enums as plain values."""
    return json.dumps(content, indent=2, ensure_ascii=False, default=lambda value: value.item() if hasattr(value, "item") else str(value))


@contextmanager
def progress() -> Iterator[Progress]:
    """A progress display on standard error; nothing is drawn where that is not a terminal."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = remarks()
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[step]}"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as display:
        yield display
