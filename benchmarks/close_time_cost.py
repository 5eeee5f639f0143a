"""What does the close-time model cost? Training at 10,000, 50,000 and 200,000 deals; scoring; one deal out of a request.

    python benchmarks/close_time_cost.py [--quick]

Deals have five stage events each, are opened evenly over three years and close after some weeks, one in five never. Each size is
trained in a process of its own, so that its peak memory is its own (the tables held in memory are part of it). The exponent is the slope
of log CPU seconds on log deals from the smallest to the largest size: 1 is linear growth. ``--quick``: 2,000, 5,000 and 10,000 deals,
10,000 scored.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from figures import Figure, Goal, raw_file, report

SIZES, QUICK_SIZES = (10_000, 50_000, 200_000), (2_000, 5_000, 10_000)
SCORED, QUICK_SCORED = 100_000, 10_000
EVENTS = 5
FIRST_DAY, DAYS = pd.Timestamp("2022-01-01"), 3 * 365
STAGES = np.array(["lead", "qualified", "proposal", "negotiation"])
PAYLOADS = 200


def make_facts(n: int, *, open_only: bool = False, seed: int = 0):
    """Facts of ``n`` deals with five events each; ``open_only``: opened within the last half year, none closed yet."""
    from predictkpi.core import columns as c
    from predictkpi.snapshot import MemoryFacts
    from predictkpi.tables import table_schema

    rng = np.random.default_rng(seed)
    span = 180 if open_only else DAYS
    opened = np.sort(rng.uniform(DAYS - span, DAYS - (20 if open_only else 0), n))
    owner = rng.integers(0, 60, n)
    pace = rng.lognormal(np.log(8.0), 0.5, n)
    steps = rng.exponential(pace[:, None], (n, EVENTS - 1)) if not open_only else rng.uniform(0.1, 4.0, (n, EVENTS - 1))
    at = opened[:, None] + np.concatenate([np.zeros((n, 1)), np.cumsum(steps, axis=1)], axis=1)
    stage = np.tile(np.append(STAGES, STAGES[-1]).astype(object), (n, 1))
    closes = (rng.random(n) < 0.8) & (not open_only)
    is_won = rng.random(n) < 0.2 + 0.4 * (owner % 5) / 4
    stage[closes, -1] = np.where(is_won[closes], c.WON, c.LOST)
    names = np.char.add("O" if open_only else "D", np.char.zfill(np.arange(n).astype(str), 7)).astype(object)
    instant = (FIRST_DAY + pd.to_timedelta(at.ravel(), unit="D")).as_unit("us")
    events = pd.DataFrame({c.DEAL_ID: np.repeat(names, EVENTS), c.DS: instant, c.STAGE: stage.ravel()})
    events[c.EVENT_ID] = events[c.DEAL_ID] + "/" + np.tile(np.arange(EVENTS).astype(str), n)
    events[c.AMOUNT] = np.repeat(np.round(rng.lognormal(8, 1, n), 2), EVENTS)
    events[c.OWNER] = np.repeat(np.char.add("rep ", owner.astype(str)), EVENTS)
    events[c.EXPECTED_CLOSE_ON] = np.repeat((FIRST_DAY + pd.to_timedelta(opened + 40, unit="D")).as_unit("us").normalize(), EVENTS)
    created = pd.Series((FIRST_DAY + pd.to_timedelta(opened, unit="D")).as_unit("us"))
    deals = pd.DataFrame({c.DEAL_ID: names, c.CREATED_AT: created, c.SOURCE: rng.choice(["search", "events", "partner"], n)})
    made = {"deals": deals.assign(**{c.KNOWN_AT: created}), "deal_events": events.assign(**{c.KNOWN_AT: events[c.DS]})}
    empty = {name: table_schema(name).empty() for name in made}
    tables = {name: frame.reindex(columns=empty[name].columns).astype(empty[name].dtypes.to_dict()) for name, frame in made.items()}
    return MemoryFacts(tables)


def end() -> pd.Timestamp:
    """The day the tables are known up to."""
    return FIRST_DAY + pd.Timedelta(days=DAYS)


def trained(n: int) -> tuple[object, dict[str, float]]:
    """A model of ``n`` deals and what it took, the making of the facts left out."""
    from predictkpi.predictors import predictor_class
    from predictkpi.snapshot import Snapshot

    snapshot = Snapshot(make_facts(n), end())
    started, started_cpu = time.perf_counter(), time.process_time()
    model = predictor_class("close_time")()
    table = model.training_table(snapshot)
    after_table = time.perf_counter()
    model.fit(table)
    return model, {
        "deals": n,
        "landmarks": len(table),
        "table_seconds": after_table - started,
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - started_cpu,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2,
    }


def requests():
    """(id, records by table) of deals that the model's facts do not know, as a service reads them from requests."""
    from predictkpi.core import columns as c
    from predictkpi.snapshot import Snapshot

    some = Snapshot(make_facts(PAYLOADS, open_only=True, seed=1), end())
    tables = {"deals": some.deals.assign(**{c.KNOWN_AT: end() - pd.Timedelta(seconds=1)}), "deal_events": some.history("deal_events")}
    tables = {name: frame.astype(object).where(frame.notna(), None) for name, frame in tables.items()}
    for deal in some.deals[c.DEAL_ID]:
        yield deal, {name: frame[frame[c.DEAL_ID] == deal].to_dict("records") for name, frame in tables.items()}


