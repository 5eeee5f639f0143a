"""LTV to CAC and payback by channel: by hand where the future is a straight line, and on the sample company."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.core.types import Company
from predictkpi.kpis import get_kpi
from predictkpi.predictors.clv.channels import CHANNEL_COLUMNS, channel_returns
from predictkpi.predictors.clv.ladder import MONTH_DAYS
from predictkpi.predictors.clv.model import ClvPredictor
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.tables import table_schema

AS_OF = pd.Timestamp("2024-01-01")


class SteadySpend(ClvPredictor):
    """Everybody brings ``rate`` a month, in one half of the draws ``swing`` less and in the other as much more; nobody shares a level."""

    def __init__(self, rate: float, swing: float = 0.0) -> None:
        self.rate, self.swing = rate, swing

    def inputs(self, snapshot, *, entity_ids=None):
        return pd.DataFrame({c.ENTITY_ID: list(entity_ids)})

    def spend_draws(self, inputs, *, days, draws=None):
        rates = np.where(np.arange(draws) < draws // 2, self.rate - self.swing, self.rate + self.swing)
        yield np.arange(len(inputs)), np.tile((days / MONTH_DAYS)[None, :, None] * rates, (len(inputs), 1, 1))

    def level_spreads(self, days):
        return np.zeros(len(days))


def facts(*, orders, channels=None, spend=()):
    """Facts of ``(customer_id, day, amount)``, of a channel by customer and of ``(day, channel, cost)``."""

    def table(name, rows):
        empty = table_schema(name).empty()
        return pd.DataFrame(rows, columns=list(empty.columns)).astype(empty.dtypes.to_dict())

    booked = [
        {"order_id": f"O{i}", "ds": pd.Timestamp(day), "customer_id": who, "amount": amount, "currency": "EUR"}
        for i, (who, day, amount) in enumerate(orders)
    ]
    accounts = [{"customer_id": who, "channel": channel, "known_at": "2020-01-01"} for who, channel in (channels or {}).items()]
    costs = [{"ds": pd.Timestamp(day), "channel": channel, "cost": cost, "currency": "EUR"} for day, channel, cost in spend]
    return MemoryFacts(
        {
            "orders": table("orders", [row | {"known_at": row["ds"]} for row in booked]),
            "customers": table("customers", [row | {"known_at": pd.Timestamp(row["known_at"])} for row in accounts]),
            "spend": table("spend", [row | {"known_at": row["ds"]} for row in costs]),
        },
        Company(),
    )


def returned(predictor, known, as_of=AS_OF):
    found = channel_returns(predictor, Snapshot(known, as_of), draws=64)
    return found, found.table.set_index(c.CHANNEL)


@pytest.fixture
def two_channels():
    """A and B came through ads half a year before as_of for 30 each, C through word of mouth, D through ads long before."""
    half_a_year_ago = (AS_OF - pd.Timedelta(days=6 * MONTH_DAYS)).floor("s")
    orders = [("A", half_a_year_ago, 20.0), ("B", half_a_year_ago, 20.0), ("B", "2023-10-15", 12.0), ("C", half_a_year_ago, 50.0)]
    orders += [("D", "2020-05-05", 900.0), ("D", "2023-06-05", 900.0)]
    channels = {"A": "ads", "B": "ads", "C": "friends", "D": "ads"}
    spend = [(f"2023-{month:02d}-10", "ads", 5.0) for month in range(1, 13)] + [("2023-04-10", "sales", 40.0)]
    return facts(orders=orders, channels=channels, spend=spend)


def test_values__are_what_came_since_the_first_order_and_what_is_expected_of_the_rest(two_channels):
    """Ads: (20 + 20 + 12) / 2 = 26 so far, 6 months at 3 up to the first year, 18 up to the second; CAC 12 x 5 / 2 = 30."""
    found, table = returned(SteadySpend(3.0), two_channels)
    assert (found.since, found.until, found.lag) == (pd.Timestamp("2023-01-01"), AS_OF, 0)
    ads = table.loc["ads"]
    assert ads[["customers", "realised", "cost", "cac"]].tolist() == [2, 26, 60, 30]
    assert ads["value_12_mean"] == pytest.approx(26 + 6 * 3, rel=1e-6)
    assert ads["value_24_mean"] == pytest.approx(26 + 18 * 3, rel=1e-6)
    assert ads["value_24_q10"] == pytest.approx(ads["value_24_q90"])
    assert ads["ltv_to_cac_24_mean"] == pytest.approx(80 / 30, rel=1e-6)
    # 20 at once, 6 more in the fourth month (B's second order), and 4 of the 3 a month from the sixth on
    assert ads["payback_months"] == pytest.approx(6 + 4 / 3, rel=1e-4)


def test_total__is_all_spend_over_all_customers(two_channels):
    _, table = returned(SteadySpend(3.0), two_channels)
    assert list(table.index) == ["ads", "friends", "sales", "total"]
    assert table.loc["total", ["customers", "cost"]].tolist() == [3, 100]
    assert table.loc["total", "cac"] == pytest.approx(100 / 3)
    of_all = 2 * table.loc["ads", "value_24_mean"] + table.loc["friends", "value_24_mean"]
    assert table.loc["total", "value_24_mean"] == pytest.approx(of_all / 3)


def test_reasons__stand_in_for_numbers_that_do_not_exist(two_channels):
    _, table = returned(SteadySpend(3.0), two_channels)
    assert table.loc["friends", ["cac", "ltv_to_cac_24_mean", "payback_months"]].isna().all()
    assert "no spend is recorded for it" in table.loc["friends", "reason"]
    assert table.loc["friends", "value_24_mean"] == pytest.approx(50 + 18 * 3, rel=1e-6)
    assert table.loc["sales", ["realised", "value_12_mean", "cac"]].isna().all()
    assert "nobody was won through it" in table.loc["sales", "reason"]
    assert (table.loc[["friends", "sales"], "status"] == "insufficient_data").all()
    assert table.loc["ads", "status"] == "limited"
    assert "only 2 customers" in table.loc["ads", "reason"]


def test_payback__of_draws_that_never_get_there_is_a_reason(two_channels):
    """Half of each customer's draws bring 3 a month, half nothing: 26 + 4 is reached in those where one of the two brings something."""
    _, table = returned(SteadySpend(1.5, swing=1.5), two_channels)
    ads = table.loc["ads"]
    assert ads["payback_months"] == pytest.approx(6 + 4 / 1.5, rel=1e-3)
    assert ads["payback_q10"] < ads["payback_months"]
    assert ads["payback_q10"] == pytest.approx(6 + 4 / 3, rel=1e-3)
    assert np.isnan(ads["payback_q90"])
    assert "payback_q90: >24 months, not reached" in ads["reason"]
    _, table = returned(SteadySpend(0.1), two_channels)
    assert np.isnan(table.loc["ads", "payback_months"])
    assert table.loc["ads", "ltv_to_cac_24_mean"] < 1
    assert "payback_months, payback_q10, payback_q50, payback_q90: >24 months" in table.loc["ads", "reason"]


