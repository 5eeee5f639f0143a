"""Is the service always up, and always right? Load at 80 % of capacity while everything that it stands on is taken away.

    python benchmarks/reliability.py [--minutes 10] [--connections 16] [--quick]

`predictkpi serve --workers 2` on PostgreSQL and an MLflow server, all started here, on loopback. Two versions of the close-time champion
are promoted in turn, the database is stopped as by a crash and started twice, the MLflow server is away for a minute, and once
a minute the younger worker is killed (the older one shows what memory does). Every answer must be what the version that it names says of
that deal, worked out before from the registry. Capacity is what this load generator, which reads and checks every answer, gets out of the
same service on the same machine. Needs PostgreSQL's server programs (Debian: apt-get install postgresql).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.extend(str(Path(__file__).parents[1] / "tests" / each) for each in (".", "service"))  # tests start such servers too

import httpx
import numpy as np
from rich.console import Console
from rich.table import Table
from worker_fleet import Fleet, fleet

from figures import Figure, Goal, raw_file, report
from load import checked, company
from postgres.server import Server, programs, running_server
from predictkpi.pipelines.open_store import open_registry, open_store
from predictkpi.pipelines.train import train
from predictkpi.registry import Registry
from predictkpi.service.fast_payloads import read_deal
from predictkpi.service.payloads import predict, prepare
from predictkpi.service.state import Serving
from predictkpi.service.wire import encoded
from predictkpi.settings import Settings
from predictkpi.synthetic import make_company
from tracking.server import answering, free_port

PREDICTOR, DEAL = "close_time", "/v1/deals/close-time"
SHARE_OF_CAPACITY = 0.8
PROMOTIONS, SECONDS_APART = 20, 15
AFTER_KILL_SECONDS = 2.0
"""A worker that is killed takes its open connections with it; whoever asked on one of them is told at once."""
console = Console()


@dataclass
class Stage:
    """What the service stands on, and what was done to it: seconds since the start, what."""

    fleet: Fleet
    database: Server
    tracking: ExitStack
    command: list[str]
    registry: Registry
    versions: tuple[str, str]
    folder: Path
    done: list[tuple[float, str]] = field(default_factory=list)
    memory: list[tuple[float, int, float]] = field(default_factory=list)

    def start_tracking(self) -> None:
        port = self.command[3].partition("=")[2]
        self.tracking.enter_context(answering(self.command, f"http://127.0.0.1:{port}/health", log=self.folder / "mlflow.log"))


def trained(settings: Settings) -> tuple[str, str]:
    """The company in the store, and two versions of the champion that answer differently."""
    made = make_company(seed=11, customers=250, years=4, deals=3000, orders=3000)
    store, registry = open_store(settings), open_registry(settings)
    store.load(made.tables, company=made.company, now=made.end)
    (settings.models_dir / "evaluation.yaml").write_text("close_time: {folds: 1, step: 60, gap: 60}\n", encoding="utf-8")
    rules, versions = settings.models_dir / "close_time.yaml", []
    for seed in (0, 1):
        rules.write_text(f"random_state: {seed}\nrounds: {60 + 30 * seed}\nlandmark_budget: 8000\nmin_rows: 20\n", encoding="utf-8")
        train(store, registry, predictors=(PREDICTOR,), as_of=None, models_dir=settings.models_dir, now=company.NOW)
        versions.append(registry.versions(PREDICTOR)[0]["version"])
    store.close()
    return versions[0], versions[1]


def questions(settings: Settings, versions: tuple[str, str]) -> list[checked.Asked]:
    """Deals by payload and stored ones, and what each version says of them, from the registry and without a server."""
    store, registry = open_store(settings), open_registry(settings)
    expected: dict[bytes, dict[str, object]] = {}
    for version in versions:
        registry.promote(PREDICTOR, version)
        serving = Serving(store, registry)
        serving.refresh()
        view = serving.view
        champion = view.champion(PREDICTOR)
        bodies = company.bodies(company.payloads(view.snapshot))
        answers = {
            checked.request_of("POST", DEAL, body): predict([prepare(read_deal(body.encode()), view)], champion, view)[0] for body in bodies
        }
        answers |= {
            checked.request_of("GET", f"/v1/deals/{deal}/close-time"): view.predict(PREDICTOR, deal)
            for deal in champion.table.entity_ids[: len(bodies)]
        }
        for request, answer in answers.items():
            expected.setdefault(request, {})[version] = checked.told(json.loads(encoded(answer)))
    store.close()
    asked = [checked.Asked(request, by_version) for request, by_version in expected.items()]
    assert all(len({json.dumps(each) for each in question.expected.values()}) == 2 for question in asked), "both versions say the same"
    return [asked[at] for at in np.random.default_rng(7).permutation(len(asked))]


async def disturb(stage: Stage, *, seconds: float, now) -> None:
    """Everything that is done to the service in that time."""
    away = min(60.0, seconds / 10)

    async def at(instant: float, what: str, do, *given) -> None:
        await asyncio.sleep(max(instant - now(), 0))
        begun = now()
        await asyncio.to_thread(do, *given)
        stage.done.append((now() if what.endswith("started") else begun, what))

    async def promote() -> None:
        count = min(PROMOTIONS, int(seconds / SECONDS_APART))
        for number in range(count):
            await asyncio.sleep(max((number + 0.3) * seconds / count - now(), 0))
            await is_back.wait()
            version = stage.versions[number % 2]
            await asyncio.to_thread(stage.registry.promote, PREDICTOR, version)
            stage.done.append((now(), f"promoted {version}"))

    async def database() -> None:
        for share in (0.2, 0.65):
            await at(share * seconds, "database stopped", stage.database.stop)
            await at(now() + away / 2, "database started", stage.database.start)

    async def tracking() -> None:
        await asyncio.sleep(0.4 * seconds - now())
        is_back.clear()
        await at(now(), "MLflow server stopped", stage.tracking.close)
        await at(now() + away, "MLflow server started", stage.start_tracking)
        is_back.set()

    def kill_youngest() -> None:
        os.kill(max(stage.fleet.workers, key=_started), signal.SIGKILL)

    async def kill() -> None:
        for number in range(max(round(seconds / 60), 1)):
            await at((number + 0.5) * min(60.0, seconds), "worker killed", kill_youngest)

    async def watch() -> None:
        oldest = min(stage.fleet.workers, key=_started)
        while now() < seconds:
            with suppress(FileNotFoundError, StopIteration):
                lines = Path(f"/proc/{oldest}/status").read_text().splitlines()
                stage.memory.append((now(), oldest, int(next(x for x in lines if x.startswith("VmRSS")).split()[1]) / 1024))
            await asyncio.sleep(5)

    is_back = asyncio.Event()
    is_back.set()
    await asyncio.gather(promote(), database(), tracking(), kill(), watch())


def _started(pid: int) -> tuple[int, int]:
    """When a process began, in ticks since the machine did (ids say nothing of that once they have begun anew); its id for those of one."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]), pid


