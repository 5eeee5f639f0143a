"""How often do alerts cry wolf, and how often do they find what was planted? Measured on sample companies.

    python benchmarks/alerts.py [--quick]

Every closed month and quarter of the last four quarters is forecast from what was known before it began. False alarms: the company as it
is, in which nothing out of the ordinary was planted. Found: the same periods again with a shock, planted in each of the twelve months (or
four quarters) in turn. The months after the first of a longer shock are forecast anew, since by then its beginning is known.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track
from rich.table import Table

from figures import Figure, Goal, raw_file, report
from predictkpi.core import columns as c
from predictkpi.core.periods import Freq, complete_periods, start_of
from predictkpi.kpis import get_kpi, kpi_names
from predictkpi.kpis.trends import unwatchable
from predictkpi.pipelines.alerts import AlertRule, Outlook, freqs_of, outlooks
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.synthetic import SampleCompany, make_company

RULES = [AlertRule(level=month, quarter_level=quarter) for month, quarter in ((0.9, 0.87), (0.95, 0.93), (0.98, 0.97), (0.99, 0.985))]
MONTHS = 12
DEFAULT_SIZE = {"customers": 800, "deals": 4000, "orders": 9000}
QUICK_SIZE = {"customers": 250, "deals": 1200, "orders": 3000}

Tables = dict[str, pd.DataFrame]
Outlooks = dict[pd.Timestamp, dict[str, dict[Freq, Outlook]]]


@dataclass(frozen=True)
class Shock:
    """What is planted for how many months, and the KPIs in which it may show; ``plant`` gives the tables that it changes."""

    label: str
    months: int
    kpis: tuple[str, ...]
    plant: Callable[[Tables, pd.Timestamp, pd.Timestamp], Tables]


def less_revenue(tables: Tables, start: pd.Timestamp, end: pd.Timestamp, *, factor: float) -> Tables:
    """All orders of the span are smaller."""
    orders = tables["orders"]
    inside = orders[c.DS].between(start, end, inclusive="left")
    return {"orders": orders.assign(**{c.AMOUNT: orders[c.AMOUNT].where(~inside, orders[c.AMOUNT] * factor)})}


def doubled_spend(tables: Tables, start: pd.Timestamp, end: pd.Timestamp) -> Tables:
    """CAC doubles because twice as much is spent."""
    spend = tables["spend"]
    inside = spend[c.DS].between(start, end, inclusive="left")
    return {"spend": spend.assign(**{c.COST: spend[c.COST].where(~inside, spend[c.COST] * 2)})}


def halved_customers(tables: Tables, start: pd.Timestamp, end: pd.Timestamp) -> Tables:
    """CAC doubles because every other new customer of the span stays away, for good."""
    orders = tables["orders"]
    first = orders[orders[c.AMOUNT] >= 0].groupby(c.CUSTOMER_ID)[c.DS].min()
    new = first[first.between(start, end, inclusive="left")].sort_values(kind="stable").index
    return {"orders": orders[~orders[c.CUSTOMER_ID].isin(new[::2])]}


def halved_wins(tables: Tables, start: pd.Timestamp, end: pd.Timestamp) -> Tables:
    """Every other win of the span is a loss."""
    events = tables["deal_events"]
    wins = events.index[events[c.DS].between(start, end, inclusive="left") & (events[c.STAGE] == c.WON)]
    return {"deal_events": events.assign(**{c.STAGE: events[c.STAGE].where(~events.index.isin(wins[::2]), c.LOST)})}


def longer_cycles(tables: Tables, start: pd.Timestamp, end: pd.Timestamp) -> Tables:
    """Deals won in the span took half as long again: all that happened before moves back from the day of the win."""
    deals, events = tables["deals"], tables["deal_events"]
    wins = events[events[c.DS].between(start, end, inclusive="left") & (events[c.STAGE] == c.WON)]
    won_at = wins.groupby(c.DEAL_ID)[c.DS].max()
    changed = {}
    for name, frame, when in (("deals", deals, c.CREATED_AT), ("deal_events", events, c.DS)):
        ahead = (frame[c.DEAL_ID].map(won_at) - frame[when]).clip(lower=pd.Timedelta(0)).fillna(pd.Timedelta(0))
        changed[name] = frame.assign(**{when: frame[when] - ahead / 2})
    return changed


SHOCKS = (
    Shock("revenue -50 %", 1, ("revenue",), partial(less_revenue, factor=0.5)),
    Shock("revenue -30 %", 1, ("revenue",), partial(less_revenue, factor=0.7)),
    Shock("CAC doubled by spend", 1, ("cac", "acquisition_spend"), doubled_spend),
    Shock("CAC doubled by spend", 3, ("cac", "acquisition_spend"), doubled_spend),
    Shock("CAC doubled by customers", 1, ("cac", "new_customers"), halved_customers),
    Shock("CAC doubled by customers", 3, ("cac", "new_customers"), halved_customers),
    Shock("win rate halved", 1, ("win_rate",), halved_wins),
    Shock("sales cycle +50 %", 1, ("sales_cycle_mean",), longer_cycles),
)


def measure(seed: int, *, size: dict[str, int], kpis: list[str]) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """False alarms and finds of one company, by level."""
    company = make_company(seed=seed, **size)
    months = complete_periods(company.end - pd.DateOffset(months=MONTHS), company.end, "M")
    before: Outlooks = {month: look(company.snapshot(month), kpis) for month in months}
    quiet = [row | {"seed": seed} for row in false_alarms(company, before, kpis)]
    planted = [row | {"seed": seed} for shock in SHOCKS for row in finds(company, shock, before)]
    return quiet, planted


def look(past: Snapshot, kpis: list[str] | tuple[str, ...]) -> dict[str, dict[Freq, Outlook]]:
    """What is expected of the month, and of the quarter if one begins, by KPI and length."""
    is_quarter = start_of(past.as_of, "Q") == past.as_of
    return {name: outlooks(past, get_kpi(name), AlertRule(), with_quarter=is_quarter) for name in kpis}


def false_alarms(company: SampleCompany, before: Outlooks, kpis: list[str]) -> Iterator[dict[str, object]]:
    """One row per KPI, period and level."""
    for name in kpis:
        actual = series_of(company.snapshot(), name)
        for start, expected in before.items():
            for freq, outlook in expected[name].items():
                for rule in RULES:
                    yield {
                        "kpi": name,
                        "freq": freq,
                        "level": rule.level,
                        "alarm": is_alert(name, actual[freq], start, outlook, rule.level_of(freq)),
                    }


def finds(company: SampleCompany, shock: Shock, before: Outlooks) -> Iterator[dict[str, object]]:
    """One row per planted shock, KPI in which it may show, and level: was it an alert in its first month, in any, in the quarter?"""
    for start in before:
        if shock.months == 3 and start_of(start, "Q") != start:
            continue
        end = start + pd.DateOffset(months=shock.months)
        facts = MemoryFacts({**company.tables, **shock.plant(company.tables, start, end)}, company.company)
        shocked = Snapshot(facts, company.end)
        months = pd.date_range(start, end, freq="MS", inclusive="left")
        expected = {start: before[start]} | {month: look(shocked.at(month), shock.kpis) for month in months[1:]}
        quarter = start_of(start, "Q")
        for name in shock.kpis:
            actual = series_of(shocked, name)
            for rule in RULES:
                hits = [is_alert(name, actual["M"], month, expected[month][name]["M"], rule.level) == 1 for month in months]
                of_quarter = is_alert(name, actual["Q"], quarter, before[quarter][name]["Q"], rule.quarter_level) == 1
                row = {"shock": shock.label, "months": shock.months, "kpi": name, "start": start, "level": rule.level}
                yield row | {"first_month": hits[0], "any_month": any(hits), "quarter": of_quarter, "either": any(hits) or of_quarter}


def series_of(snapshot: Snapshot, name: str) -> dict[Freq, pd.DataFrame]:
    """The KPI's series by length, indexed by ``ds``."""
    return {freq: get_kpi(name).series(snapshot, freq=freq).set_index(c.DS) for freq in freqs_of(get_kpi(name))}


