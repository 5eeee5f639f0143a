"""What of `serving.py` is kept as its figures: one deal beside the same application without a model and beside model servers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from figures import Figure, Goal

Row = Mapping[str, float]
WITHOUT, DEAL = "validated, no model", "one deal by payload"
PEER = "the same application's route without a model"
SERVERS = {"mlflow models serve": Goal(of="ratio", least=25), "BentoML": Goal(of="ratio", least=5)}
BATCH_GOALS = {"1,000 deals at once": 0.3, "10,000 deals line by line": 3.0}
_of = partial(Figure, area="Serving")


def headline(rows: list[dict], sizes: dict[str, dict]) -> list[Figure]:
    """Of requests by name, workers and connections, and of batches."""
    by = {(row["name"], row["workers"], row["connections"]): row for row in rows}
    return [*_beside_route(by), *_stored(by), *_beside_servers(by), *_batches(sizes)]


def _beside_route(by: Mapping[tuple, Row]) -> Iterator[Figure]:
    for connections in (8, 32):
        ours, theirs = by[DEAL, 1, connections], by[WITHOUT, 1, connections]
        yield _of(
            name=f"serving.deal_{connections}.rate",
            what=f"one deal by payload, requests a second, one worker, {connections} connections",
            ours=ours["per_second"],
            unit="/s",
            digits=0,
            peer=theirs["per_second"],
            peer_name=PEER,
            better="higher",
            goal=Goal(of="ratio", least=0.5) if connections == 8 else None,
        )
    yield _of(
        name="serving.deal_8.p99",
        what="one deal by payload, 99th percentile, 8 connections",
        ours=by[DEAL, 1, 8]["p99_ms"],
        unit="ms",
        digits=1,
        peer=by[WITHOUT, 1, 8]["p99_ms"],
        peer_name=PEER,
        better="lower",
        goal=Goal(of="ratio", most=2.5),
    )
    yield _of(
        name="serving.two_workers",
        what="one deal by payload, two workers, 8 connections",
        ours=by[DEAL, 2, 8]["per_second"],
        unit="/s",
        digits=0,
        peer=by[DEAL, 1, 8]["per_second"],
        peer_name="one worker",
        better="higher",
        goal=Goal(of="ratio", least=1.7),
    )
    yield _of(
        name="serving.reasons",
        what="one deal with its reasons, median, 8 connections",
        ours=by["... with reasons", 1, 8]["p50_ms"],
        unit="ms",
        digits=1,
        peer=by[DEAL, 1, 8]["p50_ms"],
        peer_name="without reasons",
        better="lower",
        goal=Goal(of="ratio", most=3),
    )


def _stored(by: Mapping[tuple, Row]) -> Iterator[Figure]:
    for name in ("a stored deal", "a stored customer"):
        yield _of(
            name=f"serving.{name.removeprefix('a ').replace(' ', '_')}",
            what=f"{name}, median, 8 connections",
            ours=by[name, 1, 8]["p50_ms"],
            unit="ms",
            digits=1,
            peer=by[WITHOUT, 1, 8]["p50_ms"],
            peer_name=PEER,
            better="lower",
            goal=Goal(of="ratio", most=1.5),
        )


def _beside_servers(by: Mapping[tuple, Row]) -> Iterator[Figure]:
    for server, goal in SERVERS.items():
        if (server, 1, 8) in by:
            yield _of(
                name=f"serving.{server.split()[0].lower()}",
                what="one deal by payload, requests a second on the same model, one worker, 8 connections",
                ours=by[DEAL, 1, 8]["per_second"],
                unit="/s",
                digits=0,
                peer=by[server, 1, 8]["per_second"],
                peer_name=server,
                better="higher",
                goal=goal,
            )


def _batches(sizes: Mapping[str, Row]) -> Iterator[Figure]:
    for name, took in sizes.items():
        key = "serving." + name.replace(",", "").replace(" ", "_")
        yield _of(name=key, what=name, ours=took["seconds"], unit="s", better="lower", goal=Goal(most=BATCH_GOALS[name]))
    lines = sizes["10,000 deals line by line"]
    yield _of(
        name="serving.lines_memory",
        what="memory of the server at most while it answers 10,000 deals line by line",
        ours=lines["peak_mb"],
        unit="MB",
        digits=0,
        peer=lines["before_mb"],
        peer_name="before them",
        better="lower",
    )