async def measured(stage: Stage, asked: list[checked.Asked], *, connections: int, seconds: float) -> tuple[checked.Found, float]:
    """Capacity, then the load with everything that happens meanwhile."""
    given = {"asked": asked, "connections": connections}
    await checked.ask(stage.fleet.url, **given, per_second=None, seconds=5, began=checked.clock())
    before = await checked.ask(stage.fleet.url, **given, per_second=None, seconds=10, began=checked.clock())
    capacity = len(before.at) / 10
    now = checked.clock()
    found, _ = await asyncio.gather(
        checked.ask(stage.fleet.url, **given, per_second=SHARE_OF_CAPACITY * capacity, seconds=seconds, began=now),
        disturb(stage, seconds=seconds, now=now),
    )
    return found, capacity


def taken_over(stage: Stage, found: checked.Found) -> list[float]:
    """Seconds from each promotion until the last answer by another version."""
    at, versions = np.array(found.at), np.array(found.versions)
    promoted = [(instant, what.split()[1]) for instant, what in stage.done if what.startswith("promoted")]
    ends = [instant for instant, _ in promoted[1:]] + [np.inf]
    late = []
    for (instant, version), end in zip(promoted, ends, strict=True):
        others = at[(at > instant) & (at < end) & (versions != version) & (versions != "")]
        late.append(float(others.max() - instant) if len(others) else 0.0)
    return late


def _memory(stage: Stage, begin: float, seconds: float) -> tuple[float, float]:
    """Of a tenth of the time, two promotions, the least and the median.

    While a champion takes over from another, both are held, and how long that lasts differs between tenths by half of it. What is never
    given back shows in the least.
    """
    held = [mb for instant, _, mb in stage.memory if begin <= instant < begin + seconds / 10]
    return float(np.min(held)), float(np.median(held))


def summary(stage: Stage, found: checked.Found, capacity: float, *, seconds: float) -> dict[str, object]:
    """The figures of a run."""
    kills = [instant for instant, what in stage.done if what == "worker killed"]
    outside = [each for each in found.failures if not any(0 <= each[0] + each[2] / 1e3 - kill <= AFTER_KILL_SECONDS for kill in kills)]
    (warm, warm_median), (end, end_median) = _memory(stage, seconds / 5, seconds), _memory(stage, seconds * 9 / 10, seconds)
    late = taken_over(stage, found)
    p50, p99 = np.quantile(found.milliseconds, [0.5, 0.99])
    return {
        "seconds": seconds,
        "capacity_per_second": capacity,
        "requests": len(found.at),
        "wrong_answers": sum(what.startswith(("version", "not what")) for _, what, _ in found.failures),
        "failures": dict(Counter(what for _, what, _ in found.failures)),
        "failures_outside_kills": [(round(instant, 2), what) for instant, what, _ in outside],
        "p50_ms": p50,
        "p99_ms": p99,
        "promotions": len(late),
        "slowest_promotion_seconds": max(late),
        "median_promotion_seconds": float(np.median(late)),
        "kills": len(kills),
        "memory_mb_warm": warm,
        "memory_mb_end": end,
        "memory_growth": end / warm - 1,
        "memory_growth_of_medians": end_median / warm_median - 1,
        "load_average": os.getloadavg()[0],
        "done": [(round(instant, 2), what) for instant, what in stage.done],
        "memory": [(round(instant), round(mb, 1)) for instant, _, mb in stage.memory],
    }