def is_alert(name: str, series: pd.DataFrame, start: pd.Timestamp, before: Outlook, level: float) -> float:
    """NaN where the period cannot be judged."""
    low, _, high = before.interval(level)
    if start not in series.index or series.at[start, c.N] < get_kpi(name).least_n or np.isnan([low, series.at[start, c.VALUE]]).any():
        return np.nan
    return float(not low <= series.at[start, c.VALUE] <= high)


def quiet_summary(rows: list[dict[str, object]]) -> pd.DataFrame:
    """By level and KPI: alarms in four quarters (months and quarters together; mean and most) and company-years with more than one."""
    frame = pd.DataFrame(rows)
    by_kpi = [frame["level"], frame["kpi"]]
    years = frame.groupby(["level", "kpi", "seed"], sort=False)["alarm"].agg(["sum", "count"])
    grouped = years.groupby(["level", "kpi"], sort=False)
    in_quarters = frame["alarm"].where(frame["freq"] == "Q").groupby(by_kpi, sort=False).sum() / frame["seed"].nunique()
    return pd.DataFrame(
        {
            "periods": grouped["count"].sum(),
            "alarms": grouped["sum"].mean(),
            "of_quarters": in_quarters,
            "most": grouped["sum"].max(),
            "more_than_one": (years["sum"] > 1).groupby(["level", "kpi"], sort=False).mean(),
        }
    )


