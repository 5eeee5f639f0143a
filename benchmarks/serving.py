"""How fast is the service? One deal by payload, stored answers and batches beside the same application without a model, and peers.

    python benchmarks/serving.py [--quick] [--folder FOLDER] [--bentoml PYTHON]

All in one run, on loopback, on one trained model and one pool of different deals. Ratios are to a route of the same application that
validates the same deal and gives a typed answer of the same size, but asks no model. Requests come from wrk (Debian: apt-get install
wrk); the CPU column is the server's own time a request, which a busy machine distorts least. ``--folder`` keeps the trained company for
another run; ``--bentoml`` names the Python of an environment with BentoML in it that can also import this project.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from rich.console import Console
from rich.table import Table

from figures import raw_file, report
from load import batches, company, peers, servers, wrk
from load.headline import headline
from load.served import WITHOUT_MODEL
from predictkpi.core import columns as c
from predictkpi.pipelines.open_store import open_registry

DEAL = "/v1/deals/close-time"
AGAINST, OURS = "validated, no model", "one deal by payload"
console = Console(width=150)


def state_of_machine() -> dict[str, float]:
    """Load average, and CPU seconds that other machines took from this one so far."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return {"load": os.getloadavg()[0], "stolen": int(fields[8]) / os.sysconf("SC_CLK_TCK")}


def one_server(folder: Path, env: dict[str, str], asked: dict, *, workers: int, connections: list[int], seconds: float) -> list[dict]:
    """Every question at every number of connections, one after the other, on one server."""
    rows = []
    with servers.ours(folder, env, workers=workers) as server:
        server.settle()
        for count in connections:
            for name, requests in asked.items():
                rows.append(asked_of(server, name, requests, workers=workers, connections=count, seconds=seconds, folder=folder))
    return rows


def asked_of(server: servers.Server, name: str, requests: list, *, workers: int, connections: int, seconds: float, folder: Path) -> dict:
    """One line of the table: the load, and how free the machine was meanwhile."""
    before = state_of_machine()
    load = wrk.ask(server, requests, connections=connections, seconds=seconds, folder=folder)
    after = state_of_machine()
    machine = {"load": after["load"], "stolen": after["stolen"] - before["stolen"]}
    return {"name": name, "workers": workers, "connections": connections} | asdict(load) | machine


def of_batches(folder: Path, env: dict[str, str], bodies: list[str]) -> dict[str, dict]:
    """On a server that has answered nothing before."""
    with servers.ours(folder, env) as server:
        server.settle()
        return {
            "1,000 deals at once": asdict(batches.at_once(server, bodies, 1_000)),
            "10,000 deals line by line": asdict(batches.line_by_line(server, bodies, 10_000)),
        }


def of_peers(folder: Path, env: dict[str, str], *, bento: Path | None, seconds: float) -> list[dict]:
    """`mlflow models serve` and, where there is one, BentoML."""
    registry = open_registry(company.settings_in(folder))
    asked = peers.as_bodies(peers.frames(registry, folder, company.PAYLOADS))
    predictor, _ = registry.champion("close_time")
    artifact = folder / "champion"
    if not artifact.exists():
        from predictkpi.registry.artifact import write_artifact

        artifact.mkdir()
        write_artifact(predictor, artifact)
    found = []
    for name, path, start in (
        ("mlflow models serve", peers.MLFLOW_PATH, lambda: peers.mlflow(folder, env)),
        ("BentoML", peers.BENTO_PATH, None if bento is None else lambda: peers.bentoml(bento, artifact, folder, env)),
    ):
        if start is None:
            console.print(f"{name}: left out, no environment was named (--bentoml)")
            continue
        try:
            with start() as server:
                server.settle()
                found.append(asked_of(server, name, wrk.posts(path, asked), workers=1, connections=8, seconds=seconds, folder=folder))
        except RuntimeError as error:
            console.print(f"{name}: {error}")
    return found


