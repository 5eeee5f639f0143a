"""Deals line by line (NDJSON): read from and written to files of the system, so that neither side holds all of them in memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from tempfile import SpooledTemporaryFile
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Scope

from predictkpi.errors import PredictKpiError
from predictkpi.service.batches import Batch
from predictkpi.service.deal_batches import LONGEST_LINE, deal_batch
from predictkpi.service.dependencies import record_answers, view_for
from predictkpi.service.error_handlers import request_id_of, respond_to
from predictkpi.service.horizons import chosen_horizons
from predictkpi.service.payloads import PreparedDeal
from predictkpi.service.problems import TooLargeError
from predictkpi.service.view import View
from predictkpi.service.wire import BatchItem, Envelope, encoded

NDJSON = "application/x-ndjson"
IN_MEMORY = 1_000_000
"""Bytes of a request that are held in memory; more go to a temporary file, which holds no more than ``max_body_bytes``."""
MOST_LINES = 50_000
"""Lines of a request that are looked at, blank ones too: a line of two bytes is answered by hundreds."""


async def answer_lines(request: Request) -> Response:
    """An item a line for a deal a line, in the same order; blank lines are skipped, and a last item tells of lines beyond `MOST_LINES`.

    The request is read to its end before the first item is sent: many clients do not listen while they speak.
    """
    try:
        view = view_for(request.scope)
        batch = batch_of(request, view, by_line=True)
    except PredictKpiError as error:
        return respond_to(error, request.scope)
    file = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  closed when the answer ends
    async for part in request.stream():
        await run_in_threadpool(file.write, part)
    return StreamingResponse(_answered(file, request.scope, view, batch), media_type=NDJSON)


def batch_of(request: Request, view: View, *, by_line: bool) -> Batch[PreparedDeal]:
    """What a request with many deals asks; raises what keeps all of them from being answered."""
    given = parse_qs(request.url.query, keep_blank_values=True).get("horizons")
    horizons = chosen_horizons(view.champion("close_time").predictor.spec, given[-1] if given else None)
    return deal_batch(view, horizons, path=request.url.path, request_id=request_id_of(request), by_line=by_line)


def lines_of(chunks: Iterator[list[BatchItem]], scope: Scope, view: View) -> Iterator[bytes]:
    """Chunks of items as lines, logged as they go."""
    for items in chunks:
        record_items(items, scope, view)
        yield b"".join(encoded(item) + b"\n" for item in items)


def record_items(items: list[BatchItem], scope: Scope, view: View) -> None:
    """Put the predictions among them into the log of answers."""
    answers: list[Envelope] = [item.prediction for item in items if item.prediction is not None]
    record_answers(scope, view, answers)


def _answered(file: SpooledTemporaryFile[bytes], scope: Scope, view: View, batch: Batch[PreparedDeal]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        yield from lines_of(_items(file, batch), scope, view)


def _items(file: SpooledTemporaryFile[bytes], batch: Batch[PreparedDeal]) -> Iterator[list[BatchItem]]:
    """Chunks of items; where there are too many lines, one more that says so."""
    index = 0
    for items in batch.chunks(line for line in islice(_lines(file), MOST_LINES) if line.strip()):
        yield items
        index = items[-1].index + 1
    if file.read(1):
        yield [batch.refused(index, TooLargeError(f"only the first {MOST_LINES:,} lines of a request are answered, and this one has more"))]


def _lines(file: SpooledTemporaryFile[bytes]) -> Iterator[bytes]:
    """Lines; of one that is too long, only so much that it is seen to be."""
    while line := file.readline(LONGEST_LINE + 1):
        rest = line
        while len(rest) > LONGEST_LINE and not rest.endswith(b"\n"):
            rest = file.readline(LONGEST_LINE + 1)
        yield line