def found_summary(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Share found by level, shock, its length and KPI; with more than one KPI also by any of them."""
    frame = pd.DataFrame(rows)
    hits = ["first_month", "any_month", "quarter", "either"]
    one = ["level", "shock", "months", "seed", "start"]
    several = frame.groupby(one, sort=False)["kpi"].transform("nunique") > 1
    together = frame[several].groupby(one, sort=False)[hits].max().reset_index().assign(kpi="either of them")
    return pd.concat([frame, together]).groupby(["level", "shock", "months", "kpi"], sort=False)[hits].mean()


def tables(quiet: pd.DataFrame, found: pd.DataFrame) -> Iterator[Table]:
    """Every KPI and every shock at the level of the shipped rule; and the levels against one another."""
    shipped, of_quarter = AlertRule().level, AlertRule().quarter_level
    by_kpi = Table(
        "KPI",
        "periods judged",
        "false alarms a year",
        "of them quarters",
        "most in a year",
        "years with > 1",
        title=f"at {shipped:.0%}, quarters {of_quarter:.0%}",
    )
    for name, row in quiet.xs(shipped, level="level").iterrows():
        alarms = f"{row['alarms']:.2f}", f"{row['of_quarters']:.2f}", f"{row['most']:.0f}", f"{row['more_than_one']:.0%}"
        by_kpi.add_row(name, f"{row['periods']:.0f}", *alarms)
    yield by_kpi
    by_shock = Table(
        "shock",
        "months",
        "shows in",
        "first month",
        "any month",
        "quarter",
        "month or quarter",
        title=f"found at {shipped:.0%}, quarters {of_quarter:.0%}",
    )
    for (label, months, kpi), row in found.xs(shipped, level="level").iterrows():
        by_shock.add_row(label, str(months), kpi, *[f"{share:.0%}" for share in row])
    yield by_shock
    by_level = Table("level", "false alarms a KPI and year", "worst KPI", "years with > 1", "shocks found", title="all KPIs, by level")
    for level, part in quiet[quiet["periods"] > 0].groupby(level="level"):
        share = found.xs(level, level="level")["either"].groupby(["shock", "months"]).max().mean()
        alarms = f"{part['alarms'].mean():.2f}", f"{part['alarms'].max():.2f}", f"{part['more_than_one'].mean():.1%}"
        by_level.add_row(f"{level:.0%}", *alarms, f"{share:.0%}")
    yield by_level


HEADLINES = (
    ("revenue -50 %", 1, "revenue"),
    ("revenue -30 %", 1, "revenue"),
    ("win rate halved", 1, "win_rate"),
    ("sales cycle +50 %", 1, "sales_cycle_mean"),
    ("CAC doubled by spend", 1, "acquisition_spend"),
    ("CAC doubled by spend", 1, "cac"),
    ("CAC doubled by spend", 3, "cac"),
    ("CAC doubled by customers", 1, "either of them"),
    ("CAC doubled by customers", 3, "either of them"),
)
"""Shock, its months, and the KPI that is to show it."""


def headline(quiet: pd.DataFrame, found: pd.DataFrame) -> Iterator[Figure]:
    """False alarms and finds at the level of the shipped rule."""
    alarms = quiet[quiet["periods"] > 0].xs(AlertRule().level, level="level")["alarms"]
    at = {"area": "Watching", "goal": Goal(most=1), "better": "lower"}
    what = "false alarms a KPI in four quarters, sample companies without shocks"
    yield Figure(name="alerts.false_mean", what=f"{what}, mean of {len(alarms)} KPIs", ours=float(alarms.mean()), **at)
    yield Figure(name="alerts.false_worst", what=f"{what}, worst KPI", ours=float(alarms.max()), **at)
    for shock, months, kpi in HEADLINES:
        if (AlertRule().level, shock, months, kpi) not in found.index:
            continue
        name = "_".join(re.findall(r"[a-z0-9]+", f"{shock} {months} {kpi}".lower()))
        seen_in = "new_customers or cac" if kpi == "either of them" else kpi
        span = "a month" if months == 1 else "a quarter"
        yield Figure(
            name=f"alerts.found.{name}",
            area="Watching",
            what=f"found by an alert: {shock} for {span}, seen in {seen_in}",
            ours=100 * float(found.at[(AlertRule().level, shock, months, kpi), "either"]),
            unit="%",
            digits=0,
            better="higher",
        )


def main() -> None:
    """Run, print the tables, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two small companies instead of eight of the default size")
    parser.add_argument("--seeds", type=int, help="how many companies")
    parser.add_argument("--times", type=int, default=1, help="companies of that many times the size")
    parser.add_argument("--kpi", action="append", help="only this one; may be repeated")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="companies measured at the same time")
    options = parser.parse_args()
    started = time.monotonic()
    kpis = [name for name in options.kpi or kpi_names() if not unwatchable(get_kpi(name))]
    kpis += sorted({name for shock in SHOCKS for name in shock.kpis} - set(kpis))
    size = {name: count * options.times for name, count in (QUICK_SIZE if options.quick else DEFAULT_SIZE).items()}
    seeds = range(100, 100 + (options.seeds or (2 if options.quick else 8)))
    with ProcessPoolExecutor(options.jobs) as pool:
        made = pool.map(partial(measure, size=size, kpis=kpis), seeds)
        quiet_rows, found_rows = zip(*track(made, total=len(seeds), description="sample companies"), strict=True)
    quiet, found = quiet_summary([row for rows in quiet_rows for row in rows]), found_summary([row for rows in found_rows for row in rows])
    Console(width=140).print(*tables(quiet, found), f"{time.monotonic() - started:.0f} s")
    if options.times == 1 and not options.kpi:
        kept = {"false_alarms": quiet.reset_index().to_dict("records"), "found": found.reset_index().to_dict("records")}
        raw_file(__file__, quick=options.quick).write_text(json.dumps(kept, indent=1), encoding="utf-8")
        report(__file__, headline(quiet, found), quick=options.quick)


if __name__ == "__main__":
    main()
