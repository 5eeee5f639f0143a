"""How often do alerts cry wolf, and how often do they find what was planted? Measured on sample companies.

    python benchmarks/alerts.py [--quick]

Every closed month of the last four quarters is forecast from what was known before it began. False alarms: the company as it is, in which
nothing out of the ordinary was planted. Found: the same month again with a shock (revenue halved, spend doubled, half of the wins turned
into losses), planted in each of the twelve months in turn; the interval stays, since nothing of it was known before.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track
from rich.table import Table

from predictkpi.core import columns as c
from predictkpi.core.periods import complete_periods
from predictkpi.kpis import get_kpi, kpi_names
from predictkpi.kpis.trends import unwatchable
from predictkpi.pipelines.alerts import AlertRule, Outlook, outlook
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.synthetic import SampleCompany, make_company

RESULTS = Path(__file__).parent / "results" / "alerts.json"
LEVELS = (0.90, 0.95, 0.98, 0.99)
MONTHS = 12


@dataclass(frozen=True)
class Shock:
    """What is planted, in which table, and in which KPI it must show."""

    label: str
    kpi: str
    table: str
    plant: Callable[[pd.DataFrame, pd.Series], pd.DataFrame]


def halved_revenue(orders: pd.DataFrame, inside: pd.Series) -> pd.DataFrame:
    return orders.assign(**{c.AMOUNT: orders[c.AMOUNT].where(~inside, orders[c.AMOUNT] / 2)})


def doubled_spend(spend: pd.DataFrame, inside: pd.Series) -> pd.DataFrame:
    return spend.assign(**{c.COST: spend[c.COST].where(~inside, spend[c.COST] * 2)})


def halved_wins(events: pd.DataFrame, inside: pd.Series) -> pd.DataFrame:
    wins = events.index[inside & (events[c.STAGE] == c.WON)]
    return events.assign(**{c.STAGE: events[c.STAGE].where(~events.index.isin(wins[::2]), c.LOST)})


SHOCKS = (
    Shock("revenue -50 %", "revenue", "orders", halved_revenue),
    Shock("CAC doubled", "cac", "spend", doubled_spend),
    Shock("win rate halved", "win_rate", "deal_events", halved_wins),
)


def shocked(company: SampleCompany, shock: Shock, month: pd.Timestamp) -> Snapshot:
    """The company's end as it would be with that shock in that month."""
    frame = company.tables[shock.table]
    inside = (frame[c.DS] >= month) & (frame[c.DS] < month + pd.DateOffset(months=1))
    return Snapshot(MemoryFacts({**company.tables, shock.table: shock.plant(frame, inside)}, company.company), company.end)


def judged(company: SampleCompany, kpis: list[str]) -> list[dict[str, object]]:
    """One row per KPI, month and level: whether it is an alert as it is, and with the shock (None without one)."""
    snapshot = company.snapshot()
    actual = {name: get_kpi(name).series(snapshot).set_index(c.DS) for name in kpis}
    rows = []
    for month in complete_periods(company.end - pd.DateOffset(months=MONTHS), company.end, "M"):
        past = snapshot.at(month)
        planted = {shock.kpi: get_kpi(shock.kpi).series(shocked(company, shock, month)).set_index(c.DS) for shock in SHOCKS}
        for name in kpis:
            before = outlook(past, get_kpi(name), AlertRule())
            for level in LEVELS:
                row = {"kpi": name, "level": level, "false": is_alert(name, actual[name], month, before, level)}
                rows.append(row | {"found": is_alert(name, planted[name], month, before, level) if name in planted else np.nan})
    return rows


def is_alert(name: str, series: pd.DataFrame, month: pd.Timestamp, before: Outlook, level: float) -> float:
    """NaN where the month cannot be judged."""
    low, _, high = before.interval(level)
    if month not in series.index or series.at[month, c.N] < get_kpi(name).least_n or np.isnan(low):
        return np.nan
    return float(not low <= series.at[month, c.VALUE] <= high)


def summary(rows: list[dict[str, object]]) -> pd.DataFrame:
    """By level and KPI: alarms in four quarters (mean and most), share of company-years with more than one, share of shocks found."""
    frame = pd.DataFrame(rows)
    years = frame.groupby(["level", "kpi", "seed"], sort=False)["false"].agg(["sum", "count"])
    by_kpi = years.groupby(["level", "kpi"], sort=False)
    return pd.DataFrame(
        {
            "months": by_kpi["count"].sum(),
            "false_alarms_a_year": by_kpi["sum"].mean(),
            "most_in_a_year": by_kpi["sum"].max(),
            "years_with_more_than_one": (years["sum"] > 1).groupby(["level", "kpi"], sort=False).mean(),
            "shocks_found": frame.groupby(["level", "kpi"], sort=False)["found"].mean(),
        }
    )


def tables(found: pd.DataFrame) -> tuple[Table, Table]:
    """Every KPI at the level of the shipped rule; and the levels against one another."""
    shipped = AlertRule().level
    by_kpi = Table(
        "KPI", "months judged", "false alarms a year", "most in a year", "years with > 1", "shocks found", title=f"at {shipped:.0%}"
    )
    for name, row in found.xs(shipped, level="level").iterrows():
        shares = f"{row['years_with_more_than_one']:.0%}", "" if np.isnan(row["shocks_found"]) else f"{row['shocks_found']:.0%}"
        by_kpi.add_row(name, f"{row['months']:.0f}", f"{row['false_alarms_a_year']:.2f}", f"{row['most_in_a_year']:.0f}", *shares)
    labels = [f"{shock.label} found" for shock in SHOCKS]
    by_level = Table("level", "false alarms a KPI and year", "worst KPI", "years with > 1", *labels, title="all KPIs, by level")
    for level, part in found[found["months"] > 0].groupby(level="level"):
        alarms = part["false_alarms_a_year"]
        hits = [f"{found.at[(level, shock.kpi), 'shocks_found']:.0%}" for shock in SHOCKS]
        by_level.add_row(
            f"{level:.0%}", f"{alarms.mean():.2f}", f"{alarms.max():.2f}", f"{part['years_with_more_than_one'].mean():.1%}", *hits
        )
    return by_kpi, by_level


def main() -> None:
    """Run, print the tables, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two small companies instead of eight of the default size")
    parser.add_argument("--seeds", type=int, help="how many companies")
    parser.add_argument("--times", type=int, default=1, help="companies of that many times the size")
    parser.add_argument("--kpi", action="append", help="only this one; may be repeated")
    options = parser.parse_args()
    started = time.monotonic()
    wanted = options.kpi or kpi_names()
    kpis = [name for name in wanted if not unwatchable(get_kpi(name))]
    kpis += [shock.kpi for shock in SHOCKS if shock.kpi not in kpis]
    size = {"customers": 250, "deals": 1200, "orders": 3000} if options.quick else {"customers": 800, "deals": 4000, "orders": 9000}
    rows: list[dict[str, object]] = []
    for seed in track(range(100, 100 + (options.seeds or (2 if options.quick else 8))), description="sample companies"):
        company = make_company(seed=seed, **{name: count * options.times for name, count in size.items()})
        rows += [{"seed": seed} | row for row in judged(company, kpis)]
    found = summary(rows)
    Console(width=140).print(*tables(found), f"{time.monotonic() - started:.0f} s")
    if not options.quick and options.times == 1:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(found.reset_index().to_dict("records"), indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