def test_payback__is_at_once_where_the_first_orders_pay():
    known = facts(orders=[("A", "2023-05-05", 100.0)], channels={"A": "ads"}, spend=[("2023-05-01", "ads", 60.0)])
    _, table = returned(SteadySpend(1.0), known)
    assert table.loc["ads", ["payback_months", "payback_q10", "payback_q90"]].tolist() == [0, 0, 0]


def test_without_spend__values_are_told_and_the_rest_has_a_reason():
    known = facts(orders=[("A", "2023-05-05", 100.0), ("B", "2023-06-05", 10.0)], channels={"A": "ads"})
    found, table = returned(SteadySpend(1.0), known)
    assert (found.since, found.until) == (pd.Timestamp("2023-01-01"), AS_OF)
    assert list(table.index) == ["ads", "unknown", "total"]
    assert table["value_12_mean"].notna().all()
    assert table[["cost", "cac", "ltv_to_cac_12_mean", "payback_months"]].isna().all().all()
    assert table["reason"].str.contains("no spend is loaded that speaks for a month of the last twelve").all()


def test_spend_of_few_months__speaks_for_the_customers_of_those_months_only():
    orders = [("A", "2023-02-05", 100.0), ("B", "2023-06-05", 10.0), ("C", "2023-07-05", 30.0)]
    known = facts(orders=orders, channels=dict.fromkeys("ABC", "ads"), spend=[("2023-06-02", "ads", 30.0), ("2023-07-02", "ads", 30.0)])
    found, table = returned(SteadySpend(0.0), known)
    assert (found.since, found.until) == (pd.Timestamp("2023-06-01"), pd.Timestamp("2023-08-01"))
    assert table.loc["ads", ["customers", "cac", "value_24_mean"]].tolist() == [2, 30, 20]


