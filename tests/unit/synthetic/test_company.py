"""The sample company: reproducible, valid, of the size asked for, and with every phenomenon in it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.errors import SettingsError
from predictkpi.synthetic import make_company
from predictkpi.synthetic.accounts import BURN_IN, arrivals, lag_weights, simulate_spend
from predictkpi.synthetic.calendar import Calendar
from predictkpi.synthetic.hazards import STAGES
from predictkpi.synthetic.world import CHANNELS, Size
from predictkpi.tables import TABLES

SMALL = {"customers": 60, "years": 1, "deals": 150, "orders": 400}
CLOSED = ("won", "lost")


@pytest.fixture(scope="module")
def large():
    return make_company(seed=3, customers=1200, years=4, deals=6000, orders=13000)


@pytest.fixture(scope="module", params=[1, 2, 7])
def usual(request):
    """The company of the default size."""
    return make_company(seed=request.param).snapshot()


@pytest.fixture(scope="module")
def closed(large):
    events = large.snapshot().deal_events
    return events[events["stage"].isin(CLOSED)]


def test_make_company__same_arguments_same_tables():
    first, second = make_company(seed=5, **SMALL), make_company(seed=5, **SMALL)
    for name in TABLES:
        pd.testing.assert_frame_equal(first.tables[name], second.tables[name], check_exact=True)
        assert first.tables[name].to_csv() == second.tables[name].to_csv()


def test_make_company__another_seed_another_company():
    first, second = make_company(seed=5, **SMALL), make_company(seed=6, **SMALL)
    assert not first.tables["orders"].equals(second.tables["orders"])


@pytest.mark.parametrize("name", list(TABLES))
def test_tables__keep_their_schema(large, name):
    frame = TABLES[name].validate(large.tables[name])
    assert list(frame.columns) == [*TABLES[name].column_names, "known_at"]
    assert dict(frame.dtypes) == dict(TABLES[name].empty().dtypes)
    assert frame["known_at"].is_monotonic_increasing
    assert not len(frame) or frame["known_at"].max() < large.end


def test_make_company__meets_the_counts_asked_for(usual):
    assert len(usual.customers) == pytest.approx(800, rel=0.15)
    assert len(usual.deals) == pytest.approx(4000, rel=0.15)
    assert len(usual.orders) == pytest.approx(9000, rel=0.15)
    assert usual.as_of == pd.Timestamp("2026-01-01")


@pytest.mark.parametrize(
    "wrong",
    [{"orders": 100}, {"deals": 10}, {"start": "2022-01-15"}, {"years": 0}],
    ids=["orders", "deals", "start", "years"],
)
def test_make_company__refuses_what_cannot_be(wrong):
    with pytest.raises(SettingsError):
        make_company(**{"customers": 800, "years": 4, **wrong})


def test_facts__nothing_is_known_before_it_happened(large):
    for name, schema in TABLES.items():
        if schema.happened_at:
            frame = large.tables[name]
            assert (frame["known_at"] >= frame[schema.happened_at]).all()
    first = large.tables["orders"].drop_duplicates("order_id")
    assert (first["known_at"] - first["ds"] <= pd.Timedelta(days=1)).all()


def test_keys__refer_to_rows_that_are_there(large):
    snapshot = large.snapshot()
    customers, deals = set(snapshot.customers["customer_id"]), set(snapshot.deals["deal_id"])
    assert set(snapshot.orders["customer_id"]) <= customers
    assert set(snapshot.deals["customer_id"]) <= customers
    assert set(snapshot.deal_events["deal_id"]) == deals
    created = snapshot.deals.merge(snapshot.customers, on="customer_id")
    assert (created["created_at_x"] > created["created_at_y"]).all()


def test_customers__nobody_orders_before_the_account(large):
    snapshot = large.snapshot()
    orders = snapshot.orders.merge(snapshot.customers, on="customer_id")
    assert (orders["ds"] > orders["created_at"]).all()


def test_orders__refunds_are_few_negative_and_late(large):
    orders = large.snapshot().orders
    refunds = orders[orders["order_id"].str.startswith("R")].assign(order_id=lambda frame: "O" + frame["order_id"].str[1:])
    assert set(orders["amount"][orders["amount"] < 0]) == set(refunds["amount"])
    assert len(refunds) / len(orders) == pytest.approx(0.027, abs=0.006)
    both = refunds.merge(orders, on="order_id", suffixes=("_back", ""))
    assert len(both) == len(refunds)
    assert (both["amount_back"] == -both["amount"]).all()
    assert (both["ds_back"].dt.normalize() - both["ds"].dt.normalize()).dt.days.between(3, 30).all()


def test_orders__won_deals_are_booked_at_their_close(large, closed):
    orders = large.snapshot().orders
    booked = orders[orders["deal_id"].notna()].merge(closed[closed["stage"] == "won"], on="deal_id", suffixes=("", "_won"))
    known = closed[(closed["stage"] == "won") & (closed["ds"] < large.end - pd.Timedelta(days=1))]
    assert set(known["deal_id"]) <= set(booked["deal_id"])
    assert (booked["ds"] == booked["ds_won"]).all()
    recent = booked["ds"] > large.end - pd.Timedelta(days=60)
    assert (booked["amount"] == booked["amount_won"])[~recent].all()


def test_revenue__deals_matter_but_none_makes_a_month(usual):
    orders = usual.orders
    assert 0.33 < orders["amount"][orders["deal_id"].notna()].sum() / orders["amount"].sum() < 0.47
    months = orders.groupby(orders["ds"].dt.to_period("M"))["amount"]
    assert (months.max() / months.sum()).iloc[3:].median() < 0.12


def test_revenue__has_season_and_growth(large):
    monthly = large.truth.monthly_revenue().set_index("ds")["expected_revenue"]
    by_month = monthly.groupby(monthly.index.month).mean()
    assert by_month.loc[[11, 12]].mean() > 1.2 * by_month.loc[[7, 8]].mean()
    assert monthly.iloc[-12:].sum() > 1.2 * monthly.iloc[:12].sum()


def test_orders__price_rises_once(large):
    calendar = large.truth.calendar
    orders = large.truth.orders
    repeat = (orders.deal < 0) & (orders.refund_of < 0)
    relative = orders.amount[repeat] / large.truth.accounts.order_value[orders.account[repeat]]
    later = orders.day[repeat] >= calendar.price_day
    assert relative[later].mean() / relative[~later].mean() == pytest.approx(1.06, abs=0.02)


def test_corrections__become_known_late(large):
    for name, column, share in (("orders", "amount", 0.02), ("spend", "cost", 0.012), ("customers", "segment", 0.02)):
        key = list(TABLES[name].key)
        versions = large.tables[name].groupby(key, sort=False)
        corrected = versions.size() > 1
        assert corrected.mean() == pytest.approx(share, abs=0.012), name
        changed = versions[column].nunique()
        assert (changed[corrected] == 2).all(), name
        assert ((versions["known_at"].max() - versions["known_at"].min())[corrected] > pd.Timedelta(days=3)).all()
    orders = large.tables["orders"]
    second = orders[orders.duplicated("order_id")]
    assert (second["known_at"].dt.normalize() - second["ds"].dt.normalize()).dt.days.between(10, 60).all()


def test_deals__win_rate_and_cycle_are_those_of_a_sales_team(large, closed):
    old = large.snapshot().deals.set_index("deal_id")["created_at"].reindex(closed["deal_id"])
    cycle = (closed["ds"].to_numpy() - old.to_numpy()) / np.timedelta64(1, "D")
    won = (closed["stage"] == "won").to_numpy()
    assert 0.30 < won.mean() < 0.42
    assert 45 <= np.median(cycle[won]) <= 65
    assert 0.10 < (large.truth.deals.dormant_on >= 0).mean() < 0.15


def test_deal_events__move_forward_and_backward_and_end_at_most_once(large):
    events = large.snapshot().deal_events.sort_values(["deal_id", "ds"])
    rank = events["stage"].map({name: place for place, name in enumerate((*STAGES, *CLOSED))})
    same = events["deal_id"].eq(events["deal_id"].shift())
    assert set(events["stage"]) == {*STAGES, *CLOSED}
    assert not rank.shift()[same].ge(len(STAGES)).any(), "an event after the end"
    assert (rank[~same] == 0).all()
    is_open = same & rank.lt(len(STAGES))
    steps = rank.diff()[is_open]
    assert set(steps.unique()) == {-1.0, 0.0, 1.0}
    assert (steps == -1).mean() > 0.02
    assert same.groupby(events["ds"].dt.normalize()).sum().max() > 0
    assert not events.duplicated(["deal_id", "ds"]).any()


def test_deal_events__amounts_change_dates_slip_and_owners_hand_over(large):
    events = large.snapshot().deal_events.sort_values(["deal_id", "ds"])
    deals = events.groupby("deal_id", sort=False)
    assert 0.15 < (deals["amount"].nunique() > 1).mean() < 0.8
    assert 0.005 < (deals["owner"].nunique() > 1).mean() < 0.15
    shift = deals["expected_close_on"].diff()
    assert (shift > pd.Timedelta(0)).sum() > 4 * (shift < pd.Timedelta(0)).sum() > 0
    teams = large.snapshot().deals.set_index("deal_id")["team"].reindex(events["deal_id"]).to_numpy()
    assert (events.groupby("owner")["deal_id"].size() > 0).sum() == 12
    assert (pd.Series(teams).groupby(events["owner"].to_numpy()).nunique() == 1).all()


def test_deal_events__dormant_deals_never_move_again(large):
    deals = large.truth.deals
    slept = deals.dormant_on[deals.event_deal]
    assert not ((slept >= 0) & (deals.event_day > slept)).any()
    asleep = np.flatnonzero(deals.dormant_on >= 0)
    assert not np.isin(deals.event_deal[deals.event_stage >= len(STAGES)], asleep).any()


def test_deals__wins_rush_at_the_end_of_quarters_and_rest_on_weekends(closed):
    won = closed.loc[closed["stage"] == "won", "ds"]
    to_end = (won.dt.to_period("Q").dt.end_time.dt.normalize() - won.dt.normalize()).dt.days
    rush, rest = (to_end < 10).sum() / 10, (to_end >= 10).sum() / 81.3
    assert rush > 1.6 * rest
    assert (closed["ds"].dt.day_of_week < 5).all()


def test_deals__good_owners_win_more(large, closed):
    rate = (closed["stage"] == "won").groupby(closed["owner"]).mean()
    assert rate["Ines Carvalho"] > rate["Liam Byrne"] + 0.15


def test_customers__leave_silently(large):
    alive = large.truth.customer_alive(large.end).set_index("customer_id")["is_alive"]
    orders = large.snapshot().orders
    recent = orders.loc[orders["ds"] >= large.end - pd.Timedelta(days=180)]
    recent = set(recent.loc[recent["deal_id"].isna() & (recent["amount"] > 0), "customer_id"])
    assert 0.2 < alive.mean() < 0.8
    assert np.mean([name in recent for name in alive.index[alive]]) > 0.6
    assert np.mean([name in recent for name in alive.index[~alive]]) < 0.25


def test_spend__brings_accounts_with_a_lag():
    size = Size(1, 30000, 4, 4000, 9000, pd.Timestamp("2022-01-01"))
    calendar = Calendar(size.start, price_day=900)
    spend = simulate_spend(size, calendar, np.random.default_rng(1))
    expected = arrivals(spend, size, calendar)
    counts = np.random.default_rng(2).poisson(expected)
    assert expected.sum() == pytest.approx(30000 * 0.65, rel=0.1)
    weeks = slice(0, size.days // 7 * 7)
    arrived = counts[CHANNELS.index("events")][weeks].reshape(-1, 7).sum(axis=1)
    spent = spend[CHANNELS.index("events")]
    by_lag = [spent[BURN_IN - 7 * lag :][weeks].reshape(-1, 7).sum(axis=1) for lag in range(9)]
    correlation = [np.corrcoef(cost, arrived)[0, 1] for cost in by_lag]
    assert int(np.argmax(correlation)) in (2, 3)
    assert max(correlation) > correlation[0] + 0.3
    assert lag_weights() @ np.arange(BURN_IN) == pytest.approx(19.5, abs=0.3)


def test_targets__are_known_before_their_period_and_add_up(large):
    targets = large.tables["targets"]
    assert (targets["known_at"] < targets["ds"]).all()
    assert set(targets["kpi"]) == {"revenue", "win_rate", "cac"}
    assert targets["ds"].max() == pd.Timestamp("2026-12-01")
    revenue = targets[targets["kpi"] == "revenue"].pivot(index="ds", columns="scope", values="value")
    assert revenue["total"].to_numpy() == pytest.approx(revenue.drop(columns="total").sum(axis=1).to_numpy())
    expected = large.truth.monthly_revenue().set_index("ds")["expected_revenue"]
    assert (revenue["total"].reindex(expected.index) / expected).between(0.5, 1.6).all()
