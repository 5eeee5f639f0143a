"""How often does the watch on drift cry wolf, and what does it find? Measured on sample companies.

    python benchmarks/drift.py [--quick] [--inputs] [--errors]

A champion of each predictor learns on a day of the last year; its inputs and predictions are watched one, three and six months later.
False alarms: the company as it is, in which nothing but growth, seasons and one price rise happen. Found: the same checks with a fault
planted 14, 30 or 60 days before, three months after the training. ``--errors``: how often errors on what came true since the training are
taken for too large, as the company is and with amounts that doubled on the day of the training; a backtest a company takes its time.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track
from rich.table import Table

from figures import Figure, raw_file, report
from predictkpi.backtest.cutoffs import choose_cutoffs
from predictkpi.backtest.run import run_backtest
from predictkpi.core import columns as c
from predictkpi.core.types import Status
from predictkpi.pipelines.candidates import fold_rule
from predictkpi.pipelines.findings import MonitorRule
from predictkpi.pipelines.watch_drift import INPUTS, PREDICTIONS, Cohorts, drift
from predictkpi.pipelines.watch_errors import judge_error, since_training
from predictkpi.pipelines.watch_fields import watch_fields
from predictkpi.pipelines.watch_sources import watch_sources
from predictkpi.predictors import predictor_class, predictor_names
from predictkpi.protocol import MODEL, Predictor
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.synthetic import SampleCompany, make_company

MODELS = Path(__file__).resolve().parents[1] / "models"
DAY = pd.Timedelta(days=1)
GAPS = (28, 91, 182)
FAULT_DAYS = (14, 30, 60)
PLANTED_GAP = 91
SIZES = {False: {"customers": 400, "deals": 2000, "orders": 5000}, True: {"customers": 250, "deals": 1200, "orders": 3000}}
Tables = dict[str, pd.DataFrame]


def changed(tables: Tables, names: tuple[str, ...], column: str, since: pd.Timestamp, change: Callable[[pd.Series], object]) -> Tables:
    """All that became known since then has another value in that column."""
    made = {}
    for name in names:
        frame = tables[name].copy()
        late = frame[c.KNOWN_AT] >= since
        frame.loc[late, column] = change(frame.loc[late, column])
        made[name] = frame
    return made


def times(values: pd.Series, *, factor: float) -> pd.Series:
    """Amounts in another unit."""
    return values * factor


def empty(values: pd.Series) -> object:
    """A field that the export does not fill any more."""
    return "" if values.dtype.kind not in "fi" else np.nan


def region_for_all(tables: Tables, since: pd.Timestamp) -> Tables:
    """An export without the region, of all customers."""
    customers = tables["customers"]
    newest = customers[customers[c.KNOWN_AT] < since].drop_duplicates(c.CUSTOMER_ID, keep="last")
    emptied = changed(tables, ("customers",), c.REGION, since, empty)["customers"]
    return {"customers": pd.concat([emptied, newest.assign(**{c.REGION: "", c.KNOWN_AT: since})], ignore_index=True)}


def without_region(tables: Tables, since: pd.Timestamp) -> Tables:
    """Nothing comes from one region any more."""
    customers, deals = tables["customers"], tables["deals"]
    gone = set(customers.loc[customers[c.REGION] == "EMEA", c.CUSTOMER_ID])
    of_deals = set(deals.loc[deals[c.CUSTOMER_ID].isin(gone), c.DEAL_ID])
    keys = {"orders": (c.CUSTOMER_ID, gone), "deals": (c.CUSTOMER_ID, gone), "deal_events": (c.DEAL_ID, of_deals)}
    keys["activities"] = (c.DEAL_ID, of_deals)
    return {name: tables[name][~((tables[name][c.KNOWN_AT] >= since) & tables[name][key].isin(ids))] for name, (key, ids) in keys.items()}


AMOUNTS = ("orders", "deal_events")
FAULTS: dict[str, Callable[[Tables, pd.Timestamp], Tables]] = {
    "amounts x 100": lambda tables, since: changed(tables, AMOUNTS, c.AMOUNT, since, partial(times, factor=100.0)),
    "amounts x 2": lambda tables, since: changed(tables, AMOUNTS, c.AMOUNT, since, partial(times, factor=2.0)),
    "source of new deals empty": lambda tables, since: changed(tables, ("deals",), c.SOURCE, since, empty),
    "amount of deals empty": lambda tables, since: changed(tables, ("deal_events",), c.AMOUNT, since, empty),
    "region of all customers empty": region_for_all,
    "no activities any more": lambda tables, since: {"activities": tables["activities"][tables["activities"][c.KNOWN_AT] < since]},
    "a region vanishes": without_region,
}


class Watched:
    """A company with champions that learnt on one day; what was computed before a fault is computed once."""

    def __init__(self, company: SampleCompany, trained: pd.Timestamp, *, of: tuple[str, ...], inputs_alone: bool) -> None:
        self.trained, self.checks = trained, (INPUTS,) if inputs_alone else (INPUTS, PREDICTIONS)
        snapshot, models = company.snapshot(trained), [predictor_class(name)() for name in of]
        self.champions = models if inputs_alone else [fitted(model, snapshot) for model in models]
        self.kept: dict[str, tuple[dict, dict]] = {name: ({}, {}) for name in of}

    def look(self, snapshot: Snapshot, *, until: pd.Timestamp | None = None) -> Iterator[dict[str, object]]:
        """One row per predictor and check; days after ``until`` are looked at anew."""
        rule = MonitorRule()
        level = rule.drift_level / (2 * len(predictor_names()))
        for champion in self.champions:
            kept = self.kept[champion.spec.name]
            known = [{day: frame for day, frame in each.items() if until is None or day <= until} for each in kept]
            cohorts = Cohorts(champion, snapshot, *known)
            for found in drift(cohorts, trained=self.trained, rule=rule, level=level, checks=self.checks):
                yield {"predictor": found.subject, "check": found.check, "alarm": found.is_wrong, **found.figures, "limit": found.threshold}
            if until is None:
                for each, new in zip(kept, known, strict=True):
                    each.update(new)


def fitted(model: Predictor, snapshot: Snapshot) -> Predictor:
    """Learnt from that snapshot."""
    return model.fit(model.training_table(snapshot))


def sources(snapshot: Snapshot) -> Iterator[dict[str, object]]:
    """Freshness, volume and fields, in one row a check."""
    rule = MonitorRule()
    for found in [*watch_sources(snapshot, now=snapshot.as_of, rule=rule), *watch_fields(snapshot, rule=rule)]:
        yield {"predictor": found.subject, "check": found.check, "alarm": found.is_wrong, **found.figures, "limit": found.threshold}


def measure(
    seed: int, *, size: dict[str, int], of: tuple[str, ...], inputs_alone: bool
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """False alarms and finds of one company."""
    company = make_company(seed=seed, **size)
    quiet: list[dict[str, object]] = []
    planted: list[dict[str, object]] = []
    trained = company.end - 190 * DAY - 30 * (seed % 4) * DAY
    watched = Watched(company, trained, of=of, inputs_alone=inputs_alone)
    for gap in GAPS:
        now = trained + gap * DAY
        rows = [*watched.look(company.snapshot(now)), *sources(company.snapshot(now))]
        quiet += [row | {"seed": seed, "days": gap} for row in rows]
    now = trained + PLANTED_GAP * DAY
    for label, fault in FAULTS.items():
        for days in FAULT_DAYS:
            since = now - days * DAY
            facts = MemoryFacts({**company.tables, **fault(company.tables, since)}, company.company)
            snapshot = Snapshot(facts, now)
            rows = [*watched.look(snapshot, until=since), *sources(snapshot)]
            planted += [row | {"seed": seed, "fault": label, "days": days} for row in rows]
    return quiet, planted


def errors(seed: int, *, size: dict[str, int], of: tuple[str, ...]) -> Iterator[dict[str, object]]:
    """Matured errors of one company's champions, 100 and 190 days after the training."""
    company = make_company(seed=seed, **size)
    trained = (company.end - 200 * DAY).normalize()
    facts = MemoryFacts({**company.tables, **FAULTS["amounts x 2"](company.tables, trained)}, company.company)
    for name in of:
        make, past = predictor_class(name), company.snapshot(trained)
        spec = make.spec
        is_usable = partial(_learns, make)
        cutoffs = choose_cutoffs(fold_rule(spec, MODELS), spec, past, is_usable=is_usable)
        folds = run_backtest({MODEL: make}, past, cutoffs.dates).fold_metrics.rename(columns={c.AS_OF: "fold"})
        champion = fitted(make(), past)
        for label, source in (("as it is", company.facts), ("amounts x 2", facts)):
            for days in (100, 190):
                snapshot = Snapshot(source, trained + days * DAY)
                found = judge_error(name, since_training(champion, snapshot, trained=trained), folds, MonitorRule())
                yield {"predictor": name, "company": label, "days": days, "seed": seed, "alarm": found.is_wrong, **found.figures}


