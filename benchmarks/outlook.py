"""Do the open deals make the revenue forecast better, and is the chance to hit a target honest? Measured on sample companies.

    python benchmarks/outlook.py [--quick]

Each company is replayed once, month by month over two years. The replay itself gives the errors of the total one to three months ahead:
blended as the months that were over by then had taught, beside the time series alone and the plain weighted pipeline (with the same
forecast of the rest). From several dates of the last year a whole outlook is made of predictors fitted then, and judged on what came true:
errors again, coverage of months and of the sum of three, and the chance to hit targets around last year's figures. Intervals are +/- 2
standard errors over companies.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track
from rich.table import Table

from figures import Figure, raw_file, report
from predictkpi.core import columns as c
from predictkpi.outlook import Outlook, Trust, make_outlook, replay
from predictkpi.outlook.items import Items
from predictkpi.outlook.rest import forecast_rest, split_for
from predictkpi.outlook.trust import ACTUAL, DEALS_EXPECTED, SERIES, WEIGHTED, WITH_DEALS
from predictkpi.predictors import predictor_class
from predictkpi.snapshot import Snapshot
from predictkpi.synthetic import make_company

AHEAD = 3
ORIGINS = 24
TAUGHT, LEAST_TAUGHT = 12, 6
TARGETS = (0.85, 0.95, 1.0, 1.05, 1.15, 1.3)
BINS = np.array([0.0, 0.1, 0.25, 0.4, 0.6, 0.75, 0.9, 1.0])


def fitted(name: str, snapshot: Snapshot, settings: dict):
    """A predictor that has learnt all the snapshot knows."""
    predictor = predictor_class(name)(**settings)
    return predictor.fit(predictor.training_table(snapshot))


def known_by(replayed: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Rows of the replay whose month was over by then."""
    over = [at + pd.DateOffset(months=int(step)) <= as_of for at, step in zip(replayed[c.AS_OF], replayed[c.HORIZON], strict=True)]
    return replayed[np.array(over, bool)]


def replay_rows(replayed: pd.DataFrame) -> list[dict]:
    """Mean absolute errors over the replayed months for which others before them had taught a trust, and what the blend saves."""
    size, said = replayed[ACTUAL].mean(), []
    for as_of, rows in replayed[replayed[c.HORIZON] <= AHEAD].groupby(c.AS_OF):
        known = known_by(replayed, as_of)
        if known[c.AS_OF].nunique() < LEAST_TAUGHT:
            continue
        trust = Trust.learn(known[known[c.AS_OF].isin(np.sort(known[c.AS_OF].unique())[-TAUGHT:])])
        step = rows[c.HORIZON].to_numpy() - 1
        with_deals = rows[WITH_DEALS] + (trust.yields(AHEAD)[step] - 1) * rows[DEALS_EXPECTED]
        weight = trust.weights(AHEAD)[step]
        said.append(rows.assign(blend=weight * with_deals + (1 - weight) * rows[SERIES]))
    found = pd.concat(said)
    names = {"with deals": "blend", "time series": SERIES, "weighted pipeline": WEIGHTED}
    figures = []
    for step, rows in found.groupby(c.HORIZON):
        error = {name: float((rows[column] - rows[ACTUAL]).abs().mean() / size) for name, column in names.items()}
        figures += [{"figure": f"replayed, {name}: error, month {step}", "value": value} for name, value in error.items()]
        for name in list(names)[1:]:
            figures.append(
                {"figure": f"replayed, share of {name}'s error saved, month {step}", "value": 1 - error["with deals"] / error[name]}
            )
    return figures


def judge(outlook: Outlook, past: Snapshot, actual: np.ndarray) -> tuple[list[dict], list[dict]]:
    """Errors and coverage of the three months ahead, and chances of targets beside what came true."""
    paths, series = outlook.revenue(c.TOTAL)[:, :AHEAD], outlook.answers[c.TOTAL]
    rest = forecast_rest(split_for(Items.of(past), past.as_of, [c.TOTAL], horizons=AHEAD), horizons=AHEAD)[0]
    place = outlook.place(c.TOTAL)
    weighted = outlook.booked[place, :AHEAD] + outlook.weighted[place, :AHEAD] + rest
    size = series.history[-12:].mean()
    said = {"with deals": paths.mean(axis=0), "time series": series.paths[:, :AHEAD].mean(axis=0), "weighted pipeline": weighted}
    rows = [
        {"figure": f"{name}: error, month {step + 1}", "value": abs(actual[step] - path[step]) / size}
        for name, path in said.items()
        for step in range(AHEAD)
    ]
    rows += [{"figure": f"{name}: error, 3 months", "value": abs(actual.sum() - path.sum()) / size / AHEAD} for name, path in said.items()]
    sums = {f"month {step + 1}": (paths[:, step], actual[step]) for step in range(AHEAD)} | {"3 months": (paths.sum(axis=1), actual.sum())}
    chances = []
    for name, (drawn, came) in sums.items():
        for level in (0.8, 0.95):
            low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
            rows.append({"figure": f"{level:.0%} covers, {name}", "value": float(low <= came <= high)})
        last_year = series.history[-12:][:AHEAD].sum() if name == "3 months" else series.history[-12:][int(name[-1]) - 1]
        chances += [{"chance": float((drawn >= last_year * part).mean()), "hit": float(came >= last_year * part)} for part in TARGETS]
    return rows, chances