def show(told: dict) -> None:
    """One table."""
    table = Table("", "")
    for name, value in told.items():
        if name not in ("done", "memory", "failures_outside_kills"):
            table.add_row(name.replace("_", " "), f"{value:,.3f}" if isinstance(value, float) else str(value))
    table.add_row("failures outside kills", str(len(told["failures_outside_kills"])))
    console.print(table)
    for instant, what in told["failures_outside_kills"][:20]:
        console.print(f"  at {instant:.2f} s: {what}")


def headline(told: dict) -> list[Figure]:
    """Wrong answers, failures, how soon a promotion is served, memory."""
    of = f"{told['requests']:,} requests in {told['seconds'] / 60:.0f} minutes at 80 % of capacity"
    at = {"area": "Reliability", "better": "lower"}
    failed = sum(told["failures"].values())
    late = f"of {told['promotions']} promotions"
    return [
        Figure(name="reliability.wrong", what=f"wrong answers, of {of}", ours=told["wrong_answers"], digits=0, goal=Goal(most=0), **at),
        Figure(
            name="reliability.failed_apart",
            what=f"requests that failed when no worker was killed, of {of}",
            ours=len(told["failures_outside_kills"]),
            digits=0,
            goal=Goal(most=0),
            **at,
        ),
        Figure(
            name="reliability.failed",
            what=f"requests that failed in all, {told['kills']} kills of a worker, of {of}",
            ours=failed,
            digits=0,
            **at,
        ),
        Figure(
            name="reliability.promotion",
            what=f"until the last answer by the former version, slowest {late}",
            ours=told["slowest_promotion_seconds"],
            unit="s",
            digits=0,
            goal=Goal(most=60),
            **at,
        ),
        Figure(
            name="reliability.memory",
            what="growth of what a worker holds at the least, after the warm-up, from the third to the last tenth of the time",
            ours=100 * told["memory_growth"],
            unit="%",
            digits=1,
            note=f"of the medians {100 * told['memory_growth_of_medians']:.1f} %: two views are held while a champion takes over",
            goal=Goal(most=2),
            **at,
        ),
    ]


def run(folder: Path, binaries: Path, *, connections: int, seconds: float) -> dict[str, object]:
    """Everything started, measured and ended."""
    port, models = free_port(), folder / "models"
    models.mkdir()
    command = ["mlflow", "server", "--host=127.0.0.1", f"--port={port}", f"--backend-store-uri=sqlite:///{folder}/tracking.db"]
    command += [f"--artifacts-destination={folder}/artifacts", "--serve-artifacts", "--workers=1"]
    with ExitStack() as stack, running_server(binaries) as database:
        tracking = stack.enter_context(ExitStack())
        tracking.enter_context(answering(command, f"http://127.0.0.1:{port}/health", log=folder / "mlflow.log"))
        places = {"database_url": database.new_database(), "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}
        settings = Settings(**places, artifact_root=folder / "kept", models_dir=models)  # type: ignore[arg-type]
        with console.status("training"):
            versions = trained(settings)
            asked = questions(settings, versions)
        workers = stack.enter_context(fleet(settings, folder, "--workers", "2"))
        with httpx.Client(base_url=workers.url) as client:
            for worker in (workers.wait(lambda: len(workers.workers) == 2), *workers.workers)[1:]:
                workers.wait(lambda worker=worker: _answers(workers, worker))
            assert client.get("/v1/models").status_code == 200
        stage = Stage(workers, database, tracking, command, open_registry(settings), versions, folder)
        found, capacity = asyncio.run(measured(stage, asked, connections=connections, seconds=seconds))
        return summary(stage, found, capacity, seconds=seconds)


def _answers(workers: Fleet, worker: int) -> bool:
    try:
        with workers.only(worker) as client:
            return client.get("/v1/deals?limit=1", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long; 10 by default")
    parser.add_argument("--connections", type=int, default=16, help="of the load, 16 by default")
    parser.add_argument("--quick", action="store_true", help="two minutes")
    options = parser.parse_args()
    binaries = programs()
    if binaries is None:
        console.print(
            "[yellow]reliability: skipped: no PostgreSQL server programs are at hand (Debian: apt-get install postgresql)[/yellow]"
        )
        return
    with tempfile.TemporaryDirectory() as folder:
        told = run(Path(folder), binaries, connections=options.connections, seconds=60 * (2.0 if options.quick else options.minutes))
    show(told)
    raw_file(__file__, quick=options.quick).write_text(json.dumps(told, indent=1), encoding="utf-8")
    report(__file__, headline(told), quick=options.quick)


if __name__ == "__main__":
    main()