def _learns(make: type[Predictor], snapshot: Snapshot) -> bool:
    return make().readiness(snapshot).status in (Status.FULL, Status.LIMITED)


def shown_errors(rows: pd.DataFrame) -> Table:
    """Alarms of matured errors; companies in which nothing could be judged count as none."""
    table = Table(title="Matured errors taken for too large", title_justify="left")
    for heading in ("predictor", "company", "days", "checks", "judged", "alarms"):
        table.add_column(heading, justify="left" if heading in ("predictor", "company") else "right")
    for (name, label, days), part in rows.groupby(["predictor", "company", "days"], sort=False):
        judged = int(part["error"].notna().sum()) if "error" in part else 0
        table.add_row(str(name), str(label), str(days), str(len(part)), str(judged), str(int(part["alarm"].sum())))
    return table


def shown_quiet(rows: pd.DataFrame) -> Table:
    """False alarms by check, and of whole runs."""
    table = Table(title="False alarms on unchanged data", title_justify="left")
    for heading in ("check", "subject", "checks", "false alarms", "share"):
        table.add_column(heading, justify="left" if heading in ("check", "subject") else "right")
    groups = [(check, subject, part) for (check, subject), part in rows.groupby(["check", "predictor"])]
    runs = rows.groupby(["seed", "days", "is_drift"])["alarm"].any().reset_index()
    groups += [("all drift", "a whole run", runs[runs["is_drift"]]), ("all sources", "a whole run", runs[~runs["is_drift"]])]
    groups.append(("everything", "a whole run", rows.groupby(["seed", "days"])["alarm"].any().reset_index()))
    for check, subject, part in groups:
        table.add_row(check, subject, str(len(part)), str(int(part["alarm"].sum())), f"{part['alarm'].mean():.1%}")
    return table