def company_rows(seed: int, size: dict, settings: dict, dates: int) -> tuple[list[dict], list[dict]]:
    """All figures of one company."""
    snapshot = make_company(seed=seed, **size).snapshot()
    models = {"revenue": {}, "close_time": settings}
    unfitted = {name: predictor_class(name)(**models[name]) for name in models}
    replayed = replay(snapshot, revenue=unfitted["revenue"], close_time=unfitted["close_time"], origins=ORIGINS)
    revenue = unfitted["revenue"]
    rows, chances = [row | {"seed": seed} for row in replay_rows(replayed)], []
    for back in range(AHEAD, AHEAD + 2 * dates, 2):
        as_of = snapshot.as_of - pd.DateOffset(months=back)
        past = snapshot.at(as_of)
        outlook = make_outlook(
            past,
            revenue=fitted("revenue", past, {}),
            close_time=fitted("close_time", past, settings),
            trust=Trust.learn(known_by(replayed, as_of)),
        )
        truth = revenue.outcomes(snapshot, as_of=as_of)
        actual = truth[truth[c.ENTITY_ID] == c.TOTAL].sort_values(c.HORIZON)[c.VALUE].to_numpy(float)[:AHEAD]
        found = judge(outlook, past, actual)
        rows += [row | {"seed": seed} for row in found[0]]
        chances += found[1]
    return rows, chances


def headline(summary: pd.DataFrame, reliability: pd.DataFrame) -> Iterator[Figure]:
    """What open deals save, replayed and in whole outlooks, coverage, and how far chances are from what they kept."""
    mean, two_se = summary["mean"], summary["two_se"]
    at, note = {"area": "Outlook"}, "sample companies; in brackets two standard errors over them"
    for step in range(1, AHEAD + 1):
        for peer in ("weighted pipeline", "time series"):
            row, key = f"replayed, share of {peer}'s error saved, month {step}", peer.replace(" ", "_")
            limits = (100 * (mean[row] - two_se[row]), 100 * (mean[row] + two_se[row]))
            more = {
                "ours": 100 * mean[row],
                "unit": "%",
                "digits": 1,
                "limits": limits,
                "peer_name": peer,
                "better": "higher",
                "note": note,
            }
            what = f"share of the error of total revenue saved by open deals, month {step} ahead, past months replayed"
            yield Figure(name=f"outlook.saved.{key}.{step}", what=what, **more, **at)
    for step in range(1, AHEAD + 1):
        for peer in ("weighted pipeline", "time series"):
            ours, theirs = (mean[f"{name}: error, month {step}"] for name in ("with deals", peer))
            more = {"ours": ours, "digits": 3, "peer": theirs, "peer_name": peer, "better": "lower"}
            what = f"error of total revenue over that of a usual month, month {step} ahead, whole outlooks of sample companies"
            yield Figure(name=f"outlook.error.{peer.replace(' ', '_')}.{step}", what=what, **more, **at)
    if "80% covers, 3 months" in mean:
        more = {"ours": 100 * mean["80% covers, 3 months"], "unit": "%", "digits": 1, "peer": 80.0, "peer_name": "promised"}
        yield Figure(name="outlook.covers", what="80 % interval of the sum of three months covers, sample companies", **more, **at)
    gap = float((reliability["chance"] - reliability["hit"]).abs().max())
    what = f"chance to hit a target, largest distance from the share kept, {reliability['n'].sum():,} targets in {len(reliability)} groups"
    yield Figure(name="outlook.chance_gap", what=what, ours=gap, better="lower", **at)


def main() -> None:
    """Run, print the tables, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two small companies instead of those of the default size")
    parser.add_argument("--companies", type=int, default=8, help="how many of the default size")
    arguments = parser.parse_args()
    quick = arguments.quick
    size = {"customers": 250, "deals": 1200, "orders": 3000} if quick else {}
    settings = {"rounds": 60} if quick else {}
    started, rows, chances = time.monotonic(), [], []
    for seed in track(range(400, 400 + (2 if quick else arguments.companies)), description="sample companies"):
        found = company_rows(seed, size, settings, dates=2 if quick else 3)
        rows, chances = rows + found[0], chances + found[1]
    means = pd.DataFrame(rows).groupby(["figure", "seed"], sort=False)["value"].mean().groupby("figure", sort=False)
    summary = pd.DataFrame({"mean": means.mean(), "two_se": 2 * means.sem()})
    table = Table("figure", "mean", "+/- 2 se", title=f"{len(rows)} figures in {time.monotonic() - started:.0f} s")
    for figure, row in summary.iterrows():
        table.add_row(str(figure), f"{row['mean']:.3f}", f"{row['two_se']:.3f}")
    reliability = reliability_table(pd.DataFrame(chances))
    bins = Table("chance to hit", "targets", "mean chance", "hit", title="Is the chance to hit a target honest?")
    for row in reliability.itertuples():
        bins.add_row(row.bin, str(row.n), f"{row.chance:.3f}", f"{row.hit:.3f}")
    Console().print(table, bins)
    raw_file(__file__, quick=quick).write_text(
        json.dumps({"figures": summary.to_dict("index"), "reliability": reliability.to_dict("records")}, indent=1), encoding="utf-8"
    )
    report(__file__, headline(summary, reliability), quick=quick)


def reliability_table(chances: pd.DataFrame) -> pd.DataFrame:
    """Mean chance and share of hits by bin of chance."""
    place = np.clip(np.searchsorted(BINS, chances["chance"], side="right") - 1, 0, len(BINS) - 2)
    found = chances.groupby(place).agg(n=("hit", "size"), chance=("chance", "mean"), hit=("hit", "mean"))
    found.insert(0, "bin", [f"{BINS[i]:.2f} to {BINS[i + 1]:.2f}" for i in found.index])
    return found.reset_index(drop=True)


if __name__ == "__main__":
    main()
