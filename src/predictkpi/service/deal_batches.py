"""The deals of a batch: members of a JSON document, or lines that are one each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from predictkpi.service.batches import Batch, NotJsonError
from predictkpi.service.fast_payloads import convert_deal, read_deal
from predictkpi.service.payloads import Payload, PreparedDeal, predict, prepare
from predictkpi.service.schemas import DealIn
from predictkpi.service.view import View

LONGEST_LINE = 1_000_000


def deal_batch(view: View, horizons: Sequence[int] | None, *, path: str, request_id: str, by_line: bool) -> Batch[PreparedDeal]:
    """A request's deals; raises what keeps all of them from being answered."""
    read = _read_line if by_line else _read_parsed

    def prepared(raw: Any, index: int, pointer: str) -> PreparedDeal:
        return prepare(read(raw), view, index=index, pointer=pointer)

    predicted = partial(predict, champion=view.champion("close_time"), view=view, horizons=horizons)
    return Batch("deal", prepared, predicted, path=path, request_id=request_id, by_line=by_line)


def _read_parsed(raw: Any) -> Payload:
    return convert_deal(raw) or DealIn.model_validate(raw)  # type: ignore[return-value]


def _read_line(line: bytes) -> Payload:
    """Raises `NotJsonError` for what is no JSON."""
    found = read_deal(line)
    if found is not None:
        return found
    if len(line) > LONGEST_LINE:
        raise NotJsonError(f"longer than {LONGEST_LINE:,} bytes")
    try:
        parsed = json.loads(line.decode())
    except (ValueError, RecursionError) as error:  # ValueError: also text that is not UTF-8, and numbers of thousands of digits
        raise NotJsonError(str(error)) from error
    return DealIn.model_validate(parsed)  # type: ignore[return-value]