def test_unknown_channel__has_a_value_and_no_cost():
    known = facts(orders=[("A", "2023-05-05", 100.0), ("B", "2023-05-06", 1.0)], channels={"A": "ads"}, spend=[("2023-05-02", "ads", 5.0)])
    _, table = returned(SteadySpend(0.0), known)
    assert table.loc["unknown", "value_12_mean"] == 1
    assert np.isnan(table.loc["unknown", "cac"])
    assert "their channel is not known" in table.loc["unknown", "reason"]


def test_first_year_of_the_records__makes_everybody_look_new():
    orders = [(f"C{number}", "2023-05-05", 100.0) for number in range(12)]
    channels, spend = {f"C{number}": "ads" for number in range(12)}, [("2023-05-02", "ads", 60.0)]
    _, table = returned(SteadySpend(1.0), facts(orders=orders, channels=channels, spend=spend))
    assert table.loc["ads", "status"] == "limited"
    assert table.loc["ads", "reason"].startswith("the orders begin less than a year before")
    _, table = returned(SteadySpend(1.0), facts(orders=[("Old", "2022-04-05", 1.0), *orders], channels=channels, spend=spend))
    assert table.loc["ads", ["status", "reason"]].tolist() == ["full", ""]


def test_nobody__won_and_nothing_spent_is_a_total_of_nobody():
    found, table = returned(SteadySpend(1.0), facts(orders=[("A", "2020-05-05", 100.0)]))
    assert list(found.table.columns) == CHANNEL_COLUMNS
    assert table.index.tolist() == ["total"]
    assert table.loc["total", ["customers", "status", "reason"]].tolist() == [0, "insufficient_data", "nobody was won in these months"]


def test_sample_company__agrees_with_the_kpis_and_is_surer_of_twelve_months_than_of_24(snapshot):
    model = ClvPredictor(draws=32)
    model.fit(model.training_table(snapshot))
    found = channel_returns(model, snapshot)
    table = found.table.set_index(c.CHANNEL)
    lagged = get_kpi("cac_lagged").series(snapshot)
    lagged = lagged[(lagged["ds"] >= found.since) & (lagged["ds"] < found.until)]
    cost = (lagged["value"] * lagged["n"]).sum()
    assert lagged["value"].notna().all(), "every month won somebody"
    assert table.loc["total", "cac"] == pytest.approx(cost / lagged["n"].sum())
    assert table.loc["total", "customers"] == lagged["n"].sum() == table["customers"].iloc[:-1].sum()
    known = table[table["customers"] > 0]
    for what in ("value_12", "value_24"):
        assert ((known[f"{what}_q10"] < known[f"{what}_mean"]) & (known[f"{what}_mean"] < known[f"{what}_q90"])).all()
    relative = {what: known[f"{what}_q90"] / known[f"{what}_q10"] for what in ("value_12", "value_24")}
    assert (relative["value_24"] > relative["value_12"]).all()
    assert (known["value_12_mean"] >= known["realised"]).all()
    paid = table[table["cac"].notna()]
    assert ((paid["payback_months"] <= 24) == (paid["ltv_to_cac_24_mean"] >= 1)).all()


def test_sample_company__knows_nothing_of_what_came_later(company, snapshot):
    as_of = snapshot.as_of - pd.DateOffset(months=5, days=9)
    model = ClvPredictor(draws=32)
    model.fit(model.training_table(snapshot.at(as_of)))
    early = {name: frame[frame[c.KNOWN_AT] < as_of] for name, frame in company.tables.items()}
    one, other = (channel_returns(model, seen).table for seen in (snapshot.at(as_of), Snapshot(MemoryFacts(early, company.company), as_of)))
    assert one["customers"].iloc[-1] > 0
    pd.testing.assert_frame_equal(one, other)