def served(n_scored: int, n_trained: int) -> dict[str, float]:
    """Scoring of ``n_scored`` open deals, features and predictions; and one deal out of a request at a time, at the median."""
    from predictkpi.core import columns as c
    from predictkpi.snapshot import Snapshot
    from predictkpi.tables import table_schema

    model, _ = trained(n_trained)
    snapshot = Snapshot(make_facts(n_scored, open_only=True), end())
    started, started_cpu = time.perf_counter(), time.process_time()
    predictions = model.predict_inputs(model.inputs(snapshot))
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - started_cpu
    scored = predictions[c.ENTITY_ID].nunique()
    base = Snapshot(make_facts(n_trained), end())
    model.inputs(base)
    took, of_cpu = {"request": [], "features": [], "prediction": []}, []
    for deal, records in list(requests()):
        start, start_cpu = time.perf_counter(), time.process_time()
        extended = base.with_rows({name: table_schema(name).rows(rows) for name, rows in records.items()})
        read = time.perf_counter()
        inputs = model.features(extended, [deal])
        featured = time.perf_counter()
        model.predicted(inputs).answers()
        of_cpu.append((time.process_time() - start_cpu) * 1e3)
        for name, duration in zip(took, np.diff([start, read, featured, time.perf_counter()]), strict=True):
            took[name].append(duration * 1e3)
    total, answered = np.sum(list(took.values()), axis=0), np.add(took["features"], took["prediction"])
    found = {
        "scored": float(scored),
        "scored_seconds": seconds,
        "payload_ms": float(np.median(total)),
        "payload_answer_ms": float(np.median(answered)),
        "payload_cpu_ms": float(np.median(of_cpu)),
        "scored_cpu_seconds": cpu_seconds,
    }
    return found | {f"payload_{name}_ms": float(np.median(values)) for name, values in took.items()}