def show(rows: list[dict], sizes: dict[str, dict]) -> None:
    """One table of requests, one of batches."""
    table = Table(
        "", "workers", "connections", "requests/s", "ratio", "p50 ms", "p99 ms", "p99 ratio", "CPU us", "errors", "load", "stolen s"
    )
    base = {(row["workers"], row["connections"]): row for row in rows if row["name"] == AGAINST}
    for row in rows:
        against = base.get((row["workers"], row["connections"])) or base[1, 8]
        ratio, tail = row["per_second"] / against["per_second"], row["p99_ms"] / against["p99_ms"]
        cells = (f"{row['per_second']:,.0f}", f"{ratio:.2f}", f"{row['p50_ms']:.2f}", f"{row['p99_ms']:.2f}", f"{tail:.2f}")
        rest = (f"{row['cpu_us']:,.0f}", str(row["errors"]), f"{row['load']:.1f}", f"{row['stolen']:.1f}")
        table.add_row(row["name"], str(row["workers"]), str(row["connections"]), *cells, *rest)
    console.print(table)
    ours = {(row["workers"], row["connections"]): row["per_second"] for row in rows if row["name"] == OURS}
    if (2, 8) in ours:
        console.print(f"two workers bring {ours[2, 8] / ours[1, 8]:.2f} times one (goal: 1.7 on two free cores; wrk takes part of one)")
    for row in rows:
        if row["name"] in ("mlflow models serve", "BentoML"):
            console.print(f"{OURS}: {ours[1, 8] / row['per_second']:.0f} times the requests/s of {row['name']}")
    console.print(f"load by {wrk.name()}; {os.cpu_count()} cores, of which the load generator takes its part")
    of_many = Table("", "seconds", "answered", "MB before", "MB at most")
    for name, took in sizes.items():
        of_many.add_row(name, f"{took['seconds']:.3f}", f"{took['answered']:,}", f"{took['before_mb']:.0f}", f"{took['peak_mb']:.0f}")
    console.print(of_many)


def measured(folder: Path, *, seconds: float, bento: Path | None) -> tuple[list[dict], dict[str, dict]]:
    """Everything, on a company that is trained."""
    env, snapshot = company.environment(folder), company.snapshot_of(folder)
    bodies = company.bodies(company.payloads(snapshot))
    registry = open_registry(company.settings_in(folder))
    deals = registry.champion("close_time")[0].inputs(snapshot)[c.ENTITY_ID].tolist()[: company.PAYLOADS]
    customers = registry.champion("clv")[0].inputs(snapshot)[c.ENTITY_ID].tolist()[: company.PAYLOADS]
    asked = {
        AGAINST: wrk.posts(WITHOUT_MODEL, bodies),
        OURS: wrk.posts(DEAL, bodies),
        "... with reasons": wrk.posts(f"{DEAL}?reasons=true", bodies),
        "a stored deal": [(f"/v1/deals/{deal}/close-time", "") for deal in deals],
        "a stored customer": [(f"/v1/customers/{customer}/clv", "") for customer in customers],
    }
    rows = one_server(folder, env, asked, workers=1, connections=[8, 32], seconds=seconds)
    few = {name: asked[name] for name in (AGAINST, OURS)}
    rows += one_server(folder, env, few, workers=2, connections=[8, 32], seconds=seconds)
    sizes = of_batches(folder, env, bodies)
    return rows + of_peers(folder, env, bento=bento, seconds=seconds), sizes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three seconds a measurement instead of ten")
    parser.add_argument("--folder", type=Path, help="where the trained company is kept; a temporary folder by default")
    parser.add_argument("--bentoml", type=Path, help="the Python of an environment with BentoML; .venv-bentoml where it is there")
    options = parser.parse_args()
    own = company.ROOT / ".venv-bentoml" / "bin" / "python"
    bento = options.bentoml or (own if own.exists() else None)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        with console.status("training"):
            company.make(folder)
        with console.status("asking"):
            rows, sizes = measured(folder, seconds=3.0 if options.quick else 10.0, bento=bento)
        show(rows, sizes)
    raw_file(__file__, quick=options.quick).write_text(json.dumps({"requests": rows, "batches": sizes}, indent=1), encoding="utf-8")
    report(__file__, headline(rows, sizes), quick=options.quick)


if __name__ == "__main__":
    main()
