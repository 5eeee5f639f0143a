"""How honest are the intervals and probabilities? Measured on sample companies, whose truth is known.

    python benchmarks/calibration.py [--quick]

Every predictor is fitted at several as_of dates of several sample companies and judged on what came true afterwards. For deals, the
predicted probability is also set against the generator's own probability given everything an observer could know. Figures are pooled
over seeds and dates; the interval is mean +/- 2 standard errors over companies.
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

from figures import Figure, Goal, raw_file, report
from predictkpi.core import columns as c
from predictkpi.metrics.calibration import calibration_noise_floor, expected_calibration_error
from predictkpi.predictors import predictor_class
from predictkpi.synthetic import make_company

INTERVALS = {"80 %": ("q10", "q90"), "95 %": ("q025", "q975")}


def as_of_dates(company, count: int) -> list[pd.Timestamp]:
    """Month starts, two months apart, that leave half a year of truth."""
    last = (company.end - pd.DateOffset(months=6)).replace(day=1).normalize()
    return [last - pd.DateOffset(months=2 * k) for k in range(count)]


def judged(name: str, company, as_of: pd.Timestamp) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions of a fresh model at ``as_of`` in wide form, and the mature outcomes."""
    snapshot = company.snapshot()
    past = snapshot.at(as_of)
    model = predictor_class(name)()
    model.fit(model.training_table(past))
    wide = model.predict(past).pivot(index=[c.ENTITY_ID, c.HORIZON], columns=c.STATISTIC, values=c.VALUE)
    outcomes = model.outcomes(snapshot, as_of=as_of)
    return wide, outcomes[outcomes[c.IS_MATURE]]


def revenue(company, as_of: pd.Timestamp) -> dict[str, float]:
    """Shares of months whose revenue fell inside the intervals, for the total and for all series."""
    wide, outcomes = judged("revenue", company, as_of)
    frame = wide.join(outcomes[outcomes[c.STATISTIC] == "mean"].set_index([c.ENTITY_ID, c.HORIZON])[c.VALUE].rename("actual"), how="inner")
    found = {}
    for label, (low, high) in INTERVALS.items():
        inside = (frame["actual"] >= frame[low]) & (frame["actual"] <= frame[high])
        is_total = frame.index.get_level_values(0) == c.TOTAL
        found[f"revenue: {label} covers, all series"] = inside.mean()
        found[f"revenue: {label} covers, total"] = inside[is_total].mean()
    return found


def close_time(company, as_of: pd.Timestamp) -> dict[str, float]:
    """Calibration of P(won by 30 and 90 days) and coverage of the close date, beside the generator's own truth."""
    wide, outcomes = judged("close_time", company, as_of)
    truth = company.truth.deal_incidence(as_of, [30, 90]).set_index([c.DEAL_ID, c.HORIZON])
    found = {}
    for horizon in (30, 90):
        predicted = wide.xs(horizon, level=c.HORIZON)["cif_won"]
        happened = outcomes[(outcomes[c.STATISTIC] == "cif_won") & (outcomes[c.HORIZON] == horizon)].set_index(c.ENTITY_ID)[c.VALUE]
        true = truth.xs(horizon, level=c.HORIZON)["cif_won"]
        frame = pd.concat({"p": predicted, "y": happened, "true": true}, axis=1).dropna()
        p, y, q = (frame[column].to_numpy() for column in ("p", "y", "true"))
        found |= {
            f"close time: ECE of P(won by {horizon} d)": expected_calibration_error(y, p),
            f"close time: its noise floor, {horizon} d": calibration_noise_floor(p),
            f"close time: mean predicted - mean true, {horizon} d": float(np.mean(p - q)),
            f"close time: slope of truth on prediction, {horizon} d": float(np.polyfit(p, q, 1)[0]),
            f"close time: Brier / Brier of the truth, {horizon} d": float(np.mean((p - y) ** 2) / np.mean((q - y) ** 2)),
            f"close time: predicted / actual wins, {horizon} d": float(p.sum() / max(y.sum(), 1)),
        }
    days = outcomes[outcomes[c.STATISTIC] == "close_q50"].set_index(c.ENTITY_ID)[c.VALUE].rename("days")
    dates = wide.dropna(subset=["close_q10"]).droplevel(c.HORIZON).join(days, how="inner")
    inside = (dates["days"] >= dates["close_q10"]) & (dates["days"] <= dates["close_q90"])
    return found | {"close time: 80 % close-date interval covers": inside.mean()}


