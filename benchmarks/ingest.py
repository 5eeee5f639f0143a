"""What does loading a million orders cost? Our ingest, and pandas alone, on the same files in the same run.

    python benchmarks/ingest.py [--quick] [--database-url postgresql://...]

The files are Parquet: 200,000 customers, 1,000,000 orders, 200,000 deals with 1,000,000 events (``--quick``: a tenth). Each step runs in
a process of its own, so that its peak memory is its own:

- pandas: ``read_parquet`` and ``to_sql`` as they come (``method=None``, no ``chunksize``) through a plain ``sqlite3`` connection; nothing
  checked, no keys, no indexes;
- tuned: the same with ``method="multi"`` and 500 rows a statement, the fastest that was found (more makes no difference);
- ingest: our pipeline into SQLite (or the database named), every row checked, keyed, indexed and counted;
- again: the same files once more, of which every row must turn out unchanged;
- snapshot: all tables as of the end, from the store of the step before.
"""

from __future__ import annotations

import argparse
import json
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from figures import Figure, Goal, raw_file, report

CUSTOMERS, ORDERS, DEALS, EVENTS = 200_000, 1_000_000, 200_000, 1_000_000
FIRST_DAY, DAYS = pd.Timestamp("2020-01-01"), 5 * 365
NOW = pd.Timestamp("2025-06-01 12:00")
STAGES = np.array(["lead", "qualified", "proposal", "negotiation", "won", "lost"])
SEED = 20240229
PEERS: dict[str, dict[str, Any]] = {"pandas": {}, "tuned": {"method": "multi", "chunksize": 500}}
STEPS = {
    "pandas": "read_parquet + to_sql, nothing checked",
    "tuned": "the same, many rows a statement",
    "ingest": "ingest, every row checked and indexed",
    "again": "the same files again, all unchanged",
    "snapshot": "all tables of a snapshot",
}


def write_files(folder: Path, *, share: float) -> None:
    """The company's exports and the mapping that reads them."""
    rng = np.random.default_rng(SEED)
    customers, orders, deals, events = (int(n * share) for n in (CUSTOMERS, ORDERS, DEALS, EVENTS))
    tables = {
        "customers": customer_table(rng, customers),
        "orders": order_table(rng, orders, customers),
        "deals": deal_table(rng, deals, customers),
        "deal_events": event_table(rng, events, deals),
    }
    for name, frame in tables.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    feeds = [
        {"table": name, "file": f"{name}.parquet", "columns": {column: column for column in frame.columns}}
        for name, frame in tables.items()
    ]
    mapping = {"company": {"name": "Big", "currency": "EUR", "time_zone": "Europe/Berlin"}, "feeds": feeds}
    (folder / "mapping.yaml").write_text(yaml.safe_dump(mapping, sort_keys=False))


def ids(prefix: str, numbers: np.ndarray) -> np.ndarray:
    """``prefix`` and seven digits."""
    return np.char.add(prefix, np.char.zfill(numbers.astype(str), 7))


def instants(rng: np.random.Generator, count: int) -> pd.Series:
    """Seconds of the five years, in order, as an export lists them."""
    seconds = np.sort(rng.integers(0, DAYS * 86_400, count))
    return pd.Series(FIRST_DAY + pd.to_timedelta(seconds, unit="s")).astype("datetime64[us]")


def customer_table(rng: np.random.Generator, count: int) -> pd.DataFrame:
    """Customers in the order in which they came."""
    return pd.DataFrame(
        {
            "customer_id": ids("C", np.arange(count)),
            "name": np.char.add("Company ", rng.permutation(count).astype(str)),
            "segment": rng.choice(["small", "medium", "large"], count),
            "region": rng.choice(["north", "south", "east", "west"], count),
            "industry": rng.choice(["retail", "software", "health", "energy"], count),
            "channel": rng.choice(["search", "events", "partner", "referral"], count),
            "created_at": instants(rng, count),
        }
    )


def order_table(rng: np.random.Generator, count: int, customers: int) -> pd.DataFrame:
    """Orders, of which one in fifty is a refund."""
    amount = np.round(rng.lognormal(5, 1, count), 2) * np.where(rng.random(count) < 0.02, -1, 1)
    return pd.DataFrame(
        {
            "order_id": ids("O", np.arange(count)),
            "ds": instants(rng, count),
            "customer_id": ids("C", rng.integers(0, customers, count)),
            "amount": amount,
            "currency": "EUR",
            "product": rng.choice(["basic", "plus", "pro"], count),
        }
    )


def deal_table(rng: np.random.Generator, count: int, customers: int) -> pd.DataFrame:
    """Deals, created in the order of their ids."""
    return pd.DataFrame(
        {
            "deal_id": ids("D", np.arange(count)),
            "name": np.char.add("Deal ", np.arange(count).astype(str)),
            "customer_id": ids("C", rng.integers(0, customers, count)),
            "created_at": pd.Series(FIRST_DAY, index=range(count)).astype("datetime64[us]"),
            "source": rng.choice(["search", "events", "partner"], count),
            "product": rng.choice(["basic", "plus", "pro"], count),
            "region": rng.choice(["north", "south", "east", "west"], count),
            "team": rng.choice(["red", "blue"], count),
        }
    )


