"""Which horizons a request asks for, and whether it wants the whole curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query

from predictkpi.core.types import Spec
from predictkpi.service.problems import InvalidRequestError

Horizons = Annotated[
    str | None,
    Query(
        description="these horizons instead of the usual ones: whole days from 1 to 180, with commas between; 180 also brings the "
        "statistics of the whole deal (p_win, close dates, p_slip, expected_value and their like)",
        examples=["7,45,180"],
        max_length=1000,
        json_schema_extra={"pattern": r"^\s*\d+\s*(,\s*\d+\s*)*$"},  # told, not checked: `chosen_horizons` says what there is
    ),
]
WithCurve = Annotated[bool, Query(description="also give the chances at every horizon, day by day")]


def chosen_horizons(spec: Spec, text: str | None) -> Sequence[int] | None:
    """The horizons asked for, ascending; None where none are; `InvalidRequestError` for what cannot be asked for."""
    if text is None:
        return None
    for part in text.split(","):
        if not part.strip().isdecimal() or int(part) not in spec.askable:
            raise InvalidRequestError.parameter("horizons", f"{part.strip()!r} is no horizon of {spec.name}: {spec.horizons_in_words}")
    return sorted({int(part) for part in text.split(",")})
