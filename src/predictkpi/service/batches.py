"""Many entities in one request: an answer or a problem for each, whatever the others are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from predictkpi.errors import PredictKpiError
from predictkpi.service.error_handlers import build_problem, fields_of, problem_of
from predictkpi.service.problems import PROBLEM_TYPES
from predictkpi.service.wire import BatchItem, BatchOut, Envelope, plain_problem

Prepared = TypeVar("Prepared")

AT_ONCE = 100
"""Entities in one matrix: more gain no time, and cost memory and the patience of other requests."""


class NotJsonError(Exception):
    """A line cannot be read as JSON."""


@dataclass(frozen=True)
class Batch(Generic[Prepared]):
    """One request's deals or customers (``entity``), and how its problems name it.

    ``prepare(raw, index, pointer)`` reads and checks one of them; it raises `ValidationError`, `NotJsonError` or one of our errors.
    ``predict`` answers prepared ones in their order. ``by_line``: each is a document of its own, one JSON text a line; otherwise they are
    members of one that was parsed.
    """

    entity: str
    prepare: Callable[[Any, int, str], Prepared]
    predict: Callable[[Sequence[Prepared]], Sequence[Envelope]]
    path: str
    request_id: str
    by_line: bool = False

    def chunks(self, raw: Iterable[Any]) -> Iterator[list[BatchItem]]:
        """Items in their order, `AT_ONCE` at a time."""
        numbered = enumerate(raw)
        while chunk := list(islice(numbered, AT_ONCE)):
            yield self._items(chunk)

    def refused(self, index: int, error: PredictKpiError) -> BatchItem:
        """The item that tells of an error."""
        return BatchItem(index, problem=self._of(error))

    def _items(self, raw: Sequence[tuple[int, Any]]) -> list[BatchItem]:
        items = {index: BatchItem(index) for index, _ in raw}
        prepared: list[tuple[int, Prepared]] = []
        for index, each in raw:
            try:
                prepared.append((index, self.prepare(each, index, "#" if self.by_line else f"#/{self.entity}s/{index}")))
            except ValidationError as error:
                items[index].problem = self._invalid(index, error)
            except NotJsonError as error:
                items[index].problem = self._problem("malformed-json", f"{self.entity} {index} is no JSON: {error}")
            except PredictKpiError as error:
                items[index].problem = self._of(error)
        for index, found in self._predicted(prepared):
            if isinstance(found, Envelope):
                items[index].prediction = found
            else:
                items[index].problem = self._of(found)
        return list(items.values())

    def _predicted(self, prepared: Sequence[tuple[int, Prepared]]) -> Iterator[tuple[int, Envelope | PredictKpiError]]:
        """All at once; if the model refuses the batch, one by one, so that only the one it refuses goes without."""
        if not prepared:
            return
        try:
            answers = self.predict([each for _, each in prepared])
        except PredictKpiError as error:
            if len(prepared) > 1:
                yield from (found for one in prepared for found in self._predicted([one]))
            else:
                yield prepared[0][0], error
        else:
            yield from zip((index for index, _ in prepared), answers, strict=True)

    def _invalid(self, index: int, error: ValidationError) -> dict[str, Any]:
        fields = fields_of(error, prefix=["body"] if self.by_line else ["body", f"{self.entity}s", index])
        detail = f"{self.entity} {index}: {len(fields)} value{'s' if len(fields) != 1 else ''} cannot be used: see errors"
        kind = PROBLEM_TYPES["invalid-request"]
        return plain_problem(build_problem(kind, detail=detail, instance=self.path, request_id=self.request_id, fields=fields))

    def _problem(self, slug: str, detail: str) -> dict[str, Any]:
        return plain_problem(build_problem(PROBLEM_TYPES[slug], detail=detail, instance=self.path, request_id=self.request_id))

    def _of(self, error: PredictKpiError) -> dict[str, Any]:
        return plain_problem(problem_of(error, instance=self.path, request_id=self.request_id))


def counted(items: list[BatchItem], as_of: str) -> BatchOut:
    """All items as one answer."""
    failed = sum(item.problem is not None for item in items)
    return BatchOut(as_of=as_of, succeeded=len(items) - failed, failed=failed, items=items)
