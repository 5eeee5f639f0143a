"""Many deals at once: one matrix for all of a chunk, and an answer or a problem for each, whatever the others are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pydantic import ValidationError

from predictkpi.errors import PredictKpiError
from predictkpi.service.error_handlers import build_problem, fields_of, problem_of
from predictkpi.service.fast_payloads import convert_deal, read_deal
from predictkpi.service.payloads import Payload, PreparedDeal, predict, prepare
from predictkpi.service.problems import PROBLEM_TYPES
from predictkpi.service.schemas import DealIn
from predictkpi.service.view import View
from predictkpi.service.wire import BatchItem, Envelope, plain_problem

DEALS_AT_ONCE = 100
"""Deals in one matrix: more gain no time, and cost memory and the patience of other requests."""
LONGEST_LINE = 1_000_000


class NotJsonError(Exception):
    """A line cannot be read as JSON."""


@dataclass(frozen=True)
class Batch:
    """One request's deals: what they are asked about and how its problems name it.

    ``by_line``: each deal is a document of its own, one JSON text a line; otherwise they are members of one that was parsed.
    """

    view: View
    horizons: Sequence[int] | None
    path: str
    request_id: str
    by_line: bool = False

    def chunks(self, deals: Iterable[Any]) -> Iterator[list[BatchItem]]:
        """Items of the deals (JSON texts or parsed), in their order, `DEALS_AT_ONCE` at a time."""
        numbered = enumerate(deals)
        while chunk := list(islice(numbered, DEALS_AT_ONCE)):
            yield self._items(chunk)

    def refused(self, index: int, error: PredictKpiError) -> BatchItem:
        """The item that tells of an error."""
        return BatchItem(index, problem=self._of(error))

    def _items(self, deals: Sequence[tuple[int, Any]]) -> list[BatchItem]:
        items = {index: BatchItem(index) for index, _ in deals}
        prepared: list[tuple[int, PreparedDeal]] = []
        read: Callable[[Any], Payload] = _read_line if self.by_line else _read_parsed
        for index, raw in deals:
            try:
                pointer = "#" if self.by_line else f"#/deals/{index}"
                prepared.append((index, prepare(read(raw), self.view, index=index, pointer=pointer)))
            except ValidationError as error:
                items[index].problem = self._invalid(index, error)
            except NotJsonError as error:
                items[index].problem = self._problem("malformed-json", f"deal {index} is no JSON: {error}")
            except PredictKpiError as error:
                items[index].problem = self._of(error)
        for index, found in self._predicted(prepared):
            if isinstance(found, Envelope):
                items[index].prediction = found
            else:
                items[index].problem = self._of(found)
        return list(items.values())

    def _predicted(self, prepared: Sequence[tuple[int, PreparedDeal]]) -> Iterator[tuple[int, Envelope | PredictKpiError]]:
        """All at once; if the model refuses the batch, one by one, so that only the deal it refuses goes without."""
        try:
            answers = self._answer([deal for _, deal in prepared])
        except PredictKpiError as error:
            if len(prepared) > 1:
                yield from (found for one in prepared for found in self._predicted([one]))
            else:
                yield prepared[0][0], error
        else:
            yield from zip((index for index, _ in prepared), answers, strict=True)

    def _answer(self, deals: Sequence[PreparedDeal]) -> list[Envelope]:
        return predict(deals, self.view.champion("close_time"), self.view, horizons=self.horizons) if deals else []

    def _invalid(self, index: int, error: ValidationError) -> dict[str, Any]:
        fields = fields_of(error, prefix=["body"] if self.by_line else ["body", "deals", index])
        detail = f"deal {index}: {len(fields)} value{'s' if len(fields) != 1 else ''} cannot be used: see errors"
        kind = PROBLEM_TYPES["invalid-request"]
        return plain_problem(build_problem(kind, detail=detail, instance=self.path, request_id=self.request_id, fields=fields))

    def _problem(self, slug: str, detail: str) -> dict[str, Any]:
        return plain_problem(build_problem(PROBLEM_TYPES[slug], detail=detail, instance=self.path, request_id=self.request_id))

    def _of(self, error: PredictKpiError) -> dict[str, Any]:
        return plain_problem(problem_of(error, instance=self.path, request_id=self.request_id))


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
