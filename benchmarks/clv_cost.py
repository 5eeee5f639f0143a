"""What does customer value cost? Fit and prediction of BG/NBD beside lifetimes; training from up to 10 million orders; scoring.

    python benchmarks/clv_cost.py [--quick]

- Purchase model: maximum likelihood and expected purchases of 10,000 to a million drawn histories in whole days, ours and lifetimes' on the
  same ones, each in a process of its own; the ratio is of CPU seconds. Without lifetimes' environment (`make bench` makes it) ours alone.
- Training: the predictor's whole training, the snapshot's reading and all features included, at ten orders a customer.
- Scoring: features of all customers and predictions with intervals, asked for 100,000 customers at a time.

Every size runs in a process of its own, so that its peak memory is its own (orders held in memory are part of it). Exponents are slopes of
log CPU seconds on log customers from the smallest to the largest size: 1 is linear growth. ``--quick``: 2,000 to 50,000 customers.
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
import numpy.typing as npt
import pandas as pd
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from figures import Figure, Goal, raw_file, report

SIZES, QUICK_SIZES = (10_000, 100_000, 1_000_000), (2_000, 10_000, 50_000)
ORDERS_EACH = 10
FIRST_DAY, DAYS = pd.Timestamp("2022-01-01"), 3 * 365
HORIZON = 365.0
AT_ONCE = 100_000
Floats = npt.NDArray[np.float64]


def draw_histories(n: int, *, seed: int = 0) -> tuple[Floats, Floats, Floats]:
    """Frequency, recency and T in whole days of ``n`` customers of BG/NBD at CDNOW's parameters, known for up to three years."""
    rng = np.random.default_rng(seed)
    T = np.ceil(rng.uniform(1, DAYS, n))
    rate, leaves = rng.gamma(0.243, 1 / (4.414 * 7), n), rng.beta(0.793, 2.426, n)
    frequency, recency = np.zeros(n), np.zeros(n)
    on, now = np.arange(n), np.zeros(n)
    while len(on):
        now = now + np.maximum(np.ceil(rng.exponential(1.0, len(on)) / np.maximum(rate[on], 1e-12)), 1.0)
        seen = now <= T[on]
        on, now = on[seen], now[seen]
        frequency[on] += 1
        recency[on] = now
        stays = rng.random(len(on)) >= leaves[on]
        on, now = on[stays], now[stays]
    return frequency, recency, T


def make_facts(n_customers: int, *, seed: int = 0):
    """Orders of ``n_customers`` over three years, `ORDERS_EACH` on average: rates, sizes and lives of their own, one refund in fifty."""
    from predictkpi.core import columns as c
    from predictkpi.snapshot import MemoryFacts
    from predictkpi.tables import table_schema

    rng = np.random.default_rng(seed)
    first = rng.uniform(0, DAYS - 1, n_customers)
    life = np.minimum(rng.exponential(500.0, n_customers), DAYS - first)
    wanted = life * rng.gamma(0.7, 1.0, n_customers)
    count = 1 + rng.poisson(wanted * (ORDERS_EACH - 1) / wanted.mean())
    who = np.repeat(np.arange(n_customers), count)
    starts = np.concatenate([[0], np.cumsum(count)[:-1]])
    day = first[who] + rng.random(len(who)) * life[who]
    day[starts] = first
    amount = np.round(rng.lognormal(3.5, 0.6, len(who)) * rng.lognormal(0, 0.5, n_customers)[who], 2)
    amount[rng.random(len(who)) < 0.02] *= -0.5
    order = np.argsort(day)
    when = (FIRST_DAY + pd.to_timedelta(np.floor(day[order] * 86_400), unit="s")).as_unit("us")
    orders = pd.DataFrame({c.CUSTOMER_ID: pd.Series(who[order]).astype("str"), c.DS: when, c.AMOUNT: amount[order]})
    orders[c.ORDER_ID] = pd.Series(np.arange(len(who))).astype("str")
    orders[c.KNOWN_AT] = orders[c.DS]
    empty = table_schema("orders").empty()
    return MemoryFacts({"orders": orders.reindex(columns=empty.columns).astype(empty.dtypes.to_dict())})