def event_table(rng: np.random.Generator, count: int, deals: int) -> pd.DataFrame:
    """Stage events in the order in which they happened, of deals picked at random."""
    happened = instants(rng, count)
    return pd.DataFrame(
        {
            "event_id": ids("E", np.arange(count)),
            "deal_id": ids("D", rng.integers(0, deals, count)),
            "ds": happened,
            "stage": rng.choice(STAGES, count),
            "amount": np.round(rng.lognormal(8, 1, count), 2),
            "currency": "EUR",
            "expected_close_on": happened.dt.normalize() + pd.Timedelta(days=60),
            "owner": rng.choice(["ann", "bob", "cem", "dea"], count),
        }
    )


def run_step(step: str, folder: Path, url: str) -> dict[str, float]:
    """One step, in this process; what it took, without the imports."""
    from predictkpi.pipelines.ingest import ingest
    from predictkpi.store import Store
    from predictkpi.tables import TABLES

    store = Store(url)
    if step not in PEERS:
        store.migrate()
    started, started_cpu = time.perf_counter(), time.process_time()
    if step in PEERS:
        with sqlite3.connect(folder / f"{step}.db") as connection:
            for file in sorted(folder.glob("*.parquet")):
                pd.read_parquet(file).to_sql(file.stem, connection, index=False, **PEERS[step])
        rows = 0
    elif step == "snapshot":
        snapshot = store.snapshot()
        rows = sum(len(snapshot.table(name)) for name in TABLES)
    else:
        report = ingest(store, mapping=folder / "mapping.yaml", source=folder, now=NOW)
        rows = sum(feed.accepted if step == "ingest" else feed.unchanged for feed in report.feeds)
    return {
        "rows": rows,
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - started_cpu,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2,
    }


def measured(step: str, folder: Path, url: str) -> dict[str, float]:
    """One step in a process of its own."""
    command = [sys.executable, __file__, "--step", step, "--folder", str(folder), "--database-url", url]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def show(found: dict[str, dict[str, float]], *, kind: str) -> None:
    """The table and the goals."""
    table = Table("step", "rows", "seconds", "of CPU", "peak memory, GB", title=f"Loading and reading, {kind}")
    for step, values in found.items():
        rows = f"{values['rows']:,}" if values["rows"] else ""
        table.add_row(
            f"{step}: {STEPS[step]}", rows, f"{values['seconds']:.1f}", f"{values['cpu_seconds']:.1f}", f"{values['peak_gb']:.2f}"
        )
    console = Console()
    console.print(table)
    for ours, peer, goal in (("ingest", "pandas", " (goal: at most 1)"), ("ingest", "tuned", ""), ("again", "pandas", "")):
        ratios = [found[ours][what] / found[peer][what] for what in ("seconds", "cpu_seconds")]
        console.print(f"{ours} / {peer}: {ratios[0]:.2f}, by CPU {ratios[1]:.2f}{goal}")
    console.print("snapshot: goals 10 s and 3 GB")


def headline(found: dict[str, dict[str, float]], *, kind: str) -> list[Figure]:
    """Loads beside pandas in the same run, and a snapshot; goals are those of the full size."""
    rows, seconds = int(found["ingest"]["rows"]), {step: values["seconds"] for step, values in found.items()}
    is_full = rows >= CUSTOMERS + ORDERS + DEALS + EVENTS
    of, key = f"{rows:,} rows, {kind}", "ingest" if kind == "sqlite" else f"ingest.{kind}"
    at = {"area": "Data", "better": "lower"}
    against = {
        "load": ("ingest", "pandas", Goal(of="ratio", most=1)),
        "tuned": ("ingest", "tuned", None),
        "again": ("again", "pandas", None),
    }
    peers = {"pandas": "pandas: read_parquet + to_sql, nothing checked", "tuned": "pandas, 500 rows a statement"}
    said = {"ingest": "load, every row checked and indexed", "again": "the same files again, all unchanged"}
    return [
        *(
            Figure(
                name=f"{key}.{name}",
                what=f"{said[step]}, {of}",
                ours=seconds[step],
                unit="s",
                digits=1,
                peer=seconds[peer],
                peer_name=peers[peer],
                goal=goal if is_full else None,
                **at,
            )
            for name, (step, peer, goal) in against.items()
        ),
        Figure(
            name=f"{key}.snapshot",
            what=f"snapshot of all tables, {of}",
            ours=seconds["snapshot"],
            unit="s",
            digits=1,
            goal=Goal(most=10) if is_full else None,
            **at,
        ),
        Figure(
            name=f"{key}.snapshot_memory",
            what=f"snapshot of all tables, peak memory, {of}",
            ours=found["snapshot"]["peak_gb"],
            unit="GB",
            digits=1,
            goal=Goal(most=3) if is_full else None,
            **at,
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    parser.add_argument("--database-url", help="an empty database for our side; default: a SQLite file that is thrown away")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        print(json.dumps(run_step(options.step, options.folder, options.database_url)))
        return
    with tempfile.TemporaryDirectory() as name, Progress(transient=True) as progress:
        folder = Path(name)
        url = options.database_url or f"sqlite:///{folder}/facts.db"
        task = progress.add_task("writing the files", total=len(STEPS) + 1)
        write_files(folder, share=0.1 if options.quick else 1.0)
        found = {}
        for step in STEPS:
            progress.update(task, advance=1, description=step)
            found[step] = measured(step, folder, url)
    kind = url.split(":")[0].split("+")[0]
    show(found, kind=kind)
    raw_file(__file__, quick=options.quick).write_text(json.dumps(found, indent=2))
    report(__file__, headline(found, kind=kind), quick=options.quick)


if __name__ == "__main__":
    main()