def shown_planted(rows: pd.DataFrame) -> Table:
    """Share of companies in which a fault was found, by any check of drift and by which predictor's."""
    table = Table(title="Faults found, by days since they began", title_justify="left")
    predictors = [name for name in predictor_names() if name in set(rows["predictor"])]
    for heading in ("fault", "days", "by drift", *predictors, "by sources"):
        table.add_column(heading, justify="left" if heading == "fault" else "right")
    for (fault, days), part in rows.groupby(["fault", "days"], sort=False):
        found = part[part["is_drift"]]
        cells = [found.groupby("seed")["alarm"].any().mean()]
        cells += [found[found["predictor"] == name].groupby("seed")["alarm"].any().mean() for name in predictors]
        cells.append(part[~part["is_drift"]].groupby("seed")["alarm"].any().mean())
        table.add_row(str(fault), str(days), *[f"{cell:.0%}" for cell in cells])
    return table


def headline(quiet: pd.DataFrame, planted: pd.DataFrame) -> Iterator[Figure]:
    """False alarms of whole runs and of checks of inputs, and what is found a month after it began."""
    runs = quiet.groupby(["seed", "days"])["alarm"].any()
    at = {"area": "Watching", "unit": "%", "digits": 0}
    what = f"runs of the monitor with a false alarm, of {len(runs)} on unchanged data"
    yield Figure(name="drift.false_runs", what=what, ours=100 * float(runs.mean()), better="lower", **at)
    inputs = quiet[quiet["check"] == INPUTS]["alarm"]
    what = f"checks of inputs with a false alarm, of {len(inputs)} on unchanged data"
    yield Figure(name="drift.false_inputs", what=what, ours=100 * float(inputs.mean()), better="lower", **at)
    for fault in FAULTS:
        found = planted[(planted["fault"] == fault) & (planted["days"] == 30)].groupby("seed")["alarm"].any()
        what = f"found 30 days after it began: {fault} (of {len(found)} companies)"
        name = "_".join(re.findall(r"[a-z0-9]+", fault.lower()))
        yield Figure(name=f"drift.found.{name}", what=what, ours=100 * float(found.mean()), better="higher", **at)


def headline_of_errors(rows: pd.DataFrame) -> Iterator[Figure]:
    """Of the checks 190 days after the training."""
    kinds = {
        "as it is": ("false", "false alarm", "lower"),
        "amounts x 2": ("found", "alarm where amounts doubled at the training", "higher"),
    }
    for (predictor, label), part in rows[rows["days"] == 190].groupby(["predictor", "company"]):
        key, what, better = kinds[str(label)]
        yield Figure(
            name=f"drift.errors.{predictor}.{key}",
            area="Watching",
            what=f"matured error of {predictor}, 190 days after the training: {what} (of {len(part)} companies)",
            ours=100 * float(part["alarm"].mean()),
            unit="%",
            digits=0,
            better=better,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two small companies")
    parser.add_argument("--companies", type=int, help="how many")
    parser.add_argument("--inputs", action="store_true", help="not the predictions, which take most of the time")
    parser.add_argument("--errors", action="store_true", help="matured errors alone")
    parser.add_argument("--predictor", action="append", help="only this one; may be repeated")
    options = parser.parse_args()
    of, seeds = tuple(options.predictor or predictor_names()), range(500, 500 + (options.companies or (2 if options.quick else 16)))
    if options.errors:
        rows = [row for seed in track(seeds, "companies") for row in errors(seed, size=SIZES[options.quick], of=of)]
        Console().print(shown_errors(pd.DataFrame(rows)))
        report(__file__, headline_of_errors(pd.DataFrame(rows)), quick=options.quick)
        return
    quiet: list[dict[str, object]] = []
    planted: list[dict[str, object]] = []
    for seed in track(seeds, "companies"):
        of_one = measure(seed, size=SIZES[options.quick], of=of, inputs_alone=options.inputs)
        quiet += of_one[0]
        planted += of_one[1]
        raw_file(__file__, quick=options.quick).write_text(json.dumps({"quiet": quiet, "planted": planted}, default=str))
    is_drift = [INPUTS, PREDICTIONS]
    frames = [frame.assign(is_drift=frame["check"].isin(is_drift)) for frame in (pd.DataFrame(quiet), pd.DataFrame(planted))]
    console = Console()
    console.print(shown_quiet(frames[0]))
    console.print(shown_planted(frames[1]))
    if len(of) == len(predictor_names()):
        report(__file__, headline(*frames), quick=options.quick)


if __name__ == "__main__":
    main()
