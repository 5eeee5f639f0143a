from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.pipelines.findings import MonitorRule, Severity
from predictkpi.pipelines.watch_fields import watch_fields
from predictkpi.pipelines.watch_sources import FRESHNESS, VOLUME, arrivals, watch_sources, weekly_counts
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.tables import TABLES, table_schema

END = pd.Timestamp("2024-01-01")
DAY = pd.Timedelta(days=1)
RULE = MonitorRule()


def orders(days: int = 900, *, a_day: int = 4, lag: pd.Timedelta = DAY / 24, seed: int = 3) -> pd.DataFrame:
    """Orders of each day up to END, as many as a Poisson draw says, known ``lag`` after they were booked."""
    rng = np.random.default_rng(seed)
    ds = np.repeat(pd.date_range(end=END - DAY, periods=days, unit="us") + pd.Timedelta(hours=9), rng.poisson(a_day, days))
    frame = pd.DataFrame({c.ORDER_ID: [f"O{number}" for number in range(len(ds))], c.DS: ds})
    frame[c.AMOUNT] = np.exp(rng.normal(5, 0.5, len(ds)))
    frame[c.PRODUCT] = rng.choice(["Core", "Plus", "Services"], len(ds))
    full = table_schema("orders").empty().drop(columns=c.KNOWN_AT).merge(frame, how="right")
    return full.assign(**{c.CURRENCY: "EUR", c.CUSTOMER_ID: "C1", c.DEAL_ID: "", c.KNOWN_AT: full[c.DS] + lag})


def watch(frame, *, now=END, as_of=None):
    snapshot = Snapshot(MemoryFacts({"orders": frame}), as_of or now)
    return {finding.check: finding for finding in watch_sources(snapshot, now=now, rule=RULE)}


def test_sources__that_deliver_as_ever_are_well():
    found = watch(orders())
    assert {check: finding.severity for check, finding in found.items()} == {FRESHNESS: Severity.NOTE, VOLUME: Severity.NOTE}
    assert found[VOLUME].figures["low"] <= found[VOLUME].figures["rows"] <= found[VOLUME].figures["high"]


def test_sources__that_have_stopped_are_told_once():
    found = watch(orders(), now=END + 4 * DAY, as_of=END)
    assert set(found) == {FRESHNESS}
    finding = found[FRESHNESS]
    assert finding.severity is Severity.ALARM
    assert finding.figures["days"] > finding.threshold
    assert "since 2023-12-31" in finding.reason
    assert finding.way_out


def test_freshness__a_table_loaded_once_a_month_is_not_stale_for_three_weeks():
    monthly = orders()
    monthly[c.KNOWN_AT] = monthly[c.DS].dt.to_period("M").dt.end_time.dt.floor("us")
    assert not watch(monthly, now=END + 21 * DAY, as_of=END)[FRESHNESS].is_wrong
    assert watch(monthly, now=END + 50 * DAY, as_of=END)[FRESHNESS].is_wrong


def test_freshness__one_load_of_everything_says_nothing_of_how_long_rows_take():
    at_once = orders().assign(**{c.KNOWN_AT: END - pd.Timedelta(hours=1)})
    assert watch(at_once)[FRESHNESS].severity is Severity.NOTE
    assert watch(at_once, now=END + 4 * DAY, as_of=END)[FRESHNESS].is_wrong


@pytest.mark.parametrize(("keep", "side"), [(0.3, "too few"), (2.5, "too many")])
def test_volume__of_another_size_than_usual_is_found(keep, side):
    usual = orders()
    newest = usual[usual[c.DS] >= END - 7 * DAY]
    copies = [newest.assign(**{c.ORDER_ID: newest[c.ORDER_ID] + f"-{copy}"}) for copy in range(int(np.ceil(keep)))]
    changed = pd.concat(copies).iloc[::-1].iloc[: int(len(newest) * keep)]
    finding = watch(pd.concat([usual.drop(newest.index), changed], ignore_index=True))[VOLUME]
    assert finding.severity is Severity.ALARM
    assert side in finding.reason


def test_volume__compares_weeks_as_far_as_they_were_known_then():
    late = orders(lag=2 * DAY)
    counts = weekly_counts(arrivals(Snapshot(MemoryFacts({"orders": late}), END), TABLES["orders"]), END)
    whole = weekly_counts(arrivals(Snapshot(MemoryFacts({"orders": orders()}), END), TABLES["orders"]), END)
    assert counts[:50].mean() == pytest.approx(whole[:50].mean() * 5 / 7, rel=0.05)
    assert not watch(late)[VOLUME].is_wrong


def test_sources__of_a_young_company_are_not_judged():
    found = watch(orders(days=5).assign(**{c.KNOWN_AT: END - DAY / 24}))
    assert "too few to tell a usual gap" in found[FRESHNESS].reason
    assert "too few to tell" in found[VOLUME].reason
    assert not any(finding.is_wrong for finding in found.values())


def fields(frame):
    (finding,) = watch_fields(Snapshot(MemoryFacts({"orders": frame}), END), rule=RULE)
    return finding


def test_fields__as_ever_are_well():
    assert fields(orders()).severity is Severity.NOTE


@pytest.mark.parametrize(
    ("column", "change", "words"),
    [
        (c.AMOUNT, lambda values: values * 2, "amount is unlike in the half year before"),
        (c.AMOUNT, lambda values: values * np.nan, "100% of it is empty"),
        (c.PRODUCT, lambda values: "", "product is unlike"),
    ],
)
def test_fields__that_changed_four_weeks_ago_are_found(column, change, words):
    frame = orders()
    newest = frame[c.DS] >= END - 28 * DAY
    frame.loc[newest, column] = change(frame.loc[newest, column])
    finding = fields(frame)
    assert finding.severity is Severity.ALARM
    assert words in finding.reason
    assert finding.figures["field"] == column


def test_fields__of_few_rows_or_a_short_past_are_not_judged():
    assert "too few to compare" in fields(orders().iloc[::60]).reason
    assert "too few to compare" in fields(orders(days=300)).reason