def in_own_process(*arguments: str) -> dict[str, float]:
    """One measurement, its peak memory its own."""
    command = [sys.executable, __file__, *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def show(sizes: list[dict[str, float]], serving: dict[str, float]) -> float:
    """The tables; returns the exponent of growth."""
    table = Table("deals", "landmarks", "table s", "training s", "of CPU", "peak GB", title="Training (goal at 200,000 deals: 300 s, 6 GB)")
    for row in sizes:
        figures = (f"{row[name]:.1f}" for name in ("table_seconds", "seconds", "cpu_seconds"))
        table.add_row(f"{row['deals']:,}", f"{row['landmarks']:,}", *figures, f"{row['peak_gb']:.2f}")
    first, last = sizes[0], sizes[-1]
    exponent = float(np.log(last["cpu_seconds"] / first["cpu_seconds"]) / np.log(last["deals"] / first["deals"]))
    console = Console()
    console.print(table)
    console.print(f"growth of CPU time: deals to the power {exponent:.2f}")
    seconds, cpu = serving["scored_seconds"], serving["scored_cpu_seconds"]
    console.print(f"{serving['scored']:,.0f} open deals scored in {seconds:.1f} s, {cpu:.1f} of CPU (goal: 30 s per 100,000)")
    parts = ", ".join(f"{name} {serving[f'payload_{name}_ms']:.2f}" for name in ("request", "features", "prediction"))
    whole = f"{serving['payload_ms']:.2f} ms, {serving['payload_cpu_ms']:.2f} of CPU"
    console.print(f"one deal out of a request, median: {whole} ({parts})")
    console.print(f"features and prediction of it together: {serving['payload_answer_ms']:.2f} ms (goal: 2 ms)")
    return exponent


def headline(sizes: list[dict[str, float]], exponent: float, serving: dict[str, float]) -> Iterator[Figure]:
    """At the largest size, beside the goals, which are of 200,000 deals; scoring; one deal out of a request; and the exponent."""
    largest, at = sizes[-1], {"area": "Deals", "better": "lower"}
    is_full = largest["deals"] == SIZES[-1]
    deals = f"{largest['deals']:,} deals with {largest['deals'] * EVENTS:,} events"
    goals = {"training": 300, "memory": 6, "scoring": 30} if is_full else {}
    goals_of = {name: Goal(most=most) for name, most in goals.items()}
    seconds, memory = {"unit": "s", "digits": 0, **at}, {"unit": "GB", "digits": 1, **at}
    name = "close_time_cost.training"
    yield Figure(name=name, what=f"training on {deals}", ours=largest["seconds"], goal=goals_of.get("training"), **seconds)
    name = "close_time_cost.memory"
    yield Figure(name=name, what=f"training on {deals}, peak memory", ours=largest["peak_gb"], goal=goals_of.get("memory"), **memory)
    name, what = "close_time_cost.exponent", "growth of CPU time of the training: deals to the power"
    yield Figure(name=name, what=what, ours=exponent, **at)
    name, what = "close_time_cost.scoring", f"scoring {serving['scored']:,.0f} open deals, CPU time"
    yield Figure(name=name, what=what, ours=serving["scored_cpu_seconds"], goal=goals_of.get("scoring"), **seconds)
    name, what = "close_time_cost.payload", "features and prediction of one deal out of a request, median"
    yield Figure(name=name, what=what, ours=serving["payload_answer_ms"], unit="ms", goal=Goal(most=2), **at)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2,000 to 10,000 deals")
    parser.add_argument("--train", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--serve", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        print(json.dumps(trained(options.train)[1]))
        return
    if options.serve:
        print(json.dumps(served(*options.serve)))
        return
    sizes = QUICK_SIZES if options.quick else SIZES
    with Progress(transient=True) as progress:
        task = progress.add_task("training", total=len(sizes) + 1)
        trainings = []
        for n in sizes:
            progress.update(task, description=f"training on {n:,} deals")
            trainings.append(in_own_process("--train", str(n)))
            progress.advance(task)
        progress.update(task, description="serving")
        serving = in_own_process("--serve", str(QUICK_SCORED if options.quick else SCORED), str(sizes[0]))
    exponent = show(trainings, serving)
    raw = raw_file(__file__, quick=options.quick)
    raw.write_text(json.dumps({"training": trainings, "exponent": exponent, "serving": serving}, indent=1), encoding="utf-8")
    report(__file__, headline(trainings, exponent, serving), quick=options.quick)


if __name__ == "__main__":
    main()
