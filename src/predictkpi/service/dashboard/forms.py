"""What a form of a page sends."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Depends, Request

from predictkpi.service.problems import InvalidRequestError

MOST_FIELDS = 10


async def fields_of(request: Request) -> dict[str, str]:
    """The fields of a form, the first value of each; raises `InvalidRequestError` for more of them than any form here has."""
    try:
        found = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise InvalidRequestError.at("#", str(error)) from error
    return {name: values[0] for name, values in found.items()}


Fields = Annotated[dict[str, str], Depends(fields_of)]
