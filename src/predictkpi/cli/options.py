"""Options that several commands share, and what they mean once parsed."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd


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


def instant(as_of: datetime | None) -> pd.Timestamp | None:
    """The option as the pipelines want it."""
    import pandas as pd

    return None if as_of is None else pd.Timestamp(as_of)