def clv(company, as_of: pd.Timestamp) -> dict[str, float]:
    """Coverage of the 80 % interval over six months, and the slope and level of the true expectation on the prediction."""
    wide, outcomes = judged("clv", company, as_of)
    six = wide.xs(6, level=c.HORIZON)
    actual = outcomes[(outcomes[c.STATISTIC] == "mean") & (outcomes[c.HORIZON] == 6)].set_index(c.ENTITY_ID)[c.VALUE]
    truth = company.truth.customer_spend(as_of, 6).set_index(c.CUSTOMER_ID)["expected_spend"]
    frame = six.join(actual.rename("actual"), how="inner").join(truth, how="inner")
    inside = (frame["actual"] >= frame["q10"]) & (frame["actual"] <= frame["q90"])
    return {
        "clv: 80 % interval covers, 6 months": inside.mean(),
        "clv: slope of true expectation on prediction": float(np.polyfit(frame["mean"], frame["expected_spend"], 1)[0]),
        "clv: predicted / actual total": float(frame["mean"].sum() / frame["actual"].sum()),
    }


def headline(summary: pd.DataFrame) -> Iterator[Figure]:
    """Coverage beside what is promised, calibration beside its noise floor, and expectations beside the truth."""
    mean, two_se = summary["mean"], summary["two_se"]

    def figure(name: str, row: str, what: str, *, times: float = 1.0, **more) -> Figure:
        limits = (times * (mean[row] - two_se[row]), times * (mean[row] + two_se[row]))
        note = "sample companies; in brackets two standard errors"
        return Figure(name=f"calibration.{name}", area="Honesty", what=what, ours=times * mean[row], limits=limits, note=note, **more)

    for level in (80, 95):
        for of, key in (("all series", "series"), ("total", "total")):
            what = f"{level} % interval of revenue covers, {of}"
            at = {"times": 100, "unit": "%", "digits": 1, "peer": float(level), "peer_name": "promised"}
            yield figure(f"revenue_{level}_{key}", f"revenue: {level} % covers, {of}", what, **at)
    for days in (30, 90):
        floor = float(mean[f"close time: its noise floor, {days} d"])
        at = {"digits": 3, "peer": floor, "peer_name": "noise floor", "better": "lower", "goal": Goal(most=round(floor + 0.01, 3))}
        yield figure(f"won_{days}", f"close time: ECE of P(won by {days} d)", f"calibration error of P(won within {days} days)", **at)
    row = "close time: 80 % close-date interval covers"
    promised = {"times": 100, "unit": "%", "digits": 1, "peer": 80.0, "peer_name": "promised"}
    yield figure("close_date", row, "80 % interval of the close date covers", **promised, goal=Goal(least=75, most=85))
    row = "clv: slope of true expectation on prediction"
    yield figure("clv_slope", row, "slope of the true expected spend on the predicted, 6 months", digits=3, peer=1.0, peer_name="the truth")


def main() -> None:
    """Run, print the table, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two small companies instead of eight of the default size")
    quick = parser.parse_args().quick
    started = time.monotonic()
    rows = []
    for seed in track(range(100, 102 if quick else 108), description="sample companies"):
        company = make_company(seed=seed, **({"customers": 250, "deals": 1200, "orders": 3000} if quick else {}))
        for as_of in as_of_dates(company, 2 if quick else 4):
            rows += [
                {"seed": seed, "figure": k, "value": v} for judge in (revenue, close_time, clv) for k, v in judge(company, as_of).items()
            ]
    means = pd.DataFrame(rows).groupby(["figure", "seed"], sort=False)["value"].mean().groupby("figure", sort=False)
    summary = pd.DataFrame({"mean": means.mean(), "two_se": 2 * means.sem()})
    table = Table("figure", "mean", "+/- 2 se", title=f"{len(rows)} figures in {time.monotonic() - started:.0f} s")
    for figure, row in summary.iterrows():
        table.add_row(str(figure), f"{row['mean']:.3f}", f"{row['two_se']:.3f}")
    Console().print(table)
    raw_file(__file__, quick=quick).write_text(json.dumps(summary.to_dict("index"), indent=1), encoding="utf-8")
    report(__file__, headline(summary), quick=quick)


if __name__ == "__main__":
    main()
