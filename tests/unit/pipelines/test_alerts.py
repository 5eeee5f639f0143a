from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.pipelines.alerts import ALERT_COLUMNS, AlertRule, alerts, watched
from predictkpi.snapshot import MemoryFacts, Snapshot

END = pd.Timestamp("2024-01-01")
RULE = AlertRule(draws=1000, origins=6)
SHOCKED = pd.Timestamp("2023-11-01")


def shop(*, factor: float = 1.0, months: int = 48, per_month: int = 12) -> MemoryFacts:
    """Monthly revenue around 1,200 with a season and 5 % noise, in orders known within the hour; November 2023 times ``factor``."""
    starts = pd.date_range(END - pd.DateOffset(months=months), periods=months, freq="MS")
    rng = np.random.default_rng(1)
    rows = []
    for month in starts:
        size = 100 * (1 + 0.2 * np.sin(2 * np.pi * month.month / 12)) * np.exp(0.05 * rng.standard_normal())
        size *= factor if month == SHOCKED else 1.0
        rows += [(f"{month:%y%m}-{k}", month + pd.Timedelta(days=k), f"c{k}", size) for k in range(per_month)]
    orders = pd.DataFrame(rows, columns=["order_id", "ds", "customer_id", "amount"])
    orders = orders.assign(currency="EUR", product="p", deal_id=None, known_at=orders["ds"] + pd.Timedelta(minutes=5))
    return MemoryFacts({"orders": orders.astype({"ds": "datetime64[us]", "known_at": "datetime64[us]"})})


@pytest.fixture(scope="module")
def calm() -> pd.DataFrame:
    return watched(Snapshot(shop(), END), ["revenue"], periods=3, rule=RULE)


def test_alerts__find_the_planted_month_and_no_other():
    found = alerts(Snapshot(shop(factor=0.5), END), ["revenue"], periods=3, rule=RULE)
    assert list(found.columns) == ALERT_COLUMNS
    assert found[c.DS].tolist() == [SHOCKED]
    row = found.iloc[0]
    assert (row["direction"], row["verdict"]) == ("below", "worse")
    assert row[c.VALUE] < row["low"] < row["expected"] < row["high"]


def test_alerts__say_when_it_went_better():
    row = alerts(Snapshot(shop(factor=1.6), END), ["revenue"], periods=3, rule=RULE).iloc[0]
    assert (row[c.DS], row["direction"], row["verdict"]) == (SHOCKED, "above", "better")


def test_calm_shop__has_no_alert(calm):
    assert len(calm) == 3
    assert (calm["direction"] == "inside").all()


def test_interval__is_of_the_time_before_the_month_began(calm):
    """A shock in November leaves November's interval as it was, and moves December's."""
    shocked = watched(Snapshot(shop(factor=0.5), END), ["revenue"], periods=3, rule=RULE)
    bounds = ["expected", "low", "high"]
    before = calm[c.DS] <= SHOCKED
    pd.testing.assert_frame_equal(shocked.loc[before, bounds], calm.loc[before, bounds])
    assert not np.isclose(shocked.loc[~before, bounds], calm.loc[~before, bounds]).any()


def test_months__after_the_watched_one_change_nothing(calm):
    earlier = watched(Snapshot(shop(), END).at(pd.Timestamp("2023-12-01")), ["revenue"], periods=2, rule=RULE)
    pd.testing.assert_frame_equal(earlier, calm.head(2))


def test_late_correction__changes_the_value_and_not_the_interval(calm):
    facts = shop()
    orders = facts.read("orders", known_before=END)
    wrong = orders[orders["ds"].dt.to_period("M") == SHOCKED.to_period("M")].head(10)
    mended = wrong.assign(amount=1.0, known_at=pd.Timestamp("2023-12-20"))
    corrected = MemoryFacts({"orders": pd.concat([orders, mended])})
    found = watched(Snapshot(corrected, END), ["revenue"], periods=3, rule=RULE).set_index(c.DS)
    assert found.at[SHOCKED, "is_alert"]
    assert found.at[SHOCKED, "low"] == calm.set_index(c.DS).at[SHOCKED, "low"]
    unmended = watched(Snapshot(corrected, pd.Timestamp("2023-12-20")), ["revenue"], periods=1, rule=RULE)
    assert not unmended["is_alert"].any()


def test_short_history__is_never_an_alert():
    found = watched(Snapshot(shop(factor=0.1, months=20), END), ["revenue"], periods=3, rule=RULE)
    assert not found["is_alert"].any()
    assert (found[c.STATUS] == "insufficient_data").all()
    assert found[c.REASON].iloc[-1] == "19 months with a value before it: 24 are needed"


def test_kpis__that_cannot_be_watched_say_why(snapshot):
    found = watched(snapshot, ["clv_realised", "revenue_growth_qoq"], periods=2, rule=RULE).groupby(c.KPI)[c.REASON].first()
    assert "less time" in found["clv_realised"]
    assert found["revenue_growth_qoq"] == "not a monthly figure"


def test_thin_month__is_never_an_alert(snapshot):
    """The small sample company wins a handful of customers a month: a CAC on fewer than ten of them is not judged."""
    found = watched(snapshot, ["cac"], periods=4, rule=RULE)
    thin = found[found[c.N] < 10]
    assert len(thin)
    assert not thin["is_alert"].any()
    assert thin[c.REASON].str.contains("customers").all()


def test_sample_company__has_at_most_one_false_alarm_a_kpi_in_four_quarters(snapshot):
    found = watched(snapshot, ["revenue", "win_rate"], rule=RULE)
    assert (found.groupby(c.KPI).size() == 12).all()
    assert (found["direction"] != "").all()
    assert (found.groupby(c.KPI)["is_alert"].sum() <= 1).all()
    shares = found[found[c.KPI] == "win_rate"]
    assert (shares["low"] >= 0).all() and (shares["high"] <= 1).all()


def test_sample_company__a_month_without_a_win_is_found(company):
    month = company.end - pd.DateOffset(months=1)
    events = company.tables["deal_events"].copy()
    wins = events.index[(events[c.DS] >= month) & (events[c.STAGE] == c.WON)]
    events.loc[wins, c.STAGE] = c.LOST
    shocked = Snapshot(MemoryFacts(company.tables | {"deal_events": events}, company.company), company.end)
    row = watched(shocked, ["win_rate"], periods=1, rule=RULE).iloc[0]
    assert (row["direction"], row["verdict"]) == ("below", "worse")
