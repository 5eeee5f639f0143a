"""Is every deal answered, however odd? Bodies by Hypothesis against the deal endpoint, each by the fast path and by its route.

    python benchmarks/fuzz.py [--inputs 100000] [--seed 0] [--quick] [--folder FOLDER]

The application is asked in this process. Bodies are usual deals, usual ones with something wrong in them, deals of all shapes, cut texts
and plain garbage (``tests/service/odd_deals.py``). Every one must be answered, by a prediction or by a problem of the caller's (4xx),
and by both ways alike. ``--folder`` keeps the trained company for another run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.extend(str(Path(__file__).parents[1] / "tests" / each) for each in (".", "service"))  # tests send such deals too

import hypothesis
from hypothesis import given
from odd_deals import bodies
from rich.console import Console
from rich.table import Table

from figures import Figure, Goal, raw_file, report
from load import company
from predictkpi.service.app import create_app

DEAL = "/v1/deals/close-time"
FAST, BY_ROUTE = b"", b"curve=false"
"""The same question; the second is left to the route by the fast path."""
QUICK, INPUTS, AT_ONCE = 2_000, 100_000, 5_000
console = Console()


async def ask(app, body: bytes, query: bytes) -> tuple[int, dict]:
    """Status and answer, without what is new in every one; raises where there is no answer."""
    sent: list[dict] = []
    messages = iter([{"type": "http.request", "body": body}])
    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "method": "POST", "path": DEAL}
    scope |= {"raw_path": DEAL.encode(), "query_string": query, "headers": headers, "root_path": ""}
    scope |= {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}

    async def receive() -> dict:
        return next(messages, {"type": "http.disconnect"})

    async def send(message: dict) -> None:
        sent.append(message)

    await app(scope, receive, send)
    answer = json.loads(b"".join(message.get("body", b"") for message in sent[1:]))
    answer.pop("request_id", None)
    return sent[0]["status"], answer


def asked(app, loop: asyncio.AbstractEventLoop, usual: list[dict], *, count: int, seed: int) -> Counter[str]:
    """How so many bodies were answered."""
    answered: Counter[str] = Counter()

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @given(bodies(usual))
    def one(body: bytes) -> None:
        (status, told), by_route = (loop.run_until_complete(ask(app, body, query)) for query in (FAST, BY_ROUTE))
        answered[str(status)] += 1
        if (status, told) != by_route:
            answered["not alike"] += 1
            console.print(f"not alike: {body!r:.500}")
        if status != 200 and not 400 <= status < 500:
            console.print(f"{status}: {body!r:.500}")

    one()
    return answered


def run(folder: Path, *, inputs: int, seed: int) -> dict[str, object]:
    """A trained company, asked."""
    company.make(folder)
    usual = company.payloads(company.snapshot_of(folder))
    app, loop, answered = create_app(company.settings_in(folder)), asyncio.new_event_loop(), Counter[str]()
    context = app.router.lifespan_context(app)
    loop.run_until_complete(context.__aenter__())
    while app.state.serving.current is None or not app.state.access.has_read:
        time.sleep(0.1)
    began = time.perf_counter()
    # in rounds, since Hypothesis keeps what it has tried
    for start in range(0, inputs, AT_ONCE):
        answered += asked(app, loop, usual, count=min(AT_ONCE, inputs - start), seed=seed + start)
    seconds = time.perf_counter() - began
    loop.run_until_complete(context.__aexit__(None, None, None))
    return {"inputs": sum(n for status, n in answered.items() if status.isdecimal()), "seconds": seconds, "answered": dict(answered)}


def headline(told: dict) -> list[Figure]:
    """Bodies that were asked about, and how many of them were not answered, or not alike by both ways."""
    answered = told["answered"]
    unanswered = sum(times for status, times in answered.items() if status.isdecimal() and status != "200" and status[0] != "4")
    of = f"{told['inputs']:,} odd deals, each asked about twice"
    at = {"area": "Reliability", "digits": 0, "better": "lower", "goal": Goal(most=0)}
    return [
        Figure(name="fuzz.unanswered", what=f"without a prediction or a problem of the caller's, of {of}", ours=unanswered, **at),
        Figure(
            name="fuzz.not_alike",
            what=f"answered differently by the fast path and by its route, of {of}",
            ours=answered.get("not alike", 0),
            **at,
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=INPUTS, help=f"bodies to send, {INPUTS} by default")
    parser.add_argument("--seed", type=int, default=0, help="of the bodies")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} bodies")
    parser.add_argument("--folder", type=Path, help="where the trained company is kept; a temporary folder by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        told = run(folder, inputs=QUICK if options.quick else options.inputs, seed=options.seed)
    table = Table("answer", "bodies")
    for status, times in sorted(told["answered"].items()):
        table.add_row(status, f"{times:,}")
    console.print(table)
    console.print(f"{told['inputs']:,} bodies, each asked about twice, in {told['seconds']:.0f} s; load average {os.getloadavg()[0]:.1f}")
    raw_file(__file__, quick=options.quick).write_text(json.dumps(told, indent=1), encoding="utf-8")
    report(__file__, headline(told), quick=options.quick)


if __name__ == "__main__":
    main()
