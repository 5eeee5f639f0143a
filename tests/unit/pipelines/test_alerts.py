from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.core.types import Company
from predictkpi.kpis import get_kpi
from predictkpi.pipelines.alerts import ALERT_COLUMNS, AlertRule, Outlook, alerts, watched
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.tables import table_schema
from toy.books import books

END = pd.Timestamp("2024-01-01")
RULE = AlertRule(draws=1000, origins=6)
SHOCKED = pd.Timestamp("2023-11-01")
QUARTER = pd.Timestamp("2023-10-01")


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
    by_freq = found.groupby(c.FREQ)[c.DS].agg(list).to_dict()
    assert by_freq.pop("M") == [SHOCKED]
    assert by_freq in ({}, {"Q": [QUARTER]})
    row = found.iloc[0]
    assert (row["direction"], row["verdict"]) == ("below", "worse")
    assert row[c.VALUE] < row["low"] < row["expected"] < row["high"]


def test_alerts__say_when_it_went_better():
    row = alerts(Snapshot(shop(factor=1.6), END), ["revenue"], periods=3, rule=RULE).iloc[0]
    assert (row[c.DS], row["direction"], row["verdict"]) == (SHOCKED, "above", "better")


def test_calm_shop__has_no_alert(calm):
    assert calm[c.FREQ].tolist() == ["M", "Q", "M", "M"]
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
    expected = calm[(calm[c.FREQ] == "M") & (calm[c.DS] <= SHOCKED)]
    pd.testing.assert_frame_equal(earlier, expected.reset_index(drop=True))


def test_quarter__is_watched_with_its_last_month_and_forecast_from_its_beginning(calm):
    """Alone, December brings the quarter with it. A fiscal year from March has its quarter end in November."""
    december = watched(Snapshot(shop(), END), ["revenue"], periods=1, rule=RULE)
    pd.testing.assert_frame_equal(december, calm[(calm[c.FREQ] == "Q") | (calm[c.DS] > SHOCKED)].reset_index(drop=True))
    quarter, months = calm[calm[c.FREQ] == "Q"].iloc[0], calm[calm[c.FREQ] == "M"]
    assert quarter[c.VALUE] == pytest.approx(months[c.VALUE].sum())
    assert quarter["expected"] == pytest.approx(months["expected"].sum(), rel=0.05)
    assert quarter["low"] < quarter["expected"] < quarter["high"]
    fiscal = MemoryFacts({"orders": shop().read("orders", known_before=END)}, Company(fiscal_year_starts=3))
    found = watched(Snapshot(fiscal, END), ["revenue"], periods=3, rule=RULE)
    assert found.loc[found[c.FREQ] == "Q", c.DS].tolist() == [pd.Timestamp("2023-09-01")]


def test_quarter__tells_what_its_months_cannot():
    """A sixth less in each month is inside every month's wide interval, but not in the quarter's."""
    rule = AlertRule(draws=1000, origins=6, level=0.999, quarter_level=0.6)
    facts = shop()
    orders = facts.read("orders", known_before=END)
    less = orders.assign(amount=orders["amount"].where(orders["ds"] < QUARTER, orders["amount"] * 0.84))
    found = watched(Snapshot(MemoryFacts({"orders": less}), END), ["revenue"], periods=3, rule=rule)
    assert found.loc[found["is_alert"], c.FREQ].tolist() == ["Q"]


def test_interval__is_never_narrower_than_what_the_cases_of_a_month_can_tell():
    """Stays of 11 or 13 days, about half of them either way: the median of a year says 11 for years, and 13 from November 2023 on.

    Its own interval reached from 11 to 13 days all the time, so that the other side of the gap is no surprise.
    """
    snapshot = Snapshot(lumpy_stays(), END)
    series = get_kpi("time_in_stage").series(snapshot).set_index(c.DS)
    before = series[series.index < SHOCKED].tail(24)
    assert before[[c.LOW, c.VALUE, c.HIGH]].drop_duplicates().to_numpy().tolist() == [[11, 11, 13]]
    assert series.at[SHOCKED, c.VALUE] == 13
    found = watched(snapshot, ["time_in_stage"], periods=2, rule=RULE)
    row = found[(found[c.FREQ] == "M") & (found[c.DS] == SHOCKED)].iloc[0]
    assert (row["high"], row["direction"]) == (13, "inside")
    assert row["expected"] == pytest.approx(11, abs=0.2)
    assert not found["is_alert"].any()


def test_interval__without_one_of_the_kpi_is_that_of_the_forecast():
    values = np.arange(101.0)
    assert Outlook(values).interval(0.9) == pytest.approx((5, 50, 95))
    assert Outlook(values, undecided=(20, 80)).interval(0.9) == pytest.approx((5, 50, 95))
    assert Outlook(values, undecided=(1, np.nan)).interval(0.9) == pytest.approx((1, 50, 95))


def lumpy_stays() -> MemoryFacts:
    """50 deals a month: 26 stay for 11 days and 24 for 13, from November 2023 on 5 and 45."""
    rows = []
    for month in pd.date_range("2020-01-01", "2023-12-01", freq="MS"):
        short = 26 if month < SHOCKED else 5
        rows += [(f"{month:%y%m}-{k}", month + pd.Timedelta(days=k % 10), 11 if k < short else 13) for k in range(50)]
    deals = pd.DataFrame({"deal_id": [row[0] for row in rows], "created_at": [row[1] for row in rows]})
    ends = [(deal_id, began + pd.Timedelta(days=stay), "won") for deal_id, began, stay in rows]
    events = pd.DataFrame([*[(deal_id, began, "offer") for deal_id, began, _ in rows], *ends], columns=["deal_id", "ds", "stage"])
    events = events.assign(event_id=[f"{k:05d}" for k in range(len(events))], known_at=events["ds"])
    tables = {"deals": deals.assign(known_at=deals["created_at"]), "deal_events": events}
    return MemoryFacts({name: _typed(name, frame) for name, frame in tables.items()})


def _typed(table: str, frame: pd.DataFrame) -> pd.DataFrame:
    empty = table_schema(table).empty()
    return frame.reindex(columns=empty.columns).astype(empty.dtypes.to_dict())


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
    assert (
        found.groupby([c.KPI, c.FREQ]).size() == found[c.FREQ].map({"M": 12, "Q": 4}).groupby([found[c.KPI], found[c.FREQ]]).max()
    ).all()
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
    found = watched(shocked, ["win_rate"], periods=1, rule=RULE)
    row = found[found[c.FREQ] == "M"].iloc[0]
    assert (row["direction"], row["verdict"]) == ("below", "worse")


def test_watched__without_orders_has_nothing_to_tell_and_says_why():
    months = pd.date_range(END - pd.DateOffset(months=36), periods=36, freq="MS")
    spend = [{"ds": month, "channel": "ads", "amount": 5.0, "currency": "EUR"} for month in months]
    found = watched(books(spend=spend).at(END), ["cac", "cac_lagged"], periods=3, rule=RULE)
    assert len(found)
    assert not found["is_alert"].any()
    assert found[c.REASON].str.startswith("0 months with a value").all()