def purchase_model(n: int) -> dict[str, float]:
    """CPU seconds of ours and of lifetimes; how far apart their answers are."""
    from customers.peers import run_lifetimes
    from predictkpi.predictors.clv.btyd import fit_btyd

    history = draw_histories(n)
    started = time.process_time()
    model = fit_btyd(*history, modified=False)
    fitted = time.process_time()
    expected = model.expected_purchases(HORIZON, *history)
    found = {"customers": n, "fit": fitted - started, "predict": time.process_time() - fitted, "loglik": model.loglik}
    theirs = run_lifetimes(*history, monetary=None, days=HORIZON)
    if "error" in theirs:
        return found | {"note": str(theirs["error"])}
    r, alpha, a, b = theirs["parameters"]
    same = type(model)(r, alpha, a, b, modified=False)
    found |= {"lifetimes_fit": float(theirs["cpu_seconds"][0]), "lifetimes_predict": float(theirs["cpu_seconds"][1])}
    found["ratio"] = (found["lifetimes_fit"] + found["lifetimes_predict"]) / (found["fit"] + found["predict"])
    found["lifetimes_loglik"] = float(same.log_likelihood(*history).sum())
    return found | {"totals_apart": float(expected.sum() / theirs["purchases"].sum() - 1.0)}


def trained(n: int) -> tuple[object, object, dict[str, float]]:
    """A model of ``n`` customers, the snapshot it learnt from, and what it took; the making of the orders is left out."""
    from predictkpi.predictors import predictor_class
    from predictkpi.snapshot import Snapshot

    facts = make_facts(n)
    snapshot = Snapshot(facts, FIRST_DAY + pd.Timedelta(days=DAYS))
    started, started_cpu = time.perf_counter(), time.process_time()
    model = predictor_class("clv")()
    n_orders = len(snapshot.orders)
    read = time.perf_counter()
    table = model.training_table(snapshot)
    after_table = time.perf_counter()
    model.fit(table)
    found = {"customers": n, "orders": n_orders, "read_seconds": read - started, "table_seconds": after_table - read}
    found |= {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - started_cpu}
    return model, snapshot, found | {"peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2}


def measured(n: int) -> dict[str, float]:
    """Training and scoring at that size."""
    model, snapshot, found = trained(n)
    started, started_cpu = time.perf_counter(), time.process_time()
    inputs = model.inputs(snapshot)
    featured, rows = time.perf_counter(), 0
    for start in range(0, len(inputs), AT_ONCE):
        rows += len(model.predict_inputs(inputs.iloc[start : start + AT_ONCE]))
    found |= {"score_features_seconds": featured - started, "score_seconds": time.perf_counter() - started, "predictions": rows}
    return found | {
        "scored": len(inputs),
        "score_cpu_seconds": time.process_time() - started_cpu,
        "score_peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2,
    }


def in_own_process(*arguments: str) -> dict[str, float]:
    """One measurement, its peak memory its own."""
    return json.loads(subprocess.run([sys.executable, __file__, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout)


def exponent(rows: list[dict[str, float]], figure: str) -> float:
    """Slope of log figure on log customers from the first row to the last."""
    first, last = rows[0], rows[-1]
    return float(np.log(last[figure] / first[figure]) / np.log(last["customers"] / first["customers"]))


def show(console: Console, models: list[dict[str, float]], sizes: list[dict[str, float]]) -> dict[str, float]:
    """The tables; returns the exponents."""
    heading = ("customers", "fit", "predict", "lifetimes fit", "predict", "times less", "log-likelihood: ours above", "totals apart")
    table = Table(*heading, title="BG/NBD by maximum likelihood, CPU seconds (goal at a million: 20 times less)")
    for row in models:
        shown = [f"{row['customers']:,}", f"{row['fit']:.3f}", f"{row['predict']:.3f}"]
        if "ratio" in row:
            shown += [f"{row['lifetimes_fit']:.2f}", f"{row['lifetimes_predict']:.2f}", f"{row['ratio']:.1f}"]
            shown += [f"{row['loglik'] - row['lifetimes_loglik']:+.3f}", f"{row['totals_apart']:+.2%}"]
        table.add_row(*shown)
        if "note" in row:
            console.print(f"[yellow]{row['customers']:,} customers: {row['note']}[/yellow]")
    console.print(table)
    heading = (
        "customers",
        "orders",
        "read s",
        "features s",
        "training s",
        "of CPU",
        "peak GB",
        "scoring s",
        "of it features",
        "of CPU",
        "peak GB",
    )
    table = Table(*heading, title="Training (goal at 10 million orders: 300 s, 6 GB) and scoring with intervals (goal at a million: 60 s)")
    for row in sizes:
        names = ("read_seconds", "table_seconds", "seconds", "cpu_seconds", "peak_gb")
        scoring = ("score_seconds", "score_features_seconds", "score_cpu_seconds", "score_peak_gb")
        table.add_row(f"{row['customers']:,}", f"{row['orders']:,}", *(f"{row[name]:.2f}" for name in names + scoring))
    console.print(table)
    found = {name: exponent(sizes, f"{name}cpu_seconds") for name in ("", "score_")}
    slopes = {"purchase model": exponent(models, "fit"), "training": found[""], "scoring": found["score_"]}
    console.print("growth of CPU time, customers to the power: " + ", ".join(f"{name} {value:.2f}" for name, value in slopes.items()))
    return slopes


def headline(models: list[dict[str, float]], sizes: list[dict[str, float]], slopes: dict[str, float]) -> Iterator[Figure]:
    """At the largest size, beside lifetimes and the goals, which are of a million customers; and the exponents."""
    largest, model, at = sizes[-1], models[-1], {"area": "Customer value", "better": "lower"}
    customers = f"{largest['customers']:,} customers"

    def goal(most: float) -> Goal | None:
        return Goal(most=most) if largest["customers"] == SIZES[-1] else None

    if "ratio" in model:
        yield Figure(
            name="clv_cost.lifetimes",
            area="Customer value",
            what=f"BG/NBD fitted and asked, {model['customers']:,} customers: less CPU time than the peer takes",
            ours=model["ratio"],
            unit="times",
            digits=1,
            peer_name="lifetimes",
            better="higher",
            goal=Goal(least=20) if model["customers"] == SIZES[-1] else None,
        )
    orders = f"{largest['orders'] / 1e6:,.3g} million orders of {customers}"
    seconds, memory = {"unit": "s", "digits": 0, **at}, {"unit": "GB", "digits": 1, **at}
    yield Figure(name="clv_cost.training", what=f"training from {orders}", ours=largest["seconds"], goal=goal(300), **seconds)
    yield Figure(name="clv_cost.memory", what=f"training from {orders}, peak memory", ours=largest["peak_gb"], goal=goal(6), **memory)
    what = f"scoring {customers} with intervals"
    yield Figure(name="clv_cost.scoring", what=what, ours=largest["score_seconds"], goal=goal(60), **seconds)
    for name, value in slopes.items():
        what = (
            f"growth of CPU time of the {name.replace('training', 'training of customer value').replace('scoring', 'scoring of customers')}"
        )
        yield Figure(name=f"clv_cost.exponent_{name.replace(' ', '_')}", what=f"{what}: customers to the power", ours=value, **at)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2,000 to 50,000 customers")
    parser.add_argument("--model", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.model or options.size:
        print(json.dumps(purchase_model(options.model) if options.model else measured(options.size)))
        return
    sizes = QUICK_SIZES if options.quick else SIZES
    console, models, measurements = Console(width=None if Console().is_terminal else 180), [], []
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("", total=2 * len(sizes))
        for n in sizes:
            progress.update(task, description=f"purchase model of {n:,} customers")
            models.append(in_own_process("--model", str(n)))
            progress.advance(task)
        for n in sizes:
            progress.update(task, description=f"training and scoring {n:,} customers")
            measurements.append(in_own_process("--size", str(n)))
            progress.advance(task)
    slopes = show(console, models, measurements)
    raw = raw_file(__file__, quick=options.quick)
    raw.write_text(json.dumps({"models": models, "sizes": measurements, "exponents": slopes}, indent=1), encoding="utf-8")
    report(__file__, headline(models, measurements, slopes), quick=options.quick)


if __name__ == "__main__":
    main()
