"""Options that several commands share, and what they mean once parsed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd

    from predictkpi.store import Store


class Format(StrEnum):
    """How an answer is printed; json and csv go to standard output with nothing else."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


FormatOption = Annotated[Format, typer.Option("--format", help="table for people, json or csv for machines.")]
AsOf = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
        help="Only what was known before this instant, e.g. 2024-07-01. Default: everything loaded.",
    ),
]


class Where(StrEnum):
    """Where the work of everybody's predictions runs."""

    LOCAL = "local"
    SPARK = "spark"


EngineOption = Annotated[Where, typer.Option("--engine", help="local, or spark: on a cluster, with the same answers (docs/scaling.md).")]
Master = Annotated[str | None, typer.Option(help="With spark: local[4], spark://host:7077, yarn, k8s://..., or sc://host:15002 (Connect).")]
FactsPlace = Annotated[
    str | None,
    typer.Option("--facts", help="With spark: parquet:FOLDER, delta:FOLDER or jdbc:URL. Default: this store, exported for a local master."),
]
SparkConf = Annotated[list[str] | None, typer.Option(help="With spark: a setting of Spark's own, name=value; may be repeated.")]


class Length(StrEnum):
    """Length of a period."""

    WEEK = "W"
    MONTH = "M"
    QUARTER = "Q"


@dataclass(frozen=True)
class Asked:
    """What of a forecast is wanted, and how: the options of `predictkpi forecast`."""

    by: str | None
    entity: list[str] | None
    horizon: int | None
    horizons: str | None
    limit: int
    as_of: datetime | None
    format_: Format


def instant(as_of: datetime | None, store: Store) -> pd.Timestamp | None:
    """The option as the pipelines want it; `FutureAccessError` for a day of which the store knows nothing yet."""
    import pandas as pd

    from predictkpi.errors import FutureAccessError

    if as_of is None or store.is_empty:
        return None
    latest = store.default_as_of()
    if as_of > latest:
        raise FutureAccessError(f"--as-of {as_of:%Y-%m-%d} lies beyond what is known: the facts end before {latest:%Y-%m-%d}")
    return pd.Timestamp(as_of)


def whole_numbers(option: str, text: str) -> list[int]:
    """``7,45`` as ``[7, 45]``, ascending; `SettingsError` names the option and what is no whole number."""
    from predictkpi.errors import SettingsError

    parts = [part.strip() for part in text.split(",")]
    for part in parts:
        if not part.isdecimal():
            raise SettingsError(f"{option} {text}: {part!r} is no whole number: write for example {option} 7,45")
    return sorted({int(part) for part in parts})
